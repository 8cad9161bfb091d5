"""Output of commands: one JSON document or tables on standard output, messages on stderr."""

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
    parser.add_argument("--json", action="store_true", help="print a single JSON document")


def print_json(document: dict[str, Any]) -> None:
    """Print a document as standard JSON; NaN and infinity become null."""
    print(json.dumps(_standard({"schema": SCHEMA, **document}), indent=1, allow_nan=False))


def notify(text: str) -> None:
    """Print a message on standard error."""
    print(text, file=sys.stderr, flush=True)


def table(rows: Sequence[tuple[str, ...]]) -> str:
    """Return rows as aligned columns."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
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
        raise DataError(
            f"The folder '{path}' cannot be created ({error.strerror}). Choose another one."
        ) from error
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
