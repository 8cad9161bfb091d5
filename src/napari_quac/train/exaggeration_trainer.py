"""Train a bin-conditional explainer of two classes: classifier, training, evaluation."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from napari_quac.data.dataset import Dataset
from napari_quac.errors import ShapeError
from napari_quac.generators.exaggeration.generator import (
    BinLayout,
    ExaggerationGenerator,
    explainer_metadata,
)
from napari_quac.generators.exaggeration.recipe import ExaggerationRecipe
from napari_quac.networks.architectures.exaggeration_net import load_explainer
from napari_quac.networks.classifier import Classifier
from napari_quac.stepwise import Progress, stepwise
from napari_quac.train.checkpointing import write_bytes, write_safetensors, write_state
from napari_quac.train.evaluate import Evaluation, evaluate_generator
from napari_quac.train.exaggeration_evaluation import BinEvaluation, evaluate_explainer
from napari_quac.train.exaggeration_settings import ExaggerationTraining
from napari_quac.train.exaggeration_step import (
    BinBatch,
    ExaggerationTrainer,
    Posterior,
    draw_bin_batch,
)
from napari_quac.train.images import PoolDataset, load_pool
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

EXPLAINER_FILE = "explainer.safetensors"
KEPT_BACK = 0.1


@dataclass(frozen=True, eq=False)
class TrainedExplainer:
    """What a training gives.

    Attributes
    ----------
    path : Path
        For :class:`~napari_quac.generators.exaggeration.recipe.ExaggerationRecipe`.
    generator : ExaggerationGenerator
        The same, live.
    steps : int
        Steps in all.
    minutes : float
        Time that the steps took, that of resumed trainings included.
    bins : BinEvaluation
        How well the achieved probabilities follow the desired ones, on images kept back.
    evaluation : Evaluation or None
        What a second classifier says of the conversions.
    """

    path: Path
    generator: ExaggerationGenerator
    steps: int
    minutes: float
    bins: BinEvaluation
    evaluation: Evaluation | None = None


class ExaggerationRun(Run):
    """The loop of an explainer's training; see :class:`~napari_quac.train.stargan_run.Run`."""

    @property
    def tries(self) -> int:  # type: ignore[override]
        """All bins, when the judge takes a glance."""
        return int(self.settings.n_bins)

    @property
    def layout(self) -> BinLayout:
        """What the bins mean, for the file."""
        negative, positive = self.pool.classes
        return BinLayout(positive, negative, VALUE_RANGE, True, self.settings.image_size)

    def batch(self, random: np.random.Generator) -> BinBatch:
        """Draw what one step is made of."""
        return draw_bin_batch(self.pool, self.settings, random, self.trainer.device)

    def generator(self) -> ExaggerationGenerator:
        """Return the running average as a generator."""
        tensors = {
            name: value.detach().clone() for name, value in self.trainer.average.published().items()
        }
        network = load_explainer(tensors, EXPLAINER_FILE).to(self.trainer.device)
        return ExaggerationGenerator(network, self.layout, EXPLAINER_FILE, self.trainer.device)

    def save(self) -> None:
        """Write the explainer and the state to resume from."""
        training = {
            "settings": to_json(self.settings),
            "steps": self.trainer.step_number,
            "minutes": round(self.minutes, 2),
        }
        metadata = explainer_metadata(self.layout, training)
        tensors = self.trainer.average.published()
        write_safetensors(self.output / EXPLAINER_FILE, tensors, metadata)
        state = {
            **self.trainer.state(),
            "minutes": self.minutes,
            "settings": json.dumps(to_json(self.settings)),
            "class_names": list(self.pool.classes),
        }
        write_state(self.output / RESUME_FILE, state)

    def picture(self) -> Tensor:
        """Return two images of each class, and what they become in five of the bins."""
        generator, n_bins = self.generator(), self.settings.n_bins
        shown = sorted({round(place * (n_bins - 1)) for place in (0, 0.25, 0.5, 0.75, 1)})
        rows = []
        for label in (0, 1):
            of_class = self.pool.of_class(label)
            for index in of_class[[len(of_class) // 3, 2 * len(of_class) // 3]]:
                query = self.pool.images(np.array([index]))[0]
                made = generator.traversal(query)
                rows.append([query, *(made[index] for index in shown)])
        return picture_grid(rows).clone()


@stepwise
def train_exaggeration(
    dataset: Dataset,
    output: Path,
    settings: ExaggerationTraining | None = None,
    classifier: Classifier | None = None,
    *,
    pair: Sequence[str] | None = None,
    validation: Dataset | None = None,
    judge: Classifier | None = None,
    resume: bool = False,
    device: torch.device | None = None,
) -> Generator[Progress, None, TrainedExplainer]:
    r"""Train a network that takes an image to a wanted probability of a class.

    .. math:: f_c(G(x, b)) \approx (b + 1/2) / n, \qquad G(x, b(x)) \approx x,
        \qquad G(G(x, b), b(x)) \approx x

    with :math:`b(x)` the bin that the image is in already. Stop iterating (or call ``close()``)
    to cancel; what was trained is in ``output`` then, and ``resume=True`` goes on from there.

    Parameters
    ----------
    dataset : Dataset
        Labelled, square images of one shape.
    output : Path
        Folder for ``explainer.safetensors``, the state to resume from, and the evaluation.
    settings : ExaggerationTraining, optional
        Sizes, time and weights.
    classifier : Classifier, optional
        The one to explain, which stays as it is. Without, one is trained first.
    pair : two str, optional
        The class of the lowest bin and that of the highest; by default the only two that there
        are.
    validation : Dataset, optional
        Images on which the result is judged; by default a tenth of ``dataset`` is kept back.
    judge : Classifier, optional
        A second classifier, which the training does not see; by default one is trained beside
        the network.
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

    Notes
    -----
    The authors' loss of consistency is a Kullback-Leibler divergence; here it is a distance of
    log-odds, which is as strict in the middle as near 0 and 1. The network predicts the change.

    References
    ----------
    .. [1] Singla, Pollack, Chen, Batmanghelich, "Explanation by progressive exaggeration", ICLR
       2020.
    """
    settings = settings or ExaggerationTraining()
    device = device or torch.device("cpu")
    output = Path(output)
    whole = yield from load_pool(dataset)
    names = checked_pair(pair, whole.classes, "An explainer by bins is about")
    pool = of_two(whole, names)
    if pool.image_size < settings.image_size:
        raise ShapeError(
            f"The images have {pool.image_size} × {pool.image_size} pixels, less than the "
            f"{settings.image_size} at which the network is to work. Set image_size to "
            f"{max(32, pool.image_size // 16 * 16)} or less, or take larger images."
        )
    if validation is not None:
        held = yield from load_pool(validation)
        kept = of_two(held, names)
    else:
        pool, kept = pool.split(KEPT_BACK, np.random.default_rng(settings.seed))
    judged_on = PoolDataset(kept)
    if classifier is None:
        classifier = yield from side_classifier(
            pool, settings, settings.guide_minutes, output / GUIDE_FILE, 1, device, resume
        )
    posterior = Posterior(classifier, *indices_in(classifier, pool))
    dtype = choose_precision(settings.precision, device)
    trainer = ExaggerationTrainer(pool.channels, settings, posterior, device, dtype)
    spent = resume_two(trainer, output, names) if resume else 0.0
    side_judge = None
    if judge is not None or settings.judge_minutes:
        minutes = 2 * settings.judge_minutes  # half of its time is the network's
        learning = side_classifier(pool, settings, minutes, output / JUDGE_FILE, 2, device, resume)
        side_judge = SideJudge(ready(judge) if judge is not None else learning, judged_on)
    run = ExaggerationRun(trainer, pool, settings, output, spent, side_judge)
    yield from run.steps()
    generator = ExaggerationRecipe(output / EXPLAINER_FILE).load(device)
    bins = yield from evaluate_explainer(generator, posterior, judged_on)
    evaluation = None
    if side_judge is not None:
        judge = yield from side_judge.finish()
        evaluation = yield from evaluate_generator(
            generator, judge, judged_on, settings.n_bins, settings.judged_images
        )
    _write_evaluation(output / EVALUATION_FILE, bins, evaluation)
    return TrainedExplainer(
        output / EXPLAINER_FILE, generator, trainer.step_number, run.minutes, bins, evaluation
    )


def _write_evaluation(path: Path, bins: BinEvaluation, evaluation: Evaluation | None) -> None:
    judged: Mapping[str, object] = {} if evaluation is None else evaluation.to_json()
    write_bytes(path, json.dumps({"bins": bins.to_json(), **judged}, indent=1).encode())
