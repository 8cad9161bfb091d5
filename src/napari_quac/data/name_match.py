"""Names of two lists that mean the same, although they are spelled differently."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

MAX_NAMES = 8
"""Number of names that a sentence lists."""


@dataclass(frozen=True)
class NameMatch:
    """Positions of names in another list.

    Attributes
    ----------
    indices : tuple of int or None
        For each name the position of its partner; None without one.
    respelled : Mapping[str, str]
        Names whose partner is spelled differently, and the partner.
    """

    indices: tuple[int | None, ...]
    respelled: Mapping[str, str]

    def __bool__(self) -> bool:
        """Return True if any name has a partner."""
        return any(index is not None for index in self.indices)


def match_by_name(names: Sequence[str], others: Sequence[str]) -> NameMatch:
    """Match names to those of another list, each of which has at most one partner.

    Equal names match. Of the rest, those match that differ only in capitals, blanks and
    punctuation, or in a number in front, as long as this is unambiguous.

    Parameters
    ----------
    names, others : sequence of str
        Without repetitions.

    Examples
    --------
    >>> match_by_name(["GABA", "a ch", "notes"], ["ACh", "GABA"]).indices
    (1, 0, None)
    """
    others = list(others)
    indices: dict[str, int] = {name: others.index(name) for name in names if name in others}
    respelled: dict[str, str] = {}
    for simplify in (_without_case, _without_number):
        pairs = _pairs(names, others, indices, simplify)
        indices |= pairs
        respelled |= {name: others[index] for name, index in pairs.items()}
    return NameMatch(tuple(indices.get(name) for name in names), respelled)


def split_names(text: str) -> tuple[str, ...]:
    """Split ``a, b, "c, d"``; names with commas are in double quotes, as in CSV."""
    try:
        parts = next(csv.reader([text], skipinitialspace=True, strict=True), [])
    except csv.Error:
        parts = text.split(",")
    return tuple(part.strip() for part in parts if part.strip())


def join_names(names: Sequence[str]) -> str:
    """Return names as a text that :func:`split_names` splits."""
    doubled = (name.replace('"', '""') for name in names)
    return ", ".join(f'"{name}"' if re.search('[,"]', name) else name for name in doubled)


def quote_names(names: Sequence[str]) -> str:
    """Return names for a sentence, the first eight of many."""
    more = len(names) - MAX_NAMES
    return ", ".join(f"'{name}'" for name in names[:MAX_NAMES]) + (
        f" and {more} more" if more > 0 else ""
    )


def are_numbered(names: Sequence[str]) -> bool:
    """Tell whether names are ``class 0``, ``class 1``, ..., which stand for missing names."""
    return tuple(names) == tuple(f"class {index}" for index in range(len(names)))


def first_number(names: Sequence[str], n_classes: int) -> int | None:
    """Return the number of the first output, if all names are whole numbers that fit."""
    if not names or not all(re.fullmatch(r"\d{1,6}", name) for name in names):
        return None
    numbers = {int(name) for name in names}
    if len(numbers) != len(names):
        return None
    if max(numbers) < n_classes:
        return 0
    return 1 if numbers == {*range(1, n_classes + 1)} else None


def _pairs(
    names: Sequence[str],
    others: Sequence[str],
    indices: dict[str, int],
    simplify: Callable[[str], str],
) -> dict[str, int]:
    """Return the unambiguous pairs of remaining names with equal simple names."""
    simple_names = Counter(simplify(name) for name in names if name not in indices)
    remaining = {i: name for i, name in enumerate(others) if i not in indices.values()}
    simple_others = Counter(map(simplify, remaining.values()))
    by_simple_name = {simplify(name): index for index, name in remaining.items()}
    return {
        name: by_simple_name[simple]
        for name in names
        if name not in indices
        and (simple := simplify(name))
        and simple_names[simple] == 1 == simple_others[simple]
    }


def _without_case(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.casefold()) or name.strip()


def _without_number(name: str) -> str:
    return _without_case(re.sub(r"^\s*\d+[\s_.:-]+", "", name))
