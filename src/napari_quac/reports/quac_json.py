"""One report file of the QuAC library, of any of its versions, as plain records.

``quac_read`` reads the folder around it and assigns records to methods.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_quac.errors import DataError, one_line
from napari_quac.explain.curve import threshold_grid
from napari_quac.reading import WRONG_KINDS, as_mapping, read_json
from napari_quac.reports.entry import MAX_CLASSES, ReportEntry

PATH_KEYS = {
    "query": "query_path",
    "generated": "generated_path",
    "attribution": "attribution_path",
    "mask": "mask_path",
    "counterfactual": "counterfactual_path",
}
# Early versions have one list per quantity; their names, by the present keys.
COLUMNS = {
    "query_path": "paths",
    "generated_path": "target_paths",
    "attribution_path": "attribution_paths",
    "source_class": "labels",
    "target_class": "target_labels",
    "query_prediction": "predictions",
    "generated_prediction": "target_predictions",
    "score": "quac_scores",
    "normalized_mask_sizes": "normalized_mask_sizes",
    "score_changes": "score_changes",
    "thresholds": "thresholds",
}
PREDICTIONS = ("query_prediction", "generated_prediction", "counterfactual_prediction")
N_THRESHOLDS = 200


@dataclass(frozen=True, eq=False)
class QuacFile:
    """A report file.

    Attributes
    ----------
    path : Path
    metadata : mapping
    results : dict of int to ReportEntry
        By the position in the file; without a sample id, and mostly without a method.
    problems : list of str
        One sentence for each unusable result.
    """

    path: Path
    metadata: Mapping[str, Any]
    results: dict[int, ReportEntry] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def read_quac_file(path: Path) -> QuacFile | None:
    """Read a report file; None if it is JSON of another kind.

    Raises
    ------
    DataError
        If it cannot be read, or is not JSON.
    """
    document = read_json(path)
    if not isinstance(document, Mapping):
        return None
    if isinstance(document.get("results"), list):
        rows: list[Any] = document["results"]
    elif "normalized_mask_sizes" in document and "score_changes" in document:
        rows = _rows_of_columns(document, path)
    else:
        return None
    file = QuacFile(path, as_mapping(document.get("metadata")))
    for number, row in enumerate(rows):
        try:
            file.results[number] = _result(row)
        except WRONG_KINDS as error:
            missing = f"no {error.args[0]}" if isinstance(error, KeyError) else ""
            reason = missing or one_line(error, 100)
            file.problems.append(f"result {number} of '{path.name}' cannot be used ({reason})")
    return file


def _rows_of_columns(document: Mapping[str, Any], path: Path) -> list[dict[str, Any]]:
    """Turn the parallel lists of early versions into one record per pair."""
    keys = [key for key, old in COLUMNS.items() if isinstance(document.get(old), list)]
    columns = {key: document[COLUMNS[key]] for key in keys if document[COLUMNS[key]]}
    common = {}
    if "thresholds" in columns and not isinstance(columns["thresholds"][0], list):
        common["thresholds"] = columns.pop("thresholds")  # one grid for all
    lengths = {COLUMNS[key]: len(column) for key, column in columns.items()}
    if len(set(lengths.values())) > 1:
        sizes = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise DataError(f"'{path}': the lists differ in length ({sizes}). Copy the file again.")
    n = next(iter(lengths.values()), 0)
    return [{key: column[i] for key, column in columns.items()} | common for i in range(n)]


def _result(row: Any) -> ReportEntry:
    if not isinstance(row, Mapping):
        raise TypeError("not an object")
    sizes, changes = _numbers(row, "normalized_mask_sizes"), _numbers(row, "score_changes")
    if len(sizes) != len(changes):
        raise ValueError(f"{len(sizes)} mask sizes, {len(changes)} score changes")
    thresholds = _numbers(row, "thresholds")
    if len(thresholds) != len(sizes):
        thresholds = threshold_grid() if len(sizes) == N_THRESHOLDS else np.empty(0)
    paths = {name: str(row[key]) for name, key in PATH_KEYS.items() if row.get(key)}
    if "query" not in paths:
        raise ValueError("no query_path")
    method = row.get("method")
    predictions: dict[str, Any] = {name: _prediction(row.get(name)) for name in PREDICTIONS}
    return ReportEntry(
        sample_id="",
        source=_class(row["source_class"]),
        target=_class(row["target_class"]),
        method=method if isinstance(method, str) else "",
        paths=paths,
        thresholds=thresholds,
        mask_sizes=sizes,
        score_changes=changes,
        quac_score=_number(row.get("score")),
        optimal_threshold=_number(row.get("optimal_threshold")),
        **predictions,
    )


def _class(entry: Any) -> int:
    index = int(entry)
    if index != entry or not 0 <= index < MAX_CLASSES:
        raise ValueError(f"class {entry}")
    return index


def _number(entry: Any) -> float | None:
    """Return a finite number; None for null, NaN and infinity."""
    if entry is None or isinstance(entry, str) or not math.isfinite(float(entry)):
        return None
    return float(entry)


def _numbers(row: Mapping[str, Any], key: str) -> NDArray[np.float64]:
    if row.get(key) is None:
        return np.empty(0)
    # other programs write null in place of NaN
    numbers = np.array([math.nan if x is None else x for x in row[key]], dtype=np.float64)
    if numbers.ndim != 1:
        raise ValueError(f"{key} is not a list of numbers")
    return numbers


def _prediction(numbers: Any) -> tuple[float, ...] | None:
    if not isinstance(numbers, Sequence) or isinstance(numbers, str) or not numbers:
        return None
    return tuple(math.nan if x is None else float(x) for x in numbers)
