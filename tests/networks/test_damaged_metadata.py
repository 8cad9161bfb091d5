"""Values of another kind in network files, and files that are none."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path

import pytest

from napari_quac.errors import CheckpointError, QuacError
from napari_quac.example.example import CLASSIFIER_FILE, GENERATOR_FILE
from napari_quac.generators.opening import inspect_network, load_classifier, load_generator

VALUES = {
    "range": '["a", "b"]', "class_names": "3", "image_size": "NaN", "query_size": '"x"',
    "mean": "[1e999]", "preprocessing": "[1]", "variant": "[[1]]", "channels": "1e9",
    "final_activation": "[1]", "architecture_parameters": "[" * 100_000,
    "crop": "[99999999, 99999999]", "network_size": "Infinity",
}  # fmt: skip
"""Metadata key to a value of another kind."""


def with_header(path: Path, target: Path, change) -> Path:
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    change(header)
    text = json.dumps(header).encode()
    target.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + length :])
    return target


@pytest.mark.parametrize("key", VALUES)
def test_metadata_of_another_kind_raise_only_our_own_errors(tmp_path: Path, key: str) -> None:
    for file, load in ((CLASSIFIER_FILE, load_classifier), (GENERATOR_FILE, load_generator)):
        path = with_header(
            file, tmp_path / "x.safetensors", lambda h: h["__metadata__"].update({key: VALUES[key]})
        )
        for read in (lambda p: inspect_network(p, run=False), load):
            try:
                read(path)
            except QuacError as error:
                assert "\n" not in str(error)


@pytest.mark.parametrize("offsets", [["a", "b"], [0], 5, [0, 1e400], [10**30, 10**31], {"a": 1}])
def test_offsets_of_another_kind_are_damage(tmp_path: Path, offsets: object) -> None:
    def change(header):
        next(entry for name, entry in header.items() if name[:2] != "__")["data_offsets"] = offsets

    with pytest.raises(CheckpointError, match="damaged"):
        inspect_network(with_header(CLASSIFIER_FILE, tmp_path / "x.safetensors", change))


@pytest.mark.parametrize(
    "content", [b"\x80", b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20" + b"\x6a" * 8, b"PK\x03\x04"]
)
def test_short_files_are_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.pt").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"'x\.pt'"):
        inspect_network(tmp_path / "x.pt")


def test_a_pipe_and_an_impossible_name_are_no_networks(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.pt")
    for path in (tmp_path / "x.pt", tmp_path / ("x" * 300)):
        for read in (inspect_network, load_classifier, load_generator):
            with pytest.raises(QuacError):
                read(path)
