"""Training of a generator of any family: guidance classifier, loop, evaluation."""

from __future__ import annotations

import json
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from napari_quac.data.dataset import Dataset
from napari_quac.errors import CheckpointError, NotFiniteError
from napari_quac.interruption import postponed
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.generator import Generator as ImageGenerator
from napari_quac.networks.run_errors import network_errors
from napari_quac.reading import path_exists
from napari_quac.stepwise import Progress, stepwise
from napari_quac.storage import write_file, write_files
from napari_quac.train.checkpointing import (
    RandomState,
    encode_safetensors,
    encode_state,
    read_state,
)
from napari_quac.train.evaluate import (
    Evaluation,
    HeldOutEvaluator,
    MaskOf,
    PreviewScore,
    side_file,
    train_side_classifier,
)
from napari_quac.train.images import (
    ImagePool,
    PoolDataset,
    load_pool,
    order_like,
    select_class_pair,
    validate_class_pair,
)
from napari_quac.train.settings import (
    EVALUATION_FILE,
    RESUME_FILE,
    AdversarialTrainingSettings,
    GeneratorTrainingSettings,
)
from napari_quac.train.task import FamilyEvaluation, Recipe, TrainingTask


@dataclass(frozen=True, eq=False)
class TrainingResult:
    """Trained generator, its files and its evaluation.

    Attributes
    ----------
    recipe : Recipe
        Files of the generator.
    generator : Generator
        The same, live.
    files : tuple of Path
        Written networks.
    steps : int
        Steps in all.
    minutes : float
        Time of the steps, those of earlier runs included.
    measures : FamilyEvaluation or None
        Measures of the generator family, by the classifier under study.
    evaluation : Evaluation or None
        Conversions, by the evaluation classifier.
    document : dict of str to object
        Both as JSON-ready values, as in ``evaluation.json``.
    """

    recipe: Recipe
    generator: ImageGenerator
    files: tuple[Path, ...]
    steps: int
    minutes: float
    measures: FamilyEvaluation | None = None
    evaluation: Evaluation | None = None
    document: dict[str, Any] = field(default_factory=dict)


@stepwise
def train_generator(
    dataset: Dataset,
    output: Path,
    settings: GeneratorTrainingSettings,
    classifier: Classifier | None = None,
    *,
    pair: Sequence[str] | None = None,
    validation: Dataset | None = None,
    evaluator: Classifier | None = None,
    mask_of: MaskOf | Mapping[str, Tensor] | None = None,
    structures: Sequence[str] | None = None,
    resume: bool = False,
    device: torch.device | None = None,
) -> Generator[Progress, None, TrainingResult]:
    """Train a generator; the class of the settings determines its family.

    Stop iterating (or call ``close()``) to cancel; the trained state is in ``output`` then, and
    ``resume=True`` continues from there.

    Parameters
    ----------
    dataset : Dataset
        Labeled, square images of one shape. They can be larger than the network resolution.
    output : Path
        Folder for the generator, the state to resume from, and the evaluation.
    settings : GeneratorTrainingSettings
        Of one family, such as
        :class:`~napari_quac.generators.stargan.training_settings.StarGANTrainingSettings`.
    classifier : Classifier, optional
        Classifier under study, which guides the training. Without it, a guidance classifier is
        trained on the same images first, where the family allows it.
    pair : two str, optional
        Classes of a family that is about two; by default the only two. For probability bins those
        of the lowest and the highest bin; a simulator adds the pattern of the second one.
    validation : Dataset, optional
        Images for the evaluation; by default a part of ``dataset`` is held out.
    evaluator : Classifier, optional
        Evaluation classifier, which the training does not see; by default one is trained beside
        the generator.
    mask_of, structures : optional
        Masks of structures; see :func:`~napari_quac.train.evaluate.evaluate_generator`.
    resume : bool
        Continue from the state in ``output``, for another ``settings.minutes``.
    device : torch.device, optional
        The CPU by default.

    Yields
    ------
    progress : Progress
        ``partial`` is a :class:`~napari_quac.train.generator_trainer.TrainingState` in the loop;
        ``finish`` ends the training and keeps the present state.

    Returns
    -------
    result : TrainingResult

    Raises
    ------
    DataError, ShapeError
        If the images or classes cannot be used, or ``output`` cannot be written.
    CheckpointError
        If there is nothing to resume, or it has other settings.
    NotFiniteError
        If the losses become NaN; the last good state is kept.
    """
    images = _load_images(dataset, validation, settings, pair, classifier)
    pool, held_out, remarks = yield from images
    output, device = Path(output), device or torch.device("cpu")
    held_out_evaluator = None
    if isinstance(settings, AdversarialTrainingSettings):
        side = pool, settings, output, device, resume
        if classifier is None and settings.trains_guidance_classifier:
            classifier = yield from train_side_classifier("guidance", *side)
        if held_out is not None and (evaluator is not None or settings.evaluator_minutes):
            training = evaluator or train_side_classifier("evaluation", *side)
            held_out_evaluator = HeldOutEvaluator(training, held_out, settings.evaluated_images)
    task = settings.task()(pool, settings, classifier, device)
    trained = yield from _run_loop(task, output, resume, held_out_evaluator)
    trained, inputs = replace(trained, document=remarks), (task.proposals, mask_of, structures)
    return (yield from _evaluate(trained, task, output, held_out, held_out_evaluator, inputs))


