"""The files of a folder or archive that holds a classifier and its description."""

from __future__ import annotations

import atexit
import functools
import shutil
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from napari_quac.errors import CheckpointError
from napari_quac.reading import is_folder

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
            if is_folder(self.path):
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
        return (
            self.path / name if is_folder(self.path) else _unpacked(self.path, self.prefix + name)
        )

    def first(self, *names: str) -> str:
        """Return the first of some names that is there; empty if none is."""
        return next((name for name in names if name in self.names), "")


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
