"""A filter of the rows of a table: conditions on columns, a box, and a random sample.

Conditions are written as a text, such as ``cleft_score >= 50 and pre_root_id in 12, 15``::

    conditions = condition ("and" condition)*
    condition  = column operator constant | column "in" constant ("," constant)*
    operator   = "=" | "!=" | "<" | "<=" | ">" | ">="

Names and constants with blanks or commas are written in quotes. Equality compares texts first, so
that ids stay exact, and then numbers. A missing value fulfills no condition.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_quac.data.tables.cells import EXACT, as_numbers, is_missing, is_number
from napari_quac.errors import DataError, shorten
from napari_quac.reading import decode_text, read_bytes

OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt,
    ">=": operator.ge,
}  # fmt: skip
MAX_LENGTH = 10_000_000  # characters: half a million ids
EXAMPLE = "cleft_score >= 50 and pre_root_id in 720575940628842314, 720575940621039145"
_TOKEN = re.compile(
    r"""\s*(?:(?P<quoted>"[^"]*"|'[^']*')|(?P<op><=|>=|!=|==|=|<|>|,)|(?P<word>[^\s,<>=!"']+))"""
)


@dataclass(frozen=True)
class Condition:
    """A condition on one column.

    Attributes
    ----------
    column : str
    operator : str
        One of :data:`OPERATORS`, or ``"in"``.
    values : tuple of str
        The constant, or those of ``"in"``.
    """

    column: str
    operator: str
    values: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.operator in ("<", "<=", ">", ">=") and not is_number(self.values[0]):
            raise DataError(
                f"'{self.column} {self.operator} {shorten(self.values[0])}' compares with a text. "
                "Write a number."
            )

    def __str__(self) -> str:
        values = ", ".join(map(_quoted, self.values))
        return f"{_quoted(self.column)} {self.operator} {values}"

    def mask(self, texts: Sequence[str]) -> NDArray[np.bool_]:
        """Return which texts fulfill the condition; (N,)."""
        if self.operator in ("=", "!=", "in"):
            values = set(self.values)
            numbers = {float(text) for text in values if _is_short_number(text)}
            is_equal = [
                text in values
                or (bool(numbers) and _is_short_number(text) and float(text) in numbers)
                for text in texts
            ]
            if self.operator != "!=":
                return np.array(is_equal, dtype=bool)
            pairs = zip(texts, is_equal, strict=True)
            return np.array(
                [not equal and not is_missing(text) for text, equal in pairs],
                dtype=bool,
            )
        return self.mask_of_numbers(as_numbers(texts))

    def mask_of_numbers(self, values: NDArray[Any]) -> NDArray[np.bool_]:
        """Return which numbers fulfill the condition; NaN never does; (N,)."""
        with np.errstate(invalid="ignore"):
            mask = OPERATORS[self.operator](values, float(self.values[0]))
        return np.asarray(mask & ~np.isnan(values))


