"""Train a CycleGAN between two classes: guide, training, judge."""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from napari_quac.data.dataset import Dataset
from napari_quac.errors import ShapeError
from napari_quac.generators.cyclegan.file import TranslationFile, translation_metadata
from napari_quac.generators.cyclegan.generator import CycleGANGenerator
from napari_quac.generators.cyclegan.recipe import CycleGANRecipe, Translation
from napari_quac.networks.architectures.translation import recognize_translation
from napari_quac.networks.classifier import Classifier
from napari_quac.stepwise import Progress, stepwise
from napari_quac.train.checkpointing import write_bytes, write_safetensors, write_state
from napari_quac.train.cyclegan_networks import WAYS, CycleGANTrainer, PairBatch, draw_pair_batch
from napari_quac.train.cyclegan_settings import CycleGANTraining
from napari_quac.train.evaluate import Evaluation, MaskOf, evaluate_generator
from napari_quac.train.images import PoolDataset, enlarge_to, load_pool, reduce_to
from napari_quac.train.precision import choose_precision
from napari_quac.train.preview import picture_grid
from napari_quac.train.settings import to_json
from napari_quac.train.side_judge import SideJudge
from napari_quac.train.stargan_run import RESUME_FILE, VALUE_RANGE, Run
from napari_quac.train.stargan_trainer import (
    EVALUATION_FILE,
    GUIDE_FILE,
    JUDGE_FILE,
    ready,
    side_classifier,
)
from napari_quac.train.two_classes import checked_pair, indices_in, of_two, resume_two


@dataclass(frozen=True, eq=False)
class TrainedCycleGAN:
    """What a training gives.

    Attributes
    ----------
    recipe : CycleGANRecipe
        Both networks.
    generator : CycleGANGenerator
        The same, live.
    steps : int
        Steps in all.
    minutes : float
        Time that the steps took, that of resumed trainings included.
    evaluation : Evaluation or None
        What the judge says.
    """

    recipe: CycleGANRecipe
    generator: CycleGANGenerator
    steps: int
    minutes: float
    evaluation: Evaluation | None = None


