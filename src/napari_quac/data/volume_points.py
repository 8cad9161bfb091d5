"""Samples around points of a volume, each read when it is asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from napari_quac.data.image_file import to_unit_range
from napari_quac.data.patch import (
    cut_patch,
    cut_resampled,
    patch_offset,
    reaches_out,
    resampled_start,
)
from napari_quac.data.place import Place
from napari_quac.data.sample import Sample
from napari_quac.data.volume import Volume
from napari_quac.errors import DataError, ShapeError

Outside = Literal["pad", "skip"]
SAME_SIZE = 0.02
"""Voxel sizes that differ by less, relatively, count as equal."""


class VolumePoints:
    """Patches of a volume around points, with labels or without.

    Points whose centre lies outside of the volume are no samples; ``n_outside`` counts them.

    Parameters
    ----------
    volume : Volume
        Where the voxels come from; only those of a patch are read.
    centers_world : (N, D) array
        Positions in world units, along the axes of the volume.
    size : sequence of int
        Voxels of a patch along each axis. ``(1, 128, 128)`` gives images of 128 × 128.
    labels : sequence of int or None, optional
        Class of each point.
    classes : tuple of str
        Class names by label.
    ids : sequence of str, optional
        Name of each point; by default its number. One that occurs again is followed by ``#2`` and
        so on: what is kept of samples is found by their names.
    value_range : (low, high), optional
        Stored values that become 0 and 1; by default 8 bits are divided by 255 and floats are
        taken as they are.
    voxel_size : sequence of float, optional
        World units per voxel along the last axes for which the network was trained. It chooses the
        level of a multi-resolution volume.
    resample : bool
        Bring patches to exactly that voxel size, by linear interpolation.
    outside : "pad" or "skip"
        Patches that reach beyond the volume: fill them up with stored 0 (before values are
        scaled), or leave them out.
    name : str, optional
        Shown to the user.

    Attributes
    ----------
    rows : (n,) ndarray of int
        For each sample, the point it was made from.
    n_outside, n_skipped : int
        Points outside of the volume, and left out because their patch reaches beyond it.
    level : Level
        The one that is read.

    Raises
    ------
    DataError
        If no point lies inside, or labels and points differ in number.
    ShapeError
        If points or patch have another number of axes than the volume.
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
        for what, values in (("labels", labels), ("ids", ids)):
            if values is not None and len(values) != len(centers):
                raise DataError(f"{len(centers)} points, but {len(values)} {what}.")
        if resample and voxel_size is None:
            raise DataError("To resample, give the voxel size for which the network was trained.")
        self.volume, self.classes, self.value_range = volume, classes, value_range
        self.name = name or f"points in {volume.name}"
        self.size = tuple(int(n) for n in size)
        self.level = volume.level_for(voxel_size)
        self.voxel_size = tuple(float(v) for v in voxel_size) if voxel_size is not None else None
        self.step = self._step() if resample else None
        self._centers, self._labels = centers, labels
        self._ids = _told_apart(ids) if ids is not None else None
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
        self._order = np.full(len(centers), -1, dtype=np.int64)
        self._order[self.rows] = np.arange(len(self.rows))

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Sample:
        row = int(self.rows[index])
        transform = self.level.transform
        center = transform.to_voxel(self._centers[row])
        name = self.sample_id(index)
        if self.step is None:
            offset = patch_offset(center, self.size)
            values, outside = cut_patch(self.level, offset.tolist(), self.size)
            placed = transform.at(offset.tolist())
        else:
            start = resampled_start(center.tolist(), self.size, self.step)
            values, outside = cut_resampled(self.level, center.tolist(), self.size, self.step)
            offset = np.floor(start).astype(np.int64)
            placed = transform.at(start.tolist(), self.step)
        image = self._scaled(values, outside, name)
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
                placed, self.size, tuple(offset.tolist()), tuple(self._centers[row].tolist())
            ),
        )

    def sample_id(self, index: int) -> str:
        """Return the id of a point, or its number, counted from 0."""
        row = int(self.rows[index])
        return str(self._ids[row]) if self._ids is not None else f"point {row}"

    def label(self, index: int) -> int | None:
        """Return the label of a point."""
        return self._labels[int(self.rows[index])] if self._labels is not None else None

    def center_world(self, index: int) -> tuple[float, ...]:
        """Return where a sample's point lies."""
        return tuple(self._centers[int(self.rows[index])].tolist())

    def index_of(self, row: int) -> int | None:
        """Return the sample that was made from a point; None if there is none."""
        index = int(self._order[row]) if 0 <= row < len(self._order) else -1
        return index if index >= 0 else None

    def size_mismatch(self) -> str:
        """Return a sentence where voxels are of another size than the network wants, else ``""``.

        Nothing is resampled without being asked for.
        """
        if self.voxel_size is None or self.step is not None:
            return ""
        have = self.level.transform.voxel_size()[-len(self.voxel_size) :]
        ratios = [h / w for h, w in zip(have, self.voxel_size, strict=True)]
        if all(abs(np.log(ratio)) < SAME_SIZE for ratio in ratios):
            return ""
        unit = self.volume.unit or "units"
        return (
            f"The voxels are {_sizes(have)} {unit}, the network was trained for "
            f"{_sizes(self.voxel_size)} {unit}. Tick Resample, or give the right size."
        )

    def take(self, indices: Sequence[int]) -> VolumePoints:
        """Return a dataset of some of the samples, in that order."""
        part = object.__new__(VolumePoints)
        part.__dict__.update(self.__dict__)
        part.rows = self.rows[np.asarray(indices, dtype=np.int64)]
        part._order = np.full(len(self._centers), -1, dtype=np.int64)
        part._order[part.rows] = np.arange(len(part.rows))
        return part

    def _step(self) -> tuple[float, ...]:
        """Return voxels of the level per voxel of the network, along all axes."""
        wanted, have = self.voxel_size or (), self.level.transform.voxel_size()
        more = len(have) - len(wanted)
        return (1.0,) * more + tuple(w / h for w, h in zip(wanted, have[more:], strict=True))

    def _box(self, voxels: NDArray[np.float64]) -> tuple[NDArray[np.int64], tuple[int, ...]]:
        """Return first voxels and size of what is read for each position."""
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
        # stored 0 may lie below the range, which is no fault of the image
        low, high = value_range
        inside = values.astype(np.float64)
        inside[:, outside] = low
        image = to_unit_range(inside, value_range, name)
        image[:, outside] = np.float32(np.clip((0.0 - low) / (high - low), 0, 1))
        return image

    def _why_none(self) -> str:
        n = f"{self.n_points:,}".replace(",", " ")
        if not self.n_points:
            return "There are no points. Add some, or import a table."
        if self.n_skipped:
            return (
                f"Of {n} points, {self.n_points - self.n_outside} lie inside of "
                f"'{self.volume.name}', but all their patches of {_sizes(self.size)} voxels reach "
                "beyond it. Take smaller patches, or fill them up with 0."
            )
        shape = _sizes(self.volume.finest.shape)
        return (
            f"0 of {n} inside of '{self.volume.name}' ({shape} voxels). Check unit and order of "
            "the coordinates."
        )


