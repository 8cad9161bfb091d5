"""Small pictures of samples and of their explanations, read in the lane."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_quac.errors import QuacError
from napari_quac.live.choices import Choices
from napari_quac.live.recall import explanation_key
from napari_quac.live.results import Results
from napari_quac.stepwise import Progress, stepwise

if TYPE_CHECKING:
    from napari_quac.data.dataset import Dataset, Sample
    from napari_quac.live.explanation_cache import ExplanationCache
    from napari_quac.live.identity import ResultOrigin
    from napari_quac.live.open_report import OpenReport

SIDE = 96
"""Longer side of a picture in pixels, at most; larger images are averaged."""
Pixels = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Thumbnails:
    """Pictures of one sample.

    Attributes
    ----------
    index : int
        Position in the dataset.
    pictures : tuple of (h, w) or (h, w, 3) ndarray, uint8
        Query; or query, hybrid at the optimum, and mask. Empty if the sample cannot be read.
    problem : str
        Reason why it cannot be read.
    """

    index: int
    pictures: tuple[Pixels, ...] = ()
    problem: str = ""


@dataclass(frozen=True, eq=False)
class ThumbnailSource:
    """Places where samples and explanations are read.

    Attributes
    ----------
    dataset : Dataset
    explained : (N,) ndarray of bool
        Samples that have an explanation.
    method : str
        The method to show where it has an explanation; otherwise the one with the highest score.
    origin : ResultOrigin or None
    cache : ExplanationCache or None
        Explanations of this session.
    report : OpenReport or None
        Explanations of a folder.
    """

    dataset: Dataset
    explained: NDArray[np.bool_]
    method: str
    origin: ResultOrigin | None = None
    cache: ExplanationCache | None = None
    report: OpenReport | None = None


def thumbnail_source(choices: Choices, results: Results) -> ThumbnailSource | None:
    """Return the places where the samples in view and their explanations are read."""
    dataset, order, columns = results.loaded_samples, results.order, results.report_columns
    if dataset is None or order is None or len(order.columns) != len(dataset):
        return None
    report = results.report if columns is not None and not columns.differences else None
    return ThumbnailSource(
        dataset, order.columns.switched >= 0, choices.shown_method, results.origin,
        results.explanation_cache, report,
    )  # fmt: skip


@stepwise
def read_thumbnails(
    indices: Sequence[int], source: ThumbnailSource
) -> Generator[Progress, None, None]:
    """Read samples one after the other; ``partial`` has the pictures of each.

    Parameters
    ----------
    indices : sequence of int
        Positions in the dataset.
    source : ThumbnailSource
        Samples and explanations.
    """
    for number, index in enumerate(indices):
        yield Progress(number, len(indices), "thumbnails", _read(index, source))


def _read(index: int, source: ThumbnailSource) -> Thumbnails:
    """Return the pictures of one sample; an explanation that cannot be read is left out."""
    try:
        sample = source.dataset[index]
    except QuacError as error:
        return Thumbnails(index, problem=str(error))
    query = sample.image.numpy()
    explained = None
    if source.explained[index]:
        try:
            explained = _in_session(sample, source) or _in_report(sample, source)
        except QuacError:
            explained = None
    if explained is None or any(image.shape[1:] != query.shape[1:] for image in explained):
        return Thumbnails(index, (picture(query),))
    hybrid, mask = explained
    place = _largest_slice(mask)
    pictures = (picture(query, place), picture(hybrid, place), picture(mask.max(0)[None], place))
    return Thumbnails(index, pictures)


Explained = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Hybrid and mask, (C, *S)."""


def _in_session(sample: Sample, source: ThumbnailSource) -> Explained | None:
    if source.origin is None or source.cache is None:
        return None
    entry = source.cache.latest(explanation_key(sample, source.origin))
    if entry is None or not entry.explanations:
        return None
    explanations = entry.explanations[-1]
    if not explanations:
        return None
    best = max(explanations, key=lambda name: explanations[name].quac_score)
    hybrid = explanations[source.method if source.method in explanations else best].counterfactual
    return hybrid.image.numpy(), hybrid.mask.numpy()


def _in_report(sample: Sample, source: ThumbnailSource) -> Explained | None:
    entries = source.report.by_sample.get(sample.id, []) if source.report is not None else []
    if not entries:
        return None
    target = entries[-1].target
    entries = [entry for entry in entries if entry.target == target]
    best = max(entries, key=lambda entry: entry.quac_score if entry.has_score else -np.inf)  # type: ignore[arg-type,return-value]
    entry = next((entry for entry in entries if entry.method == source.method), best)
    return entry.array("counterfactual"), entry.array("mask")


def _largest_slice(mask: NDArray[np.float32]) -> int | None:
    """Return the slice of a volume (C, D, H, W) with the most mask; None for an image."""
    return int(mask.sum(axis=(0, 2, 3)).argmax()) if mask.ndim == 4 else None


def picture(image: NDArray[np.float32], place: int | None = None, side: int = SIDE) -> Pixels:
    """Return a small picture: gray values (h, w), or colors (h, w, 3) of three channels.

    Parameters
    ----------
    image : (C, H, W) or (C, D, H, W) ndarray, float32 in [0, 1]
        The image; of two or more than three channels, their mean is drawn.
    place : int, optional
        Slice of a volume; by default the middle one.
    side : int
        Longer side in pixels, at most.
    """
    if image.ndim == 4:
        image = image[:, image.shape[1] // 2 if place is None else place]
    if image.shape[0] not in (1, 3):
        image = image.mean(axis=0, keepdims=True)
    step = max(1, -(-max(image.shape[1:]) // side))
    height, width = (max(1, n // step) for n in image.shape[1:])
    image = image[:, : height * step, : width * step]
    if step > 1 and min(image.shape[1:]) >= step:
        image = image.reshape(len(image), height, step, width, step).mean(axis=(2, 4))
    pixels = np.moveaxis(np.clip(image, 0, 1) * 255, 0, -1).round().astype(np.uint8)
    return np.ascontiguousarray(pixels if pixels.shape[-1] == 3 else pixels[..., 0])
