"""Tables as CSV: texts that a spreadsheet would run as a formula are written as text."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable
from typing import Any

_FORMULA = re.compile(r"'*[=+\-@\t\r\uff1d\uff0b\uff0d\uff20]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def escape_formula(text: str) -> str:
    """Return a text with an apostrophe in front if a spreadsheet would take it for a formula.

    :func:`unescape_formula` returns the text as it was. Numbers stay as they are.
    """
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def unescape_formula(text: str) -> str:
    """Return the text from which :func:`escape_formula` made another."""
    return text[1:] if text[:1] == "'" and _FORMULA.match(text) else text


def csv_bytes(rows: Iterable[Iterable[Any]]) -> bytes:
    """Return rows as a CSV file in UTF-8; None becomes an empty cell."""
    file = io.StringIO(newline="")
    csv.writer(file).writerows(
        [escape_formula(cell) if isinstance(cell, str) else cell for cell in row] for row in rows
    )
    return file.getvalue().encode(errors="surrogateescape")
