"""Patches of a volume: one rule for their first voxel, reading at the border, and resampling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_quac.data.volume import Level

TIE = 1e-6
"""Voxels; centers this close to halfway between two voxels count as halfway."""


def patch_offset(center_voxel: ArrayLike, size: Sequence[int]) -> NDArray[np.int64]:
    """Return the first voxel of a patch around a center.

    The voxel closest to the center becomes number ``size // 2`` of the patch along each axis, the
    higher one halfway between two voxels. For even sizes that is *center − size / 2*, snapped to
    the closest voxel.

    Parameters
    ----------
    center_voxel : (…, D) array
        Position in voxels, where the center of voxel k is k.
    size : sequence of int
        Voxels of the patch along each axis.

    Returns
    -------
    offset : (…, D) ndarray, int64

    Notes
    -----
    An odd size has its middle in a voxel, and *center − size / 2* would lie halfway between two
    voxels for every center that is a whole number: the smallest rounding error of a table would
    then move the patch. Half the size is therefore rounded to whole voxels.

    Examples
    --------
    >>> patch_offset([7.0, 100.0, 100.0], (1, 128, 127)).tolist()
    [7, 36, 37]
    >>> patch_offset([2.5, 99.6], (4, 5)).tolist()
    [1, 98]
    """
    nearest = np.floor(np.asarray(center_voxel, dtype=float) + 0.5 + TIE)
    return np.asarray(nearest.astype(np.int64) - np.asarray(size, dtype=np.int64) // 2)


def reaches_out(offset: ArrayLike, size: Sequence[int], shape: Sequence[int]) -> NDArray[np.bool_]:
    """Tell which patches (…, D) extend beyond a volume; (…)."""
    first = np.asarray(offset)
    out = (first < 0) | (first + np.asarray(size) > np.asarray(shape))
    return np.asarray(out.any(axis=-1))


def cut_patch(
    level: Level, offset: Sequence[int], size: Sequence[int]
) -> tuple[NDArray[Any], NDArray[np.bool_] | None]:
    """Read a patch, with zeros outside of the volume.

    Parameters
    ----------
    level : Level
        Only the voxels of the patch are read.
    offset : sequence of int
        First voxel along each axis; may be negative.
    size : sequence of int
        Voxels along each axis.

    Returns
    -------
    values : (C, *size) ndarray
        Stored numbers.
    outside : (*size) ndarray of bool, or None
        Pixels outside of the volume; None if the patch lies inside.
    """
    first, shape = np.asarray(offset), np.asarray(level.shape)
    last = first + np.asarray(size)
    start, stop = np.clip(first, 0, shape), np.clip(last, 0, shape)
    if np.array_equal(start, first) and np.array_equal(stop, last):
        return level.read(first.tolist(), last.tolist()), None
    values = np.zeros((level.channels, *size), dtype=level.dtype)
    outside = np.ones(tuple(size), dtype=bool)
    if (stop > start).all():
        box = tuple(slice(a, b) for a, b in zip(start - first, stop - first, strict=True))
        values[(slice(None), *box)] = level.read(start.tolist(), stop.tolist())
        outside[box] = False
    return values, outside


def cut_resampled(
    level: Level, center_voxel: Sequence[float], size: Sequence[int], step: Sequence[float]
) -> tuple[NDArray[np.float64], NDArray[np.bool_] | None]:
    """Read a patch with another voxel size, interpolated linearly.

    Parameters
    ----------
    level : Level
        Only the required voxels are read.
    center_voxel : sequence of float
        Position of the center, which is snapped as in :func:`patch_offset`.
    size : sequence of int
        Voxels of the patch along each axis.
    step : sequence of float
        Voxels of the volume per voxel of the patch. Above 1, a Gaussian of (step − 1) / 2
        voxels smooths the volume first, against aliasing.

    Returns
    -------
    values : (C, *size) ndarray, float64
    outside : (*size) ndarray of bool, or None
    """
    from scipy.ndimage import gaussian_filter, map_coordinates

    start = resampled_start(center_voxel, size, step)
    first, raw_size = resampled_box(center_voxel, size, step)
    last = first + raw_size
    sigma = _blur(step)
    raw, raw_outside = cut_patch(level, first.tolist(), raw_size.tolist())
    axes = [
        np.clip(s + np.arange(n) * k - f, 0, last_ - f - 1)
        for s, n, k, f, last_ in zip(start, size, step, first, last, strict=True)
    ]
    grid = np.meshgrid(*axes, indexing="ij")
    channels = [channel.astype(np.float64) for channel in raw]
    if sigma.any():
        channels = [gaussian_filter(channel, sigma) for channel in channels]
    planes = [map_coordinates(channel, grid, order=1) for channel in channels]
    outside = None
    if raw_outside is not None:
        outside = map_coordinates(raw_outside.astype(np.float64), grid, order=1) > 0.5
    return np.stack(planes), outside


def resampled_start(
    center_voxel: Sequence[float], size: Sequence[int], step: Sequence[float]
) -> NDArray[np.float64]:
    """Return the position of voxel 0 of a resampled patch, in voxels of the volume."""
    nearest = np.floor(np.asarray(center_voxel, dtype=float) + 0.5 + TIE)
    return np.asarray(nearest - (np.asarray(size) // 2) * np.asarray(step, dtype=float))


def resampled_box(
    center_voxel: Sequence[float], size: Sequence[int], step: Sequence[float]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return first voxel and size of the box of the volume that a resampled patch requires."""
    start = resampled_start(center_voxel, size, step)
    margin = np.ceil(3 * _blur(step)).astype(np.int64)
    end = start + (np.asarray(size) - 1) * np.asarray(step)
    first = np.floor(start + TIE).astype(np.int64) - margin
    last = np.ceil(end - TIE).astype(np.int64) + 1 + margin
    return first, last - first


def _blur(step: Sequence[float]) -> NDArray[np.float64]:
    """Return the standard deviation along each axis, in voxels, against aliasing."""
    return np.asarray(np.maximum((np.asarray(step) - 1) / 2, 0))


def z_order(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return a number for each block (N, D) that is close for neighbors, up to 2²⁰ along an axis.

    The bits of the numbers along all axes alternate (Morton's order).
    """
    n_axes = numbers.shape[1]
    codes = np.zeros(len(numbers), dtype=np.uint64)
    for bit in range(min(20, 64 // n_axes)):
        for axis in range(n_axes):
            digit = (numbers[:, axis] >> np.uint64(bit)) & np.uint64(1)
            codes |= digit << np.uint64(n_axes * bit + n_axes - 1 - axis)
    return codes
