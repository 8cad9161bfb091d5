"""Export of a report as a table, CSV or Parquet, with one row per entry."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_quac.errors import DataError
from napari_quac.explain.score import best_point
from napari_quac.reports.atomic import storage_errors
from napari_quac.reports.entry import ReportEntry

if TYPE_CHECKING:
    import pandas as pd

    from napari_quac.reports.report import Report

Class = Callable[[int], str]


def _p_target(entry: ReportEntry, image: str) -> float | None:
    prediction: tuple[float, ...] = getattr(entry, f"{image}_prediction") or ()
    return prediction[entry.target] if entry.target < len(prediction) else None


def _at_optimum(entry: ReportEntry, ordinates: Any) -> float | None:
    if not len(entry.mask_sizes) or entry.degenerate:
        return None
    return float(ordinates[best_point(entry.mask_sizes, entry.score_changes)])


# By column: its type, and its value from an entry and the function that names classes.
COLUMNS: Mapping[str, tuple[str, Callable[[ReportEntry, Class], Any]]] = {
    "sample": ("string", lambda e, name: e.sample_id),
    "source": ("string", lambda e, name: name(e.source)),
    "target": ("string", lambda e, name: name(e.target)),
    "method": ("string", lambda e, name: e.method),
    "computed": ("string", lambda e, name: e.true_name or None),
    "label": ("string", lambda e, name: None if e.label is None else name(e.label)),
    "predicted": ("string", lambda e, name: None if e.predicted is None else name(e.predicted)),
    "source_basis": ("string", lambda e, name: e.source_basis or None),
    "quac_score": ("float64", lambda e, name: e.quac_score),
    "optimal_threshold": ("float64", lambda e, name: e.optimal_threshold),
    "mask_size": ("float64", lambda e, name: _at_optimum(e, e.mask_sizes)),
    "score_change": ("float64", lambda e, name: _at_optimum(e, e.score_changes)),
    "p_target_query": ("float64", lambda e, name: _p_target(e, "query")),
    "p_target_generated": ("float64", lambda e, name: _p_target(e, "generated")),
    "p_target_counterfactual": ("float64", lambda e, name: _p_target(e, "counterfactual")),
    "p_target_inverse": ("float64", lambda e, name: _p_target(e, "inverse")),
    "switches": ("boolean", lambda e, name: e.switches),
    "converts": ("boolean", lambda e, name: e.converts),
    "degenerate": ("boolean", lambda e, name: e.degenerate),
    "completeness": ("float64", lambda e, name: e.completeness),
    "n_tried": ("Int64", lambda e, name: e.n_tried),
    "seconds": ("float64", lambda e, name: e.seconds),
}


def to_frame(report: Report) -> pd.DataFrame:
    """Return a report as a table, with the columns of ``COLUMNS``.

    ``mask_size`` and ``score_change`` are those of the counterfactual. Unknown values are missing.
    """
    import pandas as pd

    rows = [
        [read(entry, report.class_name) for _, read in COLUMNS.values()] for entry in report.entries
    ]
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.astype({name: kind for name, (kind, _) in COLUMNS.items()})


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
            "Parquet needs pyarrow. Run pip install 'napari-quac[reports]', or write a CSV file."
        )
    table = to_frame(report)
    write = table.to_csv if suffix == ".csv" else table.to_parquet
    with storage_errors(path):
        write(path, index=False)