class CycleGANRun(Run):
    """The loop of a CycleGAN training; see :class:`~napari_quac.train.stargan_run.Run`."""

    def batch(self, random: np.random.Generator) -> PairBatch:
        """Draw what one step is made of."""
        return draw_pair_batch(self.pool, self.settings, random, self.trainer.device)

    def generator(self) -> CycleGANGenerator:
        """Return the running averages as a generator."""
        names = self.pool.classes
        files: dict[tuple[str, str], TranslationFile] = {}
        for way, (source, target) in zip(WAYS, (names, names[::-1]), strict=True):
            module = self.trainer.average[way]
            files[source, target] = TranslationFile(
                module,
                recognize_translation(module.state_dict(), "network in training"),
                source,
                target,
                residual=True,
                image_size=self.settings.image_size,
                value_range=VALUE_RANGE,
            )
        return CycleGANGenerator(files, dict.fromkeys(files, "network"), self.trainer.device)

    def save(self) -> None:
        """Write both networks and the state to resume from."""
        training = {
            "settings": to_json(self.settings),
            "steps": self.trainer.step_number,
            "minutes": round(self.minutes, 2),
            "classes": list(self.pool.classes),
        }
        names = self.pool.classes
        for way, (source, target) in zip(WAYS, (names, names[::-1]), strict=True):
            size = self.settings.image_size
            metadata = translation_metadata(source, target, size, VALUE_RANGE, training)
            state = self.trainer.average[way].state_dict()
            write_safetensors(self.output / file_name(source, target), state, metadata)
        state = {
            **self.trainer.state(),
            "minutes": self.minutes,
            "settings": json.dumps(to_json(self.settings)),
            "class_names": list(names),
        }
        write_state(self.output / RESUME_FILE, state)

    def picture(self) -> Tensor:
        """Return two images of each class, what they become, and what becomes of that again."""
        networks, device, rows = self.trainer.average, self.trainer.device, []

        def changed(way: int, images: Tensor) -> Tensor:
            small = reduce_to(images, self.settings.image_size)
            change = enlarge_to(networks[WAYS[way]](small), images.shape[-1])
            return (images + 2 * change).clamp(-1, 1)

        with torch.inference_mode():
            for way in (0, 1):
                of_class = self.pool.of_class(way)
                for index in of_class[[len(of_class) // 3, 2 * len(of_class) // 3]]:
                    query = self.pool.images(np.array([index])).to(device) * 2 - 1
                    made = changed(way, query)
                    row = [query, made, changed(1 - way, made)]
                    rows.append([(image[0] + 1) / 2 for image in row])
        return picture_grid(rows).clone()


def file_name(source: str, target: str) -> str:
    """Return the name of the file of one direction."""
    safe = [re.sub(r"[^\w.+-]+", "-", name) for name in (source, target)]
    return f"{safe[0]}_to_{safe[1]}.safetensors"


@stepwise
def train_cyclegan(
    dataset: Dataset,
    output: Path,
    settings: CycleGANTraining | None = None,
    classifier: Classifier | None = None,
    *,
    pair: Sequence[str] | None = None,
    validation: Dataset | None = None,
    judge: Classifier | None = None,
    mask_of: MaskOf | Mapping[str, Tensor] | None = None,
    structures: Sequence[str] | None = None,
    resume: bool = False,
    device: torch.device | None = None,
) -> Generator[Progress, None, TrainedCycleGAN]:
    """Train two networks that turn images of two classes into each other.

    Stop iterating (or call ``close()``) to cancel; what was trained is in ``output`` then, and
    ``resume=True`` goes on from there.

    Parameters
    ----------
    dataset : Dataset
        Labelled, square images of one shape.
    output : Path
        Folder for both networks, the state to resume from, and the evaluation.
    settings : CycleGANTraining, optional
        Sizes, time and weights.
    classifier : Classifier, optional
        The one under study, which guides the training. Without, a classifier is trained first.
    pair : two str, optional
        The classes; by default the only two that there are.
    validation : Dataset, optional
        Images on which the result is judged; by default a tenth of ``dataset`` is kept back.
    judge : Classifier, optional
        A second classifier, which the training does not see; by default one is trained beside
        the networks.
    mask_of, structures : optional
        Where the structures are; see :func:`~napari_quac.train.evaluate.evaluate_generator`.
    resume : bool
        Go on from the state in ``output``, for another ``settings.minutes``.
    device : torch.device, optional
        The CPU by default.

    Raises
    ------
    DataError, ShapeError
        If the images cannot be used, or the pair is not clear.
    CheckpointError
        If there is nothing to resume, or it was made with other settings.
    NotFiniteError
        If the losses become NaN; the last good state is kept.
    """
    settings = settings or CycleGANTraining()
    device = device or torch.device("cpu")
    output = Path(output)
    whole = yield from load_pool(dataset)
    names = checked_pair(pair, whole.classes, "A CycleGAN translates between")
    pool = of_two(whole, names)
    if pool.image_size < settings.image_size:
        raise ShapeError(
            f"The images have {pool.image_size} × {pool.image_size} pixels, less than the "
            f"{settings.image_size} at which the networks are to work. Set image_size to "
            f"{max(32, pool.image_size // 16 * 16)} or less, or take larger images."
        )
    judged_on: Dataset | None = None
    if validation is not None:
        held = yield from load_pool(validation)
        judged_on = PoolDataset(of_two(held, names))
    elif settings.judge_minutes:
        pool, kept = pool.split(0.1, np.random.default_rng(settings.seed))
        judged_on = PoolDataset(kept)
    if classifier is None and settings.weights.guidance:
        minutes = settings.guide_minutes
        classifier = yield from side_classifier(
            pool, settings, minutes, output / GUIDE_FILE, 1, device, resume
        )
    guides = [(classifier, indices_in(classifier, pool))] if classifier is not None else []
    dtype = choose_precision(settings.precision, device)
    trainer = CycleGANTrainer(pool.channels, settings, guides, device, dtype)
    spent = resume_two(trainer, output, names) if resume else 0.0
    side_judge = None
    if judged_on is not None and (judge is not None or settings.judge_minutes):
        # half of its time is the networks'
        minutes = 2 * settings.judge_minutes
        learning = side_classifier(pool, settings, minutes, output / JUDGE_FILE, 2, device, resume)
        side_judge = SideJudge(ready(judge) if judge is not None else learning, judged_on)
    run = CycleGANRun(trainer, pool, settings, output, spent, side_judge)
    yield from run.steps()
    recipe = CycleGANRecipe(
        tuple(
            Translation(output / file_name(source, target), source, target)
            for source, target in (names, names[::-1])
        )
    )
    generator = recipe.load(device)
    evaluation = None
    if side_judge is not None and judged_on is not None:
        judge = yield from side_judge.finish()
        evaluation = yield from evaluate_generator(
            generator,
            judge,
            judged_on,
            n_tries=1,
            max_images=settings.judged_images,
            mask_of=mask_of,
            structures=structures,
        )
        text = json.dumps(evaluation.to_json(), indent=1)
        write_bytes(output / EVALUATION_FILE, text.encode())
    return TrainedCycleGAN(recipe, generator, trainer.step_number, run.minutes, evaluation)
