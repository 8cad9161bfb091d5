"""Volumes that are read on demand, in one or several resolutions."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_quac.data.assumptions import Assumption
from napari_quac.data.dataset import nothing_to_cancel
from napari_quac.data.image_array import drop_opaque_alpha
from napari_quac.data.place import Transform
from napari_quac.data.remote.address import Address
from napari_quac.errors import DataError, QuacError, ShapeError, is_out_of_memory, one_line


@dataclass(frozen=True, eq=False)
class Level:
    """A volume in one resolution.

    Attributes
    ----------
    array : array-like
        Has ``shape``, ``dtype`` and ``array[slices]``, which reads only the slices: NumPy, dask,
        zarr, h5py, :class:`~napari_quac.data.n5.N5Array`, …
    transform : Transform
        From its voxels to the world.
    fixed : tuple of int
        Index into each axis before the spatial ones, such as time and channel.
    rgb : bool
        True if the last axis is color.
    """

    array: Any
    transform: Transform
    fixed: tuple[int, ...] = ()
    rgb: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Voxels along the spatial axes."""
        first = len(self.fixed)
        return tuple(int(n) for n in self.array.shape[first : first + self.transform.ndim])

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the numbers."""
        dtype: np.dtype[Any] = np.dtype(self.array.dtype)
        return dtype

    @property
    def channels(self) -> int:
        """Number of colors of a voxel, without alpha."""
        return min(3, int(self.array.shape[-1])) if self.rgb else 1

    def prefetch(self, start: Sequence[int], stop: Sequence[int]) -> Callable[[], None]:
        """Request a box of a remote volume, which :meth:`read` waits for; return a cancel function.

        Other volumes are read when they are needed.
        """
        request = getattr(self.array, "prefetch", None)
        cancel: Callable[[], None] = (
            request(self._key(start, stop)) if request else nothing_to_cancel
        )
        return cancel

    def block_shape(self) -> tuple[int, ...] | None:
        """Return the voxels of a block of a remote volume; None for other volumes."""
        if not hasattr(self.array, "prefetch"):
            return None
        first = len(self.fixed)
        return tuple(int(n) for n in self.array.chunks[first : first + self.transform.ndim])

    def _key(self, start: Sequence[int], stop: Sequence[int]) -> tuple[Any, ...]:
        box = tuple(slice(int(a), int(b)) for a, b in zip(start, stop, strict=True))
        return (*self.fixed, *box)

    def read(self, start: Sequence[int], stop: Sequence[int]) -> NDArray[Any]:
        """Read a box inside of the volume.

        Returns
        -------
        ndarray, (C, *S), as stored

        Raises
        ------
        DataError
            If it cannot be read.
        """
        try:
            part = self.array[self._key(start, stop)]
            if hasattr(part, "compute"):
                part = part.compute(scheduler="synchronous")
            values = np.asarray(part)
        except QuacError:
            raise
        except Exception as error:
            reason = one_line(error)
            if is_out_of_memory(error):
                reason = "they, or the sizes that the file states, do not fit into memory"
            raise DataError(
                f"Voxels {start} to {stop} cannot be read ({reason}). Check that the file "
                "exists and is complete."
            ) from error
        if not self.rgb:
            return values[None]
        colors = np.moveaxis(values, -1, 0)
        if len(colors) < 4:
            return colors
        opaque = 1.0 if colors.dtype.kind == "f" else np.iinfo(colors.dtype).max
        return drop_opaque_alpha(colors, opaque, f"Voxels {start} to {stop}", "RGBA")


class SpatialView:
    """The spatial axes of a level, or a part of them, as an array that is read on demand.

    For a viewer: slicing gives a smaller view, and ``np.asarray`` reads it. A dask array would do
    the same, but plans all chunks of the volume for every slice: seconds where there are millions.

    Parameters
    ----------
    level : Level
        A level without colors.
    indices : tuple of range or int, optional
        Voxels along each axis; an axis with a number is dropped.
    on_fault : callable, optional
        Receives the error if voxels cannot be read, which are then 0. By default it is raised.

    Attributes
    ----------
    shape : tuple of int
    dtype : numpy dtype
    """

    def __init__(
        self,
        level: Level,
        indices: tuple[range | int, ...] | None = None,
        on_fault: Callable[[DataError], None] | None = None,
    ) -> None:
        self._level, self._on_fault = level, on_fault
        self._strict: SpatialView | None = self if on_fault is None else None
        self._indices = tuple(map(range, level.shape)) if indices is None else indices
        self.shape = tuple(len(part) for part in self._indices if isinstance(part, range))
        self.dtype, self.ndim, self.size = level.dtype, len(self.shape), math.prod(self.shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> SpatialView:
        """Return a part, by slices and numbers, without reading it."""
        keys = iter(key if isinstance(key, tuple) else (key,))
        indices: list[range | int] = []
        for part in self._indices:
            if isinstance(part, int):
                indices.append(part)
                continue
            key = next(keys, slice(None))
            indices.append(part[key] if isinstance(key, slice) else part[operator.index(key)])
        if next(keys, None) is not None:
            raise IndexError(f"The view has {self.ndim} axes, but the index has more.")
        return SpatialView(self._level, tuple(indices), self._on_fault)

    def strict(self) -> SpatialView:
        """Return the view that raises errors of reading, for computations."""
        if self._strict is None:
            self._strict = SpatialView(self._level, self._indices)
        return self._strict

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Read the voxels."""
        start, stop, within = [], [], []
        for part in self._indices:
            voxels = range(part, part + 1) if isinstance(part, int) else part
            start.append(min(voxels, default=0))
            stop.append(max(voxels, default=-1) + 1)
            within.append(0 if isinstance(part, int) else slice(None, None, voxels.step))
        try:
            values = self._level.read(start, stop)[0][tuple(within)]
        except DataError as error:
            if self._on_fault is None:
                raise
            self._on_fault(error)
            values = np.zeros(self.shape, self.dtype)
        return np.asarray(values, dtype=dtype)


