"""Real electron microscopy, downloaded when a user asks for it: the Drosophila ventral nerve cord.

Nothing of it comes with the package; the files are under another licence.
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
from napari_quac.stepwise import Progress, stepwise

FOLDER_VARIABLE = "NAPARI_QUAC_VNC_FOLDER"
"""Environment variable with the folder in which the sections are, or are put."""

BASE_URL = (
    "https://raw.githubusercontent.com/unidesigner/groundtruth-drosophila-vnc/"
    "4a5f051466d24d8dc1e855ab55658bb1b1dcd6bf/"
)
CITATION = (
    "Gerhard, Funke, Martel, Cardona, Fetter: Segmented anisotropic ssTEM dataset of neural "
    "tissue. figshare 2013, doi:10.6084/m9.figshare.856713"
)
LICENCE = "CC BY-NC-SA 3.0"
VOXEL_NM = (45.0, 4.6, 4.6)
"""The publishers give a thickness of 45 to 50 nm."""
STACK_FILE = "stack1_sections00-13.tif"
"""A stack of all sections in the folder is taken as well, if its pixels are the published ones."""

TIMEOUT_SECONDS = 20.0
"""Without an answer for so long, a download is given up."""

_REGISTRY = Path(__file__).parent / "registries" / "drosophila_vnc.txt"
_SHAPE = (1024, 1024)


@dataclass(frozen=True)
class Section:
    """One published file.

    Attributes
    ----------
    path : str
        Below the address, and below the folder.
    file_sha256, pixels_sha256 : str
        Of the file, and of its pixels row by row.
    """

    path: str
    file_sha256: str
    pixels_sha256: str


def published_sections() -> tuple[Section, ...]:
    """Return the sections that are known, in their order."""
    lines = _REGISTRY.read_text(encoding="utf-8").splitlines()
    return tuple(Section(*line.split()) for line in lines if line and not line.startswith("#"))


def vnc_folder() -> Path:
    """Return where the sections are kept: as the variable says, or the user's cache."""
    import pooch

    chosen = os.environ.get(FOLDER_VARIABLE)
    return Path(chosen).expanduser() if chosen else Path(pooch.os_cache("napari-quac")) / "vnc"


def n_missing(folder: Path | None = None) -> int:
    """Return how many sections are to be downloaded."""
    folder = folder or vnc_folder()
    if (folder / STACK_FILE).is_file():
        return 0
    return sum(not (folder / section.path).is_file() for section in published_sections())


@stepwise
def fetch_vnc(
    folder: Path | None = None, sections: tuple[Section, ...] = (), base_url: str = ""
) -> Generator[Progress, None, NDArray[np.uint8]]:
    """Return the sections, downloaded where they are not there yet.

    Parameters
    ----------
    folder : Path, optional
        Where they are kept; see :func:`vnc_folder`.
    sections : tuple of Section
        Which ones; all that are known by default.
    base_url : str
        Where they come from; :data:`BASE_URL` by default.

    Returns
    -------
    Steps of (Z, 1024, 1024) ndarray, uint8

    Raises
    ------
    DataError
        If the network cannot be reached, or what came is not what was published.
    """
    folder, sections = folder or vnc_folder(), sections or published_sections()
    base_url = base_url or BASE_URL
    whole = folder / STACK_FILE
    if whole.is_file():
        yield Progress(0, 1, f"reading {STACK_FILE}")
        return _read_whole(whole, sections)
    planes = []
    for number, section in enumerate(sections):
        yield Progress(number, len(sections), f"section {number + 1} of {len(sections)}")
        planes.append(_read_page(_fetch(folder, section, base_url), section))
    return np.stack(planes)


def layer_metadata() -> Mapping[str, Any]:
    """Return what is kept with the layer: citation, licence, source."""
    return {"citation": CITATION, "licence": LICENCE, "source": BASE_URL}


def _fetch(folder: Path, section: Section, base_url: str) -> Path:
    """Return the file of a section, with the checksum that was published."""
    import pooch

    there = folder / section.path
    if there.is_file() and pooch.file_hash(str(there)) == section.file_sha256:
        return there
    try:
        path = pooch.retrieve(
            base_url + section.path,
            known_hash=f"sha256:{section.file_sha256}",
            fname=there.name,
            path=there.parent,
            downloader=pooch.HTTPDownloader(timeout=TIMEOUT_SECONDS),
        )
    except ValueError as error:
        raise DataError(
            f"'{section.path}' from {base_url} is not the file that was published: its checksum "
            "differs. Nothing was kept. Try again later."
        ) from error
    except Exception as error:  # the libraries for downloading raise many kinds
        raise DataError(_why_not(error, folder, section, base_url)) from error
    return Path(path)


def _why_not(error: Exception, folder: Path, section: Section, base_url: str) -> str:
    """Say what kept a section from coming, and what can be done."""
    local = f"put the sections into '{folder}', or name another folder by {FOLDER_VARIABLE}"
    answer = getattr(error, "response", None)
    if answer is not None:
        return (
            f"{base_url} has no '{section.path}' (it answered {answer.status_code}). The data may "
            f"have moved: look at {CITATION.rpartition(' ')[2]}, and {local}."
        )
    if isinstance(error, OSError) and error.filename is not None:
        return (
            f"'{error.filename}' cannot be written ({error.strerror}). Name a folder that can be "
            f"written to by {FOLDER_VARIABLE}."
        )
    return (
        f"'{section.path}' could not be downloaded from {base_url} ({type(error).__name__}). Check "
        f"the network; or {local}."
    )


def _read_page(path: Path, section: Section) -> NDArray[np.uint8]:
    from napari_quac.data.image_file import read_array

    page = np.ascontiguousarray(read_array(path))
    if page.shape != _SHAPE or page.dtype != np.uint8:
        raise DataError(
            f"'{path}' holds {page.dtype} of shape {page.shape}, expected uint8 of {_SHAPE}. "
            "Delete it and try again."
        )
    return page.view(np.uint8)


def _read_whole(path: Path, sections: tuple[Section, ...]) -> NDArray[np.uint8]:
    from napari_quac.data.image_file import read_array

    pages = np.asarray(read_array(path))
    for number, section in enumerate(sections):
        plane = pages[number] if number < len(pages) else pages[:0]
        if hashlib.sha256(np.ascontiguousarray(plane).tobytes()).hexdigest() != (
            section.pixels_sha256
        ):
            raise DataError(
                f"Section {number} of '{path}' does not hold the pixels that were published. "
                "Delete or rename the file; the sections are downloaded then."
            )
    return pages[: len(sections)].astype(np.uint8, copy=False)
