"""How the numbers of a table are to be read: order of the axes and unit, checked on the volume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_quac.data.place import NM_PER_UNIT
from napari_quac.data.point_table import TABLE_UNITS, TableUnit
from napari_quac.data.volume import Volume
from napari_quac.errors import DataError

Order = Literal["z-y-x", "x-y-z"]
ORDERS: tuple[Order, ...] = ("z-y-x", "x-y-z")
NEARLY = 0.9
"""Readings that put so many of the most inside are compared by how widely they spread points."""


@dataclass(frozen=True)
class Reading:
    """One way to read coordinates.

    Attributes
    ----------
    order : "z-y-x" or "x-y-z"
        What the first, second and third column are.
    unit : "voxel", "nm" or "µm"
    """

    order: Order = "z-y-x"
    unit: TableUnit = "voxel"

    def to_world(
        self, values: NDArray[np.float64], volume: Volume, voxel_nm: Sequence[float] | None = None
    ) -> NDArray[np.float64]:
        """Return world positions on a volume.

        Parameters
        ----------
        values : (N, D) ndarray
            Columns of the table.
        volume : Volume
            What the points lie in.
        voxel_nm : sequence of float, optional
            Nanometres per voxel of a volume that does not know its unit; by default its scale is
            taken to be in nanometres.

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
    """A reading and what it leads to.

    Attributes
    ----------
    reading : Reading
    n_inside, n_points : int
    spread : float
        Share of the volume that the box around the points inside takes.
    """

    reading: Reading
    n_inside: int
    n_points: int
    spread: float

    def sentence(self) -> str:
        """Return such as ``"1 204 of 1 210 inside"``."""
        return f"{_grouped(self.n_inside)} of {_grouped(self.n_points)} inside"


def count_readings(
    values: NDArray[np.float64],
    volume: Volume,
    voxel_nm: Sequence[float] | None = None,
    said: str = "",
) -> list[CountedReading]:
    """Try every order and unit; the one that puts most points inside comes first.

    A unit that is too large squeezes all points into a corner, where they are inside as well.
    Readings that put nearly as many inside as the best one are therefore ordered by what the names
    of the columns say, and by how widely they spread the points.

    Parameters
    ----------
    values : (N, D) ndarray
        Columns of the table.
    volume : Volume
        What the points lie in.
    voxel_nm : sequence of float, optional
        See :meth:`Reading.to_world`.
    said : str
        Unit that the names of the columns tell; empty for none.
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
        return fits(entry), bool(said) and entry.reading.unit == said, entry.spread

    best = max(counted, key=by_unit)
    as_named = next(
        entry for entry in counted if entry.reading == Reading(ORDERS[0], best.reading.unit)
    )
    if fits(as_named) and as_named.spread > best.spread / 8:
        best = as_named  # a volume of equal sides holds both orders: the names decide
    rest = [entry for entry in counted if entry is not best]
    return [best, *sorted(rest, key=lambda entry: entry.n_inside, reverse=True)]


def check_reading(
    reading: Reading,
    values: NDArray[np.float64],
    volume: Volume,
    voxel_nm: Sequence[float] | None = None,
) -> CountedReading:
    """Return what a reading leads to.

    Raises
    ------
    DataError
        If it puts no point inside; the text names the reading that puts most inside.
    """
    counted = count_readings(values, volume, voxel_nm)
    mine = next(entry for entry in counted if entry.reading == reading)
    if mine.n_inside:
        return mine
    raise DataError(refusal(mine, counted[0], volume, voxel_nm))


def refusal(
    mine: CountedReading,
    best: CountedReading,
    volume: Volume,
    voxel_nm: Sequence[float] | None = None,
) -> str:
    """Return why a reading cannot be used, and which one can.

    Such as ``"0 of 1 210 inside. Read as nm (40, 4, 4): 1 204 inside."``
    """
    if not best.n_inside:
        shape = " × ".join(map(str, volume.finest.shape))
        return (
            f"{mine.sentence()}, whatever order or unit they are read in. '{volume.name}' has "
            f"{shape} voxels. Check columns and voxel size, or choose the volume that the points "
            "were made on."
        )
    how: str = best.reading.unit if best.reading.unit != "voxel" else "voxels"
    if best.reading.unit == "nm":
        how += f" ({', '.join(f'{size:g}' for size in _voxel_nm(volume, voxel_nm))})"
    if best.reading.order != mine.reading.order:
        how += f", {best.reading.order}"
    return f"{mine.sentence()}. Read as {how}: {_grouped(best.n_inside)} inside."


def _voxel_nm(volume: Volume, voxel_nm: Sequence[float] | None) -> list[float]:
    sizes = volume.finest.transform.voxel_size()
    if volume.unit in NM_PER_UNIT:
        return [size * NM_PER_UNIT[volume.unit] for size in sizes]
    return list(voxel_nm) if voxel_nm is not None else list(sizes)


def _grouped(number: int) -> str:
    return f"{number:,}".replace(",", " ")
