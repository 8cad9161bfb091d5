"""Damaged and wrong files: always a sentence with the file's name, and nothing of it is run."""

from __future__ import annotations

import argparse
import errno
import io
import json
import os
import pickle
import struct
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save as safetensors_bytes
from safetensors.torch import save_file
from torch import Tensor, nn

from napari_quac.errors import CheckpointError, DataError, QuacError
from napari_quac.generators.opening import inspect_network, load_classifier
from napari_quac.networks.checkpoint_file import read_tensors
from napari_quac.networks.classifier_recipe import ClassifierRecipe
from napari_quac.networks.tensor_file import detect_format, file_hash

FORBIDDEN = ("Traceback", "\x1b[", "RuntimeError", "torch/csrc", 'File "', "most recent call")


def tiny_network(n_classes: int = 3) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(256, n_classes)
    ).eval()


def saved(content: Any, **settings: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, **settings)
    return buffer.getvalue()


def scripted(module: nn.Module) -> bytes:
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(module.eval()), buffer)
    return buffer.getvalue()


def exported(module: nn.Module, *inputs: Tensor) -> bytes:
    buffer = io.BytesIO()
    torch.export.save(torch.export.export(module.eval(), inputs), buffer)
    return buffer.getvalue()


def safe(tensors: dict[str, Tensor]) -> bytes:
    return safetensors_bytes(tensors)


