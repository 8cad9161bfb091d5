"""Files of ``torch.save`` in its formats, and plain pickles, read without executing anything."""

from __future__ import annotations

import math
import mmap
import struct
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from napari_quac.networks.formats.zip_errors import ZIP_ERRORS
from napari_quac.networks.inert_pickle import read_pickle
from napari_quac.networks.inert_values import (
    BUILDERS,
    Budget,
    InertPickleError,
)
from napari_quac.networks.tensor_records import (
    StorageRecord,
    TensorRecord,
    TensorRecordError,
)

MAX_PICKLE = 1 << 28  # bytes of the list of values in an archive, without the tensors
MAX_DEPTH = 3
MAX_EXPANDED = 1 << 26  # numbers in all sparse and quantized tensors of a file
_MAGIC = 0x1950A86A20F9469CFC6C


@dataclass(eq=False)
class PickledContent:
    """Values of a file, whose tensors are read on demand.

    Attributes
    ----------
    value : object
        Plain values, tensor records, references and stand-ins.
    read_bytes : callable
        Returns the bytes of a storage.
    """

    value: Any
    read_bytes: Callable[[StorageRecord], Any]
    _storages: dict[str, Tensor] = field(default_factory=dict)
    _tensors: dict[int, Tensor] = field(default_factory=dict)
    _n_expanded: int = 0

    def tensor(self, record: TensorRecord) -> Tensor:
        """Read a tensor onto the CPU.

        Raises
        ------
        TensorRecordError
            If the file does not hold it completely.
        """
        if id(record) not in self._tensors:
            # a view needs no memory; a sparse or quantized tensor is converted
            if record.sparse or record.scheme:
                self._n_expanded += math.prod(record.shape)
            if self._n_expanded > MAX_EXPANDED:
                raise TensorRecordError("its sparse tensors are too large")
            self._tensors[id(record)] = record.read(self._storage)
        return self._tensors[id(record)]

    def _storage(self, record: StorageRecord) -> Tensor:
        name = record.key if record.content is None else f"content {id(record)}"
        if name not in self._storages:
            content = self.read_bytes(record) if record.content is None else record.content
            if len(content) < record.n_bytes:
                raise TensorRecordError("numbers of a tensor are missing")
            buffer = content if isinstance(content, bytearray) else bytearray(content)
            numbers = torch.frombuffer(buffer, dtype=torch.uint8) if buffer else torch.zeros(0)
            self._storages[name] = numbers.to(torch.uint8)
        return self._storages[name]


def read_archive(path: Path) -> PickledContent:
    """Read the values of a zip archive that ``torch.save`` wrote.

    Raises
    ------
    InertPickleError
        If its list of values is damaged, or exceeds a limit.
    """
    with zipfile.ZipFile(path) as archive:
        members = {member.filename: member for member in archive.infolist()}
        pickled = next(name for name in members if name.partition("/")[2] == "data.pkl")
        folder = pickled.removesuffix("data.pkl")
        if members[pickled].file_size > MAX_PICKLE:
            raise InertPickleError("it unpacks to far more than a network")
        order = members.get(f"{folder}byteorder")
        if order is not None and order.file_size < 16 and archive.read(order) == b"big":
            raise InertPickleError("its numbers have the byte order of another machine")
        value, _ = read_pickle(archive.read(pickled), 0, Budget(), _builders())

    archives: list[zipfile.ZipFile] = []

    def read_bytes(record: StorageRecord) -> bytearray:
        member = members.get(f"{folder}data/{record.key}")
        if member is None or member.file_size < record.n_bytes:
            raise TensorRecordError("numbers of a tensor are missing")
        content = bytearray(record.n_bytes)
        try:
            if not archives:  # opened once: its list of members takes long to read
                archives.append(zipfile.ZipFile(path))
            with archives[0].open(member) as part:
                part.readinto(content)  # type: ignore[attr-defined]
        except ZIP_ERRORS as error:
            raise TensorRecordError("numbers of a tensor are missing") from error
        return content

    return PickledContent(value, read_bytes)


def read_old_file(path: Path) -> PickledContent:
    """Read the values of a file in the old format of ``torch.save``.

    Raises
    ------
    InertPickleError
        If its list of values is damaged, or exceeds a limit.
    """
    return _old_content(_mapped(path), Budget())


def read_pickle_file(path: Path) -> PickledContent:
    """Read the values of a plain pickle.

    Raises
    ------
    InertPickleError
        If its list of values is damaged, or exceeds a limit.
    """
    budget = Budget()
    value, _ = read_pickle(_mapped(path), 0, budget, _builders())
    return PickledContent(value, _no_bytes)


def _mapped(path: Path) -> memoryview:
    with path.open("rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def _no_bytes(record: StorageRecord) -> bytes:
    raise TensorRecordError("numbers of a tensor are missing")


def _old_content(content: memoryview, budget: Budget) -> PickledContent:
    """Read five pickles in a row (magic number, version, machine, values, keys), then numbers."""
    builders = _builders()
    magic, position = read_pickle(content, 0, budget, builders)
    if magic != _MAGIC:
        raise InertPickleError("its start cannot be read")
    _, position = read_pickle(content, position, budget, builders)
    machine, position = read_pickle(content, position, budget, builders)
    if isinstance(machine, dict) and machine.get("little_endian") is False:
        raise InertPickleError("its numbers have the byte order of another machine")
    storages: dict[str, StorageRecord] = {}
    value, position = read_pickle(content, position, budget, builders, storages)
    keys, position = read_pickle(content, position, budget, builders)
    parts: dict[str, memoryview] = {}
    for key in keys if isinstance(keys, list) else ():
        if not isinstance(key, str) or key not in storages:
            raise InertPickleError("its list of tensors cannot be read")
        try:
            (length,) = struct.unpack_from("<q", content, position)
        except struct.error as error:
            raise InertPickleError("its tensors end early") from error
        dtype = storages[key].dtype
        end = position + 8 + length * (dtype.itemsize if dtype is not None else 1)
        if length < 0 or end > len(content):
            raise InertPickleError("its tensors end early")
        parts[key] = content[position + 8 : end]
        position = end

    def read_bytes(record: StorageRecord) -> Any:
        if record.key not in parts:
            raise TensorRecordError("numbers of a tensor are missing")
        return parts[record.key]

    return PickledContent(value, read_bytes)


def _builders() -> Mapping[str, Any]:
    return {**BUILDERS, "torch.storage._load_from_bytes": _nested_storage}


def _nested_storage(budget: Budget, content: Any, *_: Any) -> StorageRecord | None:
    """Read the storage of a tensor that was pickled without ``torch.save``."""
    if not isinstance(content, bytes) or budget.depth >= MAX_DEPTH:
        return None
    budget.depth += 1
    try:
        inner = _old_content(memoryview(content), budget)
    finally:
        budget.depth -= 1
    storage = inner.value
    if not isinstance(storage, StorageRecord):
        return None
    try:
        storage.content = inner.read_bytes(storage)
    except TensorRecordError as error:
        raise InertPickleError("its tensors end early") from error
    return storage
