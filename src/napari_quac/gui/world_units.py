"""Conversion of positions between the worlds of layers and of the viewer if their units differ.

The world of a layer has the unit of the layer. The world of the viewer, with slice, camera and
mouse, has a common unit of all layers: nanometers for layers in nanometers and micrometers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_quac.data.place import NM_PER_UNIT, unit_of_length


def factors(units: Sequence[Any] | None, to: Sequence[Any] | None) -> NDArray[np.float64]:
    """Return the conversion factors of lengths along the last common axes.

    Parameters
    ----------
    units, to : sequence of units
        ``layer.units`` or ``viewer.dims.units``. The factor is 1 for an axis without a length in
        both, such as pixels or seconds. None, which the viewer has for incompatible layers, gives
        no factors.
    """
    if units is None or to is None:
        return np.ones(0)
    n = min(len(units), len(to))
    pairs = zip(list(units)[-n:], list(to)[-n:], strict=True)
    return np.array([_factor(str(unit), str(other)) for unit, other in pairs])


def to_viewer(viewer: Any, layer: Any, world: Sequence[float]) -> NDArray[np.float64]:
    """Convert a position or lengths from the world of a layer to that of the viewer."""
    return _scaled(world, factors(layer.units, viewer.dims.units))


def from_viewer(viewer: Any, layer: Any, world: Sequence[float]) -> NDArray[np.float64]:
    """Convert a position from the world of the viewer to that of a layer."""
    return _scaled(world, factors(viewer.dims.units, layer.units))


def _scaled(world: Sequence[float], by: NDArray[np.float64]) -> NDArray[np.float64]:
    scaled = np.array(world, dtype=float)
    n = min(len(by), len(scaled))
    scaled[len(scaled) - n :] *= by[len(by) - n :]
    return scaled


def _factor(unit: str, other: str) -> float:
    source, target = unit_of_length(unit), unit_of_length(other)
    if source not in NM_PER_UNIT or target not in NM_PER_UNIT:
        return 1.0
    return NM_PER_UNIT[source] / NM_PER_UNIT[target]
