"""Evaluation of a generator by a classifier that its training never saw, and its training."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import permutations
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from napari_quac.data.dataset import Dataset
from napari_quac.data.image_file import read_image
from napari_quac.errors import DataError
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.classifier_recipe import ClassifierRecipe
from napari_quac.networks.generator import ConversionRequest, ask_generator
from napari_quac.networks.generator import Generator as ImageGenerator
from napari_quac.reading import is_regular_file, path_exists
from napari_quac.stepwise import Progress, stepwise
from napari_quac.train.classifier_trainer import train_on_pool
from napari_quac.train.images import ImagePool, resize_for
from napari_quac.train.settings import AdversarialTrainingSettings, ClassifierTrainingSettings

MaskOf: TypeAlias = Callable[[str], Tensor | None]
FORMER_FILES = {"guidance": "guide.safetensors", "evaluation": "judge.safetensors"}
"""Names of the files in earlier versions."""
PREVIEW_IMAGES = 4  # per class: half a second at 64 px on two cores


@dataclass(frozen=True)
class MaskFolder:
    """Masks in files named by the ids of the samples.

    Attributes
    ----------
    directory : Path
        With the same subfolders and file names as the images.
    """

    directory: Path

    def __call__(self, sample_id: str) -> Tensor | None:
        """Return the mask (1, S, S) of a sample, above 0 inside; None if there is no file."""
        path = Path(self.directory) / sample_id
        return read_image(path) if is_regular_file(path) else None


@dataclass(frozen=True)
class PairEvaluation:
    """Conversions of images of one class into another.

    Attributes
    ----------
    source, target : str
        The classes.
    n_images : int
        Queries.
    conversion_rate : float
        Share of queries with at least one proposal that the evaluation classifier assigns to the
        target class.
    translation_rate : float
        Share of all proposals that it assigns to the target class.
    mean_change : float
        Mean absolute change of the best proposals, on a range of 1.
    change_inside, change_outside : float or None
        The same inside and outside of the masks, where there are masks.
    """

    source: str
    target: str
    n_images: int
    conversion_rate: float
    translation_rate: float
    mean_change: float
    change_inside: float | None = None
    change_outside: float | None = None


@dataclass(frozen=True)
class Evaluation:
    """Conversions of each class into each other class.

    Attributes
    ----------
    pairs : tuple of PairEvaluation
    n_tries : int
        Proposals per query.
    evaluator : str
        Name of the evaluation classifier.
    """

    pairs: tuple[PairEvaluation, ...]
    n_tries: int
    evaluator: str

    @property
    def conversion_rate(self) -> float:
        """Mean over the class pairs, in [0, 1]."""
        return float(np.mean([pair.conversion_rate for pair in self.pairs]))

    @property
    def translation_rate(self) -> float:
        """Mean over the class pairs, in [0, 1]."""
        return float(np.mean([pair.translation_rate for pair in self.pairs]))

    def to_json(self) -> dict[str, Any]:
        """Return the numbers as JSON-ready values."""
        return {
            "conversion_rate": self.conversion_rate,
            "translation_rate": self.translation_rate,
            "n_tries": self.n_tries,
            "evaluator": self.evaluator,
            "pairs": [asdict(pair) for pair in self.pairs],
        }


@stepwise
def evaluate_generator(
    generator: ImageGenerator,
    evaluator: Classifier,
    dataset: Dataset,
    n_tries: int = 10,
    max_images: int | None = None,
    mask_of: MaskOf | Mapping[str, Tensor] | None = None,
    structures: Sequence[str] | None = None,
    seed: int = 0,
) -> Generator[Progress, None, Evaluation]:
    """Convert every image into every other class and classify the proposals.

    Parameters
    ----------
    generator : Generator
        Generator to evaluate.
    evaluator : Classifier
        Evaluation classifier, which the generator's training never saw: a generator can learn
        noise that convinces only the classifier that guided it.
    dataset : Dataset
        Labeled images of the classes of the evaluation classifier.
    n_tries : int
        Proposals per query.
    max_images : int, optional
        Images per class, spread over the dataset; all by default.
    mask_of : callable or mapping, optional
        Sample id to mask (1, S, S) or (S, S), above 0 inside of the structure of its class.
    structures : sequence of str, optional
        Classes with a structure, whose masks count; all by default.
    seed : int
        Seed of the proposals.

    Returns
    -------
    evaluation : Evaluation

    Raises
    ------
    DataError
        If the dataset has no labels, or a class has no images.
    """
    names, labels = tuple(dataset.classes), [dataset.label(i) for i in range(len(dataset))]
    masks = mask_of.get if isinstance(mask_of, Mapping) else mask_of
    missing = [name for label, name in enumerate(names) if label not in labels]
    if missing or len(names) < 2:
        raise DataError(
            "The evaluation needs labeled images of at least two classes, and of each class. Add "
            f"images of {', '.join(missing) or 'another class'}."
        )
    chosen = []
    for label in range(len(names)):
        indices = [index for index, other in enumerate(labels) if other == label]
        n = min(len(indices), max_images or len(indices))
        chosen.append([indices[int(i)] for i in np.linspace(0, len(indices) - 1, n).round()])
    total = sum(len(indices) for indices in chosen) * (len(names) - 1)
    done, pairs = 0, []
    for source, target in permutations(range(len(names)), 2):
        classes = evaluator.class_index(names[source]), evaluator.class_index(names[target])
        has_structure = structures is None or names[source] in structures
        rows = []
        for index in chosen[source]:
            sample = dataset[index]
            request = ConversionRequest(sample.image, *classes, evaluator, seed, sample.id)
            mask = masks(sample.id) if masks is not None and has_structure else None
            rows.append(_evaluate_query(generator, request, n_tries, mask))
            done += 1
            yield Progress(done, total, f"evaluating {names[source]} → {names[target]}")
        pairs.append(_pair(names[source], names[target], np.array(rows)))
    return Evaluation(tuple(pairs), n_tries, evaluator.name)


def _evaluate_query(
    generator: ImageGenerator, request: ConversionRequest, n_tries: int, mask: Tensor | None
) -> tuple[float, float, float, float, float]:
    """Return converted (0 or 1), share converted, and the change of the best: all, in, out."""
    images = ask_generator(generator, request, 0, n_tries).result().images
    probabilities = request.classifier.predict(resize_for(request.classifier, images))
    success = probabilities.argmax(dim=1) == request.target
    best = images[int(probabilities[:, request.target].argmax())]
    change = (best - request.query).abs().mean(dim=0)
    inside = outside = float("nan")
    if mask is not None:
        is_inside = torch.as_tensor(mask).reshape(change.shape) > 0
        if is_inside.any() and not is_inside.all():
            inside, outside = float(change[is_inside].mean()), float(change[~is_inside].mean())
    converted, share = float(success.any()), float(success.float().mean())
    return converted, share, float(change.mean()), inside, outside


def _pair(source: str, target: str, rows: np.ndarray[Any, np.dtype[np.float64]]) -> PairEvaluation:
    has_mask = ~np.isnan(rows[:, 3])
    inside = float(rows[has_mask, 3].mean()) if has_mask.any() else None
    outside = float(rows[has_mask, 4].mean()) if has_mask.any() else None
    converted, translated, change = (float(value) for value in rows[:, :3].mean(axis=0))
    return PairEvaluation(source, target, len(rows), converted, translated, change, inside, outside)


@dataclass(frozen=True)
class PreviewScore:
    """Evaluation of a few conversions while the generator is being trained.

    Attributes
    ----------
    n_images : int
        Conversions: queries times target classes.
    n_converted : int
        Conversions that the evaluation classifier assigns to the target class.
    """

    n_images: int
    n_converted: int


class HeldOutEvaluator:
    """Evaluation of a generator on held-out images by a classifier that it never sees.

    Parameters
    ----------
    classifier : Classifier, or generator of it
        Evaluation classifier, or its training, which yields progress and returns it.
    held_out : Dataset
        Labeled images that neither training sees.
    max_images : int
        Images per class in the evaluation.
    """

    def __init__(
        self,
        classifier: Classifier | Generator[Progress, None, Classifier],
        held_out: Dataset,
        max_images: int,
    ) -> None:
        self.classifier: Classifier | None = None
        if isinstance(classifier, Classifier):
            self.classifier = classifier
        else:
            self._training = classifier
        self._held_out, self._max_images = held_out, max_images
        self._random: Tensor | None = None  # state of the random numbers of the training

    def train(self, seconds: float) -> float:
        """Train the classifier for about this time; return the seconds that it took.

        The random numbers of the generator's training remain as they are.
        """
        start = time.monotonic()
        with torch.random.fork_rng(devices=[]):
            self._restore_random()
            while self.classifier is None and time.monotonic() - start < seconds:
                try:
                    next(self._training)
                except StopIteration as end:
                    self.classifier = end.value
            self._random = torch.get_rng_state()
        return time.monotonic() - start

    def _restore_random(self) -> None:
        if self._random is not None:
            torch.set_rng_state(self._random)

    def score(self, generator: ImageGenerator, n_proposals: int = 1) -> PreviewScore | None:
        """Evaluate a few images; None while the classifier is still being trained."""
        if self.classifier is None:
            return None
        evaluation = evaluate_generator(
            generator, self.classifier, self._held_out, n_proposals, PREVIEW_IMAGES
        ).result()
        n_images = sum(pair.n_images for pair in evaluation.pairs)
        converted = sum(pair.n_images * pair.conversion_rate for pair in evaluation.pairs)
        return PreviewScore(n_images, round(converted))

    def evaluate(
        self,
        generator: ImageGenerator,
        n_proposals: int,
        mask_of: MaskOf | Mapping[str, Tensor] | None = None,
        structures: Sequence[str] | None = None,
    ) -> Generator[Progress, None, Evaluation]:
        """Train the classifier to the end, then evaluate; see :func:`evaluate_generator`."""
        if self.classifier is None:
            self._restore_random()
            self.classifier = yield from self._training
        inputs = self.classifier, self._held_out, n_proposals, self._max_images
        return (yield from evaluate_generator(generator, *inputs, mask_of, structures))


def side_file(role: str) -> str:
    """Return the name of the file of a "guidance" or "evaluation" classifier."""
    return f"{role}_classifier.safetensors"


def train_side_classifier(
    role: str,
    pool: ImagePool,
    settings: AdversarialTrainingSettings,
    output: Path,
    device: torch.device,
    resume: bool,
) -> Generator[Progress, None, Classifier]:
    """Train a classifier for a generator's training, at the network resolution.

    Parameters
    ----------
    role : {"guidance", "evaluation"}
        Guidance classifier or evaluation classifier, which differ in width and seed.
    pool : ImagePool
        Training images.
    settings : AdversarialTrainingSettings
        Time, image size, symmetries, precision and seed.
    output : Path
        Folder for its file.
    device : torch.device
        Device of the training.
    resume : bool
        Read the file of an earlier run, if there is one.
    """
    path, former = output / side_file(role), output / FORMER_FILES[role]
    for file in (path, former) if resume else ():
        if path_exists(file):
            return ClassifierRecipe(file).load(str(device))
    # half of the time of an evaluation classifier is the generator's
    minutes, feature_maps, number = {
        "guidance": (settings.guidance_minutes, 16, 1),
        "evaluation": (2 * settings.evaluator_minutes, 12, 2),
    }[role]
    size, epochs = settings.image_size, None
    if settings.steps is not None:
        n_training = len(pool) * (1 - ClassifierTrainingSettings.validation_share)
        steps_per_epoch = max(1, n_training // ClassifierTrainingSettings.batch_size)
        epochs = math.ceil(settings.steps / steps_per_epoch)
    classifier_settings = ClassifierTrainingSettings(
        minutes=minutes,
        epochs=epochs,
        feature_maps=feature_maps,
        levels=min(4, (size & -size).bit_length() - 1),
        image_size=size,
        symmetries=settings.symmetries,
        precision=settings.precision,
        seed=settings.seed + 1000 * number,
    )
    trained = yield from train_on_pool(pool, classifier_settings, None, path, device)
    return replace(trained.classifier, name=path.name)
