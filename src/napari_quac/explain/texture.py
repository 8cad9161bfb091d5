"""Intensity and texture of an image inside of any set of pixels, slice by slice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter
from skimage.filters import sobel

Grey = NDArray[np.float32]
Place = NDArray[np.bool_]

LEVELS = 32  # grey levels of the co-occurrence matrix, over [0, 1]
WINDOW = 5  # pixels, side of the square of the local deviation
OFFSETS = ((0, 1), (1, 0), (1, 1), (1, -1))
EDGE_SHARE = 0.1  # of the query's pixels that count as edges


@dataclass(frozen=True)
class Measure:
    """What is measured.

    Attributes
    ----------
    name : str
    unit : str
        "grey" is the range from black (0) to white (1).
    text : str
        What it is, as a phrase.
    """

    name: str
    unit: str
    text: str


MEASURES = (
    Measure("mean", "grey", "mean grey value"),
    Measure("sd", "grey", "standard deviation of the grey values"),
    Measure("p05", "grey", "5th percentile of the grey values"),
    Measure("p25", "grey", "25th percentile of the grey values"),
    Measure("median", "grey", "median grey value"),
    Measure("p75", "grey", "75th percentile of the grey values"),
    Measure("p95", "grey", "95th percentile of the grey values"),
    Measure("local sd", "grey", "mean standard deviation in squares of 5 × 5 pixels"),
    Measure("gradient", "grey/px", "mean size of the Sobel gradient"),
    Measure(
        "edge density",
        "share",
        "share of pixels whose gradient is above that of 90 % of the query's pixels",
    ),
    Measure("contrast", "levels²", "contrast of the grey-level co-occurrence matrix, 32 levels"),
    Measure("homogeneity", "1", "homogeneity of the same matrix"),
    Measure("entropy", "bit", "entropy of the same matrix"),
)


@dataclass(frozen=True, eq=False)
class TextureMaps:
    """What is computed once for an image and then read in any place.

    Attributes
    ----------
    grey : (*S) ndarray, float32 in [0, 1]
        Mean over channels.
    local_sd, gradient : (*S) ndarray
        Computed in each slice (y, x) by itself.
    levels : (*S) ndarray, int64
        Grey levels from 0 to 31.
    """

    grey: Grey
    local_sd: Grey
    gradient: Grey
    levels: NDArray[np.int64]


def texture_maps(image: Grey) -> TextureMaps:
    """Return the maps of an image (C, *S) with values in [0, 1]."""
    grey = image.mean(axis=0)
    slices = grey.reshape(-1, *grey.shape[-2:])
    window = (1, WINDOW, WINDOW)
    exact = slices.astype(np.float64)
    mean = uniform_filter(exact, window, mode="mirror")
    variance = uniform_filter(exact**2, window, mode="mirror") - mean**2
    gradient = np.stack([sobel(one) for one in slices])
    return TextureMaps(
        grey=grey,
        local_sd=np.sqrt(np.maximum(variance, 0)).astype(np.float32).reshape(grey.shape),
        gradient=gradient.astype(np.float32).reshape(grey.shape),
        levels=np.clip((grey * LEVELS).astype(np.int64), 0, LEVELS - 1),
    )


def edge_cut(query: TextureMaps) -> float:
    """Return the gradient above which a pixel counts as an edge, in query and hybrid alike."""
    return float(np.quantile(query.gradient, 1 - EDGE_SHARE))


def measure(maps: TextureMaps, place: Place, cut: float) -> Mapping[str, float]:
    """Measure a place of an image.

    Parameters
    ----------
    maps : TextureMaps
        Of the image.
    place : (*S) ndarray, bool
        Which pixels are measured.
    cut : float
        See :func:`edge_cut`.

    Returns
    -------
    mapping of str to float
        By the names in :data:`MEASURES`; NaN where there are no pixels, or no two neighbours.
    """
    if not place.any():
        return {one.name: float("nan") for one in MEASURES}
    grey, gradient = maps.grey[place].astype(np.float64), maps.gradient[place]
    percentiles = np.percentile(grey, (5, 25, 50, 75, 95))
    contrast, homogeneity, entropy = co_occurrence(maps.levels, place)
    values = (
        grey.mean(),
        grey.std(),
        *percentiles,
        maps.local_sd[place].mean(dtype=np.float64),
        gradient.mean(dtype=np.float64),
        (gradient > cut).mean(),
        contrast,
        homogeneity,
        entropy,
    )
    return {one.name: float(value) for one, value in zip(MEASURES, values, strict=True)}


def co_occurrence(levels: NDArray[np.int64], place: Place) -> tuple[float, float, float]:
    """Return contrast, homogeneity and entropy of neighbours that both lie in a place.

    Parameters
    ----------
    levels : (*S) ndarray, int64
        Grey levels from 0 to 31.
    place : (*S) ndarray, bool
        Which pixels count.

    Notes
    -----
    Neighbours in the same slice at a distance of one pixel, in four directions and both ways, as
    scikit-image's ``graycomatrix`` counts them; that function knows no mask.

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
