"""Output of commands: one JSON document or tables on standard output, messages on stderr."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from napari_quac.errors import DataError

SCHEMA = 1


def print_json(document: dict[str, Any]) -> None:
    """Print a document as standard JSON; NaN and infinity become null."""
    print(json.dumps(_standard({"schema": SCHEMA, **document}), indent=1, allow_nan=False))


def notify(text: str) -> None:
    """Print a message on standard error."""
    print(text, file=sys.stderr, flush=True)


def attributes(source: Any, *names: str) -> dict[str, Any]:
    """Return attributes by name, for a JSON document."""
    return {name: getattr(source, name) for name in names}


def cell(number: Any, form: str = ".3f") -> str:
    """Return a value as text for a table: ``-`` for None and NaN, a format for other floats."""
    if number is None or number != number:
        return "-"
    text = format(number, form) if isinstance(number, float) else str(number)
    return "".join(letter if letter.isprintable() else " " for letter in text)


def table(rows: Iterable[Iterable[Any]]) -> str:
    """Return rows as aligned columns, each entry by :func:`cell`."""
    lines = [[cell(entry) for entry in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def create_folder(path: Path) -> Path:
    """Create an output folder.

    Raises
    ------
    DataError
        If it cannot be created.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"The folder '{path}' cannot be created ({error.strerror}). Choose another one."
        raise DataError(message) from error
    return path


def _standard(node: Any) -> Any:
    if isinstance(node, dict):
        return {str(key): _standard(child) for key, child in node.items()}
    if isinstance(node, list | tuple):
        return [_standard(child) for child in node]
    if hasattr(node, "tolist"):
        return _standard(node.tolist())
    if isinstance(node, float):
        return node if math.isfinite(node) else None
    return str(node) if isinstance(node, Path) else node
