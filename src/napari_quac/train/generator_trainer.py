"""Training of a generator of any family: guidance classifier, loop, evaluation."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from napari_quac.data.dataset import Dataset
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.generator import Generator as ImageGenerator
from napari_quac.stepwise import Progress, stepwise
from napari_quac.train.checkpointing import write_bytes
from napari_quac.train.evaluate import Evaluation, MaskOf
from napari_quac.train.held_out_evaluator import HeldOutEvaluator, train_side_classifier
from napari_quac.train.images import (
    ImagePool,
    PoolDataset,
    load_pool,
    select_class_pair,
    validate_class_pair,
)
from napari_quac.train.loop import TrainingLoop, load_training_state
from napari_quac.train.settings import AdversarialTrainingSettings, GeneratorTrainingSettings
from napari_quac.train.task import FamilyEvaluation, Recipe

EVALUATION_FILE = "evaluation.json"


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
        Classes of a family that is about two; by default the only two. For probability bins the
        class of the lowest and that of the highest bin, for a simulator the second one is the
        class whose pattern is added.
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
        ``partial`` is a :class:`~napari_quac.train.loop.TrainingState` in the loop;
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
    pool, held_out = yield from _load_images(dataset, validation, settings, pair)
    inputs = TrainingInputs(
        pool, held_out, Path(output), device or torch.device("cpu"), resume, mask_of, structures
    )
    return (yield from _train_on_pool(inputs, settings, classifier, evaluator))


@dataclass(frozen=True, eq=False)
class TrainingInputs:
    """Images of a training and of its evaluation, and the folder of its files."""

    pool: ImagePool
    held_out: Dataset | None
    output: Path
    device: torch.device
    resume: bool
    mask_of: MaskOf | Mapping[str, Tensor] | None
    structures: Sequence[str] | None


def _train_on_pool(
    inputs: TrainingInputs,
    settings: GeneratorTrainingSettings,
    classifier: Classifier | None,
    evaluator: Classifier | None,
) -> Generator[Progress, None, TrainingResult]:
    pool, held_out, output, device = inputs.pool, inputs.held_out, inputs.output, inputs.device
    task_class, held_out_evaluator = settings.task(), None
    if isinstance(settings, AdversarialTrainingSettings):
        side = pool, settings, output, device, inputs.resume
        if classifier is None and settings.trains_guidance_classifier:
            classifier = yield from train_side_classifier("guidance", *side)
        if held_out is not None and (evaluator is not None or settings.evaluator_minutes):
            held_out_evaluator = HeldOutEvaluator(
                evaluator or train_side_classifier("evaluation", *side),
                held_out,
                settings.evaluated_images,
            )
    task = task_class(pool, settings, classifier, device)
    minutes_before = load_training_state(task, output) if inputs.resume else 0.0
    loop = TrainingLoop(task, output, minutes_before, held_out_evaluator)
    yield from loop.run()
    recipe = task_class.recipe(output, pool.classes)
    generator = recipe.load(device)
    measures = evaluation = None
    document: dict[str, Any] = {}
    if held_out is not None and task.EVALUATION_KEY:
        measures = yield from task.evaluate(generator, held_out)
        document[task.EVALUATION_KEY] = measures.to_json()
    if held_out_evaluator is not None:
        evaluation = yield from held_out_evaluator.evaluate(
            generator, task.proposals, inputs.mask_of, inputs.structures
        )
        document |= evaluation.to_json()
    if document:
        write_bytes(output / EVALUATION_FILE, json.dumps(document, indent=1).encode())
    steps, minutes = task.step_number, loop.minutes
    return TrainingResult(
        recipe, generator, loop.files, steps, minutes, measures, evaluation, document
    )


def _load_images(
    dataset: Dataset,
    validation: Dataset | None,
    settings: GeneratorTrainingSettings,
    pair: Sequence[str] | None,
) -> Generator[Progress, None, tuple[ImagePool, Dataset | None]]:
    """Return the training images of the classes, and images for the evaluation if there is one."""
    task_class = settings.task()
    pool = yield from load_pool(dataset)
    if settings.NEEDS_CLASS_PAIR:
        names = settings.order_pair(validate_class_pair(pair, pool.classes))
        pool = select_class_pair(pool, names)
        if validation is not None:
            held_out = yield from load_pool(validation)
            validation = PoolDataset(select_class_pair(held_out, names))
    task_class.check_images(pool, settings)
    trains_evaluator = isinstance(settings, AdversarialTrainingSettings) and bool(
        settings.evaluator_minutes
    )
    if validation is None and (task_class.EVALUATION_KEY or trains_evaluator):
        random = np.random.default_rng(settings.seed)
        pool, held_out = pool.split(task_class.HELD_OUT_SHARE, random)
        validation = PoolDataset(held_out)
    return pool, validation
