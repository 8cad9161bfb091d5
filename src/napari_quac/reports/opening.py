"""Recognize and open reports: stores, folders of ``explain``, and results of the QuAC library."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from napari_quac.errors import DataError
from napari_quac.reports.earlier_formats import EXPLAIN_INDEX, read_explain_folder
from napari_quac.reports.entry import FailedEntry, ReportEntry
from napari_quac.reports.report import Report
from napari_quac.reports.store_info import INFO

if TYPE_CHECKING:
    from napari_quac.reports.store import ExplanationStore

INDEXES = (INFO, EXPLAIN_INDEX)
"""Of a store, and of a folder that ``explain`` of an earlier version wrote."""
DEPTH = 3
"""Levels of folders between the folder of a run and the reports of the QuAC library."""
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

    It reads little enough to be called for anything that is dropped onto a window.

    Parameters
    ----------
    path : path
        A folder, or a json file. A folder is searched a few levels deep, and a large one in part.
    """
    path = Path(path)
    if find_index(path) is not None or (path.is_file() and _is_quac_json(path)):
        return True
    return any(_is_quac_json(file) for file in islice(_json_files(path), MAX_FILES))


def find_index(path: Path) -> Path | None:
    """Return the index of a store or of a folder of ``explain``; None for other reports."""
    if path.name in INDEXES and path.is_file():
        return path
    return next((path / name for name in INDEXES if (path / name).is_file()), None)


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
    """
    from napari_quac.reports.quac_read import read_quac_reports
    from napari_quac.reports.store import ExplanationStore

    path = Path(path).expanduser()
    if not path.exists():
        raise DataError(f"There is no '{path}'. Check the path.")
    index = find_index(path)
    if index is None:
        return read_quac_reports(path, re_root)
    if re_root is not None:
        raise DataError(
            f"'{index.parent}' finds its own files wherever it is (it has a '{index.name}'). Leave "
            "--re-root out; it is for reports of the QuAC library."
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
    if store.damaged:
        first = next(iter(store.damaged.values()))
        notes.append(f"{len(store.damaged)} records cannot be read; the first: {first}")
    return Report(
        tuple(entry for entry in entries if isinstance(entry, ReportEntry)),
        tuple(entry for entry in entries if isinstance(entry, FailedEntry)),
        store.info.class_names,
        store.folder.name,
        tuple(notes),
        store.info.settings,
    )


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
            is_folder = not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False)
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
