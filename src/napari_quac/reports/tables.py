"""Export of a report as a table, CSV or Parquet, with one row per entry."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_quac.errors import DataError
from napari_quac.explain.score import best_point
from napari_quac.reports.entry import ReportEntry

if TYPE_CHECKING:
    import pandas as pd

    from napari_quac.reports.report import Report

COLUMNS: Mapping[str, str] = {
    "sample": "string",
    "source": "string",
    "target": "string",
    "method": "string",
    "computed": "string",
    "label": "string",
    "predicted": "string",
    "source_basis": "string",
    "quac_score": "float64",
    "optimal_threshold": "float64",
    "mask_size": "float64",
    "score_change": "float64",
    "p_target_query": "float64",
    "p_target_generated": "float64",
    "p_target_counterfactual": "float64",
    "p_target_inverse": "float64",
    "switches": "boolean",
    "converts": "boolean",
    "degenerate": "boolean",
    "completeness": "float64",
    "n_tried": "Int64",
    "seconds": "float64",
}


def to_frame(report: Report) -> pd.DataFrame:
    """Return a report as a table, with the columns of ``COLUMNS``.

    ``mask_size`` and ``score_change`` are those of the counterfactual. Unknown values are missing.
    """
    import pandas as pd

    rows = [_row(report, entry) for entry in report.entries]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.astype(dict(COLUMNS))


def write_table(report: Report, path: Path) -> None:
    """Write a report as ``.csv`` or ``.parquet``.

    Raises
    ------
    DataError
        If the file extension is not one of these, the file cannot be written, or Parquet needs a
        package that is not installed.
    """
    suffix = path.suffix.lower()
    if suffix not in (".csv", ".parquet"):
        raise DataError(f"Cannot write '{path.name}': use the file extension .csv or .parquet.")
    if suffix == ".parquet" and find_spec("pyarrow") is None:
        raise DataError(
            "Writing Parquet needs the package pyarrow. Run pip install 'napari-quac[reports]', or "
            "write a CSV file instead."
        )
    table = to_frame(report)
    try:
        if suffix == ".csv":
            table.to_csv(path, index=False)
        else:
            table.to_parquet(path, index=False)
    except OSError as error:
        raise DataError(
            f"'{path}' cannot be written ({error.strerror or error}). Choose another file."
        ) from error


def _row(report: Report, entry: ReportEntry) -> dict[str, Any]:
    curve = len(entry.mask_sizes) > 0 and not entry.degenerate
    best = best_point(entry.mask_sizes, entry.score_changes) if curve else None
    return {
        "sample": entry.sample_id,
        "source": report.class_name(entry.source),
        "target": report.class_name(entry.target),
        "method": entry.method,
        "computed": entry.true_name or None,
        "label": None if entry.label is None else report.class_name(entry.label),
        "predicted": None if entry.predicted is None else report.class_name(entry.predicted),
        "source_basis": entry.source_basis or None,
        "quac_score": entry.quac_score,
        "optimal_threshold": entry.optimal_threshold,
        "mask_size": None if best is None else float(entry.mask_sizes[best]),
        "score_change": None if best is None else float(entry.score_changes[best]),
        "p_target_query": _target_probability(entry, entry.query_prediction),
        "p_target_generated": _target_probability(entry, entry.generated_prediction),
        "p_target_counterfactual": _target_probability(entry, entry.counterfactual_prediction),
        "p_target_inverse": _target_probability(entry, entry.inverse_prediction),
        "switches": entry.switches,
        "converts": entry.converts,
        "degenerate": entry.degenerate,
        "completeness": entry.completeness,
        "n_tried": entry.n_tried,
        "seconds": entry.seconds,
    }


def _target_probability(entry: ReportEntry, prediction: tuple[float, ...] | None) -> float | None:
    if prediction is None or entry.target >= len(prediction):
        return None
    return prediction[entry.target]