@dataclass(frozen=True)
class RowFilter:
    """The rows of a table that are read.

    Attributes
    ----------
    conditions : tuple of Condition
        All have to be fulfilled.
    box : tuple of (column, low, high)
        Ranges of coordinates, both ends included.
    n_random : int
        Number of random rows, of each class if there are classes; 0 for all.
    seed : int
        Of the random rows. The same rows of the same file give the same sample.
    """

    conditions: tuple[Condition, ...] = ()
    box: tuple[tuple[str, float, float], ...] = ()
    n_random: int = 0
    seed: int = 0

    def __bool__(self) -> bool:
        return bool(self.conditions or self.box or self.n_random)

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns with a condition, each once."""
        names = [condition.column for condition in self.conditions]
        return tuple(dict.fromkeys([*names, *(name for name, _, _ in self.box)]))


def parse_conditions(text: str) -> tuple[Condition, ...]:
    """Read conditions; an empty text has none.

    Parameters
    ----------
    text : str
        See the module. After ``in``, the name of a text file stands for the constants in it.

    Raises
    ------
    DataError
        If it is not such a text; the message names the place.

    Examples
    --------
    >>> [str(condition) for condition in parse_conditions("score>=50 and id in 1, 2")]
    ['score >= 50', 'id in 1, 2']
    """
    tokens = _tokens(text)
    conditions = []
    while tokens:
        column, operator_text = _pop(tokens, text), _pop(tokens, text)
        symbol = "=" if operator_text == "==" else operator_text.lower()
        if symbol not in (*OPERATORS, "in"):
            raise DataError(
                f"After '{shorten(column)}' in the filter of rows, '{shorten(operator_text)}' is "
                f"no comparison. An example is: {EXAMPLE}."
            )
        values = [_pop(tokens, text)]
        while tokens and symbol == "in" and tokens[0] == ",":
            tokens.pop(0)
            values.append(_pop(tokens, text))
        if symbol == "in" and len(values) == 1:
            values = _listed(values[0])
        conditions.append(Condition(column, symbol, tuple(values)))
        if not tokens:
            break
        if tokens.pop(0).lower() != "and":
            raise DataError(
                f"Conditions in the filter of rows are joined by 'and'. An example is: {EXAMPLE}."
            )
        if not tokens:
            raise DataError("The filter of rows ends with 'and'. Complete it.")
    return tuple(conditions)


def random_keys(rows: NDArray[np.int64], seed: int) -> NDArray[np.uint64]:
    """Return a random number for each row, which depends on its number and the seed alone.

    The rows with the smallest numbers are a random sample, in whatever batches they are read
    (splitmix64, Steele, Lea and Flood 2014).
    """
    with np.errstate(over="ignore"):
        z = rows.astype(np.uint64) + np.uint64(seed % 2**32) * np.uint64(0x2545F4914F6CDD1D)
        z = (z + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(z ^ (z >> np.uint64(31)))


def smallest_of_each(
    keys: NDArray[np.uint64], classes: NDArray[Any], n_each: int
) -> NDArray[np.intp]:
    """Return the places of the ``n_each`` smallest keys of each class, in ascending order."""
    order = np.lexsort((keys, classes))
    sorted_classes = classes[order]
    starts = np.flatnonzero(np.r_[True, sorted_classes[1:] != sorted_classes[:-1]])
    sizes = np.diff(np.r_[starts, len(order)])
    ranks = np.arange(len(order)) - np.repeat(starts, sizes)
    return np.sort(order[ranks < n_each])


def _tokens(text: str) -> list[str]:
    if len(text) > MAX_LENGTH:
        raise DataError("The filter of rows is too long. Write the ids into a file, and its name.")
    tokens, start = [], 0
    text = text.rstrip()
    while start < len(text):
        match = _TOKEN.match(text, start)
        if match is None:
            raise DataError(
                f"'{shorten(text[start:])}' in the filter of rows is not understood. An example "
                f"is: {EXAMPLE}."
            )
        quoted = match["quoted"]
        tokens.append(quoted[1:-1] if quoted is not None else match["op"] or match["word"])
        start = match.end()
    return tokens


def _pop(tokens: list[str], text: str) -> str:
    if not tokens:
        raise DataError(f"The filter of rows '{shorten(text)}' is incomplete. Complete it.")
    return tokens.pop(0)


def _listed(value: str) -> list[str]:
    """Return the constants in a file of that name, or the only constant."""
    path = Path(value).expanduser()
    if is_number(value) or path.suffix.lower() not in (".txt", ".csv"):
        return [value]
    try:
        text = decode_text(read_bytes(path, MAX_LENGTH))
    except UnicodeDecodeError as error:
        raise DataError(f"'{path.name}' is not UTF-8. Save it again as UTF-8.") from error
    values = re.findall(r"[^\s,;]+", text)
    if len(values) > 1 and not is_number(values[0]) and is_number(values[1]):
        values = values[1:]  # the name of the column
    if not values:
        raise DataError(f"'{path.name}' holds no values. Write one in each line.")
    return list(dict.fromkeys(values))


def _quoted(text: str) -> str:
    match = _TOKEN.fullmatch(text)
    is_plain = match is not None and match["word"] == text and text.lower() not in ("and", "in")
    return text if is_plain else '"' + text.replace('"', "'") + '"'


def _is_short_number(text: str) -> bool:
    """Return True for numbers that floats represent exactly, unlike long ids."""
    return is_number(text) and abs(float(text)) < EXACT
