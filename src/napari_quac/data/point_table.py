"""Tables of coordinates: CSV, TSV, feather and parquet; ids stay exact.

Ids of synapses and neurons are whole numbers beyond 2⁵³, where floating-point numbers are no
longer exact. Text stays text, whole numbers stay whole, and only coordinates become floats.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_quac.data.place import grouped_digits
from napari_quac.data.table_text import (
    has_decimal_commas,
    numbers_in,
    read_text_table,
    same_names_sentence,
    split_vectors,
)
from napari_quac.errors import DataError, shorten
from napari_quac.file_probe import probe_file
from napari_quac.large_files import check_size
from napari_quac.reading import check_regular_file, is_folder, is_regular_file, reading_errors
from napari_quac.stepwise import check_canceled

_SECONDS_PER_BYTE, _MEMORY_PER_BYTE = 7e-8, 22  # measured with a million rows
_SECONDS_PER_CELL, _MEMORY_PER_CELL = 3e-7, 100
MAX_CELLS = 30_000_000
EXACT = 2.0**53
"""Above this number, floats do not represent all whole numbers."""
TABLE_SUFFIXES = frozenset({".csv", ".tsv", ".txt", ".df", ".gz", ".feather", ".parquet"})
TableUnit = Literal["voxel", "nm", "µm"]
TABLE_UNITS: tuple[TableUnit, ...] = ("voxel", "nm", "µm")

_ID_NAMES = ("synapse_id", "id", "point_id", "position_id", "connector_id", "cleft_id",
             "treenode_id", "annotation_id", "cleft_segid", "body_id", "bodyid", "seg_id",
             "segment_id", "skeleton_id")  # fmt: skip
_LABEL_NAMES = ("class", "label", "neurotransmitter", "transmitter", "nt", "nt_type", "type",
                "category")  # fmt: skip
_UNIT_ENDINGS = {
    "nm": "nm", "nanometer": "nm", "nanometers": "nm",
    "um": "µm", "µm": "µm", "micron": "µm", "microns": "µm", "micrometer": "µm",
    "micrometers": "µm",
    "vx": "voxel", "vox": "voxel", "voxel": "voxel", "voxels": "voxel", "px": "voxel",
    "pixel": "voxel", "pixels": "voxel",
}  # fmt: skip
_SITES = {
    "pre": 1, "presyn": 1, "presynaptic": 1, "ctr": 2, "center": 2, "centroid": 2, "cleft": 2,
    "post": 4, "postsyn": 4, "postsynaptic": 4,
    "centre": 2,  # wording: a spelling in files
}  # fmt: skip
"""Order in which the sites of a synapse are chosen; columns without a site come first."""
_OTHER_SITE = 3
_NO_CLASSES = frozenset({"", "pre", "post", "presynaptic", "postsynaptic", "0", "1"})
"""Values of the column ``type`` of connectors, which are no classes."""
_ROUNDED = re.compile(r"\d([.,]\d+)?[eE]\+?(1[5-9]|[2-9]\d)|[1-9]\d{2,14}0{4,}(\.0+)?")


@dataclass(frozen=True, eq=False)
class PointTable:
    """The content of a table.

    Attributes
    ----------
    columns : mapping of str to tuple of str
        Values of each column as text, exactly as in the file; empty for missing values.
    path : Path or None
    separator : str
        Separator of values in a text file.
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
            cell = shorten(self.texts(columns[place])[row])
            raise DataError(
                f"Row {row + 1} of '{self.name}' has '{cell}' in the "
                f"column '{columns[place]}', which is not a position. Remove or repair the row."
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
                f"'{self.name}' has no column '{column}'. Columns: "
                f"{shorten(', '.join(self.columns), 300)}."
            )
        return self.columns[column]

    def positions(self, columns: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
        """Return the rows with a position; those with empty cells and a few wrong ones are skipped.

        Returns
        -------
        values : (n, number of columns) ndarray
        rows : (n,) ndarray of int
            Indices of these rows in the table.

        Raises
        ------
        DataError
            If a column is missing, a value is no number, or no row has a position.
        """
        values = np.stack([self._numbers(name, True) for name in columns], axis=1)
        rows = np.flatnonzero(np.isfinite(values).all(axis=1))
        if not len(rows):
            names = ", ".join(columns)
            raise DataError(
                f"No row of '{self.name}' has numbers in all of {names}. Choose others."
            )
        return values[rows], rows

    def notes(self, columns: Sequence[str], id_column: str = "") -> list[str]:
        """Return remarks about columns of coordinates and of ids, as sentences."""
        notes = []
        n_skipped = len(self) - len(self.positions(columns)[1])
        if n_skipped:
            rows = "row has" if n_skipped == 1 else "rows have"
            notes.append(f"{grouped_digits(n_skipped)} {rows} no position and will be skipped.")
        if any(has_decimal_commas(self.columns.get(name, ()), self.separator) for name in columns):
            notes.append("Commas are interpreted as decimal commas.")
        if id_column in self.inexact:
            notes.append(
                f"'{id_column}' holds floating-point numbers: ids above 2⁵³ were rounded before "
                "they were stored. Export them as whole numbers or text."
            )
        elif id_column and (rounded := self.rounded_id(id_column)):
            notes.append(
                f"'{id_column}' holds numbers such as {rounded}, which a spreadsheet has rounded. "
                "Export the ids as text."
            )
        elif id_column and not self.is_unique(id_column):
            notes.append(f"Some values of '{id_column}' are not unique; they are numbered.")
        return notes

    def rounded_id(self, column: str) -> str:
        """Return an id that a spreadsheet has rounded to 15 digits or fewer; empty for none."""
        long_texts = [text for text in self.texts(column) if len(text) > 6]
        rounded = [text for text in long_texts if _ROUNDED.fullmatch(text) and _is_long(text)]
        return rounded[0] if rounded and 2 * len(rounded) > len(long_texts) else ""

    def names_of(self, rows: NDArray[np.intp], id_column: str = "") -> list[str] | None:
        """Return a name for each of some rows; None if their numbers are the names."""
        if id_column:
            texts = self.texts(id_column)
            return [texts[row] or f"point {row}" for row in rows]
        return None if len(rows) == len(self) else [f"point {row}" for row in rows]

    def is_unique(self, column: str) -> bool:
        """Return whether no value of a column occurs twice."""
        texts = self.texts(column)
        return len(set(texts)) == len(texts)

    def _numbers(self, column: str, skip_damaged: bool = False) -> NDArray[np.float64]:
        texts = self.texts(column)
        return numbers_in(texts, self.separator, self.name, column, skip_damaged)


@dataclass(frozen=True)
class ColumnMapping:
    """The meaning of the columns of a table.

    Attributes
    ----------
    coordinates : tuple of str
        Columns of the coordinates, in the order z, y, x (or y, x) according to their names.
    id, label : str
        Columns of ids and of classes; empty for none.
    unit : str
        Unit in the names: ``"voxel"``, ``"nm"``, ``"µm"``, or empty.
    others : tuple of str
        Last columns of further coordinates, such as those of the postsynaptic sites.
    """

    coordinates: tuple[str, ...]
    id: str = ""
    label: str = ""
    unit: TableUnit | Literal[""] = ""
    others: tuple[str, ...] = ()


def read_point_table(path: str | Path) -> PointTable:
    """Read a table of points.

    Parameters
    ----------
    path : path
        A csv, tsv, feather or parquet file with a line of column names; texts may be gzipped. A
        csv may be separated by comma, semicolon, tab or blanks; decimal commas are read where
        commas do not separate.
        A column of vectors, such as ``"[1, 2, 3]"`` or ``"{'coordinates': [1, 2, 3]}"``, becomes
        one for each coordinate.

    Raises
    ------
    DataError
        If it cannot be read, has no rows, or no names of columns.
    """
    path = Path(path).expanduser()
    if not is_regular_file(path):
        if is_folder(path) or not os.path.lexists(path):
            state = "is a folder" if is_folder(path) else "does not exist"
            endings = ", ".join(sorted(TABLE_SUFFIXES))
            raise DataError(f"'{path}' {state}. Choose a table ({endings}).")
        check_regular_file(path)
    suffix = path.suffix.lower()
    if suffix in (".feather", ".parquet"):
        columns, inexact = _read_arrow(path, suffix)
        table = PointTable(split_vectors(columns), path, "", inexact)
    elif suffix in TABLE_SUFFIXES:
        inner = path.suffixes[-2].lower() if suffix == ".gz" and len(path.suffixes) > 1 else suffix
        columns, separator = read_text_table(path, inner, skip_ragged=True)
        table = PointTable(split_vectors(columns), path, separator)
    else:
        raise DataError(f"'{path.name}' has the ending '{suffix}'. Export the table as CSV.")
    if not len(table):
        raise DataError(f"'{path.name}' has no rows. Choose another table.")
    return table


def guess_columns(names: Sequence[str], n_axes: int = 3) -> ColumnMapping:
    """Guess the meaning of columns from their names; users can change it.

    Parameters
    ----------
    names : sequence of str
        Of all columns.
    n_axes : int
        Coordinates of a point.

    Notes
    -----
    The columns of a point have one prefix and one unit. Of several sites of a synapse, those
    without a name come first, then presynaptic, central, other and postsynaptic ones.

    Examples
    --------
    >>> mapping = guess_columns(["synapse_id", "x_nm", "y_nm", "z_nm", "class"])
    >>> mapping.coordinates, mapping.id, mapping.label, mapping.unit
    (('z_nm', 'y_nm', 'x_nm'), 'synapse_id', 'class', 'nm')
    """
    return _guess(names, n_axes, _LABEL_NAMES)


def guess_table_columns(table: PointTable, n_axes: int = 3) -> ColumnMapping:
    """Guess the meaning of columns from names and values, as :func:`guess_columns` does.

    A column of the sides of connectors, such as ``type`` with ``pre`` and ``post``, is no label.
    """
    no_labels = {
        name.lower()
        for name, values in table.columns.items()
        if name.lower() in _LABEL_NAMES and {text.lower() for text in values} <= _NO_CLASSES
    }
    candidates = tuple(name for name in _LABEL_NAMES if name not in no_labels)
    return _guess(tuple(table.columns), n_axes, candidates)


def _guess(names: Sequence[str], n_axes: int, label_names: Sequence[str]) -> ColumnMapping:
    coordinates, others, unit = _coordinate_columns(names, n_axes)
    rest = {_plain_name(name): name for name in reversed(names) if name not in coordinates}
    return ColumnMapping(coordinates, _first(_ID_NAMES, rest), _first(label_names, rest), unit,
                         others)  # fmt: skip


Columns = tuple[tuple[str, ...], tuple[str, ...], TableUnit | Literal[""]]
"""Columns of the coordinates, last columns of other coordinates, and the unit in the names."""


def _coordinate_columns(names: Sequence[str], n_axes: int) -> Columns:
    axes = ("z", "y", "x")[-n_axes:] if n_axes <= 3 else ()
    complete = {
        key: columns
        for key, columns in _grouped(names, len(axes)).items()
        if axes and set(axes) <= set(columns)
    }
    if complete:
        best, *others = sorted(complete, key=lambda key: (_site(key[0]), not key[1]))
        columns = tuple(complete[best][axis] for axis in axes)
        return columns, tuple(complete[key][axes[-1]] for key in others), best[1]
    numbered = [name for name in names if re.fullmatch(r"(axis|centroid)[-_ ]?\d", name.lower())]
    if len(numbered) >= n_axes:
        # napari writes "axis-0" in voxels; "centroid-0" of scikit-image may have any unit
        is_axis = numbered[0].lower().startswith("axis")
        return tuple(sorted(numbered)[-n_axes:]), (), "voxel" if is_axis else ""
    return _vector_columns(names, n_axes)


def _grouped(
    names: Sequence[str], n_axes: int
) -> dict[tuple[tuple[str, ...], TableUnit | Literal[""]], dict[str, str]]:
    """Return the columns of each axis, grouped by the other words of the name and the unit."""
    groups: dict[tuple[tuple[str, ...], TableUnit | Literal[""]], dict[str, str]] = {}
    for name in names:
        axis, unit, prefix = _axis_and_unit(name)
        if axis:
            groups.setdefault((prefix, unit), {}).setdefault(axis, name)
    units = {unit for _, unit in groups}
    sites = {_site(prefix) for prefix, _ in groups}
    merged = {axis: name for columns in groups.values() for axis, name in columns.items()}
    n_columns = sum(map(len, groups.values()))
    if len(units) == 1 and n_columns == n_axes == len(merged) and sites <= {0, _OTHER_SITE}:
        # each axis once, such as x_position, y_position and z_section
        return {((), units.pop()): merged}
    return groups


def _site(prefix: Sequence[str]) -> int:
    if not prefix:
        return 0
    return next((_SITES[part] for part in prefix if part in _SITES), _OTHER_SITE)


def _vector_columns(names: Sequence[str], n_axes: int) -> Columns:
    """Return the columns of a vector in the order z, y, x, other vectors, and the unit."""
    vectors = [name[:-3] for name in names if name.endswith(f"[{n_axes - 1}]")]
    if not vectors:
        return (), (), ""
    vectors.sort(key=lambda name: _site(_name_parts(name)))
    _, unit, _ = _axis_and_unit(vectors[0])
    axes = reversed(range(n_axes))  # most services write x first
    return tuple(f"{vectors[0]}[{axis}]" for axis in axes), tuple(vectors[1:]), unit


def _read_arrow(path: Path, suffix: str) -> tuple[dict[str, tuple[str, ...]], frozenset[str]]:
    try:
        from pyarrow import feather, parquet
    except ImportError as error:
        raise DataError(
            f"'{path.name}' needs pyarrow: pip install 'napari-quac[tables]', or export it as CSV."
        ) from error
    advice = "Export it again, or as CSV."
    size = check_regular_file(path)
    check_size(path, size, size * _SECONDS_PER_BYTE, size * _MEMORY_PER_BYTE)
    probe_file(path, "feather" if suffix == ".feather" else "parquet", advice=advice)
    columns: dict[str, tuple[str, ...]] = {}
    inexact = set()
    with reading_errors(path.name, advice):
        is_feather = suffix == ".feather"
        table = feather.read_table(path) if is_feather else parquet.ParquetFile(path).read()
        table.validate(full=True)  # to_pylist() follows offsets beyond the end of a damaged column
        if table.num_rows * table.num_columns > MAX_CELLS:
            raise DataError(
                f"'{path.name}' has {table.num_rows} rows and {table.num_columns} columns, more "
                f"than {MAX_CELLS} cells. Export those of interest."
            )
        n_cells = table.num_rows * table.num_columns
        check_size(path, size, n_cells * _SECONDS_PER_CELL, n_cells * _MEMORY_PER_CELL)
        for name, column in zip(table.column_names, table.columns, strict=True):
            if name in columns:
                raise DataError(same_names_sentence(path, name))
            check_canceled()
            values = column.to_pylist()  # whole numbers stay whole
            columns[name] = tuple(map(_as_text, values))
            if any(isinstance(number, float) and abs(number) >= EXACT for number in values):
                inexact.add(name)
    return columns, frozenset(inexact)


def _as_text(cell: Any) -> str:
    if cell is None:
        return ""
    if isinstance(cell, float):
        whole = cell.is_integer() and abs(cell) < EXACT
        return str(int(cell)) if whole else repr(cell)
    return str(cell)


def _name_parts(name: str) -> list[str]:
    """Return the words of a name, in lower case."""
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name.replace("μ", "µ"))  # centerX
    name = re.sub(r"\b([xyz])(nm|um|µm|px|vx)\b", r"\1 \2", name.lower())  # xnm
    return [part for part in re.split(r"[^0-9a-zµ]+", name) if part]


def _plain_name(name: str) -> str:
    """Return a name as services write it in code: ``"Connector ID"`` is ``"connector_id"``."""
    return re.sub(r"[^0-9a-zµ]+", "_", name.strip().lower()).strip("_")


def _axis_and_unit(name: str) -> tuple[str, TableUnit | Literal[""], tuple[str, ...]]:
    """Return axis, unit and the other words of a name, such as ``"pre_z [nm]"``."""
    parts = _name_parts(name)
    axes = [part for part in parts if part in ("x", "y", "z")]
    units = [_UNIT_ENDINGS[part] for part in parts if part in _UNIT_ENDINGS]
    unit: Any = units[0] if units else ""
    rest = [part for part in parts if part not in ("x", "y", "z") and part not in _UNIT_ENDINGS]
    return (axes[0] if len(axes) == 1 else ""), unit, tuple(rest)


def _is_long(text: str) -> bool:
    """Return True for numbers with more digits than a spreadsheet keeps."""
    try:
        return abs(float(text.replace(",", "."))) >= 1e15
    except ValueError:
        return False


def _first(candidates: Sequence[str], names: Mapping[str, str]) -> str:
    return next((names[name] for name in candidates if name in names), "")
