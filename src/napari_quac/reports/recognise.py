"""Tell from a few names whether a path holds explanations, without reading them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

INDEXES = ("store.json", "explanations.json")
"""Of a store, and of a folder of ``explain``; named here so that nothing heavy is imported."""
DEPTH = 3
"""How deep the QuAC library puts its reports below the folder of a run."""
MOST_ENTRIES = 2000
MOST_FOLDERS = 200
MOST_FILES = 50
BEGINNING = 65536
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
    """Return whether a path looks like a store, a folder of ``explain`` or a QuAC report.

    It reads little enough to be asked of anything that is dropped onto a window.

    Parameters
    ----------
    path : path
        A folder, or a json file. In a folder a few levels are looked through, and of large ones a
        part.
    """
    path = Path(path)
    if path.is_file():
        return path.name in INDEXES or _is_quac_json(path)
    if not path.is_dir():
        return False
    if any((path / name).is_file() for name in INDEXES):
        return True
    return any(_is_quac_json(found) for found in islice(_json_files(path), MOST_FILES))


def _json_files(top: Path) -> Iterator[Path]:
    """Yield json files, those of higher folders first."""
    folders = [(top, 0)]
    for folder, depth in folders:  # grows meanwhile
        try:
            with os.scandir(folder) as listed:
                entries = sorted(islice(listed, MOST_ENTRIES), key=lambda entry: entry.name)
        except OSError:
            continue
        yield from (Path(entry.path) for entry in entries if entry.name.endswith(".json"))
        if depth == DEPTH:
            continue
        for entry in entries:
            is_folder = not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False)
            if is_folder and len(folders) < MOST_FOLDERS:
                folders.append((Path(entry.path), depth + 1))


def _is_quac_json(path: Path) -> bool:
    """Whether a json file has two of the keys near its beginning and its end."""
    if path.suffix.lower() != ".json":
        return False
    try:
        with path.open("rb") as file:
            beginning = file.read(BEGINNING)
            file.seek(max(0, path.stat().st_size - BEGINNING))
            ends = beginning + file.read()
    except OSError:
        return False
    return sum(f'"{key}"'.encode() in ends for key in QUAC_KEYS) >= 2
