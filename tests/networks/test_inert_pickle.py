"""Pickles are read without executing anything: plain values, tensors, and stand-ins."""

from __future__ import annotations

import argparse
import collections
import io
import os
import pickle
import struct
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from napari_quac.networks.inert_pickle import read_pickle
from napari_quac.networks.inert_values import Budget, InertPickleError, Reference, StandIn
from napari_quac.networks.tensor_records import TensorRecord, TensorRecordError
from napari_quac.networks.torch_archive import (
    PickledContent,
    read_archive,
    read_old_file,
    read_pickle_file,
)


class Plain:
    def __init__(self) -> None:
        self.number = 3


class Slotted:
    __slots__ = ("number",)

    def __init__(self) -> None:
        self.number = 3


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "value",
    [
        {"a": 1, 2: [1.5, None, True, False], "t": (1, (2, 3), (1, 2, 3, 4), ())},
        {"bytes": b"ab\x00\xff", "text": "ä\n'\"\\", "long": 1 << 200, "negative": -(1 << 40)},
        [list(range(3000)), {"x": 1, "y": {1, 2, 3}, "z": frozenset([4])}],
        {"complex": 1 + 2j, "bytearray": bytearray(b"abc")},
        collections.OrderedDict(a=1, b=2),
    ],
)
def test_plain_values_equal_those_of_pickle(protocol: int, value: Any) -> None:
    read, end = read_pickle(content := pickle.dumps(value, protocol))
    assert read == value
    assert end == len(content)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("kind", [Plain, Slotted, argparse.Namespace])
def test_objects_are_stand_ins(protocol: int, kind: type) -> None:
    if kind is Slotted and protocol < 2:
        pytest.skip("objects with slots have no such pickle")
    value = kind(number=3) if kind is argparse.Namespace else kind()
    read, _ = read_pickle(pickle.dumps([value, value], protocol))
    assert isinstance(read[0], StandIn)
    assert read[0] is read[1]
    assert read[0].attributes() == {"number": 3}
    path = read[0].path if protocol > 1 else read[0].arguments[0].path
    assert path == f"{kind.__module__}.{kind.__qualname__}"


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("dtype", ["f4", "f8", ">f4", "i8", "u1", "?", "c8", "S3", "U3"])
def test_arrays_equal_those_of_numpy(protocol: int, dtype: str) -> None:
    array = np.asfortranarray(np.arange(6).reshape(2, 3).astype(dtype))
    read, _ = read_pickle(pickle.dumps([array, array[0, 1]], protocol))
    assert np.array_equal(read[0].array, array)
    assert read[0].array.dtype == array.dtype
    if dtype != ">f4":
        assert read[1] == array[0, 1]


def test_paths_and_defaults_are_plain() -> None:
    value = {"path": Path("/a/b"), "default": collections.defaultdict(list, {"a": [1]})}
    read, _ = read_pickle(pickle.dumps(value))
    assert read == {"path": "/a/b", "default": {"a": [1]}}


NUMBERS = torch.arange(30.0).reshape(5, 6) / 7
VIEW = NUMBERS[1:4, ::2]
TENSORS: dict[str, Callable[[], Tensor]] = {
    "float": lambda: NUMBERS.clone(),
    "view": lambda: VIEW,
    "transposed": lambda: NUMBERS.t(),
    "expanded": lambda: NUMBERS[:1].expand(3, 6),
    "parameter": lambda: nn.Parameter(NUMBERS.clone()),
    "half": lambda: NUMBERS.half(),
    "bfloat16": lambda: NUMBERS.bfloat16(),
    "double": lambda: NUMBERS.double(),
    "complex": lambda: torch.complex(NUMBERS, NUMBERS),
    "bool": lambda: NUMBERS > 2,
    "scalar": lambda: torch.tensor(7),
    "empty": lambda: torch.zeros(0, 3),
    "uint16": lambda: torch.tensor([1, 60000], dtype=torch.uint16),
    "float8": lambda: NUMBERS.to(torch.float8_e4m3fn),
    "quantized": lambda: torch.quantize_per_tensor(NUMBERS, 0.1, 3, torch.quint8),
    "channels": lambda: torch.quantize_per_channel(
        NUMBERS[:2], torch.tensor([0.1, 0.2]), torch.tensor([0, 1]), 0, torch.qint8
    ),
    "sparse": lambda: torch.eye(4).to_sparse(),
    "csr": lambda: torch.eye(4).to_sparse_csr(),
}


def read_saved(content: Any, path: Path, old: bool = False) -> PickledContent:
    torch.save(content, path, _use_new_zipfile_serialization=not old)
    return read_old_file(path) if old else read_archive(path)


def plain(tensor: Tensor) -> Tensor:
    tensor = tensor.detach()
    tensor = tensor.dequantize() if tensor.is_quantized else tensor
    return tensor.to_dense() if tensor.layout is not torch.strided else tensor


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("name", list(TENSORS))
@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support", "ignore:torch.quantize_per_tensor")
def test_tensors_equal_those_of_torch(tmp_path: Path, name: str, old: bool) -> None:
    original = TENSORS[name]()
    saved = read_saved({"a": original, "b": VIEW}, tmp_path / "t.pt", old)
    tensor, expected = saved.tensor(saved.value["a"]), plain(original)
    assert tensor.dtype == expected.dtype
    assert tensor.shape == expected.shape
    if original.is_quantized:
        torch.testing.assert_close(tensor, expected, rtol=1e-6, atol=0)
    else:
        assert tensor.tolist() == expected.tolist()
    assert torch.equal(saved.tensor(saved.value["b"]), VIEW)


