"""Values of tables as text and as numbers."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_quac.errors import shorten

MISSING = frozenset({"", "nan", "na", "n/a", "<na>", "none", "null"})
"""Spellings of missing values, in lower case."""
EXACT = 2.0**53
"""Above this number, floats do not represent all whole numbers."""


def is_number(text: str) -> bool:
    """Tell whether a text is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def is_missing(text: str) -> bool:
    """Tell whether a text stands for a missing value."""
    return not text or text.strip().lower() in MISSING


def as_text(cell: Any) -> str:
    """Return a value as text: empty for missing ones, whole numbers with all digits."""
    if cell is None:
        return ""
    if isinstance(cell, float):
        whole = cell.is_integer() and abs(cell) < EXACT
        return str(int(cell)) if whole else repr(cell)
    return str(cell)


def as_numbers(texts: Iterable[str]) -> NDArray[np.float64]:
    """Return texts as numbers, NaN for those that are none; (N,)."""
    return np.array([float(text) if is_number(text) else np.nan for text in texts], dtype=float)


def same_names_sentence(path: Path, name: str) -> str:
    """Return the error about two columns of one name."""
    return f"'{path.name}' has two columns of the same name '{shorten(name)}'. Rename one."
