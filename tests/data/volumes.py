"""Volumes in every format, written as others write them, and a store that counts."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from zarr.storage import LocalStore, WrapperStore

from napari_quac.data.place import Transform
from napari_quac.data.volume import Level, Volume

WITH_ENDS = np.random.default_rng(3).integers(0, 255, (9, 50, 61), dtype=np.uint8)


class CountingStore(WrapperStore[LocalStore]):
    """Counts the bytes of chunks that are read."""

    def __init__(self, store: LocalStore) -> None:
        super().__init__(store)
        self.n_bytes = 0
        self.chunks: set[str] = set()

    async def get(self, key: str, *args: Any, **kwargs: Any) -> Any:
        value = await super().get(key, *args, **kwargs)
        if value is not None and not key.endswith((".json", ".zarray", ".zattrs", ".zgroup")):
            self.n_bytes += len(value)
            self.chunks.add(key)
        return value


def encode_n5(data: bytes, codec: str) -> bytes:
    import numcodecs

    if codec == "raw":
        return data
    if codec == "gzip":
        return gzip.compress(data)
    if codec == "zlib":
        return zlib.compress(data)
    if codec == "bzip2":
        return bz2.compress(data)
    if codec == "xz":
        return lzma.compress(data)
    if codec == "blosc":
        return bytes(numcodecs.Blosc().encode(data))
    if codec == "zstd":
        return bytes(numcodecs.Zstd().encode(data))
    packed = bytes(numcodecs.LZ4().encode(data))[4:]
    header = b"LZ4Block" + bytes([0x26]) + struct.pack("<III", len(packed), len(data), 0)
    end = b"LZ4Block" + bytes([0x16]) + struct.pack("<III", 0, 0, 0)
    return header + packed + end


def write_n5(
    folder: Path, array: np.ndarray, chunks: tuple[int, ...], codec: str = "gzip", **attributes: Any
) -> None:
    """Write as the N5 specification says, edge blocks cut short."""
    folder.mkdir(parents=True)
    compression = {"type": "gzip", "useZlib": True} if codec == "zlib" else {"type": codec}
    described = {
        "dimensions": list(reversed(array.shape)),
        "blockSize": list(reversed(chunks)),
        "dataType": array.dtype.name,
        "compression": compression,
        **attributes,
    }
    (folder / "attributes.json").write_text(json.dumps(described))
    for position in np.ndindex(*(-(-n // c) for n, c in zip(array.shape, chunks, strict=True))):
        box = tuple(slice(p * c, (p + 1) * c) for p, c in zip(position, chunks, strict=True))
        block = array[box]
        data = block.astype(block.dtype.newbyteorder(">")).tobytes()
        header = struct.pack(">HH", 0, block.ndim)
        header += struct.pack(f">{block.ndim}I", *reversed(block.shape))
        path = folder.joinpath(*(str(p) for p in reversed(position)))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(header + encode_n5(data, codec))


def write_ome_zarr(path: Path, array: np.ndarray, version: str, channel: bool = False) -> None:
    """Write two levels with their metadata, 40 × 4 × 4 nm."""
    import zarr

    zarr_format: Any = 2 if version == "0.4" else 3
    group = zarr.open_group(path, mode="w", zarr_format=zarr_format)
    coarse = array[:, : array.shape[1] // 2 * 2, : array.shape[2] // 2 * 2]
    coarse = coarse.reshape(len(array), coarse.shape[1] // 2, 2, -1, 2).mean((2, 4)).astype("u1")
    levels = []
    for number, data in enumerate((array, coarse)):
        stored = np.stack([data // 2, data])[None] if channel else data
        chunks = (1,) * (stored.ndim - 2) + (16, 16)
        made = group.create_array(str(number), shape=stored.shape, chunks=chunks, dtype="u1")
        made[:] = stored
        more = [1.0, 1.0] if channel else []
        factor = 2**number
        levels.append({
            "path": str(number),
            "coordinateTransformations": [
                {"type": "scale", "scale": [*more, 40.0, 4.0 * factor, 4.0 * factor]},
                {"type": "translation", "translation": [*[0.0] * len(more), 0.0,
                                                        2.0 * number, 2.0 * number]},
            ],
        })  # fmt: skip
    axes: list[dict[str, str]] = [
        {"name": name, "type": "space", "unit": "nanometer"} for name in "zyx"
    ]
    if channel:
        axes = [{"name": "t", "type": "time"}, {"name": "c", "type": "channel"}, *axes]
    image = {"multiscales": [{"version": version, "axes": axes, "datasets": levels, "name": "em"}]}
    group.attrs.update(image if version == "0.4" else {"ome": {"version": "0.5", **image}})


def volume_from_array(
    array: Any,
    scale: Sequence[float] | None = None,
    translate: Sequence[float] | None = None,
    unit: str | None = None,
    name: str = "volume",
) -> Volume:
    """Return an array (*S), lazy or not, as a volume."""
    n_axes = len(array.shape)
    transform = Transform(
        tuple(map(float, scale or (1.0,) * n_axes)),
        tuple(map(float, translate or (0.0,) * n_axes)),
    )
    return Volume((Level(array, transform),), name, unit)
