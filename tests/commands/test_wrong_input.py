"""Damaged and wrong files: exit code 2, one sentence on standard error, nothing else."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image
from torch import nn

from napari_quac.cli import main

NOISE = np.random.default_rng(0).random((8, 8)).astype(np.float32)


class Executes:
    """A pickle that would write a file if somebody unpickled it."""

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self):
        return (os.mkdir, (str(self.witness),))


def picture(mode: str, value: int = 7) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        Image.new(mode, (8, 8), value if mode in "L1I;16" else (value,) * len(mode)).save(path)

    return write


def truncated(write: Callable[[Path], None], keep: float) -> Callable[[Path], None]:
    def cut(path: Path) -> None:
        write(path)
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * keep)])

    return cut


def array(values: np.ndarray) -> Callable[[Path], None]:
    return lambda path: np.save(path, values)


def tiff(values: np.ndarray) -> Callable[[Path], None]:
    return lambda path: tifffile.imwrite(path, values)


def content(data: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(data)


class OfANotebook(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.mystery = nn.Linear(3, 3)


def scripted(path: Path) -> None:
    class Mean(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            value = x.mean(dim=[1, 2, 3])
            return torch.stack([value, -value], dim=1)

    torch.jit.script(Mean()).save(str(path))


def empty_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w"):
        pass


with_nan = NOISE.copy()
with_nan[3, 3] = np.nan

WRONG_IMAGES: dict[str, Callable[[Path], None]] = {
    "rgba.png": picture("RGBA"),
    "grey_alpha.png": picture("LA"),
    "rgb.png": picture("RGB"),
    "sixteen_bit.png": lambda path: Image.fromarray((NOISE * 4000).astype(np.uint16)).save(path),
    "sixteen_bit.tif": tiff((NOISE * 4000).astype(np.uint16)),
    "cmyk.jpg": picture("CMYK"),
    "truncated.png": truncated(picture("L"), 0.5),
    "truncated.tif": truncated(tiff(NOISE), 0.4),
    "truncated.npy": truncated(array(NOISE), 0.7),
    "nan.npy": array(with_nan),
    "nan.tif": tiff(with_nan),
    "infinite.npy": array(np.where(NOISE > 0.9, np.inf, NOISE)),
    "too_bright.npy": array(NOISE * 255),
    "negative.npy": array(NOISE - 0.5),
    "objects.npy": lambda path: np.save(path, np.array([{"a": 1}], dtype=object)),
    "complex.npy": array(NOISE.astype(np.complex64)),
    "text.npy": array(np.array(["a", "b"])),
    "one_dimension.npy": array(NOISE[0]),
    "four_dimensions.npy": array(np.zeros((1, 1, 8, 8), np.float32)),
    "stack.tif": tiff(np.zeros((12, 8, 8), np.float32)),
    "channels_last.npy": array(np.zeros((8, 8, 3), np.float32)),
    "no_pixels.npy": array(np.zeros((0, 8), np.float32)),
    "other_size.npy": array(np.zeros((9, 8), np.float32)),
    "empty.png": content(b""),
    "text.png": content(b"this is no picture"),
    "notes.txt": content(b"hello"),
    "folder.png": lambda path: path.mkdir(),
    "missing.png": lambda path: None,
}

WRONG_NETWORKS: dict[str, Callable[[Path], None]] = {
    "empty.pt": content(b""),
    "text.pt": content(b"weights, honestly"),
    "folder.pt": lambda path: path.mkdir(),
    "missing.pt": lambda path: None,
    "picture.pt": lambda path: Image.new("L", (8, 8)).save(path, format="png"),
    "truncated.pt": truncated(scripted, 0.6),
    "nothing.zip": empty_zip,
    "code.pkl": lambda path: path.write_bytes(pickle.dumps(Executes(path.with_name("witness")))),
    "code.pt": lambda path: torch.save({"a": Executes(path.with_name("witness"))}, path),
    "module.pt": lambda path: torch.save(OfANotebook(), path),
    "list.pt": lambda path: torch.save([1, 2, 3], path),
    "unknown_layout.pt": lambda path: torch.save({"mystery.weight": torch.zeros(3, 3)}, path),
    "header.safetensors": content(b"\x10\x00\x00\x00\x00\x00\x00\x00{" + b"x" * 4),
    "long_header.safetensors": content(b"\xff\xff\xff\xff\xff\xff\xff\x7f{"),
    "stargan.ckpt": lambda path: torch.save(
        {"generator": {"from_rgb.weight": torch.zeros(128, 1, 3, 3)}}, path
    ),
}


def assert_refused(arguments: list[str], name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    sentence, _, cell = printed.err.partition("A cell for that notebook:")
    lines = sentence.strip().splitlines()
    assert len(lines) == 1, printed.err
    assert not cell or "export_classifier(" in cell
    assert lines[0].startswith("napari-quac: ")
    assert name in lines[0]
    assert "Traceback" not in lines[0]
    assert "\x1b" not in lines[0]
    assert lines[0].rstrip()[-1] in ".?)"


@pytest.mark.parametrize("name", WRONG_IMAGES)
@pytest.mark.parametrize("role", ["query", "generated"])
def test_score_refuses_a_wrong_image(worked_example, capsys, tmp_path, name, role):
    path = tmp_path / "wrong" / name
    path.parent.mkdir()
    WRONG_IMAGES[name](path)
    arguments = worked_example.arguments(methods="residual", **{role: path})
    mentioned = {"rgb.png": "3 channels", "other_size.npy": ""}.get(name, name)
    assert_refused([*arguments, "--json"], mentioned, capsys)


@pytest.mark.parametrize("name", WRONG_NETWORKS)
@pytest.mark.parametrize("command", ["inspect", "score"])
def test_a_wrong_network_is_refused_and_nothing_in_it_runs(
    worked_example, capsys, tmp_path, name, command
):
    path = tmp_path / "wrong" / name
    path.parent.mkdir()
    WRONG_NETWORKS[name](path)
    if command == "inspect" and name == "stargan.ckpt":
        pytest.skip("a generator is no wrong file to look into")
    arguments = (
        ["inspect", str(path)]
        if command == "inspect"
        else worked_example.arguments(methods="residual", classifier=path)
    )
    assert_refused([*arguments, "--json"], name, capsys)
    assert not (path.with_name("witness")).exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"source": "dim"}, "no class 'dim'"),
        ({"source": "2"}, "no class '2'"),
        ({"target": "dark"}, "Choose another target"),
        ({"methods": "d-igg"}, "Did you mean 'd-ig'?"),
        ({"classes": "a,b,c"}, "3"),
        ({"value_range": [1, 0]}, "upper end"),
        ({"closing": 0}, "closing element"),
        ({"blur": 4}, "odd"),
        ({"device": "cuda:99"}, "cuda"),
        ({"device": "tpu"}, "tpu"),
    ],
)
def test_a_wrong_option_is_refused(worked_example, capsys, changes, said):
    arguments = worked_example.arguments(**{"methods": "residual", **changes})
    assert_refused(arguments, said, capsys)


def test_a_wrong_attribution_is_refused(worked_example, capsys):
    path = worked_example.folder / "map.npy"
    np.save(path, np.zeros((4, 4), np.float32))
    assert_refused(worked_example.arguments(attribution=path), "map.npy", capsys)
    np.save(path, with_nan)
    assert_refused(worked_example.arguments(attribution=path), "map.npy", capsys)


def test_a_fault_of_ours_ends_with_1_and_shows_the_traceback(worked_example, capsys, monkeypatch):
    def broken(*args: object) -> None:
        raise KeyError("surprise")

    monkeypatch.setattr("napari_quac.explain.pair.make_pair", broken)
    assert main(worked_example.arguments(methods="residual")) == 1
    printed = capsys.readouterr()
    assert "surprise" in printed.err
    assert "Internal error" in printed.err
    assert printed.out == ""


def test_an_unknown_option_ends_with_2(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["score", "--nonsense"])
    assert stop.value.code == 2
    capsys.readouterr()
