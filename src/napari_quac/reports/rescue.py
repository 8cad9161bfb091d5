"""What the records alone tell of a store whose description is damaged."""

from __future__ import annotations

import json
from pathlib import Path

from napari_quac.explain.curve import threshold_grid
from napari_quac.explain.procedure import Grid
from napari_quac.reports.store_info import NetworkIdentity, StoreInfo


def rescued_info(records: Path) -> StoreInfo | None:
    """Return a description that fits the records; None if there is none that can be read.

    Classes, methods, seed and grid are those of the records; the networks are not known.
    """
    for path in sorted(records.glob("*.json")):
        try:
            record = json.loads(path.read_bytes())
            classes = tuple(map(str, record["classes"]))
            methods = tuple(record["methods"])
            lengths = [numbers["curve"]["n_thresholds"] for numbers in record["methods"].values()]
            grid: Grid = "corrected" if _fits("corrected", lengths) else "quac_0_2"
            return StoreInfo(
                classes,
                NetworkIdentity("unknown"),
                NetworkIdentity("unknown"),
                methods,
                grid=grid,
                seed=int(record["seed"]),
            )
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return None


def _fits(grid: Grid, lengths: list[int]) -> bool:
    return bool(lengths) and set(lengths) == {len(threshold_grid(grid))}
