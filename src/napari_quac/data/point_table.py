"""Tables of coordinates: CSV, TSV, feather and parquet; ids stay exact.

Ids of synapses and neurons are whole numbers beyond 2⁵³, where floating-point numbers no longer
tell neighbours apart. Text stays text here, whole numbers stay whole, and only coordinates become
floats.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_quac.data.table_text import (
    has_decimal_commas,
    numbers_in,
    read_text_table,
    split_vectors,
)
from napari_quac.errors import DataError

EXACT = 2.0**53
"""Floating-point numbers from here on do not tell whole ones apart."""
TABLE_SUFFIXES = frozenset({".csv", ".tsv", ".txt", ".feather", ".parquet"})
TableUnit = Literal["voxel", "nm", "µm"]
TABLE_UNITS: tuple[TableUnit, ...] = ("voxel", "nm", "µm")

_ID_NAMES = ("synapse_id", "id", "point_id", "connector_id", "cleft_id", "treenode_id", "body_id",
             "bodyid", "seg_id", "segment_id", "skeleton_id")  # fmt: skip
_LABEL_NAMES = ("class", "label", "neurotransmitter", "transmitter", "nt", "nt_type", "type",
                "category")  # fmt: skip
_UNIT_ENDINGS = {"nm": "nm", "um": "µm", "µm": "µm", "vx": "voxel", "voxel": "voxel",
                 "px": "voxel", "pixel": "voxel"}  # fmt: skip


@dataclass(frozen=True, eq=False)
class PointTable:
    """A table as it was read.

    Attributes
    ----------
    columns : mapping of str to tuple of str
        Values of each column as text, exactly as in the file; empty where there is none.
    path : Path or None
    separator : str
        Between values, where the file is text.
    inexact : frozenset of str
        Columns of floating-point numbers, some of them beyond 2⁵³.
    """

    columns: Mapping[str, tuple[str, ...]]
    path: Path | None = None
    separator: str = ""
    inexact: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """Name of the file without its ending."""
        return self.path.stem if self.path else "points"

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def coordinates(self, columns: Sequence[str]) -> NDArray[np.float64]:
        """Return columns as numbers; (N, number of columns).

        Raises
        ------
        DataError
            If a column is missing, or a value is no number; the text names column and line.
        """
        values = np.stack([self._numbers(name) for name in columns], axis=1)
        if not np.isfinite(values).all():
            row, place = (int(n) for n in np.argwhere(~np.isfinite(values))[0])
            raise DataError(
                f"Row {row + 1} of '{self.name}' has '{self.texts(columns[place])[row]}' in the "
                f"column '{columns[place]}', which is no position. Remove the row, or repair it."
            )
        return values

    def texts(self, column: str) -> tuple[str, ...]:
        """Return a column as text.

        Raises
        ------
        DataError
            If it is missing.
        """
        if column not in self.columns:
            raise DataError(
                f"'{self.name}' has no column '{column}'. Columns: {', '.join(self.columns)}."
            )
        return self.columns[column]

    def positions(self, columns: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
        """Return the rows that have a position; others, with empty cells or NaN, are left out.

        Returns
        -------
        values : (n, number of columns) ndarray
        rows : (n,) ndarray of int
            Which rows of the table they are.

        Raises
        ------
        DataError
            If a column is missing, a value is no number, or no row has a position.
        """
        values = np.stack([self._numbers(name) for name in columns], axis=1)
        rows = np.flatnonzero(np.isfinite(values).all(axis=1))
        if not len(rows):
            raise DataError(
                f"No row of '{self.name}' has numbers in all of {', '.join(columns)}. Choose other "
                "columns."
            )
        return values[rows], rows

    def notes(self, columns: Sequence[str], id_column: str = "") -> list[str]:
        """Return what has to be known of how columns of coordinates and of ids were read."""
        notes = []
        n_left = len(self) - len(self.positions(columns)[1])
        if n_left:
            rows = "row has" if n_left == 1 else "rows have"
            notes.append(
                f"{n_left:,} {rows} no position and will be left out.".replace(",", " ", 1)
            )
        if any(has_decimal_commas(self.columns.get(name, ()), self.separator) for name in columns):
            notes.append("Commas are read as decimal ones.")
        if id_column in self.inexact:
            notes.append(
                f"'{id_column}' holds floating-point numbers: ids above 2⁵³ were rounded before "
                "they were stored. Export them as whole numbers or text."
            )
        elif id_column and not self.is_unique(id_column):
            notes.append(f"Values of '{id_column}' occur more than once; they are numbered.")
        return notes

    def names_of(self, rows: NDArray[np.intp], id_column: str = "") -> list[str] | None:
        """Return a name for each of some rows; None where their place in the list names them."""
        if id_column:
            texts = self.texts(id_column)
            return [texts[row] or f"point {row}" for row in rows]
        return None if len(rows) == len(self) else [f"point {row}" for row in rows]

    def is_unique(self, column: str) -> bool:
        """Return whether no value of a column occurs twice."""
        texts = self.texts(column)
        return len(set(texts)) == len(texts)

    def _numbers(self, column: str) -> NDArray[np.float64]:
        return numbers_in(self.texts(column), self.separator, self.name, column)


@dataclass(frozen=True)
class ColumnMapping:
    """What the columns of a table mean.

    Attributes
    ----------
    coordinates : tuple of str
        Columns of the coordinates, in the order z, y, x (or y, x) if their names are right.
    id, label : str
        Columns of ids and of classes; empty for none.
    unit : str
        What the names say of the unit: ``"voxel"``, ``"nm"``, ``"µm"``, or empty.
    """

    coordinates: tuple[str, ...]
    id: str = ""
    label: str = ""
    unit: TableUnit | Literal[""] = ""


def read_point_table(path: str | Path) -> PointTable:
    """Read a table of points.

    Parameters
    ----------
    path : path
        A csv, tsv, feather or parquet file with a line of column names. A csv may be separated by
        comma, semicolon, tab or blanks; decimal commas are read where commas do not separate.
        A column of vectors, such as ``"[1, 2, 3]"``, becomes one for each coordinate.

    Raises
    ------
    DataError
        If it cannot be read, has no rows, or no names of columns.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        found = "is a folder" if path.is_dir() else "does not exist"
        raise DataError(f"'{path}' {found}; expected a table ({', '.join(sorted(TABLE_SUFFIXES))})")
    suffix = path.suffix.lower()
    if suffix in (".feather", ".parquet"):
        columns, inexact = _read_arrow(path, suffix)
        table = PointTable(split_vectors(columns), path, "", inexact)
    elif suffix in TABLE_SUFFIXES:
        columns, separator = read_text_table(path, suffix)
        table = PointTable(split_vectors(columns), path, separator)
    else:
        raise DataError(
            f"'{path.name}' has the ending '{suffix}', expected one of "
            f"{', '.join(sorted(TABLE_SUFFIXES))}. Export the table as CSV."
        )
    if not len(table):
        raise DataError(f"'{path.name}' has no rows.")
    return table


