"""Files below a folder, in bounded time."""

from __future__ import annotations

import os
import time
from pathlib import Path

from napari_quac.errors import DataError
from napari_quac.stepwise import check_canceled

MOST_SECONDS = 5.0
"""Time for one search; a home folder or a disk can hold millions of files."""


def files_below(folder: Path, suffixes: tuple[str, ...] = ()) -> list[Path]:
    """Return the files at any level below a folder, sorted; links to folders are not followed.

    Parameters
    ----------
    folder : Path
        Where the search begins.
    suffixes : tuple of str
        Lower-case ends of the names, such as ``(".json",)``; empty for all files.

    Raises
    ------
    DataError
        If the search takes longer than :data:`MOST_SECONDS`.
    """
    end = time.monotonic() + MOST_SECONDS
    found: list[Path] = []
    for parent, _, names in os.walk(folder):
        check_canceled()
        if time.monotonic() > end:
            raise DataError(
                f"'{folder}' holds too many files to be searched within {MOST_SECONDS:.0f} s. "
                "Choose the folder of the results itself."
            )
        found += [Path(parent, name) for name in names if name.lower().endswith(suffixes or "")]
    return sorted(found)
