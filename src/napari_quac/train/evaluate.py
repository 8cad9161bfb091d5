"""Evaluation of a generator by a classifier that its training never saw."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from napari_quac.data.dataset import Dataset
from napari_quac.data.image_file import read_image
from napari_quac.errors import DataError
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.generator import ConversionRequest
from napari_quac.networks.generator import Generator as ImageGenerator
from napari_quac.stepwise import Progress, stepwise
from napari_quac.train.images import resize_for

MaskOf: TypeAlias = Callable[[str], Tensor | None]


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
        return read_image(path) if path.is_file() else None


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
    names = tuple(dataset.classes)
    masks = mask_of.get if isinstance(mask_of, Mapping) else mask_of
    by_class = [
        [index for index in range(len(dataset)) if dataset.label(index) == label]
        for label in range(len(names))
    ]
    for name, indices in zip(names, by_class, strict=True):
        if not indices:
            raise DataError(
                f"The evaluation needs images of class '{name}', and there are none. Add some."
            )
    if len(names) < 2:
        raise DataError("The evaluation needs labeled images of at least two classes.")
    chosen = [_spread(indices, max_images) for indices in by_class]
    total = sum(len(indices) for indices in chosen) * (len(names) - 1)
    done = 0
    results = []
    for source, indices in enumerate(chosen):
        for target in range(len(names)):
            if target == source:
                continue
            with_mask = structures is None or names[source] in structures
            rows = []
            for index in indices:
                sample = dataset[index]
                request = ConversionRequest(
                    sample.image,
                    evaluator.class_index(names[source]),
                    evaluator.class_index(names[target]),
                    evaluator,
                    seed,
                    sample.id,
                )
                mask = masks(sample.id) if masks is not None and with_mask else None
                rows.append(_evaluate_query(generator, request, n_tries, mask))
                done += 1
                text = f"evaluating {names[source]} → {names[target]}"
                yield Progress(done, total, text)
            results.append(_pair(names[source], names[target], np.array(rows)))
    return Evaluation(tuple(results), n_tries, evaluator.name)


def _spread(indices: list[int], n: int | None) -> list[int]:
    if n is None or n >= len(indices):
        return indices
    return [indices[int(i)] for i in np.linspace(0, len(indices) - 1, n).round()]


def _evaluate_query(
    generator: ImageGenerator, request: ConversionRequest, n_tries: int, mask: Tensor | None
) -> tuple[float, float, float, float, float]:
    """Return converted (0 or 1), share converted, and the change of the best: all, in, out."""
    images = generator.propose(request, 0, n_tries).images
    probabilities = request.classifier.predict(resize_for(request.classifier, images))
    success = probabilities.argmax(dim=1) == request.target
    best = images[int(probabilities[:, request.target].argmax())]
    change = (best - request.query).abs().mean(dim=0)
    inside = outside = float("nan")
    if mask is not None:
        is_inside = torch.as_tensor(mask).reshape(change.shape) > 0
        if is_inside.any() and not is_inside.all():
            inside, outside = float(change[is_inside].mean()), float(change[~is_inside].mean())
    return (
        float(success.any()),
        float(success.float().mean()),
        float(change.mean()),
        inside,
        outside,
    )


def _pair(source: str, target: str, rows: np.ndarray[Any, np.dtype[np.float64]]) -> PairEvaluation:
    has_mask = ~np.isnan(rows[:, 3])
    inside = float(rows[has_mask, 3].mean()) if has_mask.any() else None
    outside = float(rows[has_mask, 4].mean()) if has_mask.any() else None
    converted, translated, change = (float(value) for value in rows[:, :3].mean(axis=0))
    return PairEvaluation(source, target, len(rows), converted, translated, change, inside, outside)
