"""Connected regions of a mask, with size, change and effect of each, also as rows of a table."""

from __future__ import annotations

from collections.abc import Generator as Iterating
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.measure import label, regionprops_table
from torch import Tensor

from napari_quac.data.csv_output import csv_bytes
from napari_quac.data.dataset import Sample
from napari_quac.errors import DataError
from napari_quac.explain.curve import Curve, Hybrid, blend, hybrid_at
from napari_quac.explain.explanation import Explanation
from napari_quac.explain.pair import Pair
from napari_quac.networks.classifier import Classifier
from napari_quac.stepwise import Progress, stepwise
from napari_quac.storage import write_file

MAX_REGIONS = 50  # a mask at a low threshold can consist of hundreds of specks


@dataclass(frozen=True, slots=True)
class Region:
    """A connected part of a mask.

    Attributes
    ----------
    number : int
        From 1, in order of falling ``effect_alone``; the value in :attr:`Regions.labels`.
    n_pixels : int
        Pixels or voxels, before softening.
    size : float or None
        Area or volume in world units; None where the sample has no scale.
    centroid : tuple of float
        Mean position of its pixels, in pixels along the axes of the image.
    centroid_world : tuple of float
        The same in world units.
    box : tuple of (int, int)
        First pixel, and the pixel after the last, along each axis.
    before, after : float in [0, 1]
        Mean of its values in the query and in the hybrid, over all channels.
    effect_alone : float in [-1, 1]
        Increase of the target's probability over the query by this region alone.
    effect_left_out : float in [-1, 1]
        Decrease of the target's probability of the hybrid without this region.
    """

    number: int
    n_pixels: int
    size: float | None
    centroid: tuple[float, ...]
    centroid_world: tuple[float, ...]
    box: tuple[tuple[int, int], ...]
    before: float
    after: float
    effect_alone: float
    effect_left_out: float


@dataclass(frozen=True, eq=False)
class Regions:
    """The regions of one hybrid.

    Attributes
    ----------
    explanation : Explanation
    index : int
        Position in the thresholds of the curve.
    threshold : float
    score_change : float
        Of the whole hybrid.
    labels : (*S) ndarray, int32
        0 outside the mask, otherwise the number of the region; -1 for skipped regions.
    regions : tuple of Region
        In the order of their numbers.
    n_skipped : int
        Number of skipped regions, the smallest ones.
    size_unit : str
        Unit of :attr:`Region.size`, such as ``nm²``; empty where the sample has no scale.
    """

    explanation: Explanation
    index: int
    threshold: float
    score_change: float
    labels: NDArray[np.int32]
    regions: tuple[Region, ...]
    n_skipped: int = 0
    size_unit: str = ""


