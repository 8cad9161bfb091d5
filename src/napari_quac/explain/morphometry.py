"""Intensity and texture within any set of pixels, and their change by the counterfactual."""

from __future__ import annotations

from collections.abc import Generator as Iterating
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter
from skimage.filters import sobel

from napari_quac.errors import DataError, ShapeError
from napari_quac.explain.curve import hybrid_at
from napari_quac.explain.explanation import Explanation
from napari_quac.explain.regions import size_unit
from napari_quac.registry import unknown_name
from napari_quac.stepwise import Progress, stepwise

Gray = NDArray[np.float32]
Place = NDArray[np.bool_]

LEVELS = 32  # gray levels of the co-occurrence matrix, over [0, 1]
WINDOW = 5  # pixels, side of the square of the local deviation
OFFSETS = ((0, 1), (1, 0), (1, 1), (1, -1))
EDGE_SHARE = 0.1  # of the query's pixels that count as edges


@dataclass(frozen=True)
class Measure:
    """A measure of intensity or texture.

    Attributes
    ----------
    name : str
    unit : str
        "gray" is the range from black (0) to white (1).
    text : str
        Description, as a phrase.
    """

    name: str
    unit: str
    text: str


MEASURES = (
    Measure("mean", "gray", "mean gray value"),
    Measure("sd", "gray", "standard deviation of the gray values"),
    Measure("p05", "gray", "5th percentile of the gray values"),
    Measure("p25", "gray", "25th percentile of the gray values"),
    Measure("median", "gray", "median gray value"),
    Measure("p75", "gray", "75th percentile of the gray values"),
    Measure("p95", "gray", "95th percentile of the gray values"),
    Measure("local sd", "gray", "mean standard deviation in squares of 5 × 5 pixels"),
    Measure("gradient", "gray/px", "mean size of the Sobel gradient"),
    Measure(
        "edge density",
        "share",
        "share of pixels whose gradient is above that of 90 % of the query's pixels",
    ),
    Measure("contrast", "levels²", "contrast of the gray-level co-occurrence matrix, 32 levels"),
    Measure("homogeneity", "1", "homogeneity of the same matrix"),
    Measure("entropy", "bit", "entropy of the same matrix"),
)


@dataclass(frozen=True, eq=False)
class TextureMaps:
    """Per-pixel maps of an image, computed once for all places.

    Attributes
    ----------
    gray : (*S) ndarray, float32 in [0, 1]
        Mean over channels.
    local_sd, gradient : (*S) ndarray
        Computed separately in each slice (y, x).
    levels : (*S) ndarray, int64
        Gray levels from 0 to 31.
    """

    gray: Gray
    local_sd: Gray
    gradient: Gray
    levels: NDArray[np.int64]


def texture_maps(image: Gray) -> TextureMaps:
    """Return the maps of an image (C, *S) with values in [0, 1]."""
    gray = image.mean(axis=0)
    slices = gray.reshape(-1, *gray.shape[-2:])
    window = (1, WINDOW, WINDOW)
    exact = slices.astype(np.float64)
    mean = uniform_filter(exact, window, mode="mirror")
    variance = uniform_filter(exact**2, window, mode="mirror") - mean**2
    gradient = np.stack([sobel(plane) for plane in slices])
    return TextureMaps(
        gray=gray,
        local_sd=np.sqrt(np.maximum(variance, 0)).astype(np.float32).reshape(gray.shape),
        gradient=gradient.astype(np.float32).reshape(gray.shape),
        levels=np.clip((gray * LEVELS).astype(np.int64), 0, LEVELS - 1),
    )


def edge_cut(query: TextureMaps) -> float:
    """Return the gradient above which a pixel counts as an edge, in query and hybrid alike."""
    return float(np.quantile(query.gradient, 1 - EDGE_SHARE))


