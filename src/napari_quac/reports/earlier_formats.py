"""Files of earlier versions: flat settings of plans and stores, and folders of ``explain``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_quac.errors import DataError
from napari_quac.explain.settings import ExplainSettings
from napari_quac.reports.entry import ARRAY_NAMES, FailedEntry, ReportEntry, entry_from_record
from napari_quac.reports.report import Report

EXPLAIN_INDEX = "explanations.json"
SETTING_NAMES = tuple(entry.name for entry in fields(ExplainSettings))
DEFAULT_METHODS = ("d-ig", "d-deeplift", "d-ingrad", "ig", "deeplift", "residual", "random")
"""Methods of a plan of schema 1 that names none."""


def migrate_settings(values: Mapping[str, Any]) -> dict[str, Any]:
    """Move the flat settings of schema 1, of a plan or a store, below ``settings``.

    Parameters
    ----------
    values : mapping
        Content of the file. Methods are ``[a, {b: {n_steps: 20}}]`` or
        ``{a: , b: {n_steps: 20}}``.

    Raises
    ------
    DataError
        If methods are neither a list nor a mapping.
    """
    flat = {name: values[name] for name in SETTING_NAMES if values.get(name) is not None}
    methods, parameters = _split_methods(flat.get("methods", DEFAULT_METHODS))
    parameters = {**flat.get("parameters", {}), **{k: v for k, v in parameters.items() if v}}
    flat["parameters"] = {name: parameters[name] for name in methods if parameters.get(name)}
    if flat.get("targets") == "chosen":  # samples that were selected by hand, each with a target
        flat["targets"] = list(values["class_names"])
    others = {key: value for key, value in values.items() if key not in SETTING_NAMES}
    return {**others, "settings": {**flat, "methods": methods}}


def _split_methods(methods: Any) -> tuple[list[str], dict[str, Mapping[str, Any]]]:
    """Return the names of methods, and their parameters."""
    entries = [methods] if isinstance(methods, str | Mapping) else methods
    if not isinstance(entries, list | tuple):
        raise DataError(f"'methods' is '{entries}': a list of names is needed.")
    names: list[str] = []
    parameters: dict[str, Mapping[str, Any]] = {}
    for entry in entries:
        for name, values in (entry if isinstance(entry, Mapping) else {entry: None}).items():
            names.append(str(name))
            if values is not None and not isinstance(values, Mapping):
                raise DataError(f"'methods.{name}' needs parameters, got '{values}'.")
            parameters[str(name)] = values or {}
    return names, parameters


def read_explain_folder(folder: Path) -> Report:
    """Read a folder that ``napari-quac explain`` of an earlier version wrote.

    Raises
    ------
    DataError
        If its index cannot be read or has another structure.
    """
    from napari_quac.reports.quac_json import read_json  # imports torch

    document = read_json(folder / EXPLAIN_INDEX)
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
            f"'{folder / EXPLAIN_INDEX}' is not an index of 'napari-quac explain' ({error!r}). "
            "Explain the samples again, or choose another folder."
        ) from error
    return Report(tuple(entries), tuple(failures), classes, folder.name)


def _entries(
    folder: Path, record: Mapping[str, Any], classes: tuple[str, ...]
) -> list[ReportEntry]:
    """Return the entries of a record; the first records held neither predictions nor label."""
    class_folder = str(record["id"]).split("/", 1)[0]
    label = class_folder if class_folder in classes else None
    record = {"predictions": {}, "true_class": label, **record}
    arrays = folder / record["folder"]
    entries = []
    for method, numbers in record["methods"].items():
        paths = {name: str(_array_path(arrays, method, name)) for name in ARRAY_NAMES}
        curve = [
            np.asarray(numbers[name], dtype=np.float64)
            for name in ("thresholds", "mask_sizes", "score_changes")
        ]
        read = partial(_read_array, paths)
        entries.append(entry_from_record(record, method, classes, *curve, paths=paths, read=read))
    return entries


def _failure(record: Mapping[str, Any], classes: tuple[str, ...]) -> FailedEntry:
    source, target = (
        classes.index(record[role]) if role in record else None for role in ("source", "target")
    )
    stage = "read" if target is None else "explain"
    return FailedEntry(str(record["id"]), target, stage, str(record["error"]), source)


def _array_path(folder: Path, method: str, name: str) -> Path:
    if name in ("query", "generated"):
        return folder / f"{name}.npy"
    return folder / method / f"{'hybrid' if name == 'counterfactual' else name}.npy"


def _read_array(paths: Mapping[str, str], name: str) -> NDArray[np.float32]:
    try:
        array: NDArray[np.float32] = np.load(paths[name], allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DataError(
            f"'{paths[name]}' is missing or not an array. Copy the folder again, or explain the "
            "sample again."
        ) from error
    return array
