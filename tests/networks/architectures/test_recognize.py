"""Architectures are found by their key names and shapes, and built to fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from napari_quac.networks.architectures.densenet import DenseNet
from napari_quac.networks.architectures.heads import read_head
from napari_quac.networks.architectures.recognition import recognize_classifier
from napari_quac.networks.architectures.resnet import DapiResNet, ResNet
from napari_quac.networks.architectures.vgg import Vgg
from napari_quac.networks.classifier_file import build_with_weights

REPLACED_HEADS: dict[str, nn.Module] = {
    "no bias": nn.Linear(8, 3, bias=False),
    "dropout first": nn.Sequential(nn.Dropout(), nn.Linear(8, 3)),
    "two layers": nn.Sequential(nn.Linear(8, 5), nn.ReLU(), nn.Dropout(), nn.Linear(5, 3)),
    "batch norm": nn.Sequential(
        nn.Linear(8, 5, bias=False), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 3)
    ),
    "fastai": nn.Sequential(
        nn.Identity(), nn.Flatten(), nn.BatchNorm1d(8), nn.Dropout(), nn.Linear(8, 5, bias=False),
        nn.ReLU(), nn.BatchNorm1d(5), nn.Dropout(), nn.Linear(5, 3, bias=False),
    ),
    "nested": nn.Sequential(
        nn.Linear(8, 6), nn.ReLU(), nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 3))
    ),
}  # fmt: skip


def dense_network(channels: int, n_axes: int, head: nn.Module) -> DenseNet:
    layout = read_head({f"head.{name}": t for name, t in head.state_dict().items()}, "head")
    assert layout is not None
    return DenseNet(channels, [2, 1], 8, 4, 6, [8], layout, n_axes)


CASES: dict[str, tuple[Any, str, int, tuple[int, ...] | None]] = {
    "vgg2d of the authors": (
        lambda: Vgg(1, [(12, 12), (24, 24), (48, 48), (96, 96)], [64, 64, 6], (128, 128)),
        "vgg2d", 1, (128, 128),
    ),
    "vgg2d without dropout": (
        lambda: Vgg(3, [(4, 4)], [8, 2], (20, 20), dropout=None), "vgg2d", 3, (20, 20)
    ),
    "vgg2d without batch norm": (
        lambda: Vgg(3, [(4,), (8,), (8, 8)], [8, 8, 4], (32, 32), batch_norm=False),
        "vgg2d", 3, (32, 32),
    ),
    "vgg2d with one linear layer": (
        lambda: Vgg(1, [(4,), (8,)], [5], (16, 16)), "vgg2d", 1, (16, 16)
    ),
    "resnet18": (
        lambda: ResNet(3, 6, [2, 2, 2, 2], [64, 128, 256, 512], [64, 128, 256, 512]),
        "resnet", 3, None,
    ),
    "bottlenecks in groups": (
        lambda: ResNet(1, 2, [1, 2], [16, 32], [32, 64], "bottleneck", 8, 7, 4), "resnet", 1, None
    ),
    "small stem": (
        lambda: ResNet(1, 4, [3, 3, 3], [8, 16, 32], [8, 16, 32], "basic", 8, 3), "resnet", 1, None
    ),
    "densenet": (lambda: dense_network(1, 2, nn.Linear(12, 3)), "densenet", 1, None),
    "densenet as in fastai": (lambda: dense_network(3, 2, nn.Linear(24, 3)), "densenet", 3, None),
    "dapi": (
        lambda: DapiResNet(1, [12, 24, 48, 96], [2, 2, 2, 2], [32, 32, 6], 8),
        "resnet-dapi", 1, (128, 128),
    ),
    "funlib": (
        lambda: DapiResNet(2, [12, 24, 48, 96], [2, 2, 2, 2], [6]), "resnet2d-funlib", 2, None
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", list(CASES))
def test_architecture_is_rebuilt_from_its_state_dict(case: str) -> None:
    torch.manual_seed(0)
    make, name, channels, size = CASES[case]
    network: nn.Module = make().eval()
    tensors = network.state_dict()
    layout = recognize_classifier(tensors)
    assert layout is not None
    assert (layout.name, layout.channels, layout.image_size) == (name, channels, size)
    assert not layout.problem
    rebuilt = layout.build().eval()
    rebuilt.load_state_dict(tensors, strict=True)
    images = torch.rand(2, channels, *(size or (48, 48)))
    with torch.no_grad():
        outputs = network(images)
        torch.testing.assert_close(rebuilt(images), outputs, rtol=0, atol=0)
    assert layout.n_classes == outputs.shape[1]


@pytest.mark.parametrize("case", list(REPLACED_HEADS))
@pytest.mark.parametrize("names", ["fc", "head"])
def test_replaced_head_is_rebuilt(case: str, names: str) -> None:
    torch.manual_seed(0)
    body = ResNet(1, 2, [1, 1], [4, 8], [4, 8], "basic", 4)
    network = nn.Sequential(*list(body)[:-1], REPLACED_HEADS[case]).eval()
    body.fc = REPLACED_HEADS[case]
    tensors = body.state_dict()
    if names == "head":  # a network around the body, whose last layer was removed
        tensors = {
            f"head{name[2:]}" if name.startswith("fc.") else f"backbone.{name}": tensor
            for name, tensor in tensors.items()
        }
    layout = recognize_classifier(tensors)
    assert layout is not None
    assert layout.n_classes == 3
    rebuilt = build_with_weights(layout, tensors, Path("network.pth"))
    images = torch.rand(2, 1, 40, 40)
    torch.testing.assert_close(rebuilt(images), network(images), rtol=0, atol=0)
    has_activation = any(isinstance(module, nn.ReLU) for module in REPLACED_HEADS[case].modules())
    sentences = [assumption.sentence for assumption in layout.assumptions]
    assert any("ReLU is assumed between" in text for text in sentences) == has_activation


def test_body_with_two_heads_is_not_recognized() -> None:
    body = ResNet(1, 4, [1, 1], [4, 8], [4, 8], "basic", 4)
    tensors = {f"body.{name}": tensor for name, tensor in body.state_dict().items()}
    head = {f"head.{name}": tensor for name, tensor in nn.Linear(4, 2).state_dict().items()}
    assert recognize_classifier(tensors | head) is None


def test_layer_of_a_head_that_does_not_fit_is_refused() -> None:
    tensors = nn.Sequential(nn.Linear(8, 5), nn.ReLU(), nn.Linear(6, 3)).state_dict()
    assert read_head({f"fc.{name}": tensor for name, tensor in tensors.items()}, "fc") is None


@pytest.mark.parametrize("case", list(CASES))
def test_no_activation_is_used_twice(case: str) -> None:
    network = CASES[case][0]().eval()
    calls: dict[nn.Module, int] = {}
    for module in network.modules():
        if isinstance(module, nn.ReLU):
            assert not module.inplace
            calls[module] = 0
            module.register_forward_hook(lambda m, *_: calls.__setitem__(m, calls[m] + 1))
    with torch.no_grad():
        network(torch.rand(1, CASES[case][2], *(CASES[case][3] or (48, 48))))
    assert set(calls.values()) == {1}


def test_pooling_is_chosen_to_fit_a_known_size() -> None:
    network = Vgg(1, [(4, 4)] * 4, [16, 10], (28, 28), [(2, 2), (2, 2), (1, 1), (1, 1)])
    layout = recognize_classifier(network.state_dict(), (28, 28))
    assert layout is not None
    assert layout.image_size == (28, 28)
    assert layout.parameters["pools"] == [[2, 2], [2, 2], [1, 1], [1, 1]]
    assert "2×2, 2×2, 1×1, 1×1" in layout.notes[0]


def test_oblong_images_need_their_size() -> None:
    tensors = Vgg(1, [(4,), (4,)], [8, 2], (16, 24)).state_dict()
    unknown = recognize_classifier(tensors)
    assert unknown is not None
    assert "24 positions" in unknown.problem
    known = recognize_classifier(tensors, (16, 24))
    assert known is not None
    assert known.image_size == (16, 24)
    assert not known.problem


def test_published_3d_classifiers_are_recognised() -> None:
    pools = [(1, 2, 2), (1, 2, 2), (1, 2, 2), (2, 2, 2)]
    levels = [(2, 2), (4, 4), (8, 8), (16, 16)]
    network = Vgg(1, levels, [8, 8, 6], (16, 160, 160), pools).eval()
    layout = recognize_classifier(network.state_dict())
    assert layout is not None
    assert (layout.name, layout.image_size) == ("vgg3d", (16, 160, 160))
    assert layout.parameters["pools"] == [list(factors) for factors in pools]
    small = Vgg(1, [(2, 2), (2, 2)], [4, 2], (4, 16, 16), [(1, 2, 2), (2, 2, 2)]).eval()
    layout = recognize_classifier(small.state_dict(), (4, 16, 16))
    assert layout is not None
    rebuilt = layout.build().eval()
    rebuilt.load_state_dict(small.state_dict())
    volume = torch.rand(1, 1, 4, 16, 16)
    torch.testing.assert_close(rebuilt(volume), small(volume))


def test_dapi_of_an_odd_size_needs_it() -> None:
    tensors = DapiResNet(1, [4, 8], [1, 1], [8, 3], 8).state_dict()
    layout = recognize_classifier(tensors, (30, 30))
    assert layout is not None
    assert layout.image_size == (30, 30)
    wrong = recognize_classifier(tensors, (40, 40))
    assert wrong is not None
    assert "32 × 32" in wrong.problem


def test_others_are_not_recognised() -> None:
    assert recognize_classifier(nn.Linear(3, 2).state_dict()) is None
    assert recognize_classifier(Vgg(1, [(4,)], [2], (8, 8)).state_dict(), None, "resnet") is None
