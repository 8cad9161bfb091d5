"""How good a generator is, judged by a classifier that its training never saw."""

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
from napari_quac.train.images import enlarge_to, reduce_to

MaskOf: TypeAlias = Callable[[str], Tensor | None]


@dataclass(frozen=True)
class MaskFolder:
    """Masks in files that have the ids of the samples as names.

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
    """How well images of one class are turned into another.

    Attributes
    ----------
    source, target : str
        The classes.
    n_images : int
        Queries that were tried.
    conversion_rate : float
        Share of queries with at least one proposal that the judge calls the target class.
    translation_rate : float
        Share of all proposals that it calls so.
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
    """How well each class is turned into each other class.

    Attributes
    ----------
    pairs : tuple of PairEvaluation
    n_tries : int
        Proposals per query.
    judge : str
        Name of the classifier that judged.
    """

    pairs: tuple[PairEvaluation, ...]
    n_tries: int
    judge: str

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
            "judge": self.judge,
            "pairs": [asdict(pair) for pair in self.pairs],
        }


@stepwise
def evaluate_generator(
    generator: ImageGenerator,
    judge: Classifier,
    dataset: Dataset,
    n_tries: int = 10,
    max_images: int | None = None,
    mask_of: MaskOf | Mapping[str, Tensor] | None = None,
    structures: Sequence[str] | None = None,
    seed: int = 0,
) -> Generator[Progress, None, Evaluation]:
    """Turn every image into every other class and see what a classifier says.

    Parameters
    ----------
    generator : Generator
        The one to judge.
    judge : Classifier
        One that the generator's training never saw: a generator can learn noise that convinces
        only the classifier it was guided by.
    dataset : Dataset
        Labelled images, its classes those of the judge.
    n_tries : int
        Proposals per query.
    max_images : int, optional
        Images per class, spread over the dataset; all by default.
    mask_of : callable or mapping, optional
        Sample id to mask (1, S, S) or (S, S), above 0 where the structure of its class is.
    structures : sequence of str, optional
        Classes that have a structure, whose masks count; all by default.
    seed : int
        Makes the proposals.

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
            raise DataError(f"There is no image of class '{name}' to judge. Add some.")
    if len(names) < 2:
        raise DataError("Judging needs labelled images of at least two classes.")
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
                    judge.class_index(names[source]),
                    judge.class_index(names[target]),
                    judge,
                    seed,
                    sample.id,
                )
                mask = masks(sample.id) if masks is not None and with_mask else None
                rows.append(_judge_query(generator, request, n_tries, mask))
                done += 1
                text = f"judging {names[source]} → {names[target]}"
                yield Progress(done, total, text)
            results.append(_pair(names[source], names[target], np.array(rows)))
    return Evaluation(tuple(results), n_tries, judge.name)


def _spread(indices: list[int], n: int | None) -> list[int]:
    if n is None or n >= len(indices):
        return indices
    return [indices[int(i)] for i in np.linspace(0, len(indices) - 1, n).round()]


def _at_size_of(judge: Classifier, images: Tensor) -> Tensor:
    """Bring images to the size of a judge that was trained beside smaller networks."""
    if judge.image_size is None or tuple(images.shape[2:]) == judge.image_size:
        return images
    size = judge.image_size[0]
    return reduce_to(images, size) if images.shape[-1] > size else enlarge_to(images, size)


def _judge_query(
    generator: ImageGenerator, request: ConversionRequest, n_tries: int, mask: Tensor | None
) -> tuple[float, float, float, float, float]:
    """Return converted (0 or 1), share converted, and the best one's change: all, in, out."""
    images = generator.propose(request, 0, n_tries).images
    probabilities = request.classifier.predict(_at_size_of(request.classifier, images))
    success = probabilities.argmax(dim=1) == request.target
    best = images[int(probabilities[:, request.target].argmax())]
    change = (best - request.query).abs().mean(dim=0)
    inside = outside = float("nan")
    if mask is not None:
        where = torch.as_tensor(mask).reshape(change.shape) > 0
        if where.any() and not where.all():
            inside, outside = float(change[where].mean()), float(change[~where].mean())
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