def test_tensors_of_a_plain_pickle(tmp_path: Path) -> None:
    path = tmp_path / "t.pkl"
    path.write_bytes(pickle.dumps({"a": VIEW, "b": nn.Parameter(NUMBERS)}))
    saved = read_pickle_file(path)
    assert torch.equal(saved.tensor(saved.value["a"]), VIEW)
    assert torch.equal(saved.tensor(saved.value["b"]), NUMBERS)


def test_nothing_is_imported_or_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []
    canary = types.ModuleType("canary_of_pickles")
    canary.touch = calls.append  # type: ignore[attr-defined]
    witness = tmp_path / "witness"
    monkeypatch.setattr(os, "system", calls.append)
    monkeypatch.setitem(sys.modules, "canary_of_pickles", canary)
    code = f"open({str(witness)!r}, 'w')"
    programs = [
        b"ccanary_of_pickles\ntouch\n(I1\ntR.",
        b"cos\nsystem\n(S'touch'\ntR.",
        b"(icanary_of_pickles\ntouch\n.",
        b"(ccanary_of_pickles\ntouch\nI1\no.",
        b"\x80\x02ccanary_of_pickles\ntouch\nK\x01\x85\x81.",
        b"\x80\x04\x8c\x11canary_of_pickles\x8c\x05touch\x93K\x01\x85}\x92.",
        b"cbuiltins\nexec\n(V" + code.encode() + b"\ntR.",
        b"cbuiltins\n__import__\n(Vcanary_absent\ntR.",
        b"cbuiltins\ngetattr\n(cos\nVsystem\ntR(Vtouch\ntR.",
        b"ccanary_of_pickles\ntouch\n}V__setstate__\nccanary_of_pickles\ntouch\nsb.",
        b"\x80\x02\x82\x01.",
        b"Pcanary\n.",
        b"ccollections\nOrderedDict\n(ccanary_of_pickles\ntouch\ntR.",
        b"ctorch._utils\n_rebuild_tensor_v2\n(ccanary_of_pickles\ntouch\nI0\n(I1\nt(I1\ntI0\nNtR.",
        b"ctorch.storage\n_load_from_bytes\n(ccanary_of_pickles\ntouch\ntR.",
    ]
    for program in programs:
        read_pickle(program)
    assert not calls
    assert not witness.exists()
    assert "canary_absent" not in sys.modules


@pytest.mark.parametrize(
    "program",
    [
        b"",
        b".",
        b"}",
        b"a.",
        b"h\x00.",
        b"\xff.",
        b"\x80\x09N.",
        b"X\xff\xff\xff\xffab.",
        b"\x8b\xff\xff\xff\x7f.",
        b"\x8e" + struct.pack("<Q", 1 << 62) + b".",
        b"I" + b"9" * 5000 + b"\n.",
        b"S'abc\n.",
        b"ca",
        b"(((.",
        b"}(K\x01u.",
        b"N\x85R.",
        b"Nb.",
    ],
)
def test_damaged_pickles_are_refused(program: bytes) -> None:
    with pytest.raises(InertPickleError):
        read_pickle(program)


def test_bombs_are_refused_before_they_fill_the_memory() -> None:
    for program in (
        b"}" * 1_000_000,
        b"\x8f" * 1_000_000,
        b"(" * 1_000_000,
        b"c_codecs\nencode\n" + b"X\x40\x42\x0f\x00" + b"a" * 1_000_000 + b"Vlatin1\n\x86"
        b"\x8a\x01\x010q\x000q\x01" + b"h\x01h\x00R0" * 1000,
        b"]q\x00" + b"(" + b"h\x00" * 100_000 + b"eq\x000" + b"cbuiltins\nlist\nh\x00\x85R0" * 1000,
    ):
        with pytest.raises(InertPickleError):
            read_pickle(program, 0, Budget(20_000_000))


def test_deep_and_colliding_keys_take_no_time() -> None:
    nested = b"}" + b")" + b"\x85" * 100_000 + b"K\x01s."
    assert len(read_pickle(nested)[0]) == 1
    modulus = (1 << 61) - 1
    keys = b"".join(
        b"\x8a" + bytes([10]) + (modulus * n).to_bytes(10, "little") + b"N" for n in range(5_000)
    )
    assert len(read_pickle(b"}(" + keys + b"u.")[0]) == 5_000


def test_views_outside_of_their_storage_are_refused(tmp_path: Path) -> None:
    saved = read_saved({"a": torch.rand(3, 4)}, tmp_path / "t.pt")
    record = saved.value["a"]
    for shape, strides, offset in (
        ((4, 4), (4, 1), 0),
        ((3, 4), (4, 1), 1),
        ((1 << 40,), (0,), 0),
        ((1 << 30, 1 << 30), (0, 0), 0),
    ):
        changed = TensorRecord(record.storage, record.dtype, offset, shape, strides)
        with pytest.raises(TensorRecordError):
            saved.tensor(changed)


def test_whole_module_keeps_the_path_of_its_class(tmp_path: Path) -> None:
    saved = read_saved(nn.Sequential(nn.Linear(2, 3)), tmp_path / "t.pt")
    assert saved.value.path == "torch.nn.modules.container.Sequential"
    layer = saved.value.attributes()["_modules"]["0"]
    assert layer.attributes()["in_features"] == 2
    weight = saved.tensor(layer.attributes()["_parameters"]["weight"])
    assert weight.shape == (3, 2)


def test_references_are_not_imported() -> None:
    read, _ = read_pickle(b"cabsent_package.module\nabsent\n.")
    assert isinstance(read, Reference)
    assert read.path == "absent_package.module.absent"


def test_buffer_of_a_stream(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    pickle.dump({"a": 1}, buffer)
    pickle.dump([2], buffer)
    first, end = read_pickle(buffer.getvalue())
    second, _ = read_pickle(buffer.getvalue(), end)
    assert (first, second) == ({"a": 1}, [2])
