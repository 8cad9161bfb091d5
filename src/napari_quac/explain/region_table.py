"""Regions as rows of a table, for JSON and CSV."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from napari_quac.errors import DataError
from napari_quac.explain.regions import Regions


def region_record(regions: Regions) -> dict[str, Any]:
    """Return the regions of a hybrid as JSON-ready values."""
    axes = "zyx"[-regions.labels.ndim :]
    return {
        "threshold": regions.threshold,
        "score_change": regions.score_change,
        "connectivity": 3**regions.labels.ndim - 1,
        "size_unit": regions.size_unit or None,
        "n_not_asked": regions.n_skipped,
        "regions": [
            {
                "number": region.number,
                "n_pixels": region.n_pixels,
                "size": region.size,
                "centroid": dict(zip(axes, region.centroid, strict=True)),
                "centroid_world": dict(zip(axes, region.centroid_world, strict=True)),
                "before": region.before,
                "after": region.after,
                "effect_alone": region.effect_alone,
                "effect_left_out": region.effect_left_out,
            }
            for region in regions.regions
        ],
    }


def region_rows(regions: Regions, class_names: Sequence[str]) -> list[dict[str, Any]]:
    """Return one flat row for each region, with its sample, classes and method."""
    explanation = regions.explanation
    pair = explanation.pair
    record = region_record(regions)
    common = {
        "sample": pair.query.id,
        "source": class_names[pair.source],
        "target": class_names[pair.target],
        "method": explanation.attribution.true_name,
        "threshold": regions.threshold,
        "score_change_of_all": regions.score_change,
    }
    rows = []
    unit = pair.query.unit or "world"
    for region in record["regions"]:
        places = {
            f"{axis}_{suffix}": position
            for key, suffix in (("centroid", "pixel"), ("centroid_world", unit))
            for axis, position in region.pop(key).items()
        }
        size = {"size": region.pop("size"), "size_unit": regions.size_unit}
        rows.append({**common, **region, **size, **places})
    return rows


def write_rows(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    """Write rows with equal keys as CSV.

    Raises
    ------
    DataError
        If there are no rows, or the file cannot be written.
    """
    if not rows:
        raise DataError("The table is empty, so there is nothing to write. Measure a sample first.")
    try:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    except OSError as error:
        raise DataError(
            f"'{path}' cannot be written ({error.strerror}). Choose another file."
        ) from error
