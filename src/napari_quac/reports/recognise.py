"""Tell from a few names whether a path holds explanations, without reading them."""

from __future__ import annotations

import os
from pathlib import Path

INDEXES = ("store.json", "explanations.json")
"""Of a store, and of a folder of ``explain``; named here so that nothing heavy is imported."""
DEPTH = 3
"""How deep the QuAC library puts its reports below the folder of a run."""
MOST_ENTRIES = 2000
BEGINNING = 65536
QUAC_KEYS = ("results", "query_path", "counterfactual_path")


def holds_explanations(path: Path) -> bool:
    """Return whether a path looks like a store, a folder of ``explain`` or a QuAC report.

    Parameters
    ----------
    path : Path
        A folder, or a json file. In a folder a few levels are looked through, and nothing below
        folders that are very large.
    """
    if path.is_file():
        return path.name in INDEXES or _is_quac_json(path)
    if not path.is_dir():
        return False
    if any((path / name).is_file() for name in INDEXES):
        return True
    return any(_is_quac_json(found) for found in _json_files(path, DEPTH))


def _json_files(folder: Path, depth: int) -> list[Path]:
    try:
        with os.scandir(folder) as listed:
            entries = [entry for _, entry in zip(range(MOST_ENTRIES), listed, strict=False)]
    except OSError:
        return []
    files = [Path(entry.path) for entry in entries if entry.name.endswith(".json")]
    if depth:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
                files += _json_files(Path(entry.path), depth - 1)
    return files


def _is_quac_json(path: Path) -> bool:
    if path.suffix != ".json":
        return False
    try:
        with path.open("rb") as file:
            beginning = file.read(BEGINNING)
            file.seek(max(0, path.stat().st_size - BEGINNING))
            end = file.read()
    except OSError:
        return False
    return all(f'"{key}"'.encode() in beginning + end for key in QUAC_KEYS)
