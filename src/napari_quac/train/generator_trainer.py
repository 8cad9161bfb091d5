"""Training of a generator of any family: guidance classifier, loop, evaluation."""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
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
from napari_quac.train.class_pair import select_class_pair, validate_class_pair
from napari_quac.train.evaluate import Evaluation, MaskOf
from napari_quac.train.held_out_evaluator import (
    HeldOutEvaluator,
    train_evaluation_classifier,
    train_guidance_classifier,
)
from napari_quac.train.images import PoolDataset, load_pool
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
    """

    recipe: Recipe
    generator: ImageGenerator
    files: tuple[Path, ...]
    steps: int
    minutes: float
    measures: FamilyEvaluation | None = None
    evaluation: Evaluation | None = None


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
    output, device = Path(output), device or torch.device("cpu")
    task_class = settings.task()
    pool = yield from load_pool(dataset)
    names: tuple[str, str] | None = None
    if settings.NEEDS_CLASS_PAIR:
        names = settings.order_pair(validate_class_pair(pair, pool.classes))
        pool = select_class_pair(pool, names)
    task_class.check_images(pool, settings)
    adversarial = settings if isinstance(settings, AdversarialTrainingSettings) else None
    trains_evaluator = adversarial is not None and adversarial.evaluator_minutes > 0
    if validation is not None and names is not None:
        validation = PoolDataset(select_class_pair((yield from load_pool(validation)), names))
    elif validation is None and (task_class.EVALUATION_KEY or trains_evaluator):
        random = np.random.default_rng(settings.seed)
        pool, held_out = pool.split(task_class.HELD_OUT_SHARE, random)
        validation = PoolDataset(held_out)
    if classifier is None and adversarial is not None and settings.trains_guidance_classifier:
        classifier = yield from train_guidance_classifier(pool, adversarial, output, device, resume)
    task = task_class(pool, settings, classifier, device)
    minutes_before = load_training_state(task, output) if resume else 0.0
    side_evaluator = None
    if validation is not None and evaluator is not None:
        side_evaluator = HeldOutEvaluator(evaluator, validation)
    elif validation is not None and adversarial is not None and trains_evaluator:
        training = train_evaluation_classifier(pool, adversarial, output, device, resume)
        side_evaluator = HeldOutEvaluator(training, validation)
    loop = TrainingLoop(task, output, minutes_before, side_evaluator)
    yield from loop.run()
    recipe = task_class.recipe(output, pool.classes)
    generator = recipe.load(device)
    measures = evaluation = None
    document: dict[str, Any] = {}
    if validation is not None and task_class.EVALUATION_KEY:
        measures = yield from task.evaluate(generator, validation)
        document[task_class.EVALUATION_KEY] = measures.to_json()
    if side_evaluator is not None and adversarial is not None:
        evaluation = yield from side_evaluator.evaluate(
            generator, task.proposals, adversarial.evaluated_images, mask_of, structures
        )
        document |= evaluation.to_json()
    if document:
        write_bytes(output / EVALUATION_FILE, json.dumps(document, indent=1).encode())
    return TrainingResult(
        recipe, generator, loop.files, task.step_number, loop.minutes, measures, evaluation
    )
