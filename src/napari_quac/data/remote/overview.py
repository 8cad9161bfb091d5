"""Parts of a volume on another machine that a viewer holds in memory: overview and neighborhood."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_quac.data.place import Transform
from napari_quac.data.remote.array import MissingBlocksError
from napari_quac.data.volume import Level, Volume
from napari_quac.stepwise import Progress, stepwise

MAX_BYTES = 256 << 20
NEIGHBORHOOD = (9, 512, 512)
"""Enough around a patch that fills half of the canvas: 81 to 162 requests of blocks of 64³."""


@dataclass(frozen=True, eq=False)
class Part:
    """Voxels in memory with their place.

    Attributes
    ----------
    voxels : (*S) ndarray
        As stored; blocks that are not stored are 0.
    transform : Transform
        From these voxels to the world.
    is_whole : bool
        True if this is all of the volume.
    """

    voxels: NDArray[Any]
    transform: Transform
    is_whole: bool


@stepwise
def read_overview(volume: Volume, max_bytes: int = MAX_BYTES) -> Generator[Progress, None, Part]:
    """Read the coarsest resolution, or its middle if it is larger than allowed.

    Parameters
    ----------
    volume : Volume
        On another machine.
    max_bytes : int
        Most bytes of the result.

    Returns
    -------
    Steps of Part
    """
    level = volume.levels[-1]
    shape = np.array(level.shape)
    size = shape.copy()
    while math.prod(size.tolist()) * level.dtype.itemsize > max_bytes:
        size[int(np.argmax(size))] //= 2
    start = (shape - size) // 2
    voxels = yield from _read_slabs(level, start, size, f"reading an overview of '{volume.name}'")
    is_whole = bool((size == shape).all())
    return Part(voxels, level.transform.at(start.tolist()), is_whole)


@stepwise
def read_neighborhood(
    level: Level, center_world: ArrayLike, shape: Sequence[int] = NEIGHBORHOOD
) -> Generator[Progress, None, Part]:
    """Read the voxels around a point, as far as they lie in the volume.

    Parameters
    ----------
    level : Level
        The resolution that is read.
    center_world : (D,) array
        The point in world units.
    shape : sequence of int
        Most voxels along each of the last axes.

    Returns
    -------
    Steps of Part
    """
    n_axes = level.transform.ndim
    most = np.array([1, 1, 1, *shape][-n_axes:])
    center = np.rint(level.transform.to_voxel(center_world)).astype(np.int64)
    start = np.clip(center - most // 2, 0, level.shape)
    size = np.clip(center - most // 2 + most, 0, level.shape) - start
    voxels = yield from _read_slabs(level, start, size, "reading around the point")
    return Part(voxels, level.transform.at(start.tolist()), bool((size == level.shape).all()))


def _read_slabs(
    level: Level, start: NDArray[np.int64], size: NDArray[np.int64], text: str
) -> Generator[Progress, None, NDArray[Any]]:
    """Read a box in slabs of whole blocks along its first axis."""
    voxels = np.zeros(size.tolist(), level.dtype)
    chunks = getattr(level.array, "chunks", None) or level.array.shape
    depth = max(1, int(chunks[len(level.fixed)]))
    stop = start + size
    edges = [int(start[0]), *range((int(start[0]) // depth + 1) * depth, int(stop[0]), depth)]
    for number, (first, last) in enumerate(zip(edges, [*edges[1:], int(stop[0])], strict=True)):
        yield Progress(number, len(edges), text)
        low, high = [first, *start[1:].tolist()], [last, *stop[1:].tolist()]
        place = slice(first - int(start[0]), last - int(start[0]))
        try:
            voxels[place] = level.read(low, high)[0]
        except MissingBlocksError:
            continue  # stays 0, as the volume's assumptions state
    return voxels
