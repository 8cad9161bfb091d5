"""What commands print: JSON alone on standard output, or lines for people."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from napari_quac.errors import DataError

SCHEMA = 1


def add_json_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--json``."""
    parser.add_argument(
        "--json", action="store_true", help="print one JSON document and nothing else"
    )


def print_json(document: dict[str, Any]) -> None:
    """Print a document as standard JSON; NaN and infinity become null."""
    print(json.dumps(_standard({"schema": SCHEMA, **document}), indent=1, allow_nan=False))


def notify(text: str) -> None:
    """Say how it goes, on standard error."""
    print(text, file=sys.stderr, flush=True)


def table(rows: Sequence[tuple[str, ...]]) -> str:
    """Return rows as aligned columns."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def create_folder(path: Path) -> Path:
    """Make a folder for results.

    Raises
    ------
    DataError
        If it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"The folder '{path}' cannot be made ({error.strerror}). Choose another one."
        ) from error
    return path


def _standard(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _standard(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_standard(item) for item in value]
    if hasattr(value, "tolist"):
        return _standard(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Path):
        return str(value)
    return value