def guess_columns(names: Sequence[str], n_axes: int = 3) -> ColumnMapping:
    """Guess from their names what columns mean; everything can be changed afterwards.

    Parameters
    ----------
    names : sequence of str
        Of all columns.
    n_axes : int
        Coordinates of a point.

    Examples
    --------
    >>> guess_columns(["synapse_id", "x_nm", "y_nm", "z_nm", "class"])
    ColumnMapping(coordinates=('z_nm', 'y_nm', 'x_nm'), id='synapse_id', label='class', unit='nm')
    """
    unit: TableUnit | Literal[""] = ""
    found: dict[str, str] = {}
    for name in names:
        axis, said = _axis_and_unit(name)
        if axis and axis not in found:
            found[axis] = name
            unit = unit or said
    axes = ("z", "y", "x")[-n_axes:] if n_axes <= 3 else ()
    numbered = [name for name in names if re.fullmatch(r"(axis|centroid)[-_ ]?\d", name.lower())]
    vectors = [name[:-3] for name in names if name.endswith(f"[{n_axes - 1}]")]
    if axes and all(axis in found for axis in axes):
        coordinates = tuple(found[axis] for axis in axes)
    elif len(numbered) >= n_axes:  # as napari writes points: in its own order, in voxels
        coordinates, unit = tuple(sorted(numbered)[-n_axes:]), "voxel"
        if not numbered[0].lower().startswith("axis"):
            unit = ""  # measured by scikit-image, in voxels or not
    elif vectors:  # x comes first in those of most services
        coordinates = tuple(f"{vectors[0]}[{axis}]" for axis in reversed(range(n_axes)))
    else:
        coordinates = ()
    rest = {name.lower(): name for name in names if name not in coordinates}
    return ColumnMapping(coordinates, _first(_ID_NAMES, rest), _first(_LABEL_NAMES, rest), unit)