def _evaluate(
    trained: TrainingResult,
    task: TrainingTask[Any, Any],
    output: Path,
    held_out: Dataset | None,
    evaluator: HeldOutEvaluator | None,
    inputs: tuple[Any, ...],
) -> Generator[Progress, None, TrainingResult]:
    """Add the measures of the family and of the evaluation classifier, and write them."""
    if held_out is not None and task.EVALUATION_KEY:
        with network_errors("The evaluation of the generator"):
            measures = yield from task.evaluate(trained.generator, held_out)
        document = {**trained.document, task.EVALUATION_KEY: measures.to_json()}
        trained = replace(trained, measures=measures, document=document)
    if evaluator is not None:
        with network_errors("The evaluation of the generator"):
            evaluation = yield from evaluator.evaluate(trained.generator, *inputs)
        document = {**trained.document, **evaluation.to_json()}
        trained = replace(trained, evaluation=evaluation, document=document)
    if trained.document:
        write_file(output / EVALUATION_FILE, json.dumps(trained.document, indent=1).encode())
    return trained


def _run_loop(
    task: TrainingTask[Any, Any], output: Path, resume: bool, evaluator: HeldOutEvaluator | None
) -> Generator[Progress, None, TrainingResult]:
    """Train until the time is over; return the generator from its files, without evaluation."""
    before = load_training_state(task, output) if resume else {}
    loop = TrainingLoop(task, output, before, evaluator)
    yield from loop.run()
    recipe = task.recipe(output, task.pool.classes)
    generator = recipe.load(task.device)
    return TrainingResult(recipe, generator, loop.files, task.step_number, loop.minutes)


def _load_images(
    dataset: Dataset,
    validation: Dataset | None,
    settings: GeneratorTrainingSettings,
    pair: Sequence[str] | None,
    classifier: Classifier | None,
) -> Generator[Progress, None, tuple[ImagePool, Dataset | None, dict[str, Any]]]:
    """Return the training images of the classes, and images for the evaluation if there is one.

    Also remarks for the record: skipped images, and held-out images that are training images.
    """
    task_class, order = settings.task(), () if classifier is None else classifier.class_names
    group = "" if validation is not None else settings.group
    pool = order_like((yield from load_pool(dataset, group)), order)
    held_out: ImagePool | None = None
    if settings.NEEDS_CLASS_PAIR:
        names = settings.order_pair(validate_class_pair(pair, pool.classes))
        pool = select_class_pair(pool, names)
        if validation is not None:
            held_out = select_class_pair((yield from load_pool(validation)), names)
            validation = PoolDataset(held_out)
    elif validation is not None and tuple(validation.classes) != pool.classes:
        held_out = order_like((yield from load_pool(validation)), order)
        validation = PoolDataset(held_out)
    task_class.check_images(pool, settings)
    trains_evaluator = getattr(settings, "evaluator_minutes", 0) > 0
    if validation is None and (task_class.EVALUATION_KEY or trains_evaluator):
        random = np.random.default_rng(settings.seed)
        pool, held_out = pool.split(task_class.HELD_OUT_SHARE, random)
        validation = PoolDataset(held_out)
    elif validation is not None and held_out is None:
        held_out = yield from load_pool(validation)
    remarks: dict[str, Any] = {"skipped": dict(pool.skipped)} if pool.skipped else {}
    if held_out is not None and (overlap := held_out.overlap(pool)):
        remarks["overlap"] = overlap.to_json()
    return pool, validation, remarks


@dataclass(frozen=True, eq=False)
class TrainingState:
    """Status of a training; the partial result of its progress.

    Attributes
    ----------
    step : int
        Finished steps.
    minutes : float
        Time of these steps.
    losses : Mapping[str, float]
        Running mean of each loss.
    picture : (C, H, W) Tensor in [0, 1], or None
        A new preview: queries in the first column, then their generated images.
    score : PreviewScore or None
        Score of the preview by the evaluation classifier, once that is trained.
    message : str
        Sentence about the preview of a family without evaluation classifier.
    """

    step: int
    minutes: float
    losses: Mapping[str, float] = field(default_factory=dict)
    picture: Tensor | None = None
    score: PreviewScore | None = None
    message: str = ""


