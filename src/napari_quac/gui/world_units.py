"""Positions of one layer in the world of another, or of the viewer, where their units differ.

A layer's world has the layer's unit. The viewer's, in which slice, camera and mouse are, has a unit
that fits all of its layers: nanometres where one layer is in nanometres and one in micrometres.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_quac.data.place import NM_PER_UNIT, unit_of_length


def factors(units: Sequence[Any] | None, to: Sequence[Any] | None) -> NDArray[np.float64]:
    """Return what lengths along the last axes are multiplied by, as many as both have.

    Parameters
    ----------
    units, to : sequence of units
        As ``layer.units`` or ``viewer.dims.units`` give them. An axis of which one is no length,
        such as pixels or seconds, keeps its numbers. None, as the viewer has it where layers do
        not go together, gives no factors.
    """
    if units is None or to is None:
        return np.ones(0)
    n = min(len(units), len(to))
    pairs = zip(list(units)[-n:], list(to)[-n:], strict=True)
    return np.array([_factor(str(own), str(other)) for own, other in pairs])


def to_viewer(viewer: Any, layer: Any, world: Sequence[float]) -> NDArray[np.float64]:
    """Return a position, or lengths, of a layer's world in that of the viewer."""
    return _scaled(world, factors(layer.units, viewer.dims.units))


def from_viewer(viewer: Any, layer: Any, world: Sequence[float]) -> NDArray[np.float64]:
    """Return a position in the viewer's world in that of a layer."""
    return _scaled(world, factors(viewer.dims.units, layer.units))


def _scaled(world: Sequence[float], by: NDArray[np.float64]) -> NDArray[np.float64]:
    scaled = np.array(world, dtype=float)
    n = min(len(by), len(scaled))
    scaled[len(scaled) - n :] *= by[len(by) - n :]
    return scaled


def _factor(unit: str, other: str) -> float:
    own, wanted = unit_of_length(unit), unit_of_length(other)
    if own not in NM_PER_UNIT or wanted not in NM_PER_UNIT:
        return 1.0
    return NM_PER_UNIT[own] / NM_PER_UNIT[wanted]
