"""Limits of what an opened file or folder may read: known codecs, and no files elsewhere.

A file can name other files of the user, whose bytes would appear as voxels in exports, and codecs
that run code. Folders in the environment variable :data:`ALLOWED_FOLDERS` are read all the same.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path, PureWindowsPath
from typing import Any, NoReturn

from napari_quac.data.blosc_frames import check_blosc_frames
from napari_quac.errors import DataError, one_line
from napari_quac.file_probe import probe_file
from napari_quac.reading import is_regular_file, parse_json

ALLOWED_FOLDERS = "NAPARI_QUAC_LINKED_FOLDERS"
NUMBERS = "buif"
"""Kinds of the values of images: booleans and numbers."""
CODECS = frozenset({
    "adler32", "astype", "base64", "bitround", "blosc", "bytes", "bz2", "crc32", "crc32c",
    "default", "delta", "endian", "fixedscaleoffset", "fletcher32", "gzip", "jenkins_lookup3",
    "lz4", "lzma", "packbits", "pcodec", "quantize", "sharding_indexed", "shuffle", "transpose",
    "zfpy", "zlib", "zstd",
    "imagecodecs_deflate", "imagecodecs_jpeg", "imagecodecs_jpeg2k", "imagecodecs_lzw",
    "imagecodecs_packbits", "imagecodecs_zstd", "tifffile",
})  # fmt: skip
MAX_LINKS = 32
_IS_WINDOWS = os.name == "nt"


def require_inside(target: Path, root: Path, name: str) -> None:
    """Refuse a file that lies outside of a folder, links included.

    Parameters
    ----------
    target : Path
        The file to read; it need not exist.
    root : Path
        The folder.
    name : str
        Of the opened file, for the message.

    Raises
    ------
    DataError
        If the target is elsewhere, and its folder is not allowed.
    """
    if is_inside(target, root):
        return
    raise DataError(
        f"'{name}' links to '{target}' outside of its folder, which was not read. Copy it into "
        f"the folder, or name the folder of the target in the variable {ALLOWED_FOLDERS}."
    )


def is_inside(target: Path, root: Path) -> bool:
    """Tell whether a file lies in a folder or in an allowed one, links included."""
    if is_elsewhere(target, root):
        return False
    allowed = (str(root), *os.environ.get(ALLOWED_FOLDERS, "").split(os.pathsep))
    place = os.path.realpath(target)
    tops = (_real(folder) for folder in allowed if folder)
    return any(place == top or place.startswith(top.rstrip(os.sep) + os.sep) for top in tops)


def is_elsewhere(path: Path, base: Path) -> bool:
    """Tell a path of another machine, as Windows writes it, from one on that of a folder.

    On Windows a look at such a path already signs in at the server.
    """
    if not _IS_WINDOWS:
        return False
    drive, own = (PureWindowsPath(str(p)).drive.lower() for p in (path, base))
    return drive.startswith("\\\\") and drive != own


@cache
def _real(folder: str) -> str:
    return os.path.realpath(folder)


def require_numbers(array: Any, name: str) -> None:
    """Refuse an array of objects, and one with codecs that are not known to be safe.

    Parameters
    ----------
    array : array
        Of zarr, HDF5, N5 or NumPy; nothing of it is read.
    name : str
        For the message.

    Raises
    ------
    DataError
        If reading it could run code.
    """
    metadata = getattr(array, "metadata", None)
    if metadata is not None and hasattr(metadata, "to_dict"):
        _require_known_codecs(metadata.to_dict(), name)
    kind = getattr(array.dtype, "kind", "")
    if kind not in NUMBERS:
        _refuse_values(str(array.dtype), name)


def _require_known_codecs(metadata: Mapping[str, Any], name: str) -> None:
    for codec in _codecs_in(metadata):
        if codec.removeprefix("numcodecs.") not in CODECS:
            raise DataError(
                f"'{name}' is compressed by '{codec}', which can run code or is not known; it was "
                "not read. Convert it with another codec, such as zstd."
            )


def _refuse_values(kind: str, name: str) -> NoReturn:
    content = "Python objects" if kind.endswith("O") else f"values of the type {kind}"
    raise DataError(f"'{name}' holds {content}, not numbers; it was not read. Convert it.")


def _codecs_in(metadata: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names of all codecs in the metadata of a zarr array of either version."""
    parts: list[Any] = [metadata.get(key) for key in ("compressor", "filters", "codecs")]
    for part in parts:  # grows meanwhile: shards have codecs of their own
        if isinstance(part, list | tuple):
            parts.extend(part)
        elif isinstance(part, Mapping):
            yield str(part.get("name", part.get("id")))
            configuration = part.get("configuration")
            inner = configuration if isinstance(configuration, Mapping) else {}
            parts += [inner.get("codecs"), inner.get("index_codecs")]


