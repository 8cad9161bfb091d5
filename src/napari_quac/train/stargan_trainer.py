"""Train a StarGAN v2 from labelled images and the classifier under study."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from napari_quac.data.dataset import Dataset
from napari_quac.errors import CheckpointError, DataError, ShapeError
from napari_quac.generators.stargan.generator import StarGANGenerator
from napari_quac.generators.stargan.recipe import StarGANRecipe
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.classifier_recipe import ClassifierRecipe
from napari_quac.stepwise import Progress, stepwise
from napari_quac.train.checkpointing import read_state, write_bytes
from napari_quac.train.classifier_trainer import train_on_pool
from napari_quac.train.evaluate import Evaluation, MaskOf, evaluate_generator
from napari_quac.train.images import ImagePool, PoolDataset, load_pool
from napari_quac.train.precision import choose_precision
from napari_quac.train.settings import ClassifierTraining, StarGANTraining
from napari_quac.train.side_judge import SideJudge
from napari_quac.train.stargan_networks import StarGANTrainer
from napari_quac.train.stargan_run import (
    EVALUATION_FILE,
    GENERATOR_FILE,
    RESUME_FILE,
    Run,
    TrainingState,
)

__all__ = [
    "EVALUATION_FILE",
    "GENERATOR_FILE",
    "RESUME_FILE",
    "TrainedGenerator",
    "TrainingState",
    "train_stargan",
]

GUIDE_FILE = "guide.safetensors"
JUDGE_FILE = "judge.safetensors"


@dataclass(frozen=True, eq=False)
class TrainedGenerator:
    """What a training gives.

    Attributes
    ----------
    path : Path
        The generator's file, for :class:`~napari_quac.generators.stargan.recipe.StarGANRecipe`.
    generator : StarGANGenerator
        The same, live.
    steps : int
        Steps in all.
    minutes : float
        Time that the steps took, that of resumed trainings included.
    evaluation : Evaluation or None
        What the judge says.
    """

    path: Path
    generator: StarGANGenerator
    steps: int
    minutes: float
    evaluation: Evaluation | None = None


@stepwise
def train_stargan(
    dataset: Dataset,
    output: Path,
    settings: StarGANTraining | None = None,
    classifier: Classifier | None = None,
    *,
    validation: Dataset | None = None,
    judge: Classifier | None = None,
    mask_of: MaskOf | Mapping[str, Tensor] | None = None,
    structures: Sequence[str] | None = None,
    resume: bool = False,
    device: torch.device | None = None,
) -> Generator[Progress, None, TrainedGenerator]:
    """Train a generator that turns images of each class into each other class.

    Stop iterating (or call ``close()``) to cancel; what was trained is in ``output`` then, and
    ``resume=True`` goes on from there.

    Parameters
    ----------
    dataset : Dataset
        Labelled, square images of one shape. They can be larger than the networks' size.
    output : Path
        Folder for ``generator.safetensors``, the state to resume from, and the evaluation.
    settings : StarGANTraining, optional
        Sizes, time and weights.
    classifier : Classifier, optional
        The one under study, which guides the training. Without, a classifier is trained on the
        same images first.
    validation : Dataset, optional
        Images on which the result is judged; by default a tenth of ``dataset`` is kept back.
    judge : Classifier, optional
        A second classifier, which the training does not see; by default one is trained beside
        the generator.
    mask_of, structures : optional
        Where the structures are; see :func:`~napari_quac.train.evaluate.evaluate_generator`.
    resume : bool
        Go on from the state in ``output``, for another ``settings.minutes``.
    device : torch.device, optional
        The CPU by default.

    Yields
    ------
    progress : Progress
        ``partial`` is a :class:`TrainingState` during the training itself.

    Returns
    -------
    trained : TrainedGenerator

    Raises
    ------
    DataError, ShapeError
        If the images cannot be used, or ``output`` cannot be written.
    CheckpointError
        If there is nothing to resume, or it was made with other settings.
    NotFiniteError
        If the losses become NaN; the last good state is kept.
    """
    settings = settings or StarGANTraining()
    device = device or torch.device("cpu")
    output = Path(output)
    pool = yield from load_pool(dataset)
    if pool.image_size < settings.image_size:
        raise ShapeError(
            f"The images have {pool.image_size} × {pool.image_size} pixels, less than the "
            f"{settings.image_size} at which the networks are to work. Set image_size to "
            f"{max(32, pool.image_size // 16 * 16)} or less, or take larger images."
        )
    if validation is None and settings.judge_minutes:
        pool, held_back = pool.split(0.1, np.random.default_rng(settings.seed))
        validation = PoolDataset(held_back)
    if classifier is not None:
        _check_classifier(classifier, pool)
    elif settings.weights.guidance:
        classifier = yield from side_classifier(
            pool, settings, settings.guide_minutes, output / GUIDE_FILE, 1, device, resume
        )
    hyper = settings.hyperparameters(pool.channels, len(pool.classes))
    dtype = choose_precision(settings.precision, device)
    guides = [classifier] if classifier is not None else []
    trainer = StarGANTrainer(hyper, settings, guides, device, dtype)
    spent = _resumed(trainer, output, settings) if resume else 0.0
    side_judge = None
    if validation is not None and (judge is not None or settings.judge_minutes):
        # half of its time is the generator's
        learning = side_classifier(
            pool, settings, 2 * settings.judge_minutes, output / JUDGE_FILE, 2, device, resume
        )
        side_judge = SideJudge(ready(judge) if judge is not None else learning, validation)
    run = Run(trainer, pool, settings, output, spent, side_judge)
    yield from run.steps()
    generator = StarGANRecipe(output / GENERATOR_FILE).load(device)
    evaluation = None
    if side_judge is not None and validation is not None:
        judge = yield from side_judge.finish()
        evaluation = yield from evaluate_generator(
            generator,
            judge,
            validation,
            max_images=settings.judged_images,
            mask_of=mask_of,
            structures=structures,
        )
        text = json.dumps(evaluation.to_json(), indent=1)
        write_bytes(output / EVALUATION_FILE, text.encode())
    return TrainedGenerator(
        output / GENERATOR_FILE, generator, trainer.step_number, run.minutes, evaluation
    )


def ready(classifier: Classifier) -> Generator[Progress, None, Classifier]:
    """Return a classifier that need not learn any more, for a :class:`SideJudge`."""
    yield from ()
    return classifier


def side_classifier(
    pool: ImagePool,
    settings: Any,
    minutes: float,
    path: Path,
    number: int,
    device: torch.device,
    resume: bool,
) -> Generator[Progress, None, Classifier]:
    """Train a classifier at the networks' size; its number makes it differ from the others.

    When a training is resumed, the classifier of its first part is used again.

    Parameters
    ----------
    pool : ImagePool
        Images to learn from.
    settings : StarGANTraining or CycleGANTraining
        Image size, symmetries, precision and seed.
    minutes : float
        Time for it.
    path : Path
        Its file.
    number : int
        1 for the guide, 2 for the judge.
    device : torch.device
        Where it runs.
    resume : bool
        Read ``path`` if it is there.
    """
    if resume and path.exists():
        return ClassifierRecipe(path).load(str(device))
    size = settings.image_size
    levels = min(4, (size & -size).bit_length() - 1)
    how = ClassifierTraining(
        minutes=minutes,
        feature_maps=16 if number == 1 else 12,
        levels=levels,
        image_size=size,
        symmetries=settings.symmetries,
        precision=settings.precision,
        seed=settings.seed + 1000 * number,
    )
    trained = yield from train_on_pool(pool, how, None, path, device)
    return replace(trained.classifier, name=path.name)


def _check_classifier(classifier: Classifier, pool: ImagePool) -> None:
    if classifier.channels != pool.channels:
        raise ShapeError(
            f"The images have {pool.channels} channel(s), but the classifier {classifier.name} was "
            f"trained on {classifier.channels}. Choose other images or another classifier."
        )
    if set(classifier.class_names) != set(pool.classes):
        raise DataError(
            f"The images are of classes {', '.join(pool.classes)}, but the classifier "
            f"{classifier.name} knows {', '.join(classifier.class_names)}. Name the folders, or "
            "the classifier's classes, so that they agree."
        )
    if tuple(classifier.class_names) != pool.classes:
        raise DataError(
            f"The folders are sorted {', '.join(pool.classes)}, but the classifier's classes are "
            f"{', '.join(classifier.class_names)}. Rename the folders (for instance 0_…, 1_…) so "
            "that both have the same order."
        )


def _resumed(trainer: StarGANTrainer, output: Path, settings: StarGANTraining) -> float:
    """Load the state of an earlier training and return the minutes it took."""
    path = output / RESUME_FILE
    if not path.exists():
        raise CheckpointError(
            f"There is no training to resume in '{output}' (no {RESUME_FILE}). Choose the folder "
            "of an earlier training, or begin anew."
        )
    state = read_state(path)
    try:
        trainer.load(state)
        return float(state["minutes"])
    except (KeyError, RuntimeError, ValueError, TypeError) as error:
        raise CheckpointError(
            f"The training in '{output}' cannot be resumed: it was made with other sizes of "
            "network, other classes or other images. Use the same settings, or another folder."
        ) from error
