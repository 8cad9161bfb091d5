"""Volumes in the formats of buckets, written by tensorstore and zarr."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorstore as ts
from numpy.typing import NDArray

SHAPE, OFFSET, VOXEL_NM = (40, 72, 96), (30, 2000, 1000), (40.0, 4.0, 4.0)  # z, y, x
Image = NDArray[np.uint8]


def voxels(seed: int = 0) -> Image:
    """Return smooth noise, which JPEG changes little."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(1, 255, tuple(-(-n // 8) for n in SHAPE)).astype(float)
    for axis, n in enumerate(SHAPE):
        coarse = np.repeat(coarse, 8, axis).take(np.arange(n), axis)
    return coarse.astype(np.uint8)


def halved(image: Image) -> Image:
    """Return every other voxel along y and x."""
    return image[:, ::2, ::2]


def write_precomputed(
    path: Path, image: Image, encoding: str = "raw", is_sharded: bool = False
) -> None:
    """Write two scales with an offset."""
    for level, (part, step) in enumerate(((image, 1), (halved(image), 2))):
        factors = (1, step, step)
        scale: dict[str, Any] = {
            "key": f"s{level}",
            "size": list(part.shape[::-1]),
            "resolution": [n * k for n, k in zip(VOXEL_NM, factors, strict=True)][::-1],
            "voxel_offset": [n // k for n, k in zip(OFFSET, factors, strict=True)][::-1],
            "chunk_size": [32, 32, 16],
            "encoding": encoding,
        }
        if encoding == "jpeg":
            scale["jpeg_quality"] = 90
        if is_sharded:
            scale["sharding"] = {
                "@type": "neuroglancer_uint64_sharded_v1", "preshift_bits": 1, "shard_bits": 2,
                "minishard_bits": 2, "hash": "identity", "data_encoding": "raw",
                "minishard_index_encoding": "gzip",
            }  # fmt: skip
        spec = {
            "driver": "neuroglancer_precomputed",
            "kvstore": {"driver": "file", "path": f"{path}/"},
            "multiscale_metadata": {"type": "image", "data_type": "uint8", "num_channels": 1},
            "scale_metadata": scale,
        }
        store = ts.open(spec, create=True, open=True).result()
        store[..., 0].write(part.T).result()


def _write(path: Path, image: Image, spec: dict[str, Any]) -> None:
    place = {"driver": "file", "path": f"{path}/"}
    store = ts.open({**spec, "kvstore": place}, create=True).result()
    store.write(image).result()


def write_zarr_2(path: Path, image: Image) -> None:
    """Write one array."""
    codec = {"id": "zlib", "level": 1}
    metadata = {"shape": SHAPE, "chunks": [16, 32, 32], "dtype": "|u1", "compressor": codec}
    _write(path, image, {"driver": "zarr", "metadata": metadata})
    attributes = {"resolution": list(VOXEL_NM), "units": ["nm"] * 3}
    (path / ".zattrs").write_text(json.dumps(attributes))


def write_zarr_3(path: Path, image: Image) -> None:
    """Write an OME-Zarr of two levels, in shards."""
    for level, part in enumerate((image, halved(image))):
        inner = [{"name": "bytes"}, {"name": "zstd", "configuration": {"level": 1}}]
        shards = {"chunk_shape": [8, 16, 16], "codecs": inner}
        metadata = {
            "shape": part.shape, "data_type": "uint8",
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [16, 32, 32]}},
            "codecs": [{"name": "sharding_indexed", "configuration": shards}],
        }  # fmt: skip
        _write(path / f"s{level}", part, {"driver": "zarr3", "metadata": metadata})
    datasets = [
        {
            "path": f"s{level}",
            "coordinateTransformations": [
                {"type": "scale", "scale": [40.0, 4.0 * step, 4.0 * step]},
                {"type": "translation", "translation": [1200.0, 8000.0, 4000.0]},
            ],
        }
        for level, step in enumerate((1, 2))
    ]
    axes = [{"name": name, "type": "space", "unit": "nanometer"} for name in "zyx"]
    ome = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": datasets}]}
    group = {"zarr_format": 3, "node_type": "group", "attributes": {"ome": ome}}
    (path / "zarr.json").write_text(json.dumps(group))


def write_n5(path: Path, image: Image) -> None:
    """Write the levels s0 and s1."""
    for level, part in enumerate((image, halved(image))):
        metadata = {
            "dimensions": part.shape[::-1], "blockSize": [32, 32, 16], "dataType": "uint8",
            "compression": {"type": "gzip"},
        }  # fmt: skip
        _write(path / f"s{level}", part.T, {"driver": "n5", "metadata": metadata})
        if level:
            file = path / "s1" / "attributes.json"
            entries = json.loads(file.read_text())
            file.write_text(json.dumps({**entries, "downsamplingFactors": [2, 2, 1]}))
    resolution = {"unit": "nm", "dimensions": list(VOXEL_NM[::-1])}
    (path / "attributes.json").write_text(json.dumps({"pixelResolution": resolution}))


WRITERS: dict[str, Callable[[Path, Image], None]] = {
    "raw": lambda path, image: write_precomputed(path, image, "raw", False),
    "jpeg": lambda path, image: write_precomputed(path, image, "jpeg", False),
    "sharded": lambda path, image: write_precomputed(path, image, "raw", True),
    "zarr2": write_zarr_2,
    "zarr3": write_zarr_3,
    "n5": write_n5,
}
