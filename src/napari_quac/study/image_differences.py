"""Differences of the images themselves between two groups: histogram and sharpness.

They cannot be hidden without another image, so they are measured and stated in the protocol.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_quac.study.auc import area_under_curve

Image = NDArray[np.float32]
MEASURES = {
    "histogram distance": "distance of the histogram from the mean one of the first group",
    "sharpness": "variance of the Laplacian",
    "mean gray value": "mean",
    "contrast": "standard deviation of gray values",
    "gray levels": "number of different gray values",
    "gaps": "share of gray values that are missing between the darkest and brightest tenth",
}


def measure_differences(first: Sequence[Image], second: Sequence[Image]) -> list[dict[str, Any]]:
    """Measure by how much simple properties tell two groups of images apart.

    Parameters
    ----------
    first, second : sequence of (C, *S) ndarray, float32 in [0, 1]
        Such as queries and their partners.

    Returns
    -------
    list of dict
        ``measure``, ``text``, ``auc``, ``low``, ``high``, ``n`` of each measure.
    """
    numbers = [_measure(image) for image in first], [_measure(image) for image in second]
    distances = _histogram_distances(first, second)
    rows = []
    for name, text in MEASURES.items():
        pair = distances if name == "histogram distance" else _columns(numbers, name)
        rows.append({"measure": name, "text": text, **area_under_curve(*pair).plain()})
    return rows


def sharpness(image: Image) -> float:
    """Return the variance of the Laplacian over the last two axes, averaged over the others."""
    numbers = np.asarray(image, np.float64)
    if min(numbers.shape[-2:]) < 3:
        return 0.0
    inner = numbers[..., 1:-1, 1:-1]
    laplacian = (
        numbers[..., :-2, 1:-1] + numbers[..., 2:, 1:-1]
        + numbers[..., 1:-1, :-2] + numbers[..., 1:-1, 2:] - 4 * inner
    )  # fmt: skip
    return float(laplacian.var())


def _measure(image: Image) -> dict[str, float]:
    return {
        "sharpness": sharpness(image),
        "mean gray value": float(image.mean()),
        "contrast": float(image.std()),
        "gray levels": float(np.unique(image).size),
        "gaps": _gaps(image),
    }


def _gaps(image: Image) -> float:
    """Return the share of levels of 8 bits that do not occur in the middle of the histogram."""
    levels = np.rint(np.asarray(image, np.float64) * 255).astype(np.int64)
    low, high = np.percentile(levels, (10, 90)).astype(np.int64)
    return float(1 - np.isin(np.arange(low, high + 1), levels).mean())


def _columns(
    numbers: tuple[list[dict[str, float]], list[dict[str, float]]], name: str
) -> tuple[list[float], list[float]]:
    first, second = ([row[name] for row in rows] for rows in numbers)
    return first, second


def _histogram_distances(
    first: Sequence[Image], second: Sequence[Image]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the Wasserstein distances from the mean histogram of the first group.

    The histogram of an image is left out of the mean that it is compared with.
    """
    a, b = _cumulative(first), _cumulative(second)
    if len(a) < 2 or not len(b):
        return np.empty(0), np.empty(0)
    others = (a.sum(axis=0) - a) / (len(a) - 1)
    # as for the first group, so that both are compared with a mean of as many histograms
    means = (a.sum(axis=0) - a[np.arange(len(b)) % len(a)]) / (len(a) - 1)
    return np.abs(a - others).mean(axis=1), np.abs(b - means).mean(axis=1)


def _cumulative(images: Sequence[Image]) -> NDArray[np.float64]:
    rows = [np.histogram(image, bins=256, range=(0, 1))[0] / image.size for image in images]
    return np.cumsum(np.array(rows, np.float64).reshape(len(rows), 256), axis=1)
