"""Conventions of published tables: blank ids, and prefixes of ids in the names of columns.

Codex writes the id of a neuron only where it changes, and leaves out the digits that all ids
share: ``pre_root_id_720575940`` holds the last nine digits.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_quac.data.tables.batches import Batch, Rows, TableFile, codes_of
from napari_quac.data.tables.cells import as_numbers, is_missing
from napari_quac.data.tables.row_filter import Condition

N_DIGITS = 9
"""Digits of an id behind its prefix."""
_PREFIXED = re.compile(r"(.*(?:id|root|segid))_(\d{6,12})", re.IGNORECASE)
_FILLED = re.compile(r"(.*_)?(root|segment|body|neuron)_?id", re.IGNORECASE)
BLANK_SHARE = 0.5


@dataclass(frozen=True, eq=False)
class ConventionalTable:
    """A table whose ids are complete.

    Attributes
    ----------
    file : TableFile
        The table as it is stored.
    prefixes : mapping of str to (str, str)
        Name of a column, to its name in the file and the first digits of its ids.
    filled : frozenset of str
        Columns in which an empty value means that of the row above.
    """

    file: TableFile
    prefixes: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    filled: frozenset[str] = frozenset()

    @property
    def path(self) -> Path:
        """The file."""
        return self.file.path

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns, without prefixes of ids."""
        stored = {old: new for new, (old, _) in self.prefixes.items()}
        return tuple(stored.get(name, name) for name in self.file.names)

    @property
    def n_rows(self) -> int | None:
        """Number of rows, if it is known."""
        return self.file.n_rows

    @property
    def separator(self) -> str:
        """Separator of the values in a text."""
        return self.file.separator

    def stored(self, name: str) -> tuple[str, str]:
        """Return the name of a column in the file, and the first digits of its ids."""
        return self.prefixes.get(name, (name, ""))

    def sentences(self) -> list[str]:
        """Return what was completed."""
        found = [
            f"The ids of '{old}' begin with {prefix}, as its name says."
            for old, prefix in self.prefixes.values()
        ]
        if self.filled:
            names = " and ".join(f"'{name}'" for name in sorted(self.filled))
            found.append(f"Empty ids in {names} are those of the row above.")
        return found

    def batches(self, columns: Sequence[str]) -> Iterator[Batch]:
        """Yield the rows with some columns."""
        stored = [self.stored(name)[0] for name in columns]
        last = dict.fromkeys(self.filled & set(columns), "")
        for batch in self.file.batches(stored):
            filled = {}
            for name in last:
                texts = batch.texts(self.stored(name)[0], np.arange(batch.n_rows))
                for row, text in enumerate(texts):
                    if is_missing(text):
                        texts[row] = last[name]
                    else:
                        last[name] = text
                filled[name] = texts
            yield _ConventionalBatch(batch, self, filled)


@dataclass(frozen=True, eq=False)
class _ConventionalBatch:
    batch: Batch
    table: ConventionalTable
    filled: Mapping[str, list[str]]

    @property
    def n_rows(self) -> int:
        return self.batch.n_rows

    def mask(self, condition: Condition) -> NDArray[np.bool_]:
        name = condition.column
        old, prefix = self.table.stored(name)
        if prefix and condition.operator in ("=", "!=", "in"):
            values = [_rest(value, prefix) for value in condition.values]
            known = tuple(value for value in values if value)
            condition = replace(condition, values=known)
        elif prefix:
            texts = self.texts(name, np.arange(self.n_rows))
            return condition.mask(texts)
        if name in self.filled:
            return condition.mask(self.filled[name])
        return self.batch.mask(replace(condition, column=old))

    def numbers(self, name: str) -> NDArray[np.float64]:
        if name in self.filled or name in self.table.prefixes:
            return as_numbers(self.texts(name, np.arange(self.n_rows)))
        return self.batch.numbers(name)

    def codes(self, name: str) -> tuple[NDArray[np.intp], list[str]]:
        if name in self.filled or name in self.table.prefixes:
            return codes_of(self.texts(name, np.arange(self.n_rows)))
        return self.batch.codes(name)

    def texts(self, name: str, rows: Rows) -> list[str]:
        old, prefix = self.table.stored(name)
        if name in self.filled:
            texts = [self.filled[name][row] for row in rows]
        else:
            texts = self.batch.texts(old, rows)
        if not prefix:
            return texts
        return [prefix + text.zfill(N_DIGITS) if text.isdigit() else text for text in texts]


def complete_ids(file: TableFile) -> ConventionalTable:
    """Return a table with complete ids, as its names and first rows tell.

    Parameters
    ----------
    file : TableFile
        The table as it is stored.
    """
    prefixes: dict[str, tuple[str, str]] = {}
    taken = set(file.names)
    for name in file.names:
        match = _PREFIXED.fullmatch(name)
        if match and match[1] not in taken:
            prefixes[match[1]] = (name, match[2])
            taken.add(match[1])
    candidates = [name for name in file.names if _FILLED.fullmatch(_complete_name(name))]
    filled = set()
    for batch in islice(file.batches(candidates), 1) if candidates else ():
        rows = np.arange(min(batch.n_rows, 1000))
        for name in candidates:
            blank = [is_missing(text) for text in batch.texts(name, rows)]
            if len(blank) > 1 and not blank[0] and np.mean(blank) > BLANK_SHARE:
                filled.add(_complete_name(name))
    return ConventionalTable(file, prefixes, frozenset(filled))


def _complete_name(name: str) -> str:
    match = _PREFIXED.fullmatch(name)
    return match[1] if match else name


def _rest(value: str, prefix: str) -> str:
    """Return an id without its prefix, as it is stored; empty for an id of another prefix."""
    if not value.startswith(prefix) or not value[len(prefix) :].isdigit():
        return ""
    return str(int(value[len(prefix) :]))
