"""Points of a table on a volume: their axis order and unit, and the recipe of their samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_quac.data.assumptions import Assumption
from napari_quac.data.place import NM_PER_UNIT, grouped_digits
from napari_quac.data.remote.address import Location
from napari_quac.data.tables.column_names import TABLE_UNITS, ColumnMapping, TableUnit
from napari_quac.data.tables.point_table import PointTable
from napari_quac.data.volume import Volume
from napari_quac.data.volume_points import VolumePoints
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


@dataclass(frozen=True)
class VolumePointsRecipe:
    """Patches around the points of a table.

    Attributes
    ----------
    volume : Path or Address
        See :func:`~napari_quac.data.volume_file.open_volume`.
    points : Path
        See :func:`~napari_quac.data.tables.point_table.read_point_table`.
    size : tuple of int
        Voxels of a patch along z, y and x.
    dataset : str
        Array inside of the volume's file; empty if there is only one.
    channel : int
    columns : tuple of str
        Columns of the coordinates; empty for a guess from the names.
    id_column, label_column : str
        Empty for a guess; ``"-"`` for none.
    order : "z-y-x" or "x-y-z"
        Axes of the first, second and third column.
    unit : "auto", "voxel", "nm" or "µm"
        Unit of the coordinates; ``"auto"`` is the reading with the most points inside.
    volume_voxel_size : tuple of float or None
        Nanometers per voxel of the volume; None for those of the file.
    network_voxel_size : tuple of float or None
        World units per voxel in the training of the network.
    resample : bool
        Resample patches to the voxel size of the network.
    value_range : (low, high) or None
        Stored values that become 0 and 1; None for those of the data type.
    outside : "pad" or "skip"
        Pad patches that extend beyond the volume with zeros, or skip them.
    """

    volume: Location
    points: Path
    size: tuple[int, ...] = (1, 128, 128)
    dataset: str = ""
    channel: int = 0
    columns: tuple[str, ...] = ()
    id_column: str = ""
    label_column: str = ""
    order: Literal["z-y-x", "x-y-z"] = "z-y-x"
    unit: Literal["auto", "voxel", "nm", "µm"] = "auto"
    volume_voxel_size: tuple[float, ...] | None = None
    network_voxel_size: tuple[float, ...] | None = None
    resample: bool = False
    value_range: tuple[float, float] | None = None
    outside: Literal["pad", "skip"] = "pad"

    def load(self) -> VolumePoints:
        """Open volume and table.

        Raises
        ------
        DataError
            If one of them cannot be opened, or no point lies inside.
        """
        from napari_quac.data.tables.column_names import guess_table_columns
        from napari_quac.data.tables.point_table import read_point_table
        from napari_quac.data.volume_file import open_volume

        volume = open_volume(self.volume, self.dataset, self.channel, self.volume_voxel_size)
        table = read_point_table(self.points)
        guess = guess_table_columns(table, volume.ndim)
        columns = self.columns or guess.coordinates
        if not columns:
            raise DataError(
                f"The coordinates of '{table.name}' cannot be recognized from the column "
                f"names ({', '.join(table.columns)}). Choose three columns, in the order z, y, x."
            )
        values, rows = table.positions(columns)
        if self.unit == "auto":
            reading = count_readings(values, volume, named_unit=guess.unit)[0].reading
        else:
            reading = Reading(self.order, self.unit)
        counted = check_reading(reading, values, volume)
        unique_ids = guess.id if guess.id and table.is_unique(guess.id) else ""
        ids = _column(self.id_column, unique_ids)
        label_column = _column(self.label_column, guess.label)
        labels: list[int | None] | None = None
        classes: tuple[str, ...] = ()
        if label_column:
            texts = table.texts(label_column)
            names = [texts[row] for row in rows]
            classes = tuple(sorted(set(names) - {""}))
            labels = [classes.index(name) if name else None for name in names]
        points = VolumePoints(
            volume,
            reading.to_world(values, volume),
            self.size,
            labels,
            classes,
            table.names_of(rows, ids),
            self.value_range,
            self.network_voxel_size,
            self.resample,
            self.outside,
            f"{table.name} in {volume.name}",
        )
        assumptions = table_assumptions(
            table, guess, counted, bool(self.columns), self.unit != "auto", ids
        )
        if label_column and not self.label_column:
            sentence = (
                f"The classes are those of the column '{label_column}' (setting label column)."
            )
            assumptions.append(Assumption("labels", sentence))
        points.further_assumptions = tuple(assumptions)
        return points


def table_assumptions(
    table: PointTable,
    guess: ColumnMapping,
    counted: CountedReading,
    has_columns: bool,
    has_unit: bool,
    id_column: str = "",
) -> list[Assumption]:
    """Return what was assumed about a table of coordinates.

    Parameters
    ----------
    table : PointTable
        The table.
    guess : ColumnMapping
        Columns as guessed from their names.
    counted : CountedReading
        The chosen order and unit.
    has_columns, has_unit : bool
        True if the user has chosen the columns, or the order and unit.
    id_column : str
        Column of the ids; empty for none.
    """
    assumptions = []
    if not has_columns:
        sentence = f"The coordinates are the columns {', '.join(guess.coordinates)}."
        if guess.others:
            sentence += f" The table also has {', '.join(guess.others)}; choose the columns."
        assumptions.append(Assumption("coordinates", sentence))
    if not has_unit:
        reading = counted.reading
        unit = "voxels" if reading.unit == "voxel" else reading.unit
        sentence = f"Coordinates are read in {unit} in the order {reading.order}: "
        assumptions.append(Assumption("coordinates", f"{sentence}{counted.sentence()}."))
    if id_column and (rounded := table.rounded_id(id_column)):
        sentence = f"The ids of '{id_column}' are used as they are, rounded: {rounded}."
        assumptions.append(Assumption("coordinates", sentence))
    return assumptions


def _column(name: str, guess: str) -> str:
    """Return the column for a setting, where ``"-"`` means none."""
    return "" if name == "-" else name or guess