@dataclass(frozen=True, eq=False)
class Volume:
    """An image volume, in memory or not, with its place in the world.

    Attributes
    ----------
    levels : tuple of Level
        From the finest to the coarsest.
    name : str
        Shown to the user.
    unit : str or None
        World unit of length, such as ``"nm"``; None if unknown.
    path : Path or Address or None
        File or folder of the volume, or its address on another machine.
    n_channels : int
        Channels of the file, of which this is one.
    assumptions : tuple of Assumption
        About axes, voxel size and values.
    metadata_sha256 : str
        SHA-256 of the description of a volume on another machine; empty for files.
    """

    levels: tuple[Level, ...]
    name: str
    unit: str | None = None
    path: Path | Address | None = None
    n_channels: int = 1
    assumptions: tuple[Assumption, ...] = ()
    metadata_sha256: str = ""

    def __post_init__(self) -> None:
        if not self.levels or not self.finest.shape or 0 in self.finest.shape:
            raise ShapeError(f"The volume '{self.name}' has no voxels. Choose another one.")

    @property
    def finest(self) -> Level:
        """The level with the smallest voxels."""
        return self.levels[0]

    @property
    def ndim(self) -> int:
        """Number of spatial axes."""
        return self.finest.transform.ndim

    def level_number(self, level: Level) -> int:
        """Return the place of one of the levels, 0 for the finest."""
        return next(number for number, entry in enumerate(self.levels) if entry is level)

    def level_for(self, voxel_size: Sequence[float] | None) -> Level:
        """Return the level whose voxels are closest in size, whatever the viewer shows.

        Parameters
        ----------
        voxel_size : sequence of float, optional
            World units along the last axes; None for the finest level.
        """
        if voxel_size is None:
            return self.finest
        target = np.log(np.asarray(voxel_size, dtype=float))

        def distance(level: Level) -> float:
            sizes = np.log(level.transform.voxel_size()[-len(target) :])
            return float(np.abs(sizes - target).sum())

        return min(self.levels, key=distance)

    def is_inside(self, voxels: ArrayLike) -> NDArray[np.bool_]:
        """Return whether positions (N, D) in voxels of the finest level lie inside; (N,)."""
        positions = np.asarray(voxels, dtype=float)
        inside = (positions >= -0.5) & (positions < np.asarray(self.finest.shape) - 0.5)
        return np.asarray(inside.all(axis=-1))


def check_channel(channel: int, n_channels: int, name: str) -> None:
    """Refuse the index of a channel that does not exist.

    Raises
    ------
    DataError
    """
    if not 0 <= channel < n_channels:
        raise DataError(
            f"'{name}' has no channel {channel}. Choose one from 0 to {n_channels - 1}."
            if n_channels > 1
            else f"'{name}' has a single channel, so there is no channel {channel}. Choose 0."
        )
