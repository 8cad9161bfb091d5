"""A volume that is read where it is asked for, in one or several resolutions."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_quac.data.place import Transform
from napari_quac.errors import DataError, ShapeError


@dataclass(frozen=True, eq=False)
class Level:
    """A volume in one resolution.

    Attributes
    ----------
    array : array-like
        Has ``shape``, ``dtype`` and ``array[slices]``, and reads what is sliced only: NumPy, dask,
        zarr, h5py, :class:`~napari_quac.data.n5.N5Array`, …
    transform : Transform
        From its voxels to the world.
    fixed : tuple of int
        Index into each axis before the spatial ones, such as time and channel.
    rgb : bool
        The last axis is colour.
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
        """Colours of a voxel."""
        return int(self.array.shape[-1]) if self.rgb else 1

    def read(self, start: Sequence[int], stop: Sequence[int]) -> NDArray[Any]:
        """Read a box that lies inside, and nothing else.

        Returns
        -------
        ndarray, (C, *S), as stored

        Raises
        ------
        DataError
            If it cannot be read.
        """
        box = tuple(slice(int(a), int(b)) for a, b in zip(start, stop, strict=True))
        try:
            part = self.array[(*self.fixed, *box)]
            if hasattr(part, "compute"):
                part = part.compute(scheduler="synchronous")
            values = np.asarray(part)
        except (DataError, MemoryError):
            raise
        except Exception as error:
            raise DataError(
                f"Voxels {[f'{s.start}–{s.stop - 1}' for s in box]} of the volume cannot be read "
                f"({error}). Is its file still there, and whole?"
            ) from error
        return np.moveaxis(values, -1, 0) if self.rgb else values[None]


class SpatialView:
    """The spatial axes of a level, or a part of them, as an array that is read when it is needed.

    For a viewer: slicing gives a smaller view, and ``np.asarray`` reads it. A dask array would do
    the same, but plans all chunks of the volume for every slice: seconds where there are millions.

    Parameters
    ----------
    level : Level
        Without colours.
    indices : tuple of range or int, optional
        Which voxels along each axis; an axis with a number is left out.
    on_fault : callable, optional
        Called with the error where voxels cannot be read; they are 0 then. By default it is raised.

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
        """Return a part, by slices and numbers; nothing is read yet."""
        given = iter(key if isinstance(key, tuple) else (key,))
        indices: list[range | int] = []
        for part in self._indices:
            if isinstance(part, int):
                indices.append(part)
                continue
            item = next(given, slice(None))
            indices.append(part[item] if isinstance(item, slice) else part[operator.index(item)])
        if next(given, None) is not None:
            raise IndexError(f"{self.ndim} axes, but more were asked for")
        return SpatialView(self._level, tuple(indices), self._on_fault)

    def strict(self) -> SpatialView:
        """Return the same view, which raises where voxels cannot be read: for all but looking."""
        if self._strict is None:
            self._strict = SpatialView(self._level, self._indices)
        return self._strict

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Read the voxels."""
        start, stop, within = [], [], []
        for part in self._indices:
            chosen = range(part, part + 1) if isinstance(part, int) else part
            start.append(min(chosen, default=0))
            stop.append(max(chosen, default=-1) + 1)
            within.append(0 if isinstance(part, int) else slice(None, None, chosen.step))
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
        World unit of length, such as ``"nm"``; None where nobody said.
    path : Path or None
        Where it is read from.
    n_channels : int
        Channels there, of which this is one.
    """

    levels: tuple[Level, ...]
    name: str
    unit: str | None = None
    path: Path | None = None
    n_channels: int = 1

    def __post_init__(self) -> None:
        if not self.levels or not self.finest.shape or 0 in self.finest.shape:
            raise ShapeError(f"The volume '{self.name}' holds no voxels. Choose another one.")

    @property
    def finest(self) -> Level:
        """The level with the smallest voxels."""
        return self.levels[0]

    @property
    def ndim(self) -> int:
        """Number of spatial axes."""
        return self.finest.transform.ndim

    def level_for(self, voxel_size: Sequence[float] | None) -> Level:
        """Return the level whose voxels are closest in size; which one is on screen has no say.

        Parameters
        ----------
        voxel_size : sequence of float, optional
            World units along the last axes, as many as are given; None for the finest level.
        """
        if voxel_size is None:
            return self.finest
        wanted = np.log(np.asarray(voxel_size, dtype=float))

        def distance(level: Level) -> float:
            sizes = np.log(level.transform.voxel_size()[-len(wanted) :])
            return float(np.abs(sizes - wanted).sum())

        return min(self.levels, key=distance)

    def is_inside(self, voxels: ArrayLike) -> NDArray[np.bool_]:
        """Return whether positions (N, D) in voxels of the finest level lie inside; (N,)."""
        positions = np.asarray(voxels, dtype=float)
        inside = (positions >= -0.5) & (positions < np.asarray(self.finest.shape) - 0.5)
        return np.asarray(inside.all(axis=-1))


def volume_of_array(
    array: Any,
    scale: Sequence[float] | None = None,
    translate: Sequence[float] | None = None,
    unit: str | None = None,
    name: str = "volume",
) -> Volume:
    """Return an array, lazy or not, as a volume.

    Parameters
    ----------
    array : array-like, (*S)
        NumPy, dask, zarr, h5py, …
    scale, translate : sequence of float, optional
        World units per voxel and world position of voxel 0, along each axis.
    unit : str, optional
        World unit of length.
    name : str
        Shown to the user.
    """
    n_axes = len(array.shape)
    transform = Transform(
        tuple(map(float, (1.0,) * n_axes if scale is None else scale)),
        tuple(map(float, (0.0,) * n_axes if translate is None else translate)),
    )
    return Volume((Level(array, transform),), name, unit)