def _told_apart(ids: Sequence[str]) -> list[str]:
    """Return names of which none occurs twice; an empty one becomes the number of its point."""
    names = [str(name) or f"point {row}" for row, name in enumerate(ids)]
    if len(set(names)) == len(names):
        return names
    used, seen = set(names), Counter[str]()
    for row, name in enumerate(names):
        seen[name] += 1
        if seen[name] > 1:
            while f"{name} #{seen[name]}" in used:
                seen[name] += 1
            names[row] = f"{name} #{seen[name]}"
            used.add(names[row])
    return names


def _n_hidden(size: Sequence[int]) -> int:
    """Return how many first axes an image does not show: those of one voxel, but the last two."""
    n_hidden = 0
    while n_hidden < len(size) - 2 and size[n_hidden] == 1:
        n_hidden += 1
    return n_hidden


def _check_axes(volume: Volume, centers: NDArray[np.float64], size: Sequence[int]) -> None:
    if centers.ndim != 2 or centers.shape[1] != volume.ndim:
        found = centers.shape[1] if centers.ndim == 2 else 0
        raise ShapeError(
            f"The points have {found} coordinates each, the volume '{volume.name}' has "
            f"{volume.ndim} axes. Choose points that were made on this volume."
        )
    if len(size) != volume.ndim or min(size) < 1:
        raise ShapeError(
            f"A patch of {_sizes(size)} voxels does not fit to a volume of {volume.ndim} axes; "
            "give one size of at least 1 for each."
        )
    if not np.isfinite(centers).all():
        bad = int((~np.isfinite(centers).all(axis=1)).sum())
        raise DataError(f"{bad} points have a coordinate that is no number. Remove them.")


def _sizes(values: Sequence[float]) -> str:
    return " × ".join(f"{value:g}" for value in values)