def zipped(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def without_part(content: bytes, part: str) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return zipped({n: archive.read(n) for n in archive.namelist() if not n.endswith(part)})


def with_part(content: bytes, part: str, new: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return zipped({n: new if n.endswith(part) else archive.read(n) for n in archive.namelist()})


def flipped(content: bytes, place: float) -> bytes:
    position = int(len(content) * place)
    return (
        content[:position]
        + bytes(b ^ 0xFF for b in content[position : position + 64])
        + (content[position + 64 :])
    )


class TwoInputs(nn.Module):
    def forward(self, images: Tensor, style: Tensor) -> Tensor:
        return images.mean((2, 3)) + style


class ReturnsTuple(nn.Module):
    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        return images.mean((2, 3)), images


class ReturnsImages(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images * 2


class ReturnsNaN(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1)[:, :3] / 0.0 * 0.0


class ReturnsNumbers(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images.mean((0, 2, 3))


class ReturnsOneNumber(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images.mean()


class OddSize(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images.reshape(-1, 7 * 13, 3).sum(1)[:, :2].reshape(images.shape[0], 2)


class Fragile(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        raise ValueError("never works")


class RunsCommand:
    """A pickle that creates a file when it is loaded."""

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch '{self.witness}'",)


def vgg_state(levels: int = 2, n_inputs: int = 8 * 16) -> dict[str, Tensor]:
    state: dict[str, Tensor] = {}
    channels = 1
    for level in range(levels):
        width = 4 * 2**level
        for place in (0, 3):
            index = 7 * level + place
            state[f"features.{index}.weight"] = torch.zeros(width, channels, 3, 3)
            state[f"features.{index}.bias"] = torch.zeros(width)
            for name in ("weight", "bias", "running_mean", "running_var"):
                state[f"features.{index + 1}.{name}"] = torch.ones(width)
            channels = width
    state["classifier.0.weight"] = torch.zeros(16, n_inputs)
    state["classifier.0.bias"] = torch.zeros(16)
    state["classifier.3.weight"] = torch.zeros(3, 16)
    state["classifier.3.bias"] = torch.zeros(3)
    return state


def changed(state: dict[str, Tensor], name: str, value: Tensor | None) -> dict[str, Tensor]:
    result = {**state}
    if value is None:
        del result[name]
    else:
        result[name] = value
    return result


STARGAN = {
    "generator": {"from_rgb.weight": torch.zeros(8, 1, 3, 3), "from_rgb.bias": torch.zeros(8)},
    "mapping_network": {"shared.0.weight": torch.zeros(8, 4)},
}
FLAT_STARGAN = {
    "generator.from_rgb.weight": torch.zeros(8, 1, 3, 3),
    "style_encoder.shared.0.weight": torch.zeros(8, 1, 3, 3),
}
CYCLEGAN = {
    "model.1.weight": torch.zeros(64, 1, 7, 7),
    "model.10.conv_block.1.weight": torch.zeros(256, 256, 3, 3),
}
IMAGE = torch.rand(1, 1, 8, 8)

BAD_FILES = {
    "empty": lambda: b"",
    "one byte": lambda: b"P",
    "zeros": lambda: bytes(1000),
    "text": lambda: b"epoch,loss\n1,0.5\n",
    "json": lambda: json.dumps({"layers": [1, 2]}).encode(),
    "html": lambda: b"<!DOCTYPE html><html><body>Please log in</body></html>",
    "png": lambda: b"\x89PNG\r\n\x1a\n" + bytes(50),
    "jpeg": lambda: b"\xff\xd8\xff\xe0" + bytes(50),
    "tiff": lambda: b"II*\x00" + bytes(50),
    "hdf5": lambda: b"\x89HDF\r\n\x1a\n" + bytes(50),
    "gzip": lambda: b"\x1f\x8b\x08" + bytes(50),
    "git lfs pointer": lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
    "numpy array": lambda: npy(np.zeros((3, 4))),
    "numpy archive": lambda: npz(np.zeros((3, 4))),
    "random bytes": lambda: np.random.default_rng(0).bytes(500),
    "zip of nothing": lambda: zipped({}),
    "zip of pictures": lambda: zipped({"a.png": b"\x89PNG", "b.png": b"\x89PNG"}),
    "zip header only": lambda: b"PK\x03\x04" + bytes(20),
    "onnx": lambda: b"\x08\x07\x12\x07pytorch\x1a\x032.0" + bytes(40),
    "plain pickle": lambda: pickle.dumps({"weights": [1, 2]}),
    "namespace beside the weights": lambda: saved(
        {"state_dict": tiny_network().state_dict(), "args": argparse.Namespace(lr=1)}
    ),
    "state dict of another layout": lambda: saved(tiny_network().state_dict()),
    "safetensors of another layout": lambda: safe({"blocks.0.attn.qkv.weight": torch.zeros(9, 3)}),
    "single tensor": lambda: saved(torch.zeros(3)),
    "list of tensors": lambda: saved([torch.zeros(3)]),
    "no weights": lambda: saved({"epoch": 3, "loss": 0.5}),
    "state dict cut at half": lambda: saved(vgg_state())[: len(saved(vgg_state())) // 2],
    "state dict cut at the end": lambda: saved(vgg_state())[:-30],
    "state dict cut early": lambda: saved(vgg_state())[:100],
    "old state dict cut": lambda: saved(vgg_state(), _use_new_zipfile_serialization=False)[:-500],
    "old state dict cut early": lambda: saved(vgg_state(), _use_new_zipfile_serialization=False)[
        :60
    ],
    "state dict without its list": lambda: without_part(saved(vgg_state()), "data.pkl"),
    "state dict without a tensor": lambda: without_part(saved(vgg_state()), "data/3"),
    "state dict with nonsense as list": lambda: with_part(
        saved(vgg_state()), "data.pkl", b"\x80\x02nonsense"
    ),
    "weight missing": lambda: saved(changed(vgg_state(), "features.1.bias", None)),
    "weight too many": lambda: saved(changed(vgg_state(), "features.5.alpha", torch.zeros(1))),
    "weight of another shape": lambda: saved(
        changed(vgg_state(), "features.1.bias", torch.zeros(9))
    ),
    "head that fits no square": lambda: saved(vgg_state(n_inputs=8 * 60)),
    "weights of NaN": lambda: saved(
        changed(vgg_state(), "features.0.bias", torch.full((4,), torch.nan))
    ),
    "safetensors header cut": lambda: safe(vgg_state())[:20],
    "safetensors tensors cut": lambda: safe(vgg_state())[:-100],
    "safetensors header nonsense": lambda: struct.pack("<Q", 20) + b"{" + bytes(30),
    "safetensors header too long": lambda: struct.pack("<Q", 1 << 30) + b"{}" + bytes(30),
    "safetensors without tensors": lambda: struct.pack("<Q", 2) + b"{}",
    "stargan": lambda: saved(STARGAN),
    "stargan in safetensors": lambda: safe(FLAT_STARGAN),
    "cyclegan": lambda: saved(CYCLEGAN),
    "torchscript cut at half": lambda: scripted(tiny_network())[:4000],
    "torchscript cut at the end": lambda: scripted(tiny_network())[:-40],
    "torchscript altered": lambda: flipped(scripted(tiny_network()), 0.3),
    "torchscript without constants": lambda: without_part(scripted(tiny_network()), "data.pkl"),
    "torchscript with two inputs": lambda: scripted(TwoInputs()),
    "torchscript returns a tuple": lambda: scripted(ReturnsTuple()),
    "torchscript returns images": lambda: scripted(ReturnsImages()),
    "torchscript returns NaN": lambda: scripted(ReturnsNaN()),
    "torchscript returns numbers": lambda: scripted(ReturnsNumbers()),
    "torchscript returns one number": lambda: scripted(ReturnsOneNumber()),
    "torchscript of an odd size": lambda: scripted(OddSize()),
    "torchscript that fails": lambda: scripted(Fragile()),
    "exported with two inputs": lambda: exported(TwoInputs(), IMAGE, torch.zeros(1, 1)),
    "exported returns images": lambda: exported(ReturnsImages(), IMAGE),
    "exported returns a tuple": lambda: exported(ReturnsTuple(), IMAGE),
    "exported cut": lambda: exported(tiny_network(), IMAGE)[:-200],
    "exported without program": lambda: with_part(
        with_part(exported(tiny_network(), IMAGE), "models/model.json", b"{}"),
        "serialized_exported_program.json",  # up to PyTorch 2.7
        b"{}",
    ),
}


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def npz(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, a=array)
    return buffer.getvalue()


def check_sentence(text: str, name: str) -> None:
    assert name in text
    assert not [word for word in FORBIDDEN if word in text], text
    assert len(text) < 600
    assert "\n" not in text
    assert text.rstrip().endswith((".", "?", ")", "…")), text


@pytest.mark.parametrize("case", list(BAD_FILES))
@pytest.mark.parametrize("suffix", [".pt"])
def test_wrong_file_gives_a_sentence_with_its_name(tmp_path: Path, case: str, suffix: str) -> None:
    path = tmp_path / f"network_{list(BAD_FILES).index(case)}{suffix}"
    path.write_bytes(BAD_FILES[case]())
    with pytest.raises(CheckpointError) as caught:
        ClassifierRecipe(path).load("cpu")
    check_sentence(str(caught.value), path.name)


@pytest.mark.parametrize("case", list(BAD_FILES))
def test_inspecting_a_wrong_file_gives_a_sentence_or_a_problem(tmp_path: Path, case: str) -> None:
    path = tmp_path / "network.ckpt"
    path.write_bytes(BAD_FILES[case]())
    try:
        found = inspect_network(path)
    except CheckpointError as error:
        check_sentence(str(error), path.name)
    else:
        assert found.problem or found.role == "generator"
        assert found.role != "classifier" or found.problem


@pytest.mark.parametrize("step", range(1, 12))
def test_state_dict_cut_anywhere_is_refused(tmp_path: Path, step: int) -> None:
    content = saved(vgg_state())
    path = tmp_path / "cut.pt"
    path.write_bytes(content[: len(content) * step // 12])
    with pytest.raises(CheckpointError, match=r"cut\.pt"):
        ClassifierRecipe(path).load("cpu")


@pytest.mark.parametrize("old", [False, True])
def test_pickle_of_code_is_refused_and_not_run(tmp_path: Path, old: bool) -> None:
    witness = tmp_path / "witness"
    path = tmp_path / "evil.pt"
    torch.save(RunsCommand(witness), path, _use_new_zipfile_serialization=not old)
    for load in (
        ClassifierRecipe(path).load,
        lambda: inspect_network(path),
        lambda: read_tensors(path),
    ):
        with pytest.raises(CheckpointError, match="nothing of it was run") as caught:
            load()
        check_sentence(str(caught.value), "evil.pt")
    assert not witness.exists()


@pytest.mark.parametrize("old", [False, True])
def test_code_beside_the_weights_is_not_run(tmp_path: Path, old: bool) -> None:
    witness = tmp_path / "witness"
    path = tmp_path / "evil.pt"
    content = {"state_dict": vgg_state(n_inputs=8 * 16), "extra": RunsCommand(witness)}
    torch.save(content, path, _use_new_zipfile_serialization=not old)
    assert ClassifierRecipe(path).load("cpu").n_classes == 3
    assert inspect_network(path).role == "classifier"
    assert set(read_tensors(path)[0]) == set(vgg_state())
    assert not witness.exists()


def test_plain_pickle_with_code_is_not_run(tmp_path: Path) -> None:
    witness = tmp_path / "witness"
    path = tmp_path / "evil.pkl"
    path.write_bytes(pickle.dumps(RunsCommand(witness)))
    with pytest.raises(CheckpointError, match=r"evil\.pkl"):
        inspect_network(path)
    assert not witness.exists()


@pytest.mark.parametrize("part", ["inputs", "use_pickle", "opaque"])
def test_exported_program_with_code_is_refused_and_not_run(tmp_path: Path, part: str) -> None:
    witness = tmp_path / "witness"
    evil = saved(RunsCommand(witness))
    content = exported(tiny_network(), IMAGE)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        names = archive.namelist()
    is_old = "serialized_exported_program.json" in names  # up to PyTorch 2.7
    if is_old and part != "inputs":
        pytest.skip("this version of PyTorch writes no such part")
    if part == "use_pickle":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            name = next(n for n in archive.namelist() if n.endswith("weights_config.json"))
            config = json.loads(archive.read(name))
        next(iter(config["config"].values()))["use_pickle"] = True
        content = with_part(content, "weights_config.json", json.dumps(config).encode())
        content = with_part(content, "weights/weight_0", evil)
    elif part == "opaque":
        config = {
            "config": {
                "x": {
                    "path_name": "opaque_obj_0",
                    "is_param": False,
                    "use_pickle": True,
                    "tensor_meta": None,
                }
            }
        }
        content = with_part(content, "constants_config.json", json.dumps(config).encode())
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = {n: archive.read(n) for n in archive.namelist()}
        top = next(iter(members)).split("/")[0]
        members[f"{top}/data/constants/opaque_obj_0"] = pickle.dumps(RunsCommand(witness))
        content = zipped(members)
    contents = [content]
    if part == "inputs":
        parts = [n for n in names if n.endswith(".pt") and "weights/" not in n]
        contents = [with_part(content, name, evil) for name in parts]
    path = tmp_path / "evil.pt2"
    assert contents
    for content in contents:
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match="This file holds Python objects beside") as error:
            ClassifierRecipe(path).load("cpu")
        check_sentence(str(error.value), "evil.pt2")
        assert not witness.exists()


def test_directory_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "networks"
    folder.mkdir()
    with pytest.raises(DataError, match="networks' holds no generated images"):
        inspect_network(folder)
    with pytest.raises(CheckpointError, match="'networks' is a folder"):
        load_classifier(folder)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"nothing\.pt' does not exist"):
        ClassifierRecipe(tmp_path / "nothing.pt").load("cpu")


def test_unreadable_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "locked.pt"
    path.write_bytes(saved(vgg_state()))

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # root may read everything, so it is pretended
    with pytest.raises(CheckpointError, match=r"'locked\.pt' cannot be read \(Permission denied"):
        inspect_network(path)


def test_stargan_as_classifier_asks_whether_it_is_the_generator(tmp_path: Path) -> None:
    path = tmp_path / "100000_nets_ema.ckpt"
    torch.save(STARGAN, path)
    with pytest.raises(CheckpointError) as caught:
        load_classifier(path, device="cpu")
    assert "holds a generator (StarGAN v2), not a classifier. Open it as generator" in str(
        caught.value
    )


def test_wrong_number_of_class_names(tmp_path: Path) -> None:
    path = tmp_path / "three.pt"
    path.write_bytes(scripted(tiny_network()))
    with pytest.raises(CheckpointError, match=r"'three\.pt' has 3 outputs, but 2 class names"):
        ClassifierRecipe(path, class_names=("a", "b")).load("cpu")
    with pytest.raises(CheckpointError, match="same name"):
        ClassifierRecipe(path, class_names=("a", "b", "b")).load("cpu")


def test_wrong_image_size_and_channels(tmp_path: Path) -> None:
    path = tmp_path / "eight.pt"
    path.write_bytes(scripted(tiny_network()))
    with pytest.raises(CheckpointError, match="does not take images of 9 × 9 pixels"):
        ClassifierRecipe(path, image_size=9).load("cpu")
    with pytest.raises(CheckpointError, match="3 channels"):
        ClassifierRecipe(path, channels=3).load("cpu")
    vgg = tmp_path / "vgg.pt"
    vgg.write_bytes(saved(vgg_state(n_inputs=8 * 16)))
    with pytest.raises(CheckpointError, match="fit images of 16 × 16 pixels, not of 24 × 24"):
        ClassifierRecipe(vgg, image_size=24).load("cpu")
    with pytest.raises(CheckpointError, match="trained for 1 channel, not for 3"):
        ClassifierRecipe(vgg, channels=3).load("cpu")


def test_unknown_architecture_lists_the_known(tmp_path: Path) -> None:
    path = tmp_path / "vgg.pt"
    path.write_bytes(saved(vgg_state(n_inputs=8 * 16)))
    with pytest.raises(QuacError, match=r"Did you mean .vgg"):
        ClassifierRecipe(path, architecture="vgg2").load("cpu")


def test_altered_weights_of_torchscript_are_noticed(tmp_path: Path) -> None:
    content = bytearray(scripted(tiny_network()))
    weights = tiny_network()[3].weight.detach().numpy().tobytes()[:32]
    content[content.index(weights)] ^= 0x40
    path = tmp_path / "altered.pt"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"'altered\.pt' is damaged"):
        ClassifierRecipe(path).load("cpu")


@pytest.mark.parametrize("ending", ["safetensors", "pt", "old.pt", "pkl"])
def test_each_read_of_a_file_may_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    path = tmp_path / f"a.{ending}"
    weights = {"a": torch.zeros(2)}
    if ending == "safetensors":
        save_file(weights, path)
    elif ending == "pkl":
        path.write_bytes(pickle.dumps({"a": 1}))
    else:
        torch.save(weights, path, _use_new_zipfile_serialization=ending == "pt")
    open_file, n_opened, fails_at = io.open, 0, 10**6

    def failing(file: object, *args: object, **options: object) -> object:
        nonlocal n_opened
        if file in (path, str(path)):
            n_opened += 1
            if n_opened == fails_at:
                raise OSError(errno.EIO, "Input/output error", str(file))
        return open_file(file, *args, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(io, "open", failing)
    monkeypatch.setattr("builtins.open", failing)

    def read() -> tuple[object, ...]:
        os.utime(path, ns=(time.time_ns(), time.time_ns()))  # nothing is remembered
        if ending == "pkl":
            return detect_format(path), file_hash(path)
        return detect_format(path), file_hash(path), read_tensors(path)[0]["a"].tolist()

    outcome = read()
    n_all, n_told = n_opened, 0
    for number in range(1, n_all + 1):
        n_opened, fails_at = 0, number
        try:
            assert read() == outcome  # a second look makes up for it
        except CheckpointError as error:
            assert f"'{path.name}' cannot be read (Input/output error)" in str(error)
            n_told += 1
    assert n_told >= 2
