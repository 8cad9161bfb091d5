"""A labels layer, read at the pixels of another layer, wherever both lie in the world."""

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

    Where things lie is looked up now; what is read, later and in any thread.

    Parameters
    ----------
    labels : napari Labels layer
        In memory or lazy, of any scale and orientation; of several levels the finest is read.
    reference : napari layer
        Whose pixels are meant.
    shape : tuple of int
        Spatial shape of the reference, the last axes of its data.
    point : tuple of float
        Where the viewer's sliders are, in the world; used along axes that the reference does not
        have.

    Returns
    -------
    read : callable
        Returns (*S) int64; 0 where the labels do not reach.
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
    there = ((index >= 0) & (index < data.shape)).all(axis=-1)
    found = np.zeros(shape, dtype=np.int64)
    if there.any():
        low, high = index[there].min(axis=0), index[there].max(axis=0) + 1
        part = np.asarray(data[tuple(slice(a, b) for a, b in zip(low, high, strict=True))])
        found[there] = part[tuple((index[there] - low).T)]
    return found
