"""Positions and labels converted between the worlds of layers and of the viewer.

The world of a layer has the unit of the layer. The world of the viewer, with slice, camera and
mouse, has a common unit of all layers: nanometers for layers in nanometers and micrometers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_quac.data.place import NM_PER_UNIT, unit_of_length


def load_unit_registry(call: Callable[[Callable[[], None]], None]) -> None:
    """Build the registry of units that the first layer needs, in another thread than the window's.

    pint builds it when it is first used: 0.2 s, in the event that adds the layer. Two threads must
    not build the same one, so a second is built and takes the place of the first if that is unused.

    Parameters
    ----------
    call : callable
        Runs a function in the thread of the window.
    """
    import pint
    from pint.registry import LazyRegistry

    application = pint.get_application_registry()
    if type(application.get()) is not LazyRegistry:
        return
    registry = pint.UnitRegistry(on_redefinition="raise")
    registry.Unit("nanometer")

    def use() -> None:
        if type(application.get()) is LazyRegistry:
            pint.set_application_registry(registry)

    call(use)


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


def fit_view(viewer: Any, layer: Any, share: float = 0.95) -> None:
    """Move camera and zoom so that a layer fills a share of the canvas, or of each panel.

    Napari's ``reset_view(layers=…)`` fails for layers with fewer axes than the viewer.
    """
    low, high = (to_viewer(viewer, layer, corner) for corner in layer.extent.world)
    dims, camera, grid = viewer.dims, viewer.scene.camera, viewer.canvas.grid
    n_shown = min(len(dims.displayed), len(low))
    first = dims.ndim - len(low)
    axes = [axis - first for axis in dims.displayed[-n_shown:] if axis >= first]
    if not axes:
        return
    center = list(camera.center)
    center[-len(axes) :] = [(low[axis] + high[axis]) / 2 for axis in axes]
    sides = np.maximum([abs(high[axis] - low[axis]) for axis in axes[-2:]], 1e-12)
    shape = grid.actual_shape(viewer.layers) if grid.enabled else (1, 1)
    canvas = np.array(viewer.canvas.size, float) / shape
    camera.center = tuple(center)
    camera.zoom = float(share * (canvas[-len(sides) :] / sides).min())


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


Labels = NDArray[np.int64]


def labels_at(
    labels: Any, reference: Any, shape: tuple[int, ...], point: tuple[float, ...]
) -> Callable[[], Labels]:
    """Return a function that reads the label at each pixel of a reference layer.

    Transforms are read immediately; the labels are read later, in any thread.

    Parameters
    ----------
    labels : napari Labels layer
        In memory or lazy, with any transform; of several levels the finest is read.
    reference : napari layer
        Gives the pixels.
    shape : tuple of int
        Spatial shape of the reference, the last axes of its data.
    point : tuple of float
        Position of the viewer's sliders in the world, for axes that the reference does not have.

    Returns
    -------
    read : callable
        Returns (*S) int64; 0 outside of the labels.
    """
    n_axes = len(shape)
    data = labels.data[0] if labels.multiscale else labels.data
    origin = _in_labels(np.zeros(n_axes), labels, reference, point)
    steps = np.stack(
        [_in_labels(unit, labels, reference, point) - origin for unit in np.eye(n_axes)]
    )
    return lambda: _read(data, origin, steps, shape)


def _in_labels(
    pixel: NDArray[np.float64], labels: Any, reference: Any, point: tuple[float, ...]
) -> NDArray[np.float64]:
    """Return where a pixel of the reference lies in the data of the labels."""
    lead = np.zeros(reference.ndim - len(pixel))
    world = np.asarray(reference.data_to_world(np.concatenate([lead, pixel])))
    by = factors(reference.units, labels.units)
    world[len(world) - len(by) :] *= by
    missing = labels.ndim - len(world)
    if missing > 0:
        world = np.concatenate([np.asarray(point[:missing]), world])
    return np.asarray(labels.world_to_data(world[-labels.ndim :]), dtype=np.float64)


def _read(
    data: Any, origin: NDArray[np.float64], steps: NDArray[np.float64], shape: tuple[int, ...]
) -> Labels:
    place = np.tensordot(np.indices(shape, dtype=np.float64), steps, axes=(0, 0)) + origin
    # halves are rounded down, so that two grids half a pixel apart match one to one
    index = np.ceil(np.round(place, 6) - 0.5).astype(np.int64)
    is_inside = ((index >= 0) & (index < data.shape)).all(axis=-1)
    pixel_labels = np.zeros(shape, dtype=np.int64)
    if is_inside.any():
        low, high = index[is_inside].min(axis=0), index[is_inside].max(axis=0) + 1
        part = np.asarray(data[tuple(slice(a, b) for a, b in zip(low, high, strict=True))])
        pixel_labels[is_inside] = part[tuple((index[is_inside] - low).T)]
    return pixel_labels
