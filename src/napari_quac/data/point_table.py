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

from napari_quac.errors import DataError

TABLE_SUFFIXES = frozenset({".csv", ".tsv", ".txt", ".feather", ".parquet"})
TableUnit = Literal["voxel", "nm", "µm"]
TABLE_UNITS: tuple[TableUnit, ...] = ("voxel", "nm", "µm")

_ID_NAMES = ("synapse_id", "id", "point_id", "cleft_id", "seg_id", "segment_id", "skeleton_id")
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
    """

    columns: Mapping[str, tuple[str, ...]]
    path: Path | None = None

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
        return np.stack([self._numbers(name) for name in columns], axis=1)

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

    def _numbers(self, column: str) -> NDArray[np.float64]:
        texts = self.texts(column)
        numbers = np.empty(len(texts), dtype=np.float64)
        for row, text in enumerate(texts):
            try:
                numbers[row] = float(text)
            except ValueError as error:
                raise DataError(
                    f"Row {row + 1} of '{self.name}' has '{text}' in the column '{column}', "
                    "expected a number. Choose another column, or repair the table."
                ) from error
        if not np.isfinite(numbers).all():
            row = int(np.flatnonzero(~np.isfinite(numbers))[0])
            raise DataError(
                f"Row {row + 1} of '{self.name}' has '{texts[row]}' in the column '{column}', "
                "which is no position. Remove the row, or repair it."
            )
        return numbers


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
        comma, semicolon or tab.

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
        columns = _read_arrow(path, suffix)
    elif suffix in TABLE_SUFFIXES:
        columns = _read_text(path, suffix)
    else:
        raise DataError(
            f"'{path.name}' has the ending '{suffix}', expected one of "
            f"{', '.join(sorted(TABLE_SUFFIXES))}. Export the table as CSV."
        )
    table = PointTable(columns, path)
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
    numbered = [name for name in names if re.fullmatch(r"axis[-_ ]?\d", name.lower())]
    if axes and all(axis in found for axis in axes):
        coordinates = tuple(found[axis] for axis in axes)
    elif len(numbered) >= n_axes:  # as napari writes points: in its own order, in voxels
        coordinates, unit = tuple(sorted(numbered)[-n_axes:]), "voxel"
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


def _read_text(path: Path, suffix: str) -> dict[str, tuple[str, ...]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"'{path.name}' cannot be read as text ({error}).") from error
    first = text.split("\n", 1)[0]
    separator = "\t" if suffix == ".tsv" else max(",;\t", key=first.count)
    rows = [row for row in csv.reader(text.splitlines(), delimiter=separator) if row]
    if not rows:
        raise DataError(f"'{path.name}' is empty.")
    names = [name.strip() for name in rows[0]]
    if all(_is_number(name) for name in names):
        raise DataError(
            f"The first line of '{path.name}' holds numbers, expected names of columns such as "
            "z, y, x. Add a line with names."
        )
    if len(set(names)) != len(names):
        raise DataError(f"'{path.name}' has two columns of the same name: {', '.join(names)}.")
    for number, row in enumerate(rows[1:], 2):
        if len(row) != len(names):
            raise DataError(
                f"Line {number} of '{path.name}' has {len(row)} values, the first line has "
                f"{len(names)} names. Repair the line, or export the table again."
            )
    return {
        name: tuple(row[i].strip() for row in rows[1:]) for i, name in enumerate(names)
    }  # fmt: skip


def _read_arrow(path: Path, suffix: str) -> dict[str, tuple[str, ...]]:
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
    columns = {}
    for name in table.column_names:
        values = table.column(name).to_pylist()  # whole numbers stay whole
        columns[str(name)] = tuple(_as_text(value) for value in values)
    return columns


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    return repr(value) if isinstance(value, float) else str(value)


def _axis_and_unit(name: str) -> tuple[str, TableUnit | Literal[""]]:
    """Return the axis and the unit that a name tells, such as ``"pre_z [nm]"``."""
    parts = [part for part in re.split(r"[^0-9a-zµμ]+", name.lower().replace("μ", "µ")) if part]
    axes = [part for part in parts if part in ("x", "y", "z")]
    units = [_UNIT_ENDINGS[part] for part in parts if part in _UNIT_ENDINGS]
    unit: Any = units[0] if units else ""
    return (axes[0] if len(axes) == 1 else ""), unit


def _first(wanted: Sequence[str], names: Mapping[str, str]) -> str:
    return next((names[name] for name in wanted if name in names), "")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
