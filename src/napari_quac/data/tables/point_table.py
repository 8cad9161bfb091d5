"""Tables of coordinates, with ids that stay exact.

Ids of synapses and neurons are whole numbers beyond 2⁵³, where floating-point numbers are no
longer exact. Text stays text, whole numbers stay whole, and only coordinates become floats.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_quac.data.place import grouped_digits
from napari_quac.data.tables.cells import as_numbers, as_text
from napari_quac.data.tables.column_names import (
    CLASS,
    PROBABILITY,
    SITES,
    ColumnMapping,
    guess_columns,
    guess_table_columns,
)
from napari_quac.data.tables.conventions import ConventionalTable, complete_ids
from napari_quac.data.tables.row_filter import RowFilter
from napari_quac.data.tables.table_file import open_table
from napari_quac.data.tables.table_rows import TableRows, base_column, most_probable, read_rows
from napari_quac.data.tables.text_table import (
    MEMORY_PER_BYTE,
    SECONDS_PER_BYTE,
    has_decimal_commas,
    numbers_in,
    split_vectors,
)
from napari_quac.errors import DataError, shorten
from napari_quac.large_files import check_rows, check_size, time_limit
from napari_quac.reading import check_regular_file

MANY_ROWS = 2_000_000
"""Larger tables are read without a filter only if the user agrees."""
FEW_CELLS = 5_000_000
"""Larger tables are read without the columns whose meaning is unknown."""
HEAD_ROWS = 1000
ALL_ROWS = RowFilter()
_SECONDS_PER_CELL, _MEMORY_PER_CELL = 3e-7, 100  # measured with a million rows
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
    numbers : (N,) ndarray of int64 or None
        Places of the rows in the file, from 0; None if all were read.
    n_rows : int
        Rows of the file; 0 if all were read.
    factors : mapping of str to float
        Nanometers of one unit of a column of coordinates, as the file states them.
    facts : tuple of str
        What was completed or selected on reading, as sentences.
    """

    columns: Mapping[str, tuple[str, ...]]
    path: Path | None = None
    separator: str = ""
    inexact: frozenset[str] = frozenset()
    numbers: NDArray[np.int64] | None = None
    n_rows: int = 0
    factors: Mapping[str, float] = field(default_factory=dict)
    facts: tuple[str, ...] = ()

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
        notes = [*self.facts]
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
            return [texts[row] or f"point {self._number(row)}" for row in rows]
        if len(rows) == len(self) and self.numbers is None:
            return None
        return [f"point {self._number(row)}" for row in rows]

    def is_unique(self, column: str) -> bool:
        """Return whether no value of a column occurs twice."""
        texts = self.texts(column)
        return len(set(texts)) == len(texts)

    def with_column(self, name: str, values: tuple[str, ...], fact: str = "") -> PointTable:
        """Return a table with a further column, and a sentence about it."""
        facts = (*self.facts, fact) if fact else self.facts
        return replace(self, columns={**self.columns, name: values}, facts=facts)

    def _number(self, row: int) -> int:
        return int(self.numbers[row]) if self.numbers is not None else int(row)

    def _numbers(self, column: str, skip_damaged: bool = False) -> NDArray[np.float64]:
        texts = self.texts(column)
        numbers = numbers_in(texts, self.separator, self.name, column, skip_damaged)
        return numbers * self.factors.get(column, 1.0)


def read_point_table(
    path: str | Path,
    rows: RowFilter = ALL_ROWS,
    columns: Sequence[str] = (),
    table: str = "",
    resolution: tuple[float, ...] | None = None,
    usual_resolution: tuple[float, ...] | None = None,
) -> PointTable:
    """Read a table of points.

    Parameters
    ----------
    path : path
        See :func:`~napari_quac.data.tables.table_file.open_table`. A csv may be separated by
        comma, semicolon, tab or blanks; decimal commas are read where commas do not separate.
        A column of vectors, such as ``"[1, 2, 3]"`` or ``"{'coordinates': [1, 2, 3]}"``, becomes
        one for each coordinate.
    rows : RowFilter
        Which rows; the others are not kept in memory.
    columns : sequence of str
        Further columns that are read from a large table, of which those with an unknown meaning
        are not read.
    table : str
        Table of a database.
    resolution : (z, y, x), optional
        Nanometers of one unit of the coordinates; by default those that the file states.
    usual_resolution : (z, y, x), optional
        The same for files that state none, and whose columns name no unit.

    Raises
    ------
    DataError
        If it cannot be read, has no rows, or no names of columns.
    LargeFileError
        If it has more than :data:`MANY_ROWS` rows, no filter is given, and the user has to agree.
    """
    path = Path(path).expanduser()
    with time_limit(path) if not rows else nullcontext():
        stored = open_table(path, table)
        file = complete_ids(stored)
        head = _table_of(file, read_rows(file, file.names, ALL_ROWS, most=HEAD_ROWS))
    if not len(head):
        raise DataError(f"'{path.name}' has no rows. Choose another table.")
    guess = guess_table_columns(head)
    names = _columns_to_read(file, guess, columns)
    if not rows:
        _check_rows(file, len(names))
    classes = (guess.label,) if guess.label else guess.probabilities
    with time_limit(path) if not rows and file.n_rows is None else nullcontext():
        found = read_rows(file, names, rows, classes)
    if not len(found.numbers):
        raise DataError(
            f"None of the {grouped_digits(found.n_rows)} rows of '{path.name}' fulfills the filter "
            f"({describe(rows)}). Change it."
        )
    points = _table_of(file, found, selects=bool(rows))
    points = replace(points, facts=(*file.sentences(), *_selection(rows, found, classes)))
    inexact = getattr(stored, "inexact", ())
    points = replace(points, inexact=frozenset(inexact))
    stated = _stated_resolution(stored)
    if resolution is not None or stated is not None or not usual_resolution or guess.unit:
        source = "as chosen" if resolution else "as the file states"
        points = _with_resolution(points, resolution or stated, source)
    else:
        points = _with_resolution(points, usual_resolution, "as usual for this volume")
    return _with_classes(points, guess.probabilities)


