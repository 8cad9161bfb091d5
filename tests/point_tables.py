"""Write tables of points for tests."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np


def write_point_table(
    path: Path,
    coordinates: Any,
    columns: Sequence[str] = ("z", "y", "x"),
    more: Mapping[str, Sequence[Any]] | None = None,
) -> None:
    """Write points as csv or tsv, with all digits; further columns come first."""
    further = dict(more or {})
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter="\t" if path.suffix == ".tsv" else ",")
        writer.writerow([*further, *columns])
        for row, position in enumerate(np.asarray(coordinates).tolist()):
            texts = [str(values[row]) for values in further.values()]
            writer.writerow([*texts, *map(repr, position)])
