"""Samples around points of a volume, each read on demand, with one rule for centers and border.

The rule is that of the published transmitter classifiers: from a center in nanometers, the patch
begins at *center − size / 2 · voxel*, snapped to the closest voxel.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from napari_quac.data.assumptions import Assumption
from napari_quac.data.dataset import Sample, unique_names
from napari_quac.data.gray_map import GrayMap
from napari_quac.data.image_file import assumed_range, to_unit_range
from napari_quac.data.patches import (
    cut_patch,
    cut_resampled,
    patch_offset,
    reaches_out,
    resampled_box,
    resampled_start,
    z_order,
)
from napari_quac.data.place import Place, Transform, grouped_digits
from napari_quac.data.volume import Volume
from napari_quac.errors import DataError, ShapeError

Outside = Literal["pad", "skip"]
SAME_SIZE = 0.02
"""Voxel sizes that differ by less, relatively, count as equal."""


class VolumePoints:
    """Patches of a volume around points, with labels or without.

    Points outside of the volume give no samples; ``n_outside`` counts them.

    Parameters
    ----------
    volume : Volume
        Source of the voxels; only those of a patch are read.
    centers_world : (N, D) array
        Positions in world units, along the axes of the volume.
    size : sequence of int
        Voxels of a patch along each axis. ``(1, 128, 128)`` gives images of 128 × 128.
    labels : sequence of int or None, optional
        Class of each point.
    classes : tuple of str
        Class names by label.
    ids : sequence of str, optional
        Name of each point; by default its number. Repeated names receive the endings ``#2`` and so
        on, because results refer to samples by name.
    value_range : (low, high), optional
        Stored values that become 0 and 1; by default 8 bits are divided by 255 and floats
        are unchanged.
    voxel_size : sequence of float, optional
        World units per voxel along the last axes in the training of the network. It determines
        the level of a multi-resolution volume.
    resample : bool
        Resample patches to exactly that voxel size, by linear interpolation.
    outside : "pad" or "skip"
        Patches that extend beyond the volume: pad them with stored 0 (before values are
        scaled), or skip them.
    name : str, optional
        Display name.

    Attributes
    ----------
    rows : (n,) ndarray of int
        Index of the point of each sample.
    n_outside, n_skipped : int
        Points outside of the volume, and points skipped because their patch extends beyond it.
    level : Level
        The level that is read.
    groups : tuple of str
        Neuron or other group of each point; empty if they are unknown.
    gray_map : GrayMap or None
        Mapping of the scaled values, such as to those of the training images; None by default. The
        padding of patches that extend beyond the volume is not mapped.
    further_assumptions : tuple of Assumption
        About the table of the points, and values that were chosen for the user; empty by default.

    Raises
    ------
    DataError
        If no point lies inside, or the numbers of labels and points differ.
    ShapeError
        If points or patch and volume differ in the number of axes.
    """

    def __init__(
        self,
        volume: Volume,
        centers_world: ArrayLike,
        size: Sequence[int],
        labels: Sequence[int | None] | None = None,
        classes: tuple[str, ...] = (),
        ids: Sequence[str] | None = None,
        value_range: tuple[float, float] | None = None,
        voxel_size: Sequence[float] | None = None,
        resample: bool = False,
        outside: Outside = "pad",
        name: str = "",
    ) -> None:
        centers = np.asarray(centers_world, dtype=np.float64)
        _check_axes(volume, centers, size)
        for attribute, values in (("labels", labels), ("ids", ids)):
            if values is not None and len(values) != len(centers):
                raise DataError(
                    f"{len(centers)} points have {len(values)} {attribute}. Pass one for each."
                )
        if resample and voxel_size is None:
            raise DataError(
                "Resampling needs the voxel size of the training. Enter it, or turn Resample off."
            )
        self.volume, self.classes, self.value_range = volume, classes, value_range
        self.name = name or f"points in {volume.name}"
        self.groups: tuple[str, ...] = ()
        self.gray_map: GrayMap | None = None
        self.further_assumptions: tuple[Assumption, ...] = ()
        self.size = tuple(int(n) for n in size)
        self.level = volume.level_for(voxel_size)
        self.voxel_size = tuple(float(v) for v in voxel_size) if voxel_size is not None else None
        self.step = self._step() if resample else None
        self._centers, self._labels = centers, labels
        self._ids = unique_names(ids) if ids is not None else None
        inside = volume.is_inside(volume.finest.transform.to_voxel(centers))
        keep = inside.copy()
        if outside == "skip":
            voxels = self.level.transform.to_voxel(centers)
            keep &= ~reaches_out(*self._box(voxels), self.level.shape)
        self.rows = np.flatnonzero(keep)
        self.n_points = len(centers)
        self.n_outside = int((~inside).sum())
        self.n_skipped = int((inside & ~keep).sum())
        if not len(self.rows):
            raise DataError(self._why_none())
        self._index_rows()

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def assumptions(self) -> tuple[Assumption, ...]:
        """Assumptions about the volume, its values and the coordinates."""
        assumed = assumed_range(self.level.dtype) if self.value_range is None else ()
        return (*self.volume.assumptions, *assumed, *self.further_assumptions)

    def __getitem__(self, index: int) -> Sample:
        name = self.sample_id(index)
        values, outside, offset, placed = self._cut(index)
        image = self._scaled(values, outside, name)
        if self.gray_map is not None:
            padding = image[:, outside] if outside is not None else None
            image = self.gray_map.apply(image)
            if padding is not None:
                image[:, outside] = padding
        n_hidden = _n_hidden(self.size)
        image = np.ascontiguousarray(image.reshape((len(image), *self.size[n_hidden:])))
        return Sample(
            id=name,
            image=torch.from_numpy(image),
            label=self.label(index),
            scale=placed.voxel_size()[n_hidden:],
            translate=tuple(placed.to_world((0,) * placed.ndim).tolist())[n_hidden:],
            unit=self.volume.unit,
            path=self.volume.path,
            place=Place(
                placed,
                self.size,
                tuple(offset.tolist()),
                self.center_world(index),
                level=self.volume.level_number(self.level),
                metadata_sha256=self.volume.metadata_sha256,
                gray_map=self.gray_map.nodes if self.gray_map is not None else (),
            ),
        )

    def stored_patch(self, index: int) -> NDArray[Any]:
        """Return the numbers of a patch as they are stored; (C, *size)."""
        return self._cut(index)[0]

    def _cut(
        self, index: int
    ) -> tuple[NDArray[Any], NDArray[np.bool_] | None, NDArray[np.int64], Transform]:
        """Return stored numbers, pixels outside of the volume, first voxel, and place."""
        transform = self.level.transform
        center = transform.to_voxel(self._centers[int(self.rows[index])])
        if self.step is None:
            offset = patch_offset(center, self.size)
            values, outside = cut_patch(self.level, offset.tolist(), self.size)
            return values, outside, offset, transform.at(offset.tolist())
        start = resampled_start(center.tolist(), self.size, self.step)
        values, outside = cut_resampled(self.level, center.tolist(), self.size, self.step)
        placed = transform.at(start.tolist(), self.step)
        return values, outside, np.floor(start).astype(np.int64), placed

    def sample_id(self, index: int) -> str:
        """Return the id of a point, or its number, counted from 0."""
        row = int(self.rows[index])
        return str(self._ids[row]) if self._ids is not None else f"point {row}"

    def label(self, index: int) -> int | None:
        """Return the label of a point."""
        return self._labels[int(self.rows[index])] if self._labels is not None else None

    def group(self, index: int) -> str:
        """Return the group of a sample, such as its neuron; empty if it is unknown."""
        return self.groups[int(self.rows[index])] if self.groups else ""

    def center_world(self, index: int) -> tuple[float, ...]:
        """Return the world position of a sample's point."""
        return tuple(self._centers[int(self.rows[index])].tolist())

    def centers_world(self) -> NDArray[np.float64]:
        """Return the world positions of the points of all samples; (n, D)."""
        return np.asarray(self._centers[self.rows])

    def index_of(self, row: int) -> int | None:
        """Return the index of the sample of a point; None if there is none."""
        index = int(self._order[row]) if 0 <= row < len(self._order) else -1
        return index if index >= 0 else None

    def whole_patches(self) -> NDArray[np.int64]:
        """Return the indices of samples whose patch lies inside of the volume."""
        voxels = self.level.transform.to_voxel(self._centers[self.rows])
        return np.flatnonzero(~reaches_out(*self._box(voxels), self.level.shape))

    def size_mismatch(self) -> str:
        """Return a warning if the voxel sizes of volume and network differ, else ``""``.

        Resampling is never automatic.
        """
        if self.voxel_size is None or self.step is not None:
            return ""
        sizes = self.level.transform.voxel_size()[-len(self.voxel_size) :]
        ratios = [a / b for a, b in zip(sizes, self.voxel_size, strict=True)]
        if all(abs(np.log(ratio)) < SAME_SIZE for ratio in ratios):
            return ""
        unit = self.volume.unit or "units"
        return (
            f"The voxels have {_sizes(sizes)} {unit}, but the network was trained with "
            f"{_sizes(self.voxel_size)} {unit}. Turn on Resample, or correct the size."
        )

    @property
    def can_prefetch(self) -> bool:
        """True if the volume lies on another machine."""
        return self.level.block_shape() is not None

    def prefetch(self, indices: Sequence[int]) -> Callable[[], None]:
        """Request patches; see :class:`~napari_quac.data.dataset.Prefetching`."""
        cancels = []
        for index in indices:
            center = self.level.transform.to_voxel(self._centers[int(self.rows[index])])
            if self.step is None:
                first, size = patch_offset(center, self.size), np.asarray(self.size)
            else:
                first, size = resampled_box(center.tolist(), self.size, self.step)
            start, stop = (np.clip(edge, 0, self.level.shape) for edge in (first, first + size))
            if (stop > start).all():
                cancels.append(self.level.prefetch(start.tolist(), stop.tolist()))

        def cancel() -> None:
            for function in cancels:
                function()

        return cancel

    def reading_order(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """Sort samples of remote volumes so that those of one block follow each other."""
        blocks = self.level.block_shape()
        if blocks is None:
            return indices
        voxels = self.level.transform.to_voxel(self._centers[self.rows[indices]])
        numbers = np.maximum(np.asarray(voxels) // np.asarray(blocks), 0).astype(np.uint64)
        return indices[np.argsort(z_order(numbers), kind="stable")]

    def take(self, indices: Sequence[int]) -> VolumePoints:
        """Return a dataset of some of the samples, in that order."""
        part = object.__new__(VolumePoints)
        part.__dict__.update(self.__dict__)
        part.rows = self.rows[np.asarray(indices, dtype=np.int64)]
        part._index_rows()
        return part

    def _index_rows(self) -> None:
        self._order = np.full(len(self._centers), -1, dtype=np.int64)
        self._order[self.rows] = np.arange(len(self.rows))

    def _step(self) -> tuple[float, ...]:
        """Return voxels of the level per voxel of the network, along all axes."""
        target, sizes = self.voxel_size or (), self.level.transform.voxel_size()
        n_other = len(sizes) - len(target)
        steps = (new / old for new, old in zip(target, sizes[n_other:], strict=True))
        return (1.0,) * n_other + tuple(steps)

    def _box(self, voxels: NDArray[np.float64]) -> tuple[NDArray[np.int64], tuple[int, ...]]:
        """Return first voxels and size of the box that is read for each position."""
        if self.step is None:
            return patch_offset(voxels, self.size), self.size
        size = tuple(round(n * k) for n, k in zip(self.size, self.step, strict=True))
        return patch_offset(voxels, size), size

    def _scaled(
        self, values: NDArray[Any], outside: NDArray[np.bool_] | None, name: str
    ) -> NDArray[np.float32]:
        stored = self.level.dtype
        value_range = self.value_range
        if value_range is None and self.step is not None and stored == np.uint8:
            value_range = (0.0, 255.0)
        if outside is None or value_range is None:
            return to_unit_range(values, value_range, name)
        # the padding of stored 0 may lie below the range without any error in the image
        low, high = value_range
        inside = values.astype(np.float64)
        inside[:, outside] = low
        image = to_unit_range(inside, value_range, name)
        image[:, outside] = np.float32(np.clip((0.0 - low) / (high - low), 0, 1))
        return image

    def _why_none(self) -> str:
        if not self.n_points:
            return "There are no points. Add some, or import a table."
        n_points = grouped_digits(self.n_points)
        if self.n_skipped:
            return (
                f"{self.n_points - self.n_outside} of {n_points} points lie inside, but all their "
                f"patches of {_sizes(self.size)} voxels extend beyond it. Choose a smaller size."
            )
        volume = f"'{self.volume.name}' ({_sizes(self.volume.finest.shape)} voxels)"
        return f"0 of {n_points} inside of {volume}. Check unit and axis order."


def _n_hidden(size: Sequence[int]) -> int:
    """Return the number of leading axes of one voxel, without the last two axes."""
    n_hidden = 0
    while n_hidden < len(size) - 2 and size[n_hidden] == 1:
        n_hidden += 1
    return n_hidden


def _check_axes(volume: Volume, centers: NDArray[np.float64], size: Sequence[int]) -> None:
    if centers.ndim != 2 or centers.shape[1] != volume.ndim:
        n_coordinates = centers.shape[1] if centers.ndim == 2 else 0
        raise ShapeError(
            f"The points have {n_coordinates} coordinates each, the volume {volume.ndim} axes."
        )
    if len(size) != volume.ndim or min(size) < 1:
        raise ShapeError(
            f"A patch of {_sizes(size)} does not fit {volume.ndim} axes with at least 1 voxel each."
        )
    if not np.isfinite(centers).all():
        n_invalid = int((~np.isfinite(centers).all(axis=1)).sum())
        raise DataError(f"{n_invalid} points have a coordinate that is not finite. Remove them.")


def _sizes(values: Sequence[float]) -> str:
    return " × ".join(f"{size:g}" for size in values)
