"""The graph of an ONNX file: nodes, weights, inputs and outputs.

Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from napari_quac.errors import CheckpointError, shorten
from napari_quac.networks.onnx import wire
from napari_quac.reading import check_regular_file, path_exists, reading_errors

TYPES: Mapping[int, torch.dtype] = {
    1: torch.float32, 2: torch.uint8, 3: torch.int8, 4: torch.int32, 5: torch.int16,
    6: torch.int32, 7: torch.int64, 9: torch.bool, 10: torch.float16, 11: torch.float64,
    12: torch.int64, 13: torch.int64, 16: torch.bfloat16,
}  # fmt: skip
_NUMPY = {
    1: "<f4", 2: "u1", 3: "i1", 4: "<u2", 5: "<i2", 6: "<i4", 7: "<i8", 9: "?", 10: "<f2",
    11: "<f8", 12: "<u4", 13: "<u8", 16: "<u2",
}  # fmt: skip
_STANDARD = ("", "ai.onnx")


@dataclass(frozen=True, eq=False)
class Node:
    """An operation.

    Attributes
    ----------
    kind : str
        Operator, with its domain if it is not a standard one.
    inputs, outputs : tuple of str
        Names of tensors; an empty name for an optional input that is omitted.
    attributes : Mapping[str, Any]
    """

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Graph:
    """Nodes in the order of computation.

    Attributes
    ----------
    nodes : tuple of Node
    weights : Mapping[str, Tensor]
    inputs : Mapping[str, tuple]
        Name to shape of each input; None for a free length.
    outputs : tuple of str
    input_type : int
        Type of the first input, as a number of ONNX.
    """

    nodes: tuple[Node, ...]
    weights: Mapping[str, Tensor]
    inputs: Mapping[str, tuple[int | None, ...]]
    outputs: tuple[str, ...]
    input_type: int = 1


@dataclass(frozen=True, eq=False)
class Model:
    """An ONNX file.

    Attributes
    ----------
    graph : Graph
    opset : int
        Version of the standard operators.
    functions : Mapping[str, Graph]
        Operators that the file itself defines.
    metadata : Mapping[str, str]
    data_files : tuple of Path
        Files of weights beside it.
    """

    graph: Graph
    opset: int
    functions: Mapping[str, Graph] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    data_files: tuple[Path, ...] = ()


def read_model(path: Path) -> Model:
    """Read an ONNX file, and the weights in files beside it.

    Raises
    ------
    CheckpointError
        If it is damaged, or weights are missing.
    """
    advice = "Export it again."
    with reading_errors(path.name, advice, CheckpointError):
        fields = wire.read_fields(memoryview(path.read_bytes()))
        reader = _Reader(path)
        opsets = {}
        for entry in map(wire.read_fields, wire.messages(fields.get(8, []))):
            opsets[wire.text(entry.get(1, []))] = wire.whole(entry.get(2, []))
        graph = reader.graph(wire.messages(fields[7])[0])
        functions = {}
        for message in wire.messages(fields.get(25, [])):
            entry = wire.read_fields(message)
            names = [_texts(entry.get(number, [])) for number in (4, 5)]
            nodes = tuple(map(reader.node, wire.messages(entry.get(7, []))))
            kind = _kind(wire.text(entry.get(10, [])), wire.text(entry.get(1, [])))
            functions[kind] = Graph(nodes, {}, dict.fromkeys(names[0], ()), tuple(names[1]))
        metadata = dict(_entries(fields.get(14, [])))
        opset = max((opsets.get(domain, 0) for domain in _STANDARD), default=0)
        return Model(graph, opset, functions, metadata, tuple(sorted(reader.data_files)))


def _kind(domain: str, name: str) -> str:
    return name if domain in _STANDARD else f"{domain}.{name}"


def _texts(payloads: list[wire.Payload]) -> list[str]:
    return [wire.text([payload]) for payload in payloads]


def _entries(payloads: list[wire.Payload]) -> list[tuple[str, str]]:
    entries = map(wire.read_fields, wire.messages(payloads))
    return [(wire.text(entry.get(1, [])), wire.text(entry.get(2, []))) for entry in entries]


class _Reader:
    """Reads messages of one file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.data_files: set[Path] = set()

    def graph(self, message: memoryview) -> Graph:
        fields = wire.read_fields(message)
        if 15 in fields:
            raise ValueError("it has sparse weights")
        weights = dict(map(self.tensor, wire.messages(fields.get(5, []))))
        inputs, kinds = {}, []
        for entry in map(wire.read_fields, wire.messages(fields.get(11, []))):
            name = wire.text(entry.get(1, []))
            if name not in weights:
                kind, shape = _tensor_type(entry)
                inputs[name] = shape
                kinds.append(kind)
        outputs = [
            wire.text(wire.read_fields(entry).get(1, []))
            for entry in wire.messages(fields.get(12, []))
        ]
        nodes = []
        for node in map(self.node, wire.messages(fields.get(1, []))):
            constant = _constant(node)
            if constant is None:
                nodes.append(node)
            else:
                weights[node.outputs[0]] = constant
        return Graph(tuple(nodes), weights, inputs, tuple(outputs), next(iter(kinds), 1))

    def node(self, message: memoryview) -> Node:
        fields = wire.read_fields(message)
        attributes = dict(
            map(self.attribute, map(wire.read_fields, wire.messages(fields.get(5, []))))
        )
        kind = _kind(wire.text(fields.get(7, [])), wire.text(fields.get(4, [])))
        inputs, outputs = (_texts(fields.get(number, [])) for number in (1, 2))
        return Node(kind, tuple(inputs), tuple(outputs), attributes)

    def attribute(self, fields: dict[int, list[wire.Payload]]) -> tuple[str, Any]:
        name, kind = wire.text(fields.get(1, [])), wire.whole(fields.get(20, []))
        if 21 in fields:
            return name, Reference(wire.text(fields[21]))
        if kind == 1:
            return name, wire.floats(fields.get(2, []))[0] if 2 in fields else 0.0
        if kind == 2:
            return name, wire.whole(fields.get(3, []))
        if kind == 3:
            return name, wire.text(fields.get(4, []))
        if kind == 4:
            return name, self.tensor(wire.messages(fields[5])[0])[1]
        if kind == 5:
            return name, self.graph(wire.messages(fields[6])[0])
        if kind == 6:
            return name, wire.floats(fields.get(7, []))
        if kind == 7:
            return name, wire.integers(fields.get(8, []))
        if kind == 8:
            return name, _texts(fields.get(9, []))
        raise ValueError(f"the attribute '{name}' is of the unknown type {kind}")

    def tensor(self, message: memoryview) -> tuple[str, Tensor]:
        fields = wire.read_fields(message)
        name, kind = wire.text(fields.get(8, [])), wire.whole(fields.get(2, []))
        if kind not in TYPES:
            raise ValueError(f"the weights '{name}' are of the unknown type {kind}")
        shape = wire.integers(fields.get(1, []))
        if wire.whole(fields.get(14, [])) == 1:
            content = self.external(name, dict(_entries(fields.get(13, []))))
            array = np.frombuffer(content, _NUMPY[kind])
        elif 9 in fields:
            array = np.frombuffer(wire.messages(fields[9])[-1], _NUMPY[kind])
        elif kind == 1:
            array = np.asarray(wire.floats(fields.get(4, [])), np.float32)
        elif kind == 11:
            array = np.asarray(wire.floats(fields.get(10, []), "d"), np.float64)
        else:
            numbers = wire.integers(fields.get({7: 7, 12: 11, 13: 11}.get(kind, 5), []))
            array = np.asarray(numbers, np.int64).astype(_NUMPY[kind] if kind != 10 else "<u2")
            array = array.view("<f2") if kind == 10 else array
        if kind == 16:
            array = (array.astype(np.uint32) << 16).view(np.float32)
        elif array.dtype.kind == "f":
            array = array.astype(np.float32)
        elif array.dtype.kind == "u" and array.dtype.itemsize > 1:
            array = array.astype(np.int64)
        return name, torch.from_numpy(array.copy()).reshape(shape)

    def external(self, name: str, entries: Mapping[str, str]) -> bytes:
        """Return the content of weights that lie in a file beside this one."""
        path = (self.path.parent / entries["location"]).resolve()
        if path.parent != self.path.parent.resolve():
            raise ValueError(f"the weights '{name}' lie in another folder")
        if not path_exists(path):
            raise CheckpointError(
                f"'{self.path.name}' holds an ONNX graph whose weights are in '{path.name}', which "
                "is missing. Copy that file beside it."
            )
        self.data_files.add(path)
        size = check_regular_file(path, CheckpointError)
        offset = int(entries.get("offset", 0))
        length = int(entries["length"]) if "length" in entries else size - offset
        if offset < 0 or length < 0 or offset + length > size:
            raise CheckpointError(
                f"'{path.name}' has {size} bytes, but the weights '{shorten(name)}' of "
                f"'{self.path.name}' end after {offset + length}. Copy both files again."
            )
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(length)


@dataclass(frozen=True)
class Reference:
    """An attribute of a function, whose value is that of the node that uses the function."""

    name: str


def _tensor_type(fields: dict[int, list[wire.Payload]]) -> tuple[int, tuple[int | None, ...]]:
    kind = wire.read_fields(wire.messages(fields[2])[0])
    tensor = wire.read_fields(wire.messages(kind[1])[0])
    lengths: list[int | None] = []
    for shape in wire.messages(tensor.get(2, [])):
        for dimension in wire.messages(wire.read_fields(shape).get(1, [])):
            length = wire.whole(wire.read_fields(dimension).get(1, []))
            lengths.append(length if length > 0 else None)
    return wire.whole(tensor.get(1, []), 1), tuple(lengths)


def _constant(node: Node) -> Tensor | None:
    """Return the tensor of a node without inputs that holds one."""
    if node.kind != "Constant":
        return None
    (key, entry), *_ = node.attributes.items()
    if isinstance(entry, Tensor):
        return entry
    if key.startswith("value_") and not isinstance(entry, str | Reference):
        kind = torch.float32 if "float" in key else torch.int64
        return torch.tensor(entry, dtype=kind)
    return None