def write_point_table(
    path: str | Path,
    coordinates: ArrayLike,
    columns: Sequence[str] = ("z", "y", "x"),
    more: Mapping[str, Sequence[Any]] | None = None,
) -> None:
    """Write points as csv or tsv, so that reading them gives the same numbers and texts.

    Parameters
    ----------
    path : path
        Ends in .csv or .tsv.
    coordinates : (N, D) array
        Whole numbers or floats.
    columns : sequence of str
        Names of the coordinates' columns.
    more : mapping of str to sequence, optional
        Further columns, such as ids and classes; they come first.

    Raises
    ------
    DataError
        If the ending is another one, or a column has another number of rows.
    """
    path, array = Path(path), np.asarray(coordinates)
    separators = {".csv": ",", ".tsv": "\t"}
    if path.suffix.lower() not in separators:
        raise DataError(f"Cannot write '{path.name}': choose the ending .csv or .tsv.")
    further = dict(more or {})
    for name, values in further.items():
        if len(values) != len(array):
            raise DataError(f"{len(array)} points, but {len(values)} values of '{name}'.")
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=separators[path.suffix.lower()])
        writer.writerow([*further, *columns])
        for row, position in enumerate(array.tolist()):
            # repr of a Python float gives back the same float
            writer.writerow([*(str(values[row]) for values in further.values()),
                             *(repr(value) for value in position)])  # fmt: skip


def _read_arrow(path: Path, suffix: str) -> tuple[dict[str, tuple[str, ...]], frozenset[str]]:
    try:
        import pyarrow
        from pyarrow import feather, parquet
    except ImportError as error:
        raise DataError(
            f"'{path.name}' needs the package pyarrow. Install it: "
            "pip install 'napari-quac[tables]', or export the table as CSV."
        ) from error
    try:
        table = (feather if suffix == ".feather" else parquet).read_table(path)
    except (OSError, pyarrow.ArrowException) as error:
        raise DataError(f"'{path.name}' cannot be read as {suffix[1:]} ({error}).") from error
    columns, inexact = {}, set()
    for name in table.column_names:
        values = table.column(name).to_pylist()  # whole numbers stay whole
        columns[str(name)] = tuple(_as_text(value) for value in values)
        if any(isinstance(value, float) and abs(value) >= EXACT for value in values):
            inexact.add(str(name))
    return columns, frozenset(inexact)


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        whole = value.is_integer() and abs(value) < EXACT
        return str(int(value)) if whole else repr(value)
    return str(value)


def _axis_and_unit(name: str) -> tuple[str, TableUnit | Literal[""]]:
    """Return the axis and the unit that a name tells, such as ``"pre_z [nm]"``."""
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name.replace("μ", "µ"))  # centerX
    name = re.sub(r"\b([xyz])(nm|um|µm|px|vx)\b", r"\1 \2", name.lower())  # xnm
    parts = [part for part in re.split(r"[^0-9a-zµ]+", name) if part]
    axes = [part for part in parts if part in ("x", "y", "z")]
    units = [_UNIT_ENDINGS[part] for part in parts if part in _UNIT_ENDINGS]
    unit: Any = units[0] if units else ""
    return (axes[0] if len(axes) == 1 else ""), unit


def _first(wanted: Sequence[str], names: Mapping[str, str]) -> str:
    return next((names[name] for name in wanted if name in names), "")