def label_regions(hard: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Return the connected regions of a mask, numbered by size, the largest first.

    Parameters
    ----------
    hard : (C, *S) ndarray, bool
        The mask before softening; a pixel counts if it does in any channel.

    Returns
    -------
    labels : (*S) ndarray, int32
        0 outside. Pixels that touch at a side, an edge or a corner are connected: 8 neighbors in
        an image, 26 in a volume.
    """
    plain = label(hard.any(axis=0), connectivity=hard.ndim - 1)
    counts = np.bincount(plain.ravel())
    counts[0] = 0
    ranks = np.zeros(len(counts), dtype=np.int32)
    by_size = np.argsort(-counts, kind="stable")[: len(counts) - 1]
    ranks[by_size] = np.arange(1, len(by_size) + 1)
    return np.asarray(ranks[plain])


def region_mask(curve: Curve, hard: NDArray[np.bool_], inside: NDArray[np.bool_]) -> Tensor:
    """Return the softened mask of some regions alone.

    Parameters
    ----------
    curve : Curve
        The curve, with its masking.
    hard : (C, *S) ndarray, bool
        The whole mask before softening.
    inside : (*S) ndarray, bool
        The pixels of these regions.

    Returns
    -------
    mask : (C, *S) Tensor, float32 in [0, 1]

    Notes
    -----
    Softening is linear, so the masks of all regions sum to the whole mask: the seams of regions
    close to each other overlap as they do in the whole mask.
    """
    return torch.from_numpy(curve.masking.soften(hard & inside))


@stepwise
def find_regions(
    explanation: Explanation,
    classifier: Classifier,
    index: int | None = None,
    most: int = MAX_REGIONS,
) -> Iterating[Progress, None, Regions]:
    """Split the mask of one threshold into regions and classify hybrids of each region.

    Parameters
    ----------
    explanation : Explanation
        Explanation of the mask.
    classifier : Classifier
        The classifier under study.
    index : int, optional
        Position in the thresholds of the curve; the optimum by default.
    most : int
        Maximum number of regions, the largest first.

    Returns
    -------
    Steps of Regions
        One step for each batch of hybrids, two hybrids for each region.

    Raises
    ------
    PreliminaryError
        If the explanation is preliminary.
    """
    curve, pair = explanation.require_exact().curve, explanation.pair
    index = curve.best if index is None else index
    yield Progress(0, None, "regions of the mask")
    hybrid = hybrid_at(pair, curve, index)
    hard = curve.masking.hard(curve.closed, float(curve.thresholds[index]))
    by_area = label_regions(hard)
    n_regions = int(by_area.max())
    n_measured = min(n_regions, most)
    alone, without = [], []
    per_step = max(1, classifier.batch_for(by_area.shape) // 2)
    for first in range(1, n_measured + 1, per_step):
        yield Progress(first - 1, n_measured, "effects of regions")
        numbers = range(first, min(first + per_step, n_measured + 1))
        if n_regions == 1:
            predictions = torch.stack([hybrid.prediction, pair.query_prediction])
        else:
            masks = [region_mask(curve, hard, by_area == number) for number in numbers]
            masks += [region_mask(curve, hard, by_area != number) for number in numbers]
            hybrids = blend(pair.query.image, pair.generated, torch.stack(masks))
            predictions = classifier.predict(hybrids)
        changes = pair.score_changes(predictions.double())
        alone += changes[: len(numbers)].tolist()
        whole = pair.score_changes(hybrid.prediction.double())
        without += (whole - changes[len(numbers) :]).tolist()
    order = np.argsort(-np.array(alone), kind="stable")
    numbers_by_area = np.zeros(n_regions + 1, dtype=np.int32)
    numbers_by_area[n_measured + 1 :] = -1
    numbers_by_area[order + 1] = np.arange(1, n_measured + 1)
    return Regions(
        explanation=explanation,
        index=index,
        threshold=float(curve.thresholds[index]),
        score_change=hybrid.score_change,
        labels=numbers_by_area[by_area],
        regions=_regions(pair, hybrid, by_area, order, np.column_stack([alone, without])),
        n_skipped=n_regions - n_measured,
        size_unit=size_unit(pair.query),
    )


def size_unit(sample: Sample) -> str:
    """Return the unit of areas or volumes, such as ``nm²``; empty for a sample without scale."""
    power = "³" if sample.image.ndim == 4 else "²"
    return f"{sample.unit}{power}" if sample.unit and sample.scale is not None else ""


def _regions(
    pair: Pair,
    hybrid: Hybrid,
    labels: NDArray[np.int32],
    order: NDArray[np.intp],
    effects: NDArray[np.float64],
) -> tuple[Region, ...]:
    """Return the regions of the labels, numbered in their order; effects alone and left out."""
    if not len(order):
        return ()
    n_axes = labels.ndim
    values = [image.mean(dim=0).numpy() for image in (pair.query.image, hybrid.image)]
    table = regionprops_table(
        np.where(labels <= len(order), labels, 0),
        np.stack(values, axis=-1),
        properties=("area", "centroid", "bbox", "intensity_mean"),
    )
    scale = pair.query.scale or (1.0,) * n_axes
    translate = pair.query.translate or (0.0,) * n_axes
    regions = []
    for number, row in enumerate(order, 1):
        centroid = tuple(float(table[f"centroid-{axis}"][row]) for axis in range(n_axes))
        n_pixels = int(table["area"][row])
        size = None if pair.query.scale is None else n_pixels * float(np.prod(scale))
        world = tuple(t + s * c for t, s, c in zip(translate, scale, centroid, strict=True))
        box = tuple(
            (int(table[f"bbox-{axis}"][row]), int(table[f"bbox-{axis + n_axes}"][row]))
            for axis in range(n_axes)
        )
        before, after = (float(table[f"intensity_mean-{image}"][row]) for image in (0, 1))
        alone, left_out = map(float, effects[row])
        regions.append(
            Region(number, n_pixels, size, centroid, world, box, before, after, alone, left_out)
        )
    return tuple(regions)


def region_record(regions: Regions) -> dict[str, Any]:
    """Return the regions of a hybrid as JSON-ready values."""
    axes = "zyx"[-regions.labels.ndim :]
    return {
        "threshold": regions.threshold,
        "score_change": regions.score_change,
        "connectivity": 3**regions.labels.ndim - 1,
        "size_unit": regions.size_unit or None,
        "n_not_asked": regions.n_skipped,
        "regions": [_region_record(region, axes) for region in regions.regions],
    }


def _region_record(region: Region, axes: str) -> dict[str, Any]:
    record = asdict(region)
    del record["box"]
    for key in ("centroid", "centroid_world"):
        record[key] = dict(zip(axes, record[key], strict=True))
    return record


def region_rows(regions: Regions, class_names: Sequence[str]) -> list[dict[str, Any]]:
    """Return one flat row for each region, with its sample, classes and method."""
    effect = {"threshold": regions.threshold, "score_change_of_all": regions.score_change}
    common = {**regions.explanation.row(class_names), **effect}
    rows = []
    unit = regions.explanation.pair.query.unit or "world"
    for region in region_record(regions)["regions"]:
        places = {
            f"{axis}_{suffix}": position
            for key, suffix in (("centroid", "pixel"), ("centroid_world", unit))
            for axis, position in region.pop(key).items()
        }
        size = {"size": region.pop("size"), "size_unit": regions.size_unit}
        rows.append({**common, **region, **size, **places})
    return rows


def write_rows(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write rows with equal keys as CSV.

    Raises
    ------
    DataError
        If there are no rows, or the file cannot be written.
    """
    if not rows:
        raise DataError("The table is empty, so there is nothing to write. Measure a sample first.")
    write_file(path, csv_bytes([rows[0], *(row.values() for row in rows)]))
