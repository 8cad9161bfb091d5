"""Read rows of a table that fulfill a filter, without the others in memory."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_quac.data.tables.batches import Batch, TableFile, codes_of
from napari_quac.data.tables.cells import as_numbers
from napari_quac.data.tables.column_names import class_of_column
from napari_quac.data.tables.row_filter import RowFilter, random_keys, smallest_of_each
from napari_quac.data.tables.text_table import MAX_CELLS, vector
from napari_quac.errors import DataError, shorten
from napari_quac.large_files import check_time
from napari_quac.stepwise import check_canceled

BATCH = 20_000
"""Rows that a sample may have beyond its size until the largest keys are removed."""
_COMPONENT = re.compile(r"(.+)\[(\d)\]")


@dataclass(frozen=True, eq=False)
class TableRows:
    """Rows that were read.

    Attributes
    ----------
    columns : dict of str to tuple of str
    numbers : (N,) ndarray of int64
        Their places in the file, from 0.
    n_rows : int
        Number of all rows.
    n_matching : int
        Number of rows that fulfill the conditions, of which a sample may have been drawn.
    """

    columns: dict[str, tuple[str, ...]]
    numbers: NDArray[np.int64]
    n_rows: int
    n_matching: int


def read_rows(
    table: TableFile,
    columns: Sequence[str],
    rows: RowFilter,
    class_columns: Sequence[str] = (),
    most: int | None = None,
) -> TableRows:
    """Read the rows of a table that fulfill a filter.

    Parameters
    ----------
    table : TableFile
        The table.
    columns : sequence of str
        Columns that are returned.
    rows : RowFilter
        Which rows.
    class_columns : sequence of str
        The column of classes, or several of probabilities, for a sample of each class; empty for
        one sample of all rows.
    most : int, optional
        Read only the first rows.

    Raises
    ------
    DataError
        If a column is missing, or too much remains.
    """
    further = [base_column(name, table.names) for name in (*rows.columns, *class_columns)]
    for name in (*columns, *further):
        if name not in table.names:
            raise DataError(
                f"'{table.path.name}' has no column '{shorten(name)}'. Columns: "
                f"{shorten(', '.join(table.names), 300)}."
            )
    needed = tuple(dict.fromkeys([*further, *columns]))
    kept = _Kept(columns, rows)
    start = n_matching = 0
    for batch in table.batches(needed):
        check_canceled()
        n = batch.n_rows if most is None else min(batch.n_rows, most - start)
        mask = _mask(batch, rows, table.names)
        matching = np.flatnonzero(mask[:n])
        n_matching += len(matching)
        if len(matching):
            kept.add(batch, matching, start, class_columns)
        start += n
        check_time(f"{start} rows")
        if kept.n_rows * len(columns) > MAX_CELLS:
            raise DataError(
                f"More than {MAX_CELLS} values of '{table.path.name}' would be read. Read fewer "
                "rows: give a filter or a number of random rows (--rows, --random-rows)."
            )
        if most is not None and start >= most:
            break
    return kept.rows(start, n_matching)


def base_column(name: str, names: Sequence[str]) -> str:
    """Return the column of the file that holds a column, such as ``point`` for ``point[2]``."""
    match = _COMPONENT.fullmatch(name)
    return match[1] if name not in names and match and match[1] in names else name


class _Kept:
    """Texts of the rows that are kept; of a random sample, those with the smallest keys."""

    def __init__(self, columns: Sequence[str], rows: RowFilter) -> None:
        self.filter = rows
        self.texts: dict[str, list[str]] = {name: [] for name in columns}
        self.numbers: list[NDArray[np.int64]] = []
        self.n_rows = 0
        self.keys: NDArray[np.uint64] = np.empty(0, dtype=np.uint64)
        self.classes: NDArray[np.intp] = np.empty(0, dtype=np.intp)
        self.places: dict[str, int] = {}
        self.limits: NDArray[np.uint64] = np.empty(0, dtype=np.uint64)
        """Rows of each class with a larger key are not part of the sample."""

    def add(
        self, batch: Batch, matching: NDArray[np.intp], start: int, classes: Sequence[str]
    ) -> None:
        """Keep some rows of a batch."""
        if not self.filter.n_random:
            self._append(batch, matching, start)
            return
        keys, codes = random_keys(matching + start, self.filter.seed), self._codes(batch, classes)
        codes = codes[matching]
        is_low = keys <= self.limits[codes]
        matching = matching[is_low]
        if not len(matching):
            return
        self.keys = np.r_[self.keys, keys[is_low]]
        self.classes = np.r_[self.classes, codes[is_low]]
        self._append(batch, matching, start)
        if self.n_rows > 2 * self.filter.n_random * len(self.places) + BATCH:
            self.prune()

    def prune(self) -> None:
        """Keep the rows with the smallest keys of each class."""
        n_each = self.filter.n_random
        if not n_each or not self.n_rows:
            return
        chosen = smallest_of_each(self.keys, self.classes, n_each)
        for texts in self.texts.values():
            texts[:] = [texts[place] for place in chosen]
        self.numbers = [np.concatenate(self.numbers)[chosen]]
        self.keys, self.classes, self.n_rows = self.keys[chosen], self.classes[chosen], len(chosen)
        for code in np.flatnonzero(np.bincount(self.classes, minlength=1) >= n_each):
            self.limits[code] = self.keys[self.classes == code].max()

    def rows(self, n_rows: int, n_matching: int) -> TableRows:
        """Return what is kept."""
        self.prune()
        columns = {name: tuple(texts) for name, texts in self.texts.items()}
        numbers = np.concatenate(self.numbers) if self.numbers else np.empty(0, dtype=np.int64)
        return TableRows(columns, numbers, n_rows, n_matching)

    def _append(self, batch: Batch, rows: NDArray[np.intp], start: int) -> None:
        for name, texts in self.texts.items():
            texts.extend(batch.texts(name, rows))
        self.numbers.append((rows + start).astype(np.int64))
        self.n_rows += len(rows)

    def _codes(self, batch: Batch, columns: Sequence[str]) -> NDArray[np.intp]:
        """Return the class of each row by its place among all classes so far."""
        if not columns:
            codes, names = np.zeros(batch.n_rows, dtype=np.intp), [""]
        elif len(columns) == 1:
            codes, names = batch.codes(columns[0])
        else:
            probabilities = {name: batch.numbers(name) for name in columns}
            codes, names = codes_of(most_probable(probabilities)[0].tolist())
        places = [self.places.setdefault(name, len(self.places)) for name in names]
        n_new = len(self.places) - len(self.limits)
        self.limits = np.r_[self.limits, np.full(n_new, np.iinfo(np.uint64).max, dtype=np.uint64)]
        return np.asarray(np.array(places, dtype=np.intp)[codes])


def _mask(batch: Batch, rows: RowFilter, names: Sequence[str]) -> NDArray[np.bool_]:
    mask = np.ones(batch.n_rows, dtype=bool)
    for condition in rows.conditions:
        mask &= batch.mask(condition)
    for name, low, high in rows.box:
        if not mask.any():
            break
        values = _numbers(batch, name, names)
        with np.errstate(invalid="ignore"):
            mask &= (values >= low) & (values <= high)
    return mask


def _numbers(batch: Batch, name: str, names: Sequence[str]) -> NDArray[np.float64]:
    base = base_column(name, names)
    if base == name:
        return batch.numbers(name)
    place = int(name[len(base) + 1])
    vectors = [vector(text) for text in batch.texts(base, np.arange(batch.n_rows))]
    return as_numbers(values[place] if place < len(values) else "" for values in vectors)


def most_probable(
    probabilities: dict[str, NDArray[np.float64]],
) -> tuple[NDArray[np.object_], NDArray[np.float64]]:
    """Return the class with the largest probability, empty without one, and the probability.

    Parameters
    ----------
    probabilities : dict of str to (N,) ndarray
        By the names of their columns.

    Returns
    -------
    classes : (N,) ndarray of str
    largest : (N,) ndarray
        NaN where all are missing, or two are equal.
    """
    values = np.stack([*probabilities.values()], axis=1)
    values = np.where(np.isfinite(values), values, -np.inf)
    ordered = np.sort(values, axis=1)
    is_clear = np.isfinite(ordered[:, -1]) & (ordered[:, -1] > ordered[:, -2])
    names = np.array([class_of_column(name) for name in probabilities], dtype=object)
    classes = np.where(is_clear, names[values.argmax(axis=1)], "")
    return classes.astype(object), np.where(is_clear, ordered[:, -1], np.nan)
