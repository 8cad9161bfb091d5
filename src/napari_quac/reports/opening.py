"""Recognize and open reports: stores, folders of ``explain``, and results of the QuAC library."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_quac.data.links import require_inside
from napari_quac.errors import DataError
from napari_quac.large_files import check_time, time_limit
from napari_quac.reading import WRONG_KINDS, is_regular_file, path_exists, read_json
from napari_quac.reports.entry import ARRAY_NAMES, FailedEntry, ReportEntry, entry_from_record
from napari_quac.reports.report import Report
from napari_quac.reports.store_info import INFO

if TYPE_CHECKING:
    from napari_quac.reports.store import ExplanationStore

EXPLAIN_INDEX = "explanations.json"
INDEXES = (INFO, EXPLAIN_INDEX)
"""Of a store, and of a folder that ``explain`` of an earlier version wrote."""
DEPTH = 3
"""Levels of folders between the folder of a run and the reports of the QuAC library."""
CURVE_NAMES = ("thresholds", "mask_sizes", "score_changes")
MAX_ENTRIES = 2000
MAX_FOLDERS = 200
MAX_FILES = 50
N_BYTES = 65536
QUAC_KEYS = (
    "query_path",
    "counterfactual_path",
    "normalized_mask_sizes",
    "score_changes",
    # of the early versions, with one list per quantity
    "target_paths",
    "attribution_paths",
    "quac_scores",
)


def holds_explanations(path: str | Path) -> bool:
    """Return whether a path looks like a report, without reading it.

    It reads little, so that it suits every path that a user drops onto a window.

    Parameters
    ----------
    path : path
        A folder, or a json file. A folder is searched a few levels deep, and a large one in part.
    """
    path = Path(path)
    if find_index(path) is not None or (is_regular_file(path) and _is_quac_json(path)):
        return True
    return any(_is_quac_json(file) for file in islice(_json_files(path), MAX_FILES))


def find_index(path: Path) -> Path | None:
    """Return the index of a store or of a folder of ``explain``; None for other reports."""
    candidates = [path] * (path.name in INDEXES) + [path / name for name in INDEXES]
    return next((candidate for candidate in candidates if is_regular_file(candidate)), None)


def open_report(path: str | Path, re_root: tuple[str, str] | None = None) -> Report:
    """Open a report.

    Parameters
    ----------
    path : path
        A store of explanations, a folder that ``explain`` of an earlier version wrote, a result
        folder of the QuAC library, or a json file of one of them.
    re_root : (old, new), optional
        For reports of the QuAC library whose folder was moved: the beginning of the noted paths
        and its replacement. Without it files are found by the end of their path.

    Raises
    ------
    DataError
        If there is no report, or ``re_root`` is given for a report that does not need it.
    LargeFileError
        If reading it takes longer than five seconds, and the user has to agree.
    """
    path = Path(path).expanduser()
    if not path_exists(path):
        raise DataError(f"There is no '{path}'. Check the path.")
    with time_limit(path):
        return _open_report(path, re_root)


def _open_report(path: Path, re_root: tuple[str, str] | None) -> Report:
    from napari_quac.reports.quac_read import read_quac_reports
    from napari_quac.reports.store import ExplanationStore

    index = find_index(path)
    if index is None:
        return read_quac_reports(path, re_root)
    if re_root is not None:
        raise DataError(
            f"Only paths in reports of the QuAC library have a beginning to replace (--re-root), "
            f"not those of '{index}'."
        )
    if index.name != INFO:
        return read_explain_folder(index.parent)
    store = ExplanationStore.open(index.parent)
    return report_from_store(store, list(store.entries()))


def report_from_store(
    store: ExplanationStore, entries: Sequence[ReportEntry | FailedEntry]
) -> Report:
    """Return entries of a store as a report, with notes about damage.

    Parameters
    ----------
    store : ExplanationStore
        Its description applies to all entries.
    entries : sequence of ReportEntry or FailedEntry
        Some or all of its entries.
    """
    notes = [f"The store is read-only: {store.read_only}."] if store.read_only else []
    notes += store.notes
    if store.damaged:
        notes.append(store.damage())
    return Report(
        tuple(entry for entry in entries if isinstance(entry, ReportEntry)),
        tuple(entry for entry in entries if isinstance(entry, FailedEntry)),
        store.info.class_names,
        store.folder.name,
        tuple(notes),
        store.info.settings,
    )


def read_explain_folder(folder: Path) -> Report:
    """Read a folder that ``napari-quac explain`` of an earlier version wrote.

    Raises
    ------
    DataError
        If its index cannot be read or has another structure.
    """
    document = read_json(folder / EXPLAIN_INDEX)
    try:
        classes = tuple(str(name) for name in document["classes"])
        records = document["explanations"]
        entries = [e for r in records if "methods" in r for e in _entries(folder, r, classes)]
        failures = [_failure(record, classes) for record in records if "methods" not in record]
    except WRONG_KINDS as error:
        reason = f"is not an index of 'napari-quac explain' ({error!r})"
        raise DataError(f"'{folder / EXPLAIN_INDEX}' {reason}. Choose another folder.") from error
    return Report(tuple(entries), tuple(failures), classes, folder.name)


def _entries(folder: Path, record: Mapping[str, Any], classes: Sequence[str]) -> list[ReportEntry]:
    """Return the entries of a record; the first records held neither predictions nor label."""
    check_time()
    class_folder = str(record["id"]).split("/", 1)[0]
    label = class_folder if class_folder in classes else None
    record = {"predictions": {}, "true_class": label, **record}
    arrays = folder / record["folder"]
    require_inside(arrays, folder, folder.name)
    entries = []
    for method, numbers in record["methods"].items():
        paths = {name: str(_array_path(arrays, method, name)) for name in ARRAY_NAMES}
        curve = [np.asarray(numbers[name], dtype=np.float64) for name in CURVE_NAMES]
        read = partial(_read_array, folder, paths)
        entries.append(entry_from_record(record, method, classes, *curve, paths=paths, read=read))
    return entries


def _failure(record: Mapping[str, Any], classes: Sequence[str]) -> FailedEntry:
    roles = ("source", "target")
    source, target = (classes.index(record[role]) if role in record else None for role in roles)
    stage = "read" if target is None else "explain"
    return FailedEntry(str(record["id"]), target, stage, str(record["error"]), source)


def _array_path(folder: Path, method: str, name: str) -> Path:
    if name in ("query", "generated"):
        return folder / f"{name}.npy"
    return folder / method / f"{'hybrid' if name == 'counterfactual' else name}.npy"


def _read_array(folder: Path, paths: Mapping[str, str], name: str) -> NDArray[np.float32]:
    from napari_quac.data.image_file import read_array  # imports torch

    require_inside(Path(paths[name]), folder, folder.name)
    return read_array(Path(paths[name])).astype(np.float32, copy=False)


def _json_files(top: Path) -> Iterator[Path]:
    """Yield json files, those of higher folders first."""
    folders = [(top, 0)]
    for folder, depth in folders:  # grows meanwhile
        try:
            with os.scandir(folder) as listed:
                entries = sorted(islice(listed, MAX_ENTRIES), key=lambda entry: entry.name)
        except OSError:
            continue
        yield from (Path(entry.path) for entry in entries if entry.name.endswith(".json"))
        if depth == DEPTH:
            continue
        for entry in entries:
            is_folder = not entry.name.startswith(".") and entry.is_dir()
            if is_folder and len(folders) < MAX_FOLDERS:
                folders.append((Path(entry.path), depth + 1))


def _is_quac_json(path: Path) -> bool:
    """Return whether two of the keys are near the beginning and the end of a json file."""
    if path.suffix.lower() != ".json":
        return False
    try:
        with path.open("rb") as file:
            ends = file.read(N_BYTES)
            file.seek(max(0, path.stat().st_size - N_BYTES))
            ends += file.read()
    except OSError:
        return False
    return sum(f'"{key}"'.encode() in ends for key in QUAC_KEYS) >= 2
