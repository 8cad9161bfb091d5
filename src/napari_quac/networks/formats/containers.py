"""Folders and archives of a classifier: its weights, and a description beside them."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from napari_quac.errors import CheckpointError

MAX_DESCRIPTION = 1 << 24  # bytes of a description file; weights are larger


@dataclass(frozen=True)
class Container:
    """A classifier with its description.

    Attributes
    ----------
    kind : str
        Of the container, such as ``"Hugging Face folder"``.
    weights : Path
        The file of weights, or of a program.
    metadata : Mapping[str, str]
        Facts of the description, under the keys of a file's metadata.
    notes : tuple of str
        Sentences about parts of the description that have no counterpart.
    """

    kind: str
    weights: Path
    metadata: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Files:
    """The files of a folder or of a zip archive, by their relative names.

    Attributes
    ----------
    path : Path
        The folder or archive.
    names : tuple of str
        With ``/`` between folders; a common folder of an archive is omitted.
    prefix : str
        That folder.
    """

    path: Path
    names: tuple[str, ...]
    prefix: str = ""

    def text(self, name: str) -> str:
        """Return a description file as text.

        Raises
        ------
        CheckpointError
            If it is too large, or no text.
        """
        try:
            if self.path.is_dir():
                file = self.path / name
                if file.stat().st_size > MAX_DESCRIPTION:
                    raise CheckpointError(f"'{name}' in '{self.path.name}' is no description.")
                return file.read_text(encoding="utf-8")
            with zipfile.ZipFile(self.path) as archive, archive.open(self.prefix + name) as member:
                return member.read(MAX_DESCRIPTION).decode("utf-8")
        except (OSError, UnicodeDecodeError, zipfile.BadZipFile, RuntimeError) as error:
            raise CheckpointError(
                f"'{name}' in '{self.path.name}' cannot be read ({error}). Copy it again."
            ) from error

    def file(self, name: str) -> Path:
        """Return a file on the disk; one of an archive is unpacked until Python ends."""
        return self.path / name if self.path.is_dir() else _unpacked(self.path, self.prefix + name)

    def first(self, *names: str) -> str:
        """Return the first of some names that is there; empty if none is."""
        return next((name for name in names if name in self.names), "")


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
    from napari_quac.networks.formats.bioimage import DESCRIPTIONS, read_bioimage
    from napari_quac.networks.formats.hugging_face import WEIGHTS, read_hugging_face
    from napari_quac.networks.formats.monai_bundle import read_monai_bundle

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
    containers = (read(files) for read in readers)
    return next((container for container in containers if container is not None), None)


def weights_path(path: Path) -> Path:
    """Return the file of weights of a container, or the path itself if it is none."""
    container = find_container(path)
    return path if container is None else container.weights


def choose_weights(files: Files, names: Iterable[str], kind: str) -> Path:
    """Return the first file of weights that is there.

    Raises
    ------
    CheckpointError
        If none is.
    """
    names = list(names)
    name = files.first(*names)
    if not name:
        raise CheckpointError(
            f"'{files.path.name}' is a {kind} without weights ({', '.join(names)}). Copy them "
            "into it."
        )
    return files.file(name)


def _files_of(path: Path) -> Files | None:
    if path.is_dir():
        names = [entry.name for entry in path.iterdir()]
        for folder in ("configs", "models"):
            if folder in names and (path / folder).is_dir():
                names += [f"{folder}/{entry.name}" for entry in (path / folder).iterdir()]
        return Files(path, tuple(names))
    if not path.is_file():
        return None
    with path.open("rb") as file:
        if file.read(4) != b"PK\x03\x04":
            return None
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError):
        return None  # the reader of files describes the damage
    names = [name for name in names if not name.startswith("__MACOSX/")]
    folders = {PurePosixPath(name).parts[0] for name in names if name}
    only = next(iter(folders)) if len(folders) == 1 else ""
    prefix = f"{only}/" if only and f"{only}" not in names else ""
    return Files(path, tuple(name.removeprefix(prefix) for name in names), prefix)


@functools.lru_cache(maxsize=16)
def _unpacked(path: Path, name: str) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="napari-quac-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    target = folder / PurePosixPath(name).name
    try:
        with zipfile.ZipFile(path) as archive, archive.open(name) as source:
            with target.open("wb") as file:
                shutil.copyfileobj(source, file)
    except (zipfile.BadZipFile, OSError, KeyError, RuntimeError) as error:
        raise CheckpointError(
            f"'{name}' in '{path.name}' cannot be unpacked ({error}). Copy the archive again."
        ) from error
    return target
