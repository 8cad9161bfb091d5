"""Two images in one: curtain, signed difference and morph, as arrays, with their colors."""

from __future__ import annotations

import math
from functools import cache
from typing import Any, Literal

import numpy as np
from napari.utils.colormaps import Colormap
from numpy.typing import NDArray

from napari_quac.gui.palette import SIGNED_COLORS

MixedMode = Literal["curtain", "difference", "morph"]
Pixels = NDArray[Any]


def curtain(left: Pixels, right: Pixels, edge: int, axis: int) -> Pixels:
    """Return one image before an edge, and another one from it on.

    Parameters
    ----------
    left, right : arrays of one shape
        The images.
    edge : int
        First pixel of ``right`` along the axis.
    axis : int
        The axis across the edge.
    """
    image = np.array(left)
    after = [slice(None)] * image.ndim
    after[axis] = slice(edge, None)
    image[tuple(after)] = right[tuple(after)]
    return image


def morph(start: Pixels, end: Pixels, share: float) -> Pixels:
    """Return the weighted mean of two images; a share of 1 is the second one."""
    if share in (0.0, 1.0):
        return np.array(end if share else start)
    return np.asarray(start + np.float32(share) * (end - start))


def difference(image: Pixels, query: Pixels, rgb: bool) -> Pixels:
    """Return image − query; the mean over the colors of RGB images, whose axis is the last."""
    change = image - query
    return np.asarray(change.mean(axis=-1) if rgb else change)


def symmetric_limit(change: Pixels) -> float:
    """Return the largest absolute value, rounded up to two digits; at least 0.001."""
    largest = max(float(np.abs(change).max(initial=0.0)), 1e-3)
    unit = 10.0 ** (math.floor(math.log10(largest)) - 1)
    return round(math.ceil(largest / unit - 1e-6) * unit, 12)


@cache
def difference_colormap() -> Colormap:
    """Blue for darker than the query, light gray for equal, orange for brighter; opaque."""
    low, high = ("#0b4f9e", SIGNED_COLORS[0]), (SIGNED_COLORS[1], "#a34400")
    colors = [*low, "#e4e4e4", *high]
    return Colormap(colors, name="quac difference", controls=[0.0, 0.25, 0.5, 0.75, 1.0])
