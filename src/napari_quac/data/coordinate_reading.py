"""Interpretations of coordinates on a volume: axis order and unit, and the points inside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_quac.data.place import NM_PER_UNIT, grouped_digits
from napari_quac.data.tables.column_names import TABLE_UNITS, TableUnit
from napari_quac.data.volume import Volume
from napari_quac.errors import DataError

Order = Literal["z-y-x", "x-y-z"]
ORDERS: tuple[Order, ...] = ("z-y-x", "x-y-z")
VoxelNm = Sequence[float] | None
NEARLY = 0.9
"""Readings with this share of the most points inside are compared by the spread of the points."""


@dataclass(frozen=True)
class Reading:
    """An interpretation of coordinates: axis order and unit.

    Attributes
    ----------
    order : "z-y-x" or "x-y-z"
        Axes of the first, second and third column.
    unit : "voxel", "nm" or "µm"
    """

    order: Order = "z-y-x"
    unit: TableUnit = "voxel"

    def to_world(
        self, values: NDArray[np.float64], volume: Volume, voxel_nm: VoxelNm = None
    ) -> NDArray[np.float64]:
        """Return world positions on a volume.

        Parameters
        ----------
        values : (N, D) ndarray
            Coordinates from the table.
        volume : Volume
            The volume that contains the points.
        voxel_nm : sequence of float, optional
            Nanometers per voxel of a volume without a unit; by default its scale is in
            nanometers.

        Returns
        -------
        world : (N, D) ndarray
        """
        transform = volume.finest.transform
        ordered = values if self.order == "z-y-x" else values[:, ::-1]
        if self.unit == "voxel":
            return transform.to_world(ordered)
        nm = ordered * NM_PER_UNIT[self.unit]
        if volume.unit in NM_PER_UNIT:
            return np.asarray(nm / NM_PER_UNIT[volume.unit])
        if voxel_nm is None:
            return np.asarray(nm)
        return transform.to_world(nm / np.asarray(voxel_nm, dtype=float))


@dataclass(frozen=True)
class CountedReading:
    """A reading with the number of points inside of the volume.

    Attributes
    ----------
    reading : Reading
    n_inside, n_points : int
    spread : float
        Share of the volume in the bounding box of the points inside.
    """

    reading: Reading
    n_inside: int
    n_points: int
    spread: float

    def sentence(self) -> str:
        """Return the counts, such as ``"1 204 of 1 210 inside"``."""
        return f"{grouped_digits(self.n_inside)} of {grouped_digits(self.n_points)} inside"


def count_readings(
    values: NDArray[np.float64], volume: Volume, voxel_nm: VoxelNm = None, named_unit: str = ""
) -> list[CountedReading]:
    """Try all axis orders and units; the one with the most points inside comes first.

    With a unit that is too large, all points lie close together in a corner inside. Readings with
    nearly as many points inside as the best one are therefore ordered by the unit in the column
    names, and by the spread of the points.

    Parameters
    ----------
    values : (N, D) ndarray
        Coordinates from the table.
    volume : Volume
        The volume that contains the points.
    voxel_nm : sequence of float, optional
        See :meth:`Reading.to_world`.
    named_unit : str
        Unit in the column names; empty for none.
    """
    counted = []
    for order, unit in product(ORDERS, TABLE_UNITS):
        reading = Reading(order, unit)
        voxels = volume.finest.transform.to_voxel(reading.to_world(values, volume, voxel_nm))
        inside = volume.is_inside(voxels)
        spread = 0.0
        if inside.any():
            extent = np.ptp(voxels[inside], axis=0) + 1
            spread = float(np.prod(extent / np.asarray(volume.finest.shape)))
        counted.append(CountedReading(reading, int(inside.sum()), len(values), spread))
    most = max(entry.n_inside for entry in counted)

    def fits(entry: CountedReading) -> bool:
        return 0 < entry.n_inside and entry.n_inside >= NEARLY * most

    def by_unit(entry: CountedReading) -> tuple[bool, bool, float]:
        return fits(entry), bool(named_unit) and entry.reading.unit == named_unit, entry.spread

    best = max(counted, key=by_unit)
    named = Reading(ORDERS[0], best.reading.unit)
    as_named = next(entry for entry in counted if entry.reading == named)
    if fits(as_named) and as_named.spread > best.spread / 8:
        best = as_named  # both orders fit a volume of equal sides: the names decide
    rest = [entry for entry in counted if entry is not best]
    return [best, *sorted(rest, key=lambda entry: entry.n_inside, reverse=True)]


def check_reading(
    reading: Reading, values: NDArray[np.float64], volume: Volume, voxel_nm: VoxelNm = None
) -> CountedReading:
    """Return the number of points inside for a reading.

    Raises
    ------
    DataError
        If no point is inside; the message names the reading with the most points inside.
    """
    counted = count_readings(values, volume, voxel_nm)
    current = next(entry for entry in counted if entry.reading == reading)
    if current.n_inside:
        return current
    raise DataError(refusal(current, counted[0], volume, voxel_nm))


def refusal(
    current: CountedReading, best: CountedReading, volume: Volume, voxel_nm: VoxelNm = None
) -> str:
    """Explain that no point is inside for a reading, and name a better one.

    An example is ``"0 of 1 210 inside. Read as nm (40, 4, 4): 1 204 inside."``
    """
    if not best.n_inside:
        shape = " × ".join(map(str, volume.finest.shape))
        return (
            f"{current.sentence()} for every axis order and unit. '{volume.name}' has "
            f"{shape} voxels. Check columns and voxel size, or choose the volume of these points."
        )
    description: str = best.reading.unit if best.reading.unit != "voxel" else "voxels"
    if best.reading.unit == "nm":
        description += f" ({', '.join(f'{size:g}' for size in _voxel_nm(volume, voxel_nm))})"
    if best.reading.order != current.reading.order:
        description += f", {best.reading.order}"
    return f"{current.sentence()}. Read as {description}: {grouped_digits(best.n_inside)} inside."


def _voxel_nm(volume: Volume, voxel_nm: VoxelNm) -> list[float]:
    sizes = volume.finest.transform.voxel_size()
    if volume.unit in NM_PER_UNIT:
        return [size * NM_PER_UNIT[volume.unit] for size in sizes]
    return list(voxel_nm) if voxel_nm is not None else list(sizes)


def table_box(
    reading: Reading, columns: Sequence[str], volume: Volume, factors: Mapping[str, float]
) -> tuple[tuple[str, float, float], ...]:
    """Return the range of each column of coordinates whose points lie inside of a volume.

    Parameters
    ----------
    reading : Reading
        Order and unit of the coordinates.
    columns : sequence of str
        In the order of the axes of the volume according to their names.
    volume : Volume
        Its transform maps each axis by itself.
    factors : mapping of str to float
        Nanometers of one unit of a column.
    """
    n_axes = volume.ndim
    transform = volume.finest.transform
    ends = np.stack([np.zeros(n_axes), np.ones(n_axes)])
    voxels = transform.to_voxel(reading.to_world(ends, volume))
    step = voxels[1] - voxels[0]
    if reading.order != "z-y-x":
        step, first = step[::-1], voxels[0][::-1]
        shape = np.asarray(volume.finest.shape, dtype=float)[::-1]
    else:
        first, shape = voxels[0], np.asarray(volume.finest.shape, dtype=float)
    low, high = (-0.5 - first) / step, (shape - 0.5 - first) / step
    ranges = []
    for name, *ends_of_axis in zip(columns, low, high, strict=True):
        first_end, last_end = sorted(float(end) / factors.get(name, 1.0) for end in ends_of_axis)
        ranges.append((name, first_end, last_end))
    return tuple(ranges)
