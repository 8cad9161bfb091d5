"""What ``napari-quac explain`` wrote, as a report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_quac.errors import DataError
from napari_quac.reports.entry import ARRAY_NAMES, FailedEntry, ReportEntry
from napari_quac.reports.quac_json import read_json
from napari_quac.reports.report import Report

INDEX = "explanations.json"


def read_explain_folder(folder: Path) -> Report:
    """Read the folder of an ``explain`` run.

    Raises
    ------
    DataError
        If its index cannot be read or is of another kind.
    """
    document = read_json(folder / INDEX)
    try:
        classes = tuple(str(name) for name in document["classes"])
        entries: list[ReportEntry] = []
        failures: list[FailedEntry] = []
        for record in document["explanations"]:
            if "methods" in record:
                entries += _entries(folder, record, classes)
            else:
                failures.append(_failure(record, classes))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f"'{folder / INDEX}' is not what 'napari-quac explain' writes ({error!r}). Run it "
            "again, or choose another folder."
        ) from error
    return Report(tuple(entries), tuple(failures), classes, folder.name)


def _entries(
    folder: Path, record: Mapping[str, Any], classes: tuple[str, ...]
) -> list[ReportEntry]:
    sample_id = str(record["id"])
    class_folder = sample_id.split("/", 1)[0]
    entries = []
    for method, told in record["methods"].items():
        predictions = {name: tuple(values) for name, values in told["predictions"].items()}
        arrays = _Arrays(folder / record["folder"], method)
        entries.append(
            ReportEntry(
                sample_id=sample_id,
                source=classes.index(record["source"]),
                target=classes.index(record["target"]),
                method=method,
                true_name=told["true_name"],
                label=classes.index(class_folder) if class_folder in classes else None,
                query_prediction=predictions.get("query"),
                generated_prediction=predictions.get("generated"),
                counterfactual_prediction=predictions.get("counterfactual"),
                inverse_prediction=predictions.get("inverse"),
                thresholds=np.asarray(told["thresholds"], dtype=np.float64),
                mask_sizes=np.asarray(told["mask_sizes"], dtype=np.float64),
                score_changes=np.asarray(told["score_changes"], dtype=np.float64),
                quac_score=told["quac_score"],
                optimal_threshold=told["optimal_threshold"],
                completeness=told["completeness"],
                degenerate=told["degenerate"],
                switches=record["switches"],
                n_tried=record["n_tried"],
                paths={name: str(arrays.path(name)) for name in ARRAY_NAMES},
                origin=record["origin"],
                read=arrays,
            )
        )
    return entries


def _failure(record: Mapping[str, Any], classes: tuple[str, ...]) -> FailedEntry:
    source, target = (
        classes.index(record[role]) if role in record else None for role in ("source", "target")
    )
    stage = "read" if target is None else "explain"
    return FailedEntry(str(record["id"]), target, stage, str(record["error"]), source)


class _Arrays:
    """Reads the npy files of one record when they are asked for."""

    def __init__(self, folder: Path, method: str) -> None:
        self._folder = folder
        self._method = method

    def path(self, name: str) -> Path:
        """Return where an array lies."""
        if name in ("query", "generated"):
            return self._folder / f"{name}.npy"
        file = "hybrid" if name == "counterfactual" else name
        return self._folder / self._method / f"{file}.npy"

    def __call__(self, name: str) -> NDArray[np.float32]:
        path = self.path(name)
        try:
            array: NDArray[np.float32] = np.load(path, allow_pickle=False)
        except (OSError, ValueError) as error:
            raise DataError(
                f"'{path}' is not there, or not an array. Copy the folder again, or explain the "
                "sample again."
            ) from error
        return array
