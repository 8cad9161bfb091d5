"""Names of files and folders that the QuAC library can read."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from napari_quac.data.image_file import IMAGE_SUFFIXES


def safe_name(text: str) -> str:
    """Return a name of letters, digits, ``_`` and ``-``.

    The library cuts names at a dot, and then does not find the attribution of an image.

    Examples
    --------
    >>> safe_name("cell 3.0/left")
    'cell_3_0_left'
    """
    name = re.sub(r"[^\w-]+", "_", text).strip("_")
    return name or "unnamed"


class FileNames:
    """Unique file names of samples within a folder."""

    def __init__(self) -> None:
        self._names: dict[tuple[str, str], str] = {}
        self._used: set[tuple[str, str]] = set()

    def __call__(self, folder: str, sample_id: str) -> str:
        """Return the name of a sample, without extension, in the folder of its source class."""
        key = (folder, sample_id)
        if key not in self._names:
            self._names[key] = self._unique(folder, _stem(sample_id))
        return self._names[key]

    def _unique(self, folder: str, stem: str) -> str:
        name, number = stem, 1
        # some file systems ignore case
        while (folder, name.lower()) in self._used:
            number += 1
            name = f"{stem}_{number}"
        self._used.add((folder, name.lower()))
        return name


def _stem(sample_id: str) -> str:
    """Return the id without the folder of its class and without an image extension."""
    path = PurePosixPath(sample_id.replace("\\", "/"))
    if path.suffix.lower() in IMAGE_SUFFIXES:
        path = path.with_suffix("")
    parts = path.parts[1:] if len(path.parts) > 1 else path.parts
    return safe_name("_".join(parts))
