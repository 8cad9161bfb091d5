"""Electron microscopy of the Drosophila ventral nerve cord, downloaded on demand.

The files are not part of the package, because they have another license.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_quac.errors import DataError
from napari_quac.reading import is_regular_file
from napari_quac.stepwise import Progress, stepwise

FOLDER_VARIABLE = "NAPARI_QUAC_VNC_FOLDER"
"""Environment variable with the folder of the sections."""

BASE_URL = (
    "https://raw.githubusercontent.com/unidesigner/groundtruth-drosophila-vnc/"
    "4a5f051466d24d8dc1e855ab55658bb1b1dcd6bf/"
)
CITATION = (
    "Gerhard, Funke, Martel, Cardona, Fetter: Segmented anisotropic ssTEM dataset of neural "
    "tissue. figshare 2013, doi:10.6084/m9.figshare.856713"
)
LICENSE = "CC BY-NC-SA 3.0"
VOXEL_NM = (45.0, 4.6, 4.6)
"""The publishers state a thickness of 45 to 50 nm."""
STACK_FILE = "stack1_sections00-13.tif"
"""A stack of all sections, which replaces the single files if its pixels match."""

TIMEOUT_SECONDS = 20.0
"""A download without an answer for this time is aborted."""

_REGISTRY = Path(__file__).parent / "registries" / "drosophila_vnc.txt"
_SHAPE = (1024, 1024)


@dataclass(frozen=True)
class Section:
    """One published file.

    Attributes
    ----------
    path : str
        Path relative to the address and to the folder.
    file_sha256, pixels_sha256 : str
        Of the file, and of its pixels row by row.
    """

    path: str
    file_sha256: str
    pixels_sha256: str


def published_sections() -> tuple[Section, ...]:
    """Return the published sections, in their order."""
    lines = _REGISTRY.read_text(encoding="utf-8").splitlines()
    return tuple(Section(*line.split()) for line in lines if line and not line.startswith("#"))


def vnc_folder() -> Path:
    """Return the folder of the sections: that of the variable, or the user's cache."""
    import pooch

    folder = os.environ.get(FOLDER_VARIABLE)
    return Path(folder).expanduser() if folder else Path(pooch.os_cache("napari-quac")) / "vnc"


def n_missing(folder: Path | None = None) -> int:
    """Count the sections that are not on disk."""
    folder = folder or vnc_folder()
    if is_regular_file(folder / STACK_FILE):
        return 0
    return sum(not is_regular_file(folder / section.path) for section in published_sections())


@stepwise
def fetch_vnc(
    folder: Path | None = None, sections: tuple[Section, ...] = (), base_url: str = ""
) -> Generator[Progress, None, NDArray[np.uint8]]:
    """Read the sections, and download those that are not on disk.

    Parameters
    ----------
    folder : Path, optional
        Folder of the sections; see :func:`vnc_folder`.
    sections : tuple of Section
        All published ones by default.
    base_url : str
        Address of the sections; :data:`BASE_URL` by default.

    Returns
    -------
    Steps of (Z, 1024, 1024) ndarray, uint8

    Raises
    ------
    DataError
        If the network cannot be reached, or a file differs from the published one.
    """
    folder, sections = folder or vnc_folder(), sections or published_sections()
    base_url = base_url or BASE_URL
    whole = folder / STACK_FILE
    if is_regular_file(whole):
        yield Progress(0, 1, f"reading {STACK_FILE}")
        return _read_whole(whole, sections)
    planes = []
    for number, section in enumerate(sections):
        yield Progress(number, len(sections), f"section {number + 1} of {len(sections)}")
        planes.append(_read_page(_fetch(folder, section, base_url), section))
    return np.stack(planes)


def layer_metadata() -> Mapping[str, Any]:
    """Return the metadata of the layer: citation, license, source."""
    return {"citation": CITATION, "license": LICENSE, "source": BASE_URL}


def _fetch(folder: Path, section: Section, base_url: str) -> Path:
    """Return the file of a section, with the published checksum."""
    import pooch

    local = folder / section.path
    if is_regular_file(local) and pooch.file_hash(str(local)) == section.file_sha256:
        return local
    try:
        path = pooch.retrieve(
            base_url + section.path,
            known_hash=f"sha256:{section.file_sha256}",
            fname=local.name,
            path=local.parent,
            downloader=pooch.HTTPDownloader(timeout=TIMEOUT_SECONDS),
        )
    except ValueError as error:
        raise DataError(
            f"'{section.path}' from {base_url} is not the published file: checksum differs. Retry."
        ) from error
    except Exception as error:  # the libraries for downloading raise many kinds
        raise DataError(_why_not(error, folder, section, base_url)) from error
    return Path(path)


def _why_not(error: Exception, folder: Path, section: Section, base_url: str) -> str:
    """Return the reason why a section is not available, and the remedy."""
    advice = f"put the sections into '{folder}', or set {FOLDER_VARIABLE} to another folder"
    answer = getattr(error, "response", None)
    if answer is not None:
        doi = CITATION.rpartition(" ")[2]
        return f"{section.path}: {base_url} answered {answer.status_code}. See {doi}, and {advice}."
    if isinstance(error, OSError) and error.filename is not None:
        reason = f"'{error.filename}' cannot be written ({error.strerror})."
        return f"{reason} Set {FOLDER_VARIABLE} to a folder with write permission."
    reason = f"'{section.path}' was not downloaded from {base_url} ({type(error).__name__})."
    return f"{reason} Check the network, or {advice}."


def _read_page(path: Path, section: Section) -> NDArray[np.uint8]:
    from napari_quac.data.image_file import read_array

    page = np.ascontiguousarray(read_array(path))
    if page.shape != _SHAPE or page.dtype != np.uint8:
        raise DataError(
            f"'{path}' holds {page.dtype} of shape {page.shape}, not uint8 of {_SHAPE}. Delete it."
        )
    return page.view(np.uint8)


def _read_whole(path: Path, sections: tuple[Section, ...]) -> NDArray[np.uint8]:
    from napari_quac.data.image_file import read_array

    pages = np.asarray(read_array(path))
    for number, section in enumerate(sections):
        plane = pages[number] if number < len(pages) else pages[:0]
        digest = hashlib.sha256(np.ascontiguousarray(plane).tobytes()).hexdigest()
        if digest != section.pixels_sha256:
            raise DataError(
                f"Section {number} of '{path}' differs from the published pixels. Delete the file."
            )
    return pages[: len(sections)].astype(np.uint8, copy=False)
