"""The axis of mask sizes: linear, or stretched where masks are small."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SizeAxis = Literal["logarithmic", "square root", "linear"]
SIZE_AXES: tuple[SizeAxis, ...] = get_args(SizeAxis)
DEFAULT_AXIS: SizeAxis = "logarithmic"
"""Masks of 0.1 % to 10 % take 55 % of its length; 28 % with the square root, 10 % if linear."""

LINEAR_BELOW = 0.0005
"""Mask size below which the logarithmic axis is linear, so that the empty mask has a place."""

_TICKS: dict[SizeAxis, tuple[float, ...]] = {
    "logarithmic": (0, 1, 0.01, 0.1, 0.001, 0.03, 0.3, 0.003),
    "square root": (0, 1, 0.1, 0.5, 0.01, 0.25, 0.05),
    "linear": (0, 1, 0.5, 0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9),
}


def axis_positions(mask_sizes: ArrayLike, axis: SizeAxis) -> NDArray[np.float64]:
    r"""Return where mask sizes lie on the axis, from 0 for the empty to 1 for the full mask.

    With the sizes :math:`s`: :math:`s`; :math:`\sqrt s`; or
    :math:`\log(1 + s/s_0) / \log(1 + 1/s_0)` with :math:`s_0` = 0.05 %.

    Parameters
    ----------
    mask_sizes : array_like
        In [0, 1].
    axis : "logarithmic", "square root" or "linear"
        The axis.

    Returns
    -------
    ndarray, float64 in [0, 1]
    """
    places: NDArray[np.float64] = np.asarray(mask_sizes, dtype=np.float64)
    if axis == "square root":
        places = np.sqrt(np.maximum(places, 0))
    elif axis == "logarithmic":
        places = np.log1p(np.maximum(places, 0) / LINEAR_BELOW) / np.log1p(1 / LINEAR_BELOW)
    return places


def sizes_at(positions: ArrayLike, axis: SizeAxis) -> NDArray[np.float64]:
    """Return the mask sizes at positions of the axis, the inverse of :func:`axis_positions`."""
    sizes: NDArray[np.float64] = np.asarray(positions, dtype=np.float64)
    if axis == "square root":
        sizes = sizes**2
    elif axis == "logarithmic":
        sizes = LINEAR_BELOW * np.expm1(sizes * np.log1p(1 / LINEAR_BELOW))
    return sizes


def axis_ticks(axis: SizeAxis) -> tuple[tuple[float, str], ...]:
    """Return mask sizes and their labels, such as ``(0.001, "0.1")`` in percent.

    The most important ones come first; later ones can be omitted where there is no room.
    """
    return tuple((size, f"{100 * size:g}") for size in _TICKS[axis])


def axis_label(axis: SizeAxis) -> str:
    """Return the label of the axis, which names all but the linear one."""
    return "mask size (%)" if axis == "linear" else f"mask size (%, {axis})"


def set_size_axis(axes: Axes, axis: SizeAxis) -> None:
    """Give a panel of a figure the axis of mask sizes, with ticks in percent, without its label."""
    if axis != "linear":
        functions = (partial(axis_positions, axis=axis), partial(sizes_at, axis=axis))
        axes.set_xscale("function", functions=functions)
    axes.set_xlim(0, 1)
    n_ticks = 3 if axis == "linear" else 5
    sizes, texts = zip(*sorted(axis_ticks(axis)[:n_ticks]), strict=True)
    axes.set_xticks(sizes, texts)
    axes.minorticks_off()