def local_store(path: Path) -> Any:
    """Return a zarr store of a folder that refuses links out of it."""
    check_blosc_frames()
    return _store_class()(path, read_only=True)


@cache
def _store_class() -> Any:
    from zarr.storage import LocalStore

    class InnerStore(LocalStore):  # type: ignore[misc, unused-ignore]
        """A store that refuses links out of its folder."""

        def _check(self, key: str) -> None:
            require_inside(self.root / key, self.root, self.root.name)

        def _checked(self, key: str, content: Any) -> Any:
            """Refuse the description of an array before zarr looks for its codecs."""
            folder, _, file = key.rpartition("/")
            if content is None or file not in (".zarray", "zarr.json"):
                return content
            name = f"{self.root.name}/{folder}" if folder else self.root.name
            try:
                metadata = parse_json(content.to_bytes())
            except DataError as error:
                raise DataError(f"'{name}/{file}' is damaged ({one_line(error, 120)}).") from error
            if isinstance(metadata, Mapping):
                _require_known_codecs(metadata, name)
                kind = metadata.get("dtype")
                if isinstance(kind, str) and kind.endswith("O"):
                    _refuse_values(kind, name)
            return content

        async def get(self, key: str, *arguments: Any, **settings: Any) -> Any:
            """Return the bytes of a key."""
            self._check(key)
            content = await super().get(key, *arguments, **settings)
            return self._checked(key, content)

        def get_sync(self, key: str, *arguments: Any, **settings: Any) -> Any:
            """Return the bytes of a key; called by later versions of zarr."""
            self._check(key)
            return self._checked(key, super().get_sync(key, *arguments, **settings))

        async def get_partial_values(self, prototype: Any, key_ranges: Any) -> Any:
            """Return the bytes of parts of keys."""
            key_ranges = list(key_ranges)
            for key, _ in key_ranges:
                self._check(key)
            return await super().get_partial_values(prototype, key_ranges)

    return InnerStore


def check_hdf5(file: Any, name: str, path: Path, depth: int = 0) -> None:
    """Refuse an array of an HDF5 file whose voxels lie outside of the folder of the file.

    Parameters
    ----------
    file : h5py.File
        The opened file.
    name : str
        Of an array in it; nothing happens if there is none.
    path : Path
        Of the file.
    depth : int
        Number of links that led here.

    Raises
    ------
    DataError
        If a link, an external storage or a part of a virtual dataset lies elsewhere.
    """
    import h5py

    if depth > MAX_LINKS:
        raise DataError(f"'{path.name}' holds links in a circle. Copy it again.")
    node = file
    parts = [part for part in name.split("/") if part]
    for position, part in enumerate(parts):
        if not isinstance(node, h5py.Group):
            return
        link = node.get(part, getlink=True)
        rest = "/".join(parts[position + 1 :])
        if isinstance(link, h5py.ExternalLink):
            _check_other(path.parent / link.filename, f"{link.path}/{rest}", path, depth)
            return
        if isinstance(link, h5py.SoftLink):
            start = "" if link.path.startswith("/") else node.name
            check_hdf5(file, f"{start}/{link.path}/{rest}", path, depth + 1)
            return
        node = node.get(part)
    if not isinstance(node, h5py.Dataset):
        return
    for external, _, _ in node.external or ():
        require_inside(Path.cwd() / external, path.parent, path.name)  # as the library reads it
    if node.is_virtual:
        sources = {(source.file_name, source.dset_name) for source in node.virtual_sources()}
        for file_name, inner in sources:
            if file_name == ".":
                check_hdf5(file, inner, path, depth + 1)
            else:
                _check_other(path.parent / file_name, inner, path, depth)


def _check_other(other: Path, name: str, path: Path, depth: int) -> None:
    import h5py

    require_inside(other, path.parent, path.name)
    if not is_regular_file(other):
        raise DataError(f"'{path.name}' links to '{other.name}', which is missing. Copy it, too.")
    probe_file(other, "hdf5", name)
    with h5py.File(other, "r") as file:
        check_hdf5(file, name, other, depth + 1)
