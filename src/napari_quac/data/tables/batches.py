"""Tables as a series of batches of rows, of which columns are looked at when they are needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from napari_quac.data.tables.cells import as_numbers
from napari_quac.data.tables.row_filter import Condition

Rows = NDArray[np.intp]


class Batch(Protocol):
    """Some rows of a table."""

    @property
    def n_rows(self) -> int:
        """Number of these rows."""

    def mask(self, condition: Condition) -> NDArray[np.bool_]:
        """Return which rows fulfill a condition; (n_rows,)."""

    def numbers(self, name: str) -> NDArray[np.float64]:
        """Return a column as numbers, NaN for others; (n_rows,)."""

    def codes(self, name: str) -> tuple[NDArray[np.intp], list[str]]:
        """Return the place of each value in a list of different texts; (n_rows,)."""

    def texts(self, name: str, rows: Rows) -> list[str]:
        """Return some values of a column as text."""


class TableFile(Protocol):
    """A file with a table."""

    @property
    def path(self) -> Path:
        """The file."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""

    @property
    def n_rows(self) -> int | None:
        """Number of rows; None if it is unknown before all are read."""

    @property
    def separator(self) -> str:
        """Separator of the values in a text; empty for others."""

    def batches(self, columns: Sequence[str]) -> Iterator[Batch]:
        """Yield the rows with some of the columns, in the order of the file."""


@dataclass(frozen=True, eq=False)
class TextBatch:
    """Rows whose values are texts.

    Attributes
    ----------
    columns : mapping of str to sequence of str
    n_rows : int
    """

    columns: Mapping[str, Sequence[str]]
    n_rows: int

    def mask(self, condition: Condition) -> NDArray[np.bool_]:
        """Return which rows fulfill a condition; (n_rows,)."""
        return condition.mask(self.columns[condition.column])

    def numbers(self, name: str) -> NDArray[np.float64]:
        """Return a column as numbers, NaN for others; (n_rows,)."""
        return as_numbers(self.columns[name])

    def codes(self, name: str) -> tuple[NDArray[np.intp], list[str]]:
        """Return the place of each value in a list of different texts; (n_rows,)."""
        return codes_of(self.columns[name])

    def texts(self, name: str, rows: Rows) -> list[str]:
        """Return some values of a column as text."""
        values = self.columns[name]
        return [values[row] for row in rows]


def codes_of(texts: Sequence[str]) -> tuple[NDArray[np.intp], list[str]]:
    """Return the place of each text in a list of different texts, by hashes."""
    codes, names = pd.factorize(np.array(texts, dtype=object))
    return codes, [str(name) for name in names]


@dataclass(frozen=True, eq=False)
class WholeTable:
    """A table in memory, such as that of a JSON file.

    Attributes
    ----------
    path : Path
    columns : mapping of str to sequence of str
    """

    path: Path
    columns: Mapping[str, Sequence[str]]
    separator: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(self.columns)

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(next(iter(self.columns.values()), ()))

    def batches(self, columns: Sequence[str]) -> Iterator[Batch]:
        """Yield all rows at once."""
        if self.n_rows:
            yield TextBatch({name: self.columns[name] for name in columns}, self.n_rows)