class TrainingLoop:
    """Steps, previews and checkpoints, until the time is over.

    Parameters
    ----------
    task : TrainingTask
        Networks in training.
    output : Path
        Folder for the files.
    before : mapping
        State that the task was resumed from; empty for a new training.
    evaluator : HeldOutEvaluator, optional
        Trained as long as the generator, in turns, until it can score; its time is not taken from
        the generator's.
    """

    def __init__(
        self,
        task: TrainingTask[Any, Any],
        output: Path,
        before: Mapping[str, Any],
        evaluator: HeldOutEvaluator | None = None,
    ) -> None:
        self.task, self.output, self.evaluator = task, output, evaluator
        self.minutes_before = self.minutes = float(before.get("minutes", 0.0))
        self._random = RandomState(task.settings.seed, task.step_number, before)
        self.start = time.monotonic()
        self.files: tuple[Path, ...] = ()
        self._ends = False

    def finish(self) -> None:
        """End at the next step and keep the present state; from any thread."""
        self._ends = True

    def run(self) -> Generator[Progress, None, None]:
        """Train; the present state is written even if the iteration is closed.

        Raises
        ------
        NotFiniteError
            If a loss becomes NaN; the last good state is kept.
        """
        task, settings, evaluator = self.task, self.task.settings, self.evaluator
        means: dict[str, float] = {}
        previewed_at, written_at, saved_step = -np.inf, time.monotonic(), -1
        finite = True
        try:
            while (share := self._share()) < 1 and not self._ends:
                now = time.monotonic()
                task.set_rate(_rate_factor(share, settings.decay))
                losses = self._step()
                for name, loss in losses.items():
                    means[name] = 0.95 * means.get(name, loss) + 0.05 * loss
                finite = bool(np.isfinite(list(losses.values())).all())
                if not finite:
                    raise NotFiniteError(
                        f"The training has diverged at step {task.step_number}: a loss is NaN "
                        "or infinite. Choose a smaller learning_rate, or precision 'float32'."
                    )
                picture = score = None
                if now - previewed_at > settings.preview_seconds:
                    previewed_at = now
                    with torch.random.fork_rng(devices=[]), network_errors("The preview"):
                        picture = task.preview()
                        if evaluator is not None:
                            score = evaluator.score(task.generator(), task.preview_proposals)
                if now - written_at > 60 * settings.checkpoint_minutes:
                    self.save()
                    written_at, saved_step = now, task.step_number
                step, message = task.step_number, task.preview_message(means)
                state = TrainingState(step, self.minutes, dict(means), picture, score, message)
                if evaluator is not None:
                    with network_errors("The training of the evaluation classifier"):
                        self.start += evaluator.train(time.monotonic() - now)
                text = task.status_message(means)
                yield Progress(round(1000 * share), 1000, text, state, finish=self.finish)
        finally:
            if finite and saved_step != task.step_number:
                self.save()

    def _step(self) -> dict[str, float]:
        """Do one step as a whole, and return its losses."""
        title = f"Step {self.task.step_number + 1} of the training"
        with postponed(), network_errors(title):
            losses = self.task.step(self.task.draw_batch(self._random.numpy), self._random.numpy)
            self.minutes = self.minutes_before + (time.monotonic() - self.start) / 60
            self._random.record()
        return losses

    def save(self) -> None:
        """Write the generator and the state to resume from."""
        task = self.task
        settings, classes = asdict(task.settings), list(task.pool.classes)
        training = {
            "settings": settings,
            "steps": task.step_number,
            "minutes": round(self.minutes, 2),
            "classes": classes,
            "task": task.settings.TASK,
        }
        files = task.files(training)
        contents = {self.output / name: encode_safetensors(*file) for name, file in files.items()}
        progress = {"minutes": self.minutes, "settings": json.dumps(settings)}
        state = {**task.state(), **progress, **self._random.state, "class_names": classes}
        write_files({**contents, self.output / RESUME_FILE: encode_state(state)})
        self.files = tuple(contents)

    def _share(self) -> float:
        """Return the finished share of the time or of the steps, whichever is larger."""
        settings: GeneratorTrainingSettings = self.task.settings
        counted = self.task.step_number / settings.steps if settings.steps else None
        return settings.finished_share(time.monotonic() - self.start, counted)


def load_training_state(task: TrainingTask[Any, Any], output: Path) -> dict[str, Any]:
    """Load the state of an earlier run into a task, and return it.

    Raises
    ------
    CheckpointError
        If there is none, or it does not fit.
    """
    path = output / RESUME_FILE
    if not path_exists(path):
        if path_exists(output / side_file("guidance")):  # stopped before the first checkpoint
            return {}
        raise CheckpointError(
            f"There is no training to resume in '{output}' (no {RESUME_FILE}). Start a new one."
        )
    state = read_state(path)
    try:
        if tuple(state["class_names"]) != task.pool.classes:
            raise ValueError(f"it has the classes {state['class_names']}")
        task.load_state(state)
        float(state["minutes"])
        RandomState(task.settings.seed, task.step_number, state)
        return state
    except (KeyError, RuntimeError, ValueError, TypeError) as error:
        raise CheckpointError(
            f"The training in '{output}' cannot be resumed: it has other network sizes, classes "
            "or images. Use the same settings, or another folder."
        ) from error


def _rate_factor(share: float, decay: float) -> float:
    """Return the factor of the learning rate: 1, then linearly down to a tenth."""
    remaining = 1 - share
    return 1.0 if remaining >= decay else max(0.1, remaining / decay)
