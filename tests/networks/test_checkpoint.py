"""What inspection says about files that can be used."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from napari_quac.errors import CheckpointError
from napari_quac.generators.opening import inspect_network
from napari_quac.networks.architectures.vgg import Vgg
from napari_quac.networks.checkpoint_file import read_tensors

NETWORKS: dict[str, dict[str, Tensor]] = {
    "generator": {"from_rgb.weight": torch.rand(8, 1, 3, 3)},
    "mapping_network": {"shared.0.weight": torch.rand(8, 4)},
    "style_encoder": {"shared.0.weight": torch.rand(8, 1, 3, 3)},
}


def vgg() -> Vgg:
    torch.manual_seed(0)
    return Vgg(1, [(4,), (8,)], [16, 3], (16, 16)).eval()


def flattened() -> dict[str, Tensor]:
    return {f"{n}.{k}": v for n, state in NETWORKS.items() for k, v in state.items()}


@pytest.mark.parametrize("name", ["classifier.pt", "classifier.png", "classifier"])
def test_state_dict_is_known_by_its_content(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    torch.save(vgg().state_dict(), path)
    found = inspect_network(path)
    assert (found.kind, found.role, found.architecture) == ("state dict", "classifier", "vgg2d")
    assert (found.n_classes, found.channels, found.image_size) == (3, 1, (16, 16))
    assert found.tensors["classifier.3.weight"] == (3, 16)
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert found.size == path.stat().st_size
    assert found.problem is None
    assert not found.is_program


def test_torchscript_is_tried_and_its_origin_mentioned(tmp_path: Path) -> None:
    path = tmp_path / "classifier.bin"
    torch.jit.save(torch.jit.script(vgg()), str(path))
    found = inspect_network(path)
    assert (found.kind, found.role) == ("torchscript", "classifier")
    assert (found.n_classes, found.channels, found.image_size) == (3, 1, (16, 16))
    assert found.is_program
    assert "trust" in " ".join(found.findings)
    assert found.description["Classes"] == "class 0, class 1, class 2"


def test_torchscript_is_not_run_where_that_is_not_wanted(tmp_path: Path) -> None:
    path = tmp_path / "classifier.pt"
    torch.jit.save(torch.jit.script(vgg()), str(path))
    found = inspect_network(path, run=False)
    assert (found.kind, found.role, found.n_classes) == ("torchscript", "unknown", None)


def test_torchscript_generator_is_recognised(tmp_path: Path) -> None:
    path = tmp_path / "generator.pt"
    torch.jit.save(torch.jit.script(nn.Conv2d(1, 1, 3, padding=1)), str(path))
    found = inspect_network(path)
    assert found.role == "generator"
    assert found.problem is None


@pytest.mark.parametrize("prefix", ["", "module."])
def test_stargan_parts_come_back_nested(tmp_path: Path, prefix: str) -> None:
    as_dicts, flat_file = tmp_path / "a.ckpt", tmp_path / "a.safetensors"
    torch.save(
        {n: {prefix + k: v for k, v in state.items()} for n, state in NETWORKS.items()}, as_dicts
    )
    save_file(flattened(), flat_file, {"final_activation": "tanh"})
    flat_torch = tmp_path / "b.pt"
    torch.save(flattened(), flat_torch)
    for path in (as_dicts, flat_file, flat_torch):
        state, _ = read_tensors(path)
        assert set(state) == set(NETWORKS)
        for name, tensors in NETWORKS.items():
            part = state[name]
            assert isinstance(part, dict)
            assert set(part) == set(tensors)
            assert all(torch.equal(part[key], value) for key, value in tensors.items())
    assert read_tensors(flat_file)[1] == {"final_activation": "tanh"}


def test_stargan_is_a_generator(tmp_path: Path) -> None:
    path = tmp_path / "a.ckpt"
    torch.save(NETWORKS, path)
    found = inspect_network(path)
    assert (found.family, found.role) == ("stargan", "generator")


@pytest.mark.parametrize(
    ("keys", "family"),
    [
        (["model.1.weight", "model.10.conv_block.1.weight"], "cyclegan"),
        (["model.model.0.weight", "model.model.1.model.1.weight"], "cyclegan"),
        (["e_cls.0.weight", "trans.0.conv.weight"], "warp"),
        (["G.bn1.gamma_conditional.weight", "G.bn1.weight"], "exaggeration"),
    ],
)
def test_other_generators_are_named_with_a_way_out(
    tmp_path: Path, keys: list[str], family: str
) -> None:
    path = tmp_path / "g.pth"
    torch.save({key: torch.rand(2, 2) for key in keys}, path)
    found = inspect_network(path)
    assert (found.family, found.role) == (family, "generator")
    assert found.problem is not None
    assert "folder" in found.problem


def test_a_damaged_onnx_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "c.onnx"
    path.write_bytes(b"\x08\x07\x12\x07pytorch\x1a\x032.0" + bytes(40))
    with pytest.raises(CheckpointError, match=r"'c\.onnx' is damaged"):
        inspect_network(path)


def test_numbers_of_numpy_beside_the_weights_do_not_hinder(tmp_path: Path) -> None:
    path = tmp_path / "c.pt"
    extras = {"loss": np.float64(1), "best": np.float32(2), "epoch": np.int64(3), "ok": np.bool_(1)}
    torch.save({"model_state_dict": vgg().state_dict(), **extras}, path)
    assert inspect_network(path).role == "classifier"


def test_tensors_of_cyclegan_keep_their_names(tmp_path: Path) -> None:
    path = tmp_path / "latest_net_G_A.pth"
    torch.save({"module.model.1.weight": torch.rand(2, 2)}, path)
    assert list(read_tensors(path)[0]) == ["model.1.weight"]
