"""Names of files and folders that the QuAC library can find again."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from napari_quac.data.image_file import IMAGE_SUFFIXES


def safe_name(text: str) -> str:
    """Return a name of letters, digits, ``_`` and ``-``.

    A dot would end the name for the library, which then does not find the attribution of an image.

    Examples
    --------
    >>> safe_name("cell 3.0/left")
    'cell_3_0_left'
    """
    name = re.sub(r"[^\w-]+", "_", text).strip("_")
    return name or "unnamed"


class FileNames:
    """Hands out one file name per sample, never one name to two samples of a folder."""

    def __init__(self) -> None:
        self._given: dict[tuple[str, str], str] = {}
        self._taken: set[tuple[str, str]] = set()

    def __call__(self, folder: str, sample_id: str) -> str:
        """Return the name, without ending, of a sample in the folder of its source class."""
        key = (folder, sample_id)
        if key not in self._given:
            self._given[key] = self._free(folder, _stem(sample_id))
        return self._given[key]

    def _free(self, folder: str, wanted: str) -> str:
        name, number = wanted, 1
        # file systems that do not tell capitals apart would put two in one
        while (folder, name.lower()) in self._taken:
            number += 1
            name = f"{wanted}_{number}"
        self._taken.add((folder, name.lower()))
        return name


def _stem(sample_id: str) -> str:
    """Return the id without the folder of its class and without the ending of an image."""
    path = PurePosixPath(sample_id.replace("\\", "/"))
    if path.suffix.lower() in IMAGE_SUFFIXES:
        path = path.with_suffix("")
    parts = path.parts[1:] if len(path.parts) > 1 else path.parts
    return safe_name("_".join(parts))
