"""A huge precomputed volume of which no voxel is stored: the server computes each block."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .server import VolumeServer, serve

SHAPE = (5_000, 20_000, 20_000)  # z, y, x
VOXEL_NM = (40.0, 4.0, 4.0)
BLOCK = 64
STEPS = (1, 4, 64)
"""Voxels of the finest scale per voxel of each scale, along y and x."""


def scale_shape(level: int) -> tuple[int, int, int]:
    """Return the voxels of a scale along z, y and x."""
    step = STEPS[level]
    return -(-SHAPE[0] // step), -(-SHAPE[1] // step), -(-SHAPE[2] // step)


def value(z: NDArray[np.int64], y: NDArray[np.int64], x: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return the value of voxels of the finest scale; never 0, and different in each block."""
    return np.asarray((13 * z + 7 * (y >> 2) + 3 * (x >> 2) + (x >> 6) * (y >> 6)) % 251 + 1, "u1")


def block(level: int, bounds: tuple[tuple[int, int], ...]) -> bytes:
    """Return the file of a block from its bounds along x, y and z."""
    x, y, z = (np.arange(*edges) * STEPS[level] for edges in bounds)
    return value(z[:, None, None], y[:, None], x).tobytes()


def description() -> bytes:
    """Return the file ``info``."""
    scales = [
        {
            "key": f"s{level}",
            "size": list(scale_shape(level)[::-1]),
            "resolution": [n * step for n in VOXEL_NM[::-1]],
            "voxel_offset": [0, 0, 0],
            "chunk_sizes": [[BLOCK] * 3],
            "encoding": "raw",
        }
        for level, step in enumerate(STEPS)
    ]
    info = {"type": "image", "data_type": "uint8", "num_channels": 1, "scales": scales}
    return json.dumps({"@type": "neuroglancer_multiscale_volume", **info}).encode()


def answer(name: str) -> bytes | None:
    """Return the file of a name; None if there is none."""
    if name == "em/info":
        return description()
    match = re.fullmatch(r"em/s(\d)/(\d+)-(\d+)_(\d+)-(\d+)_(\d+)-(\d+)", name)
    if match is None:
        return None
    level, *edges = map(int, match.groups())
    return block(level, tuple(zip(edges[::2], edges[1::2], strict=True)))


@contextmanager
def serve_sparse(folder: Path) -> Iterator[VolumeServer]:
    """Serve the volume ``em``; the folder is empty."""
    with serve(folder) as server:
        server.compute = answer
        yield server


def block_name(numbers: tuple[int, ...]) -> str:
    """Return the name of a block of the finest scale from its numbers along z, y and x."""
    ends = zip(numbers[::-1], SHAPE[::-1], strict=True)
    return "em/s0/" + "_".join(f"{n * BLOCK}-{min((n + 1) * BLOCK, end)}" for n, end in ends)


def patch_blocks(centers: NDArray[np.int64], size: tuple[int, ...]) -> set[tuple[int, ...]]:
    """Return the blocks of the finest scale that patches around voxels lie in."""
    blocks = set()
    for center in centers:
        first = center - np.array(size) // 2
        low = np.maximum(first, 0) // BLOCK
        high = (np.minimum(first + size, SHAPE) - 1) // BLOCK
        ranges = [range(a, b + 1) for a, b in zip(low.tolist(), high.tolist(), strict=True)]
        blocks |= {(z, y, x) for z in ranges[0] for y in ranges[1] for x in ranges[2]}
    return blocks
