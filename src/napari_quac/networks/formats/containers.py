"""Folders and archives of a classifier: its weights, and a description beside them."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from napari_quac.errors import CheckpointError
from napari_quac.networks.formats.bioimage import DESCRIPTIONS, read_bioimage
from napari_quac.networks.formats.container_files import Container, Files
from napari_quac.networks.formats.hugging_face import WEIGHTS, read_hugging_face
from napari_quac.networks.formats.monai_bundle import read_monai_bundle
from napari_quac.networks.formats.zip_errors import ZIP_ERRORS
from napari_quac.networks.tensor_file import detect_format, file_hash
from napari_quac.reading import reading_errors

MAX_GRAPH = 1 << 26  # bytes of an ONNX file whose weights are elsewhere


def find_container(path: Path) -> Container | None:
    """Return the container that a path is, or that a file of weights lies in.

    Parameters
    ----------
    path : Path
        A folder, a zip archive, a description file (``config.json``, ``rdf.yaml``), or a file of
        weights with such a description beside it.

    Returns
    -------
    container : Container or None
        None for any other file or folder.

    Raises
    ------
    CheckpointError
        If the description is damaged, or names no weights that can be read.
    """
    readers: tuple[Callable[[Files], Container | None], ...] = (
        read_hugging_face,
        read_bioimage,
        read_monai_bundle,
    )
    if path.is_file() and path.name in ("config.json", *DESCRIPTIONS, *WEIGHTS):
        beside = Files(path.parent, tuple(entry.name for entry in path.parent.iterdir()))
        readers = readers[:2]
        files: Files | None = beside
    else:
        files = _files_of(path)
    if files is None:
        return None
    with reading_errors(files.path.name, "Export it again.", CheckpointError):
        containers = (read(files) for read in readers)
        return next((container for container in containers if container is not None), None)


def weights_path(path: Path) -> Path:
    """Return the file of weights of a container, or the path itself if it is none."""
    container = find_container(path)
    return path if container is None else container.weights


def network_hash(path: Path) -> str:
    """Return the SHA-256 of a classifier's weights: of a file, a container, or an ONNX file.

    Weights of an ONNX file that lie in files beside it are part of it.
    """
    file = weights_path(path)
    files = [file]
    with file.open("rb") as content:
        may_be_graph = content.read(1) == b"\x08" and file.stat().st_size < MAX_GRAPH
    if may_be_graph and detect_format(file) == "onnx":
        from napari_quac.networks.onnx.graph import read_model

        files += read_model(file).data_files
    hashes = [file_hash(entry) for entry in files]
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()


def _files_of(path: Path) -> Files | None:
    if path.is_dir():
        names = [entry.name for entry in path.iterdir()]
        for folder in ("configs", "models"):
            if folder in names and (path / folder).is_dir():
                names += [f"{folder}/{entry.name}" for entry in (path / folder).iterdir()]
        return Files(path, tuple(names))
    if not path.is_file():
        return None
    try:
        with path.open("rb") as file:
            if file.read(4) != b"PK\x03\x04":
                return None
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except ZIP_ERRORS:
        return None  # the reader of files describes the damage
    names = [name for name in names if not name.startswith("__MACOSX/")]
    folders = {PurePosixPath(name).parts[0] for name in names if name}
    only = next(iter(folders)) if len(folders) == 1 else ""
    prefix = f"{only}/" if only and f"{only}" not in names else ""
    return Files(path, tuple(name.removeprefix(prefix) for name in names), prefix)