def measure_place(maps: TextureMaps, place: Place, cut: float) -> Mapping[str, float]:
    """Measure a place of an image.

    Parameters
    ----------
    maps : TextureMaps
        Of the image.
    place : (*S) ndarray, bool
        Pixels to measure.
    cut : float
        See :func:`edge_cut`.

    Returns
    -------
    mapping of str to float
        By the names in :data:`MEASURES`; NaN without pixels, or without two neighbors.
    """
    if not place.any():
        return {measure.name: float("nan") for measure in MEASURES}
    gray, gradient = maps.gray[place].astype(np.float64), maps.gradient[place]
    values = (
        gray.mean(),
        gray.std(),
        *np.percentile(gray, (5, 25, 50, 75, 95)),
        maps.local_sd[place].mean(dtype=np.float64),
        gradient.mean(dtype=np.float64),
        (gradient > cut).mean(),
        *co_occurrence(maps.levels, place),
    )
    return {measure.name: float(v) for measure, v in zip(MEASURES, values, strict=True)}


def co_occurrence(levels: NDArray[np.int64], place: Place) -> tuple[float, float, float]:
    """Return contrast, homogeneity and entropy of neighbors within a place.

    Parameters
    ----------
    levels : (*S) ndarray, int64
        Gray levels from 0 to 31.
    place : (*S) ndarray, bool
        Pixels that count.

    Notes
    -----
    Neighbors in the same slice at a distance of one pixel, in four directions and both ways, as
    scikit-image's ``graycomatrix`` counts them; that function has no mask.

    References
    ----------
    .. [1] Haralick, Shanmugam, Dinstein, "Textural features for image classification", 1973.
    """
    counts = np.zeros(LEVELS * LEVELS, dtype=np.int64)
    height, width = levels.shape[-2:]
    for down, right in OFFSETS:
        first = (..., slice(0, height - down), slice(max(0, -right), width - max(0, right)))
        second = (..., slice(down, height), slice(max(0, right), width + min(0, right)))
        both = place[first] & place[second]
        pairs = levels[first][both] * LEVELS + levels[second][both]
        counts += np.bincount(pairs, minlength=LEVELS * LEVELS)
    matrix = counts.reshape(LEVELS, LEVELS)
    matrix = matrix + matrix.T
    if not matrix.any():
        return float("nan"), float("nan"), float("nan")
    shares = matrix / matrix.sum()
    row, column = np.indices(shares.shape)
    distance = (row - column) ** 2
    some = shares[shares > 0]
    return (
        float((shares * distance).sum()),
        float((shares / (1 + distance)).sum()),
        float(-(some * np.log2(some)).sum()),
    )


WHOLE, INSIDE, OUTSIDE = "whole image", "inside the mask", "outside the mask"
ALL_LABELS = "all labels"
MAX_LABELS = 100


@dataclass(frozen=True, eq=False)
class PlaceChange:
    """One place, measured in the query and in the counterfactual.

    Attributes
    ----------
    name : str
        ``"inside the mask"``, ``"outside the mask"``, ``"whole image"``, ``"all labels"`` or
        ``"label 3"``.
    n_pixels : int
        Pixels or voxels.
    size : float or None
        Area or volume in world units; None where the sample has no scale.
    share_in_mask : float in [0, 1]
        Share of the place that the mask covers; NaN for an empty place.
    query, counterfactual : mapping of str to float
        By the names of :data:`~napari_quac.explain.morphometry.MEASURES`.
    """

    name: str
    n_pixels: int
    size: float | None
    share_in_mask: float
    query: Mapping[str, float]
    counterfactual: Mapping[str, float]

    def difference(self, name: str) -> float:
        """Return counterfactual minus query of one measure."""
        return self.counterfactual[name] - self.query[name]


@dataclass(frozen=True, eq=False)
class Morphometry:
    """All places of one hybrid.

    Attributes
    ----------
    explanation : Explanation
    threshold : float
    places : tuple of PlaceChange
    size_unit : str
        Such as ``"nm²"``; empty where the sample has no scale.
    """

    explanation: Explanation
    threshold: float
    places: tuple[PlaceChange, ...]
    size_unit: str = ""

    def place(self, name: str) -> PlaceChange:
        """Return a place by its name.

        Raises
        ------
        UnknownNameError
            If there is no such place.
        """
        places = {place.name: place for place in self.places}
        if name not in places:
            raise unknown_name("place", name, list(places))
        return places[name]


