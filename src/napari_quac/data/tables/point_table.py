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
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_quac.data.place import grouped_digits
from napari_quac.data.tables.text_table import (
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


def _is_long(text: str) -> bool:
    """Return True for numbers with more digits than a spreadsheet keeps."""
    try:
        return abs(float(text.replace(",", "."))) >= 1e15
    except ValueError:
        return False
