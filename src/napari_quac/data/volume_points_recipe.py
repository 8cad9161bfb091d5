"""The recipe of samples at the points of a table on a volume."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from napari_quac.data.assumptions import Assumption
from napari_quac.data.coordinate_reading import (
    CountedReading,
    Reading,
    check_reading,
    count_readings,
    table_box,
)
from napari_quac.data.gray_map import GrayMap, match_to_images
from napari_quac.data.remote.address import Address, Location
from napari_quac.data.tables.column_names import (
    CLASS,
    ColumnMapping,
    guess_table_columns,
)
from napari_quac.data.tables.join import Join, join_labels
from napari_quac.data.tables.point_table import PointTable, read_point_table
from napari_quac.data.tables.row_filter import RowFilter, parse_conditions
from napari_quac.data.volume import Volume
from napari_quac.data.volume_points import VolumePoints
from napari_quac.errors import DataError, shorten

N_TRIAL = 2000
"""Random rows from which unit and order of the coordinates follow."""


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
    site : "pre", "center", "post" or ""
        Site of a synapse whose coordinates are read, if the table has several; empty for the first
        of these.
    rows : str
        Conditions on rows; see :func:`~napari_quac.data.tables.row_filter.parse_conditions`.
    n_random, seed : int
        Number of random rows inside of the volume, of each class; 0 for all.
    table : str
        Table of a database; empty for the only one with coordinates.
    coordinate_voxel_size : tuple of float or None
        Nanometers of one unit of the coordinates, along z, y and x; None for those of the volume,
        or those that the table states.
    labels : Path or None
        A second table with the labels, such as one of neurons.
    join : tuple of str
        Columns of both tables with equal values; empty for a guess.
    group_column : str
        Column of the neurons; empty for a guess, ``"-"`` for none.
    volume_sha256 : str
        SHA-256 of the description of a volume on another machine, which must not change; empty
        for any.
    match_histogram : Path or None
        Training images, whose gray values those of the volume are matched to, by one mapping for
        all patches; see :mod:`~napari_quac.data.gray_map`.
    gray_map : tuple of (float, float)
        Nodes of that mapping, as computed before; empty to compute them.
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
    site: Literal["", "pre", "center", "post"] = ""
    rows: str = ""
    n_random: int = 0
    seed: int = 0
    table: str = ""
    coordinate_voxel_size: tuple[float, ...] | None = None
    labels: Path | None = None
    join: tuple[str, ...] = ()
    group_column: str = ""
    volume_sha256: str = ""
    match_histogram: Path | None = None
    gray_map: tuple[tuple[float, float], ...] = ()

    def resolved(self, points: VolumePoints) -> VolumePointsRecipe:
        """Return the recipe with what was found about the volume, for a plan.

        Parameters
        ----------
        points : VolumePoints
            Loaded by this recipe.
        """
        volume = points.volume
        place = volume.path if isinstance(volume.path, Address) else self.volume
        grays = points.gray_map.nodes if points.gray_map is not None else ()
        return replace(self, volume=place, volume_sha256=volume.metadata_sha256, gray_map=grays)

    def load(self) -> VolumePoints:
        """Open volume and table.

        Raises
        ------
        DataError
            If one of them cannot be opened, or no point lies inside.
        """
        from napari_quac.data.volume_file import open_volume

        volume = open_volume(self.volume, self.dataset, self.channel, self.volume_voxel_size)
        if self.volume_sha256 and volume.metadata_sha256 != self.volume_sha256:
            raise DataError(
                f"The description of '{self.volume}' has changed since the plan was written. Make "
                "a new plan, or use the earlier version of the volume."
            )
        table = self._read_table(volume)
        guess = guess_table_columns(table, volume.ndim, self.site)
        columns = self._coordinates(table, guess)
        values, rows = table.positions(columns)
        unit = "nm" if table.factors else self.unit
        if unit == "auto":
            reading = count_readings(values, volume, named_unit=guess.unit)[0].reading
        else:
            reading = Reading(self.order, unit)
        counted = check_reading(reading, values, volume)
        unique_ids = guess.id if guess.id and table.is_unique(guess.id) else ""
        ids = _column(self.id_column, unique_ids)
        texts, label_facts = self._labels(table, guess)
        labels: list[int | None] | None = None
        classes: tuple[str, ...] = ()
        if texts is not None:
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
        group_column = _column(self.group_column, guess.group)
        if group_column:
            groups = table.texts(group_column)
            points.groups = tuple(groups[row] for row in rows)
        has_unit = self.unit != "auto" or bool(table.factors)
        points.further_assumptions = (
            *table_assumptions(
                table, guess, counted, bool(self.columns or self.site), has_unit, ids
            ),
            *(Assumption("labels", sentence) for sentence in label_facts),
        )
        self._match_grays(points)
        return points

    def _match_grays(self, points: VolumePoints) -> None:
        """Map the gray values to those of the training images, and state it."""
        if self.gray_map:
            points.gray_map = GrayMap(self.gray_map)
        elif self.match_histogram is not None:
            points.gray_map = match_to_images(points, self.match_histogram)
        if points.gray_map is None:
            return
        images = f" in '{self.match_histogram.name}'" if self.match_histogram is not None else ""
        nodes = points.gray_map.nodes
        sentence = (
            f"The gray values are changed: one mapping for all patches matches their histogram to "
            f"the training images{images} ({nodes[0][0]:.3g} to {nodes[-1][0]:.3g} become "
            f"{nodes[0][1]:.3g} to {nodes[-1][1]:.3g})."
        )
        matched = Assumption("image range", sentence)
        points.further_assumptions = (*points.further_assumptions, matched)

    def _read_table(self, volume: Volume) -> PointTable:
        """Read the rows inside of the volume that fulfill the conditions."""
        further = (self.id_column, self.label_column, self.group_column, *self.join)
        return read_points_inside(
            self.points,
            RowFilter(parse_conditions(self.rows), (), self.n_random, self.seed),
            volume,
            self.columns,
            self.site,
            None if self.unit == "auto" else Reading(self.order, self.unit),
            columns=(*self.columns, *(name for name in further if name and name != "-")),
            table=self.table,
            resolution=self.coordinate_voxel_size,
        )

    def _coordinates(self, table: PointTable, guess: ColumnMapping) -> tuple[str, ...]:
        if self.site and not self.columns and guess.site != self.site:
            raise DataError(
                f"'{table.name}' has no coordinates of the site '{self.site}' by its column names "
                f"({shorten(', '.join(table.columns), 300)}). Choose the columns (--coordinates)."
            )
        if columns := self.columns or guess.coordinates:
            return columns
        raise DataError(
            f"The coordinates of '{table.name}' cannot be recognized from the column "
            f"names ({shorten(', '.join(table.columns), 300)}). Choose three columns, in the order "
            "z, y, x."
        )

    def _labels(
        self, table: PointTable, guess: ColumnMapping
    ) -> tuple[tuple[str, ...] | None, list[str]]:
        """Return the class name of each row, and what was assumed about them."""
        if self.labels is not None:
            key, other_key = (*self.join, "", "")[:2]
            joined = join_labels(table, Join(self.labels, key, other_key, self.label_column))
            return joined.texts, [joined.sentence()]
        column = _column(self.label_column, guess.label)
        if not column and self.label_column != "-" and CLASS in table.columns:
            column = CLASS
        if not column:
            return None, []
        if self.label_column or column == CLASS:
            return table.texts(column), []
        sentence = f"The classes are those of the column '{column}' (setting label column)."
        return table.texts(column), [sentence]


def read_points_inside(
    path: Path,
    rows: RowFilter,
    volume: Volume | None,
    coordinates: Sequence[str] = (),
    site: str = "",
    reading: Reading | None = None,
    **options: Any,
) -> PointTable:
    """Read rows of a table, random ones from those inside of a volume.

    Parameters
    ----------
    path : path
        Of the table.
    rows : RowFilter
        Which rows.
    volume : Volume or None
        Points outside are not drawn; None to draw from all.
    coordinates : sequence of str
        Columns of the coordinates; empty for a guess.
    site : str
        Site of a synapse for the guess.
    reading : Reading, optional
        Order and unit of the coordinates; by default those with the most points inside.
    **options
        Of :func:`~napari_quac.data.tables.point_table.read_point_table`.

    Raises
    ------
    DataError
        If the table cannot be read, or no row fulfills the filter.
    """
    if not rows.n_random or volume is None:
        return read_point_table(path, rows, **options)
    # the rows inside are known once unit and order are, for which some random rows are enough
    sample = read_point_table(path, replace(rows, n_random=N_TRIAL), **options)
    guess = guess_table_columns(sample, volume.ndim, site)
    columns = tuple(coordinates) or guess.coordinates
    if not columns:
        return read_point_table(path, rows, **options)
    values, _ = sample.positions(columns)
    if sample.factors:
        reading = Reading(reading.order if reading else "z-y-x", "nm")
    if reading is None:
        reading = count_readings(values, volume, named_unit=guess.unit)[0].reading
    box = table_box(reading, columns, volume, sample.factors)
    return read_point_table(path, replace(rows, box=box), **options)


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
    assumptions = [Assumption("coordinates", sentence) for sentence in table.facts]
    if not has_columns:
        sentence = f"The coordinates are the columns {', '.join(guess.coordinates)}."
        if guess.others:
            sentence += f" The table also has {', '.join(guess.others)}; choose the site."
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
