"""Labels of a layer at the pixels of another layer, by their positions in the world."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_quac.gui.world_units import factors

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
