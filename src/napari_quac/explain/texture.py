"""Intensity and texture of an image within any set of pixels, slice by slice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter
from skimage.filters import sobel

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
    percentiles = np.percentile(gray, (5, 25, 50, 75, 95))
    contrast, homogeneity, entropy = co_occurrence(maps.levels, place)
    values = (
        gray.mean(),
        gray.std(),
        *percentiles,
        maps.local_sd[place].mean(dtype=np.float64),
        gradient.mean(dtype=np.float64),
        (gradient > cut).mean(),
        contrast,
        homogeneity,
        entropy,
    )
    names = (measure.name for measure in MEASURES)
    return dict(zip(names, map(float, values), strict=True))


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
    Neighbours in the same slice at a distance of one pixel, in four directions and both ways, as
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
