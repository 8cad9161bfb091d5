"""Read N5 arrays, block by block; zarr 3 no longer supports the format.

The format is described at https://github.com/saalfeldlab/n5: a folder per array with the file
``attributes.json``, one file per block, axes from the fastest to the slowest, numbers big-endian.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import math
import struct
import zlib
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_quac.data.blosc_frames import check_blosc_frames
from napari_quac.errors import DataError
from napari_quac.reading import is_regular_file, read_bytes, read_json, reading_errors

CODECS = ("raw", "gzip", "bzip2", "xz", "lz4", "blosc", "zstd")
DATA_TYPES = frozenset(
    [f"{kind}int{bits}" for kind in ("", "u") for bits in (8, 16, 32, 64)] + ["float32", "float64"]
)
MAX_AXES = 16
MAX_BLOCK = 1 << 30  # bytes of a file, and of its voxels
MAX_ATTRIBUTES = 1 << 24  # bytes
_LZ4_MAGIC = b"LZ4Block"


def read_attributes(folder: Path) -> dict[str, Any]:
    """Return the content of ``attributes.json`` of a folder; empty without the file.

    Raises
    ------
    DataError
        If the file is damaged.
    """
    path = folder / "attributes.json"
    if not is_regular_file(path):
        return {}
    attributes = read_json(path, MAX_ATTRIBUTES)
    return attributes if isinstance(attributes, dict) else {}


_SIZES = ("dimensions", "blockSize")


def _lengths(lengths: Any) -> tuple[int, ...]:
    """Return positive lengths, the slowest axis first."""
    if not isinstance(lengths, list) or not 0 < len(lengths) <= MAX_AXES:
        raise ValueError(f"{lengths!r} is no list of lengths")
    if not all(type(length) is int and 0 < length < 1 << 48 for length in lengths):
        raise ValueError(f"{lengths!r} are no lengths")
    return tuple(reversed(lengths))


def is_array(folder: Path) -> bool:
    """Tell an N5 array from a group or another folder."""
    attributes = read_attributes(folder)
    return "dimensions" in attributes and "blockSize" in attributes


class N5Array:
    """An array of an N5 container, with axes from the slowest to the fastest, as in NumPy.

    Parameters
    ----------
    folder : Path
        Holds ``attributes.json`` and the blocks.
    read_block : callable, optional
        Returns the bytes of a file, or None if it is missing; missing blocks are 0.

    Attributes
    ----------
    shape, chunks : tuple of int
    dtype : numpy dtype

    Raises
    ------
    DataError
        If it is not an N5 array, or has an unknown compression.
    """

    def __init__(
        self, folder: Path, read_block: Callable[[Path], bytes | None] | None = None
    ) -> None:
        attributes = read_attributes(folder)
        if not is_array(folder):
            raise DataError(
                f"'{folder}' is not an N5 array: no dimensions in attributes.json. Choose another."
            )
        self.folder = folder
        self.attributes = attributes
        with reading_errors(f"{folder.name}/attributes.json", "Correct or copy it."):
            self.shape, self.chunks = (_lengths(attributes[key]) for key in _SIZES)
            self.dtype = np.dtype(str(attributes["dataType"]))
            if len(self.chunks) != len(self.shape) or self.dtype.name not in DATA_TYPES:
                raise ValueError(f"blocks {self.chunks} of {self.dtype} for {self.shape}")
        self.ndim = len(self.shape)
        compression = attributes.get("compression") or attributes.get("compressionType")
        compression = compression if isinstance(compression, dict) else {"type": compression}
        self._codec = str(compression.get("type") or "raw")
        self._use_zlib = bool(compression.get("useZlib", False))
        self._read_block = read_block or read_file
        if self._codec not in CODECS:
            raise DataError(
                f"'{folder}': codec '{self._codec}' is none of {', '.join(CODECS)}. Convert it."
            )

    def __getitem__(self, key: Any) -> NDArray[Any]:
        """Read a box of slices with step 1, and numbers, one for each of the first axes."""
        key = key if isinstance(key, tuple) else (key,)
        key = (*key, *(slice(None),) * (self.ndim - len(key)))
        bounds = []
        for part, n in zip(key, self.shape, strict=True):
            if isinstance(part, slice):
                start, stop, step = part.indices(n)
                if step != 1:
                    raise IndexError("N5 arrays are read in steps of 1")
                bounds.append((start, max(start, stop)))
            else:
                index = range(n)[int(part)]
                bounds.append((index, index + 1))
        box = self._read_box(bounds)
        drop = tuple(slice(None) if isinstance(part, slice) else 0 for part in key)
        return box[drop]

    def _read_box(self, bounds: list[tuple[int, int]]) -> NDArray[Any]:
        box = np.zeros([stop - start for start, stop in bounds], dtype=self.dtype)
        grids = [
            range(start // chunk, -(-stop // chunk) if stop > start else start // chunk)
            for (start, stop), chunk in zip(bounds, self.chunks, strict=True)
        ]
        for position in product(*grids):
            block = self._block(position)
            if block is None:
                continue
            into, out_of = [], []
            for p, chunk, (start, stop), n in zip(
                position, self.chunks, bounds, block.shape, strict=True
            ):
                first, last = max(start, p * chunk), min(stop, p * chunk + n)
                into.append(slice(first - start, max(first, last) - start))
                out_of.append(slice(first - p * chunk, max(first, last) - p * chunk))
            box[tuple(into)] = block[tuple(out_of)]
        return box

    def _block(self, position: tuple[int, ...]) -> NDArray[Any] | None:
        path = self.folder.joinpath(*(str(p) for p in reversed(position)))
        raw = self._read_block(path)
        if raw is None:
            return None
        try:
            mode, n_axes = struct.unpack_from(">HH", raw)
            sizes = struct.unpack_from(f">{n_axes}I", raw, 4)
            if n_axes != self.ndim or np.any(np.array(sizes[::-1]) > self.chunks):
                raise ValueError(f"a block of {sizes[::-1]} in place of {self.chunks}")
            body = 4 + 4 * n_axes + (4 if mode == 1 else 0)
            n_bytes = math.prod(sizes) * self.dtype.itemsize
            if n_bytes > MAX_BLOCK:
                raise ValueError(f"a block of {n_bytes} bytes")
            content = self._decode(raw[body:], n_bytes)
            numbers = np.frombuffer(content, self.dtype.newbyteorder(">"))
            return numbers.reshape(tuple(reversed(sizes))).astype(self.dtype)
        except Exception as error:
            raise DataError(f"The block '{path}' is damaged ({error}). Copy it again.") from error

    def _decode(self, raw: bytes, n_bytes: int) -> bytes:
        """Unpack a block to at most ``n_bytes``, so that none takes more memory than it states."""
        source = io.BytesIO(raw)
        if self._codec == "raw":
            return raw[:n_bytes]
        if self._codec == "gzip" and self._use_zlib:
            return zlib.decompressobj().decompress(raw, n_bytes)
        if self._codec in ("gzip", "bzip2", "xz"):
            files = {"gzip": gzip.GzipFile, "bzip2": bz2.BZ2File, "xz": lzma.LZMAFile}
            file: Any = files[self._codec]
            with file(fileobj=source) if self._codec == "gzip" else file(source) as unpacked:
                return bytes(unpacked.read(n_bytes))
        if self._codec == "lz4":
            return _decode_lz4(raw, n_bytes)
        import numcodecs  # comes with zarr

        check_blosc_frames()
        codec = numcodecs.Blosc() if self._codec == "blosc" else numcodecs.Zstd()
        block = np.empty(n_bytes, dtype=np.uint8)
        return bytes(codec.decode(raw, out=block))


def _decode_lz4(raw: bytes, n_bytes: int) -> bytes:
    """Decode the frames that lz4-java writes: magic, kind, two lengths, checksum, block."""
    import numcodecs

    parts, at = [], 0
    while at < len(raw):
        if raw[at : at + 8] != _LZ4_MAGIC:
            raise ValueError("no LZ4 block where one is expected")
        kind = raw[at + 8] & 0xF0
        packed, unpacked = struct.unpack_from("<II", raw, at + 9)
        at += 21
        block = raw[at : at + packed]
        at += packed
        if unpacked == 0:
            break
        if unpacked > n_bytes:
            raise ValueError("more LZ4 than the block holds")
        if kind != 0x10:
            block = bytes(numcodecs.LZ4().decode(struct.pack("<I", unpacked) + block))
        parts.append(block)
    return b"".join(parts)


def read_file(path: Path) -> bytes | None:
    """Return the bytes of a block; None if it is missing."""
    return read_bytes(path, MAX_BLOCK) if is_regular_file(path) else None
