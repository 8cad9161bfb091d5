"""One report file of the QuAC library, of any of its versions, as plain records.

``quac_read`` reads the folder around it and assigns records to methods.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_quac.errors import DataError
from napari_quac.explain.curve import threshold_grid

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
N_THRESHOLDS = 200


@dataclass(frozen=True, eq=False)
class QuacResult:
    """One result of the file; missing quantities are None or empty.

    ``number`` is its position in the file.
    """

    number: int
    source: int
    target: int
    paths: Mapping[str, str]
    query_prediction: tuple[float, ...] | None
    generated_prediction: tuple[float, ...] | None
    counterfactual_prediction: tuple[float, ...] | None
    score: float | None
    thresholds: NDArray[np.float64]
    mask_sizes: NDArray[np.float64]
    score_changes: NDArray[np.float64]
    optimal_threshold: float | None
    method: str | None


@dataclass(frozen=True, eq=False)
class QuacFile:
    """A report file.

    Attributes
    ----------
    path : Path
    name : str
    metadata : mapping
    results : tuple of QuacResult
    problems : tuple of str
        One sentence for each unusable result.
    """

    path: Path
    name: str
    metadata: Mapping[str, Any]
    results: tuple[QuacResult, ...]
    problems: tuple[str, ...] = ()


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
    results, problems = [], []
    for number, row in enumerate(rows):
        try:
            results.append(_result(row, number))
        except (TypeError, ValueError, KeyError) as error:
            problems.append(
                f"result {number} of '{path.name}' cannot be used ({_error_text(error)})"
            )
    metadata = document.get("metadata")
    return QuacFile(
        path,
        str(document.get("name") or path.stem),
        metadata if isinstance(metadata, Mapping) else {},
        tuple(results),
        tuple(problems),
    )


def read_json(path: Path) -> Any:
    """Read a JSON file, which may contain NaN and infinity.

    Raises
    ------
    DataError
        If it cannot be read, or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"'{path}' cannot be read ({error.strerror}). Check the path.") from error
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"'{path}' is not a complete JSON file ({_error_text(error)}). Copy it again."
        ) from error


def _rows_of_columns(document: Mapping[str, Any], path: Path) -> list[dict[str, Any]]:
    """Turn the parallel lists of early versions into one record per pair."""
    columns = {
        key: document[old] for key, old in COLUMNS.items() if isinstance(document.get(old), list)
    }
    thresholds = columns.get("thresholds")
    if thresholds and not isinstance(thresholds[0], list):
        del columns["thresholds"]  # one grid for all
    else:
        thresholds = None
    lengths = {COLUMNS[key]: len(column) for key, column in columns.items() if column}
    if len(set(lengths.values())) > 1:
        sizes = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise DataError(
            f"'{path}' is an early QuAC report whose lists differ in length ({sizes}). "
            "It is incomplete; copy it again."
        )
    n = next(iter(lengths.values()), 0)
    rows = [{key: column[i] for key, column in columns.items() if column} for i in range(n)]
    if thresholds is not None:
        for row in rows:
            row["thresholds"] = thresholds
    return rows


def _result(row: Any, number: int) -> QuacResult:
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
    return QuacResult(
        number=number,
        source=_class(row["source_class"]),
        target=_class(row["target_class"]),
        paths=paths,
        query_prediction=_prediction(row, "query_prediction"),
        generated_prediction=_prediction(row, "generated_prediction"),
        counterfactual_prediction=_prediction(row, "counterfactual_prediction"),
        score=_number(row.get("score")),
        thresholds=thresholds,
        mask_sizes=sizes,
        score_changes=changes,
        optimal_threshold=_number(row.get("optimal_threshold")),
        method=method if isinstance(method, str) and method else None,
    )


def _class(entry: Any) -> int:
    index = int(entry)
    if index != entry or index < 0:
        raise ValueError(f"class {entry}")
    return index


def _number(entry: Any) -> float | None:
    """Return a finite number; None for null, NaN and infinity."""
    if entry is None:
        return None
    number = float(entry)
    return number if math.isfinite(number) else None


def _numbers(row: Mapping[str, Any], key: str) -> NDArray[np.float64]:
    if row.get(key) is None:
        return np.empty(0)
    # other programs write null in place of NaN
    numbers = np.array([math.nan if x is None else x for x in row[key]], dtype=np.float64)
    if numbers.ndim != 1:
        raise ValueError(f"{key} is not a list of numbers")
    return numbers


def _prediction(row: Mapping[str, Any], key: str) -> tuple[float, ...] | None:
    numbers = row.get(key)
    if not isinstance(numbers, Sequence) or isinstance(numbers, str) or not numbers:
        return None
    return tuple(math.nan if x is None else float(x) for x in numbers)


def _error_text(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, KeyError):
        text = f"no {text.strip(chr(39))}"
    return text if len(text) <= 100 else text[:97] + "…"
