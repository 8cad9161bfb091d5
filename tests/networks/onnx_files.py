"""Writing small ONNX files byte by byte, without the onnx package."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

_TYPES = {"float32": 1, "uint8": 2, "int64": 7, "bool": 9, "float16": 10, "float64": 11}


def varint(number: int) -> bytes:
    number &= (1 << 64) - 1
    content = b""
    while number > 0x7F:
        content, number = content + bytes([number & 0x7F | 0x80]), number >> 7
    return content + bytes([number])


def field(number: int, content: int | bytes | str) -> bytes:
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    content = content.encode() if isinstance(content, str) else content
    return varint(number << 3 | 2) + varint(len(content)) + content


def tensor(name: str, entry: Tensor, location: str = "") -> bytes:
    array = np.ascontiguousarray(entry.detach().numpy())
    content = b"".join(field(1, length) for length in array.shape)
    content += field(2, _TYPES[array.dtype.name]) + field(8, name)
    if location:
        entries = (("location", location), ("length", str(array.nbytes)))
        for pair in entries:
            content += field(13, field(1, pair[0]) + field(2, pair[1]))
        return content + field(14, 1)
    return content + field(9, array.tobytes())


def attribute(name: str, entry: Any) -> bytes:
    content = field(1, name)
    if isinstance(entry, float):
        return content + varint(2 << 3 | 5) + struct.pack("<f", entry) + field(20, 1)
    if isinstance(entry, int):
        return content + field(3, entry) + field(20, 2)
    if isinstance(entry, str):
        return content + field(4, entry) + field(20, 3)
    if isinstance(entry, Tensor):
        return content + field(5, tensor("", entry)) + field(20, 4)
    return content + b"".join(field(8, number) for number in entry) + field(20, 7)


def node(kind: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any) -> bytes:
    content = b"".join(field(1, name) for name in inputs)
    content += b"".join(field(2, name) for name in outputs) + field(4, kind)
    return content + b"".join(field(5, attribute(*pair)) for pair in attributes.items())


def value_info(name: str, shape: Sequence[int | None], kind: int = 1) -> bytes:
    dimensions = b"".join(
        field(1, field(1, length) if length is not None else field(2, "n")) for length in shape
    )
    return field(1, name) + field(2, field(1, field(1, kind) + field(2, dimensions)))


def model(
    nodes: Sequence[bytes],
    weights: Mapping[str, Tensor],
    shape: Sequence[int | None],
    opset: int = 17,
    metadata: Mapping[str, str] | None = None,
    location: str = "",
    input_type: int = 1,
) -> bytes:
    """Return a file from the input ``x`` to the output ``y``."""
    graph = b"".join(field(1, entry) for entry in nodes) + field(2, "graph")
    for name, entry in weights.items():
        is_outside = location and entry.is_floating_point() and entry.ndim == 4
        graph += field(5, tensor(name, entry, location if is_outside else ""))
    graph += field(11, value_info("x", shape, input_type)) + field(12, value_info("y", [None, 3]))
    content = field(1, 8) + field(2, "test") + field(7, graph)
    content += field(8, field(1, "") + field(2, opset))
    for key, text in (metadata or {}).items():
        content += field(14, field(1, key) + field(2, text))
    return content


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path