@stepwise
def measure_change(
    explanation: Explanation, labels: NDArray[Any] | None = None, index: int | None = None
) -> Iterating[Progress, None, Morphometry]:
    """Measure intensity and texture of the query and of a hybrid of it.

    Parameters
    ----------
    explanation : Explanation
        Explanation of the hybrid.
    labels : (*S) ndarray of integers or bool, optional
        Known structures, such as clefts or vesicles, on the pixels of the query; 0 is background.
        They are measured one by one and all together.
    index : int, optional
        Position in the thresholds of the curve; the optimum by default.

    Returns
    -------
    Steps of Morphometry
        One step for each place.

    Raises
    ------
    ShapeError
        If the labels do not cover the pixels of the query.
    DataError
        If the labels are not integers, or too many.
    PreliminaryError
        If the explanation is preliminary.
    """
    pair, curve = explanation.pair, explanation.require_exact().curve
    index = curve.best if index is None else index
    yield Progress(0, None, "measure the change")
    hybrid = hybrid_at(pair, curve, index)
    threshold = float(curve.thresholds[index])
    hard = np.asarray(curve.masking.hard(curve.closed, threshold).any(axis=0))
    places = {WHOLE: np.ones_like(hard), INSIDE: hard, OUTSIDE: np.logical_not(hard)}
    if labels is not None:
        places |= _label_places(labels, hard.shape)
    before, after = (texture_maps(image.numpy()) for image in (pair.query.image, hybrid.image))
    cut = edge_cut(before)
    voxel = None if pair.query.scale is None else float(np.prod(pair.query.scale))
    changes = []
    for number, (name, place) in enumerate(places.items()):
        yield Progress(number, len(places), "measure the change")
        n_pixels = int(place.sum())
        size = None if voxel is None else n_pixels * voxel
        share = float(hard[place].mean()) if n_pixels else float("nan")
        query, counterfactual = (measure_place(maps, place, cut) for maps in (before, after))
        changes.append(PlaceChange(name, n_pixels, size, share, query, counterfactual))
    return Morphometry(explanation, threshold, tuple(changes), size_unit(pair.query))


def morphometry_rows(morphometry: Morphometry, class_names: Sequence[str]) -> list[dict[str, Any]]:
    """Return one flat row for each place and measure, with None for NaN."""
    common = morphometry.explanation.row(class_names)
    return [
        {
            **common,
            "threshold": morphometry.threshold,
            "place": place.name,
            "n_pixels": place.n_pixels,
            "size": place.size,
            "size_unit": morphometry.size_unit,
            "share_in_mask": _number(place.share_in_mask),
            "measure": measure.name,
            "unit": measure.unit,
            "query": _number(place.query[measure.name]),
            "counterfactual": _number(place.counterfactual[measure.name]),
            "difference": _number(place.difference(measure.name)),
        }
        for place in morphometry.places
        for measure in MEASURES
    ]


def morphometry_record(morphometry: Morphometry) -> dict[str, Any]:
    """Return the measures as JSON-ready values by place, with None for NaN."""
    return {
        "threshold": morphometry.threshold,
        "size_unit": morphometry.size_unit or None,
        "units": {measure.name: measure.unit for measure in MEASURES},
        "places": {
            place.name: {
                "n_pixels": place.n_pixels,
                "size": place.size,
                "share_in_mask": _number(place.share_in_mask),
                "query": _numbers(place.query),
                "counterfactual": _numbers(place.counterfactual),
            }
            for place in morphometry.places
        },
    }


def _number(number: float) -> float | None:
    return number if np.isfinite(number) else None


def _numbers(measures: Mapping[str, float]) -> dict[str, float | None]:
    return {name: _number(number) for name, number in measures.items()}


def _label_places(labels: NDArray[Any], shape: tuple[int, ...]) -> dict[str, NDArray[np.bool_]]:
    if labels.shape != shape:
        raise ShapeError(f"The labels have shape {labels.shape}; the query has {shape}.")
    if labels.dtype.kind not in "bui":
        raise DataError(
            f"The labels have the type {labels.dtype}. Use integers, 0 for the background."
        )
    numbers = [int(number) for number in np.unique(labels) if number != 0]
    if len(numbers) > MAX_LABELS:
        raise DataError(
            f"The image contains {len(numbers)} labels, more than {MAX_LABELS}. Choose an image of "
            "structures, not one of gray values."
        )
    places = {ALL_LABELS: labels != 0} if numbers else {}
    return places | {f"label {number}": labels == number for number in numbers}