def read_head(path: str | Path, table: str = "") -> tuple[PointTable, int | None]:
    """Return the first rows of a table, and the number of all rows if it is known."""
    path = Path(path).expanduser()
    with time_limit(path):
        file = complete_ids(open_table(path, table))
        return _table_of(file, read_rows(file, file.names, ALL_ROWS, most=HEAD_ROWS)), file.n_rows


def _table_of(file: ConventionalTable, found: TableRows, selects: bool = False) -> PointTable:
    return PointTable(
        split_vectors(found.columns),
        file.path,
        file.separator,
        numbers=found.numbers if selects else None,
        n_rows=found.n_rows if selects else 0,
    )


def _columns_to_read(
    file: ConventionalTable, guess: ColumnMapping, further: Sequence[str]
) -> tuple[str, ...]:
    n_rows = file.n_rows or 0
    if n_rows * len(file.names) <= FEW_CELLS or not guess.coordinates:
        return file.names
    wanted = {base_column(name, file.names) for name in (*guess.columns, *further)}
    sites = {name for site in SITES for name in guess_columns(file.names, site=site).coordinates}
    return tuple(name for name in file.names if name in wanted | sites)


def _check_rows(file: ConventionalTable, n_columns: int) -> None:
    """Ask before many rows are read."""
    size, n_rows = check_regular_file(file.path), file.n_rows
    if n_rows is None:
        check_size(file.path, size, size * SECONDS_PER_BYTE, size * MEMORY_PER_BYTE)
        return
    if n_rows > MANY_ROWS:
        check_rows(file.path, n_rows)
    n_cells = n_rows * n_columns
    check_size(file.path, size, n_cells * _SECONDS_PER_CELL, n_cells * _MEMORY_PER_CELL)


def describe(rows: RowFilter) -> str:
    """Return a filter in words."""
    parts = [str(condition) for condition in rows.conditions]
    if rows.box:
        parts.append("inside of the volume")
    return shorten(" and ".join(parts), 200)


def _selection(rows: RowFilter, found: TableRows, classes: Sequence[str]) -> list[str]:
    if not rows:
        return []
    n = grouped_digits(len(found.numbers))
    sentence = f"{n} of {grouped_digits(found.n_rows)} rows are read"
    if words := describe(rows):
        sentence += f": {words}"
    if rows.n_random and found.n_matching > len(found.numbers):
        each = " of each class" if classes else ""
        n_random, n_matching = map(grouped_digits, (rows.n_random, found.n_matching))
        sentence += f"; {n_random} at random{each} of {n_matching} (seed {rows.seed})"
    return [f"{sentence}."]


def _stated_resolution(file: Any) -> tuple[float, ...] | None:
    x_y_z = getattr(file, "resolution", None)
    return tuple(reversed(x_y_z)) if x_y_z else None


def _with_resolution(table: PointTable, z_y_x: tuple[float, ...] | None, source: str) -> PointTable:
    """Return a table whose coordinates are converted to nm."""
    if z_y_x is None:
        return table
    factors = {}
    for site in ("", *SITES):
        for name, size in zip(guess_columns(tuple(table.columns), site=site).coordinates, z_y_x,
                              strict=False):  # fmt: skip
            factors[name] = size
    if not factors:
        return table
    sizes = " × ".join(f"{size:g}" for size in z_y_x)
    fact = f"The unit of the coordinates is {sizes} nm (z × y × x), {source}."
    return replace(table, factors=factors, facts=(*table.facts, fact))


def _with_classes(table: PointTable, probabilities: Sequence[str]) -> PointTable:
    """Return a table with the most probable class of each row as a column."""
    if len(probabilities) < 2 or CLASS in table.columns:
        return table
    numbers = {name: as_numbers(table.columns[name]) for name in probabilities}
    classes, largest = most_probable(numbers)
    n_unclear = int((classes == "").sum())
    fact = f"The class of a row is that of its largest value in {', '.join(probabilities)}"
    fact += f"; {grouped_digits(n_unclear)} rows have none." if n_unclear else "."
    table = table.with_column(CLASS, tuple(classes.tolist()), fact)
    return table.with_column(
        PROBABILITY, tuple(as_text(float(p)) if p == p else "" for p in largest)
    )


def _is_long(text: str) -> bool:
    """Return True for numbers with more digits than a spreadsheet keeps."""
    try:
        return abs(float(text.replace(",", "."))) >= 1e15
    except ValueError:
        return False
