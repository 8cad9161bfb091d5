"""Whole pickled networks: built again from their records where all layers are known."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import prune

from napari_quac.errors import CheckpointError
from napari_quac.generators.opening import inspect_network, load_classifier
from napari_quac.networks.architectures.resnet import ResNet
from rounding import F32


class Around(nn.Module):
    """A network of an unknown class around one of known layers."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.criterion = nn.CrossEntropyLoss(weight=torch.ones(3))

    def forward(self, images: Tensor) -> Tensor:
        return self.backbone(images)  # type: ignore[no-any-return]


class Custom(nn.Module):
    """A network whose forward pass is in no file."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(1, 4, 3)
        self.head = nn.Linear(4, 3)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.convolution(images).relu().mean((2, 3)))  # type: ignore[no-any-return]


def network() -> nn.Sequential:
    """Return layers whose properties no state dict holds."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 8, 5, stride=2, padding=1, padding_mode="reflect"),
        nn.BatchNorm2d(8, eps=1e-2),
        nn.LeakyReLU(0.3),
        nn.MaxPool2d(3, 2, 1, ceil_mode=True),
        nn.Sequential(
            nn.Conv2d(8, 8, 3, dilation=2, groups=4, bias=False),
            nn.GroupNorm(2, 8),
            nn.GELU("tanh"),
        ),
        nn.PReLU(8),
        nn.AdaptiveAvgPool2d((2, 3)),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(48, 3),
    ).eval()  # fmt: skip


CONTENTS = {
    "alone": lambda: network(),
    "in a dict": lambda: {"epoch": 3, "model": network()},
    "DataParallel": lambda: nn.DataParallel(network()),
    "averaged": lambda: torch.optim.swa_utils.AveragedModel(network()),
    "with an optimizer": lambda: {
        "optimizer": torch.optim.Adam(network().parameters()), "net": network(),
    },
}  # fmt: skip


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("case", list(CONTENTS))
@pytest.mark.filterwarnings("ignore::torch.serialization.SourceChangeWarning")
@pytest.mark.filterwarnings("ignore:Couldn't retrieve source code")
def test_known_layers_are_built_as_the_file_describes_them(
    tmp_path: Path, case: str, old: bool
) -> None:
    path = tmp_path / "model.pth"
    torch.save(CONTENTS[case](), path, _use_new_zipfile_serialization=not old)
    images = torch.rand(4, 1, 40, 40)
    with torch.no_grad():
        expected = network()(images).softmax(1)
    classifier = load_classifier(path, device="cpu", value_range=(0, 1))
    assert torch.allclose(classifier.predict(images), expected, atol=F32)
    assert "architecture" not in [assumption.kind for assumption in classifier.assumptions]
    assert inspect_network(path).role == "classifier"


def test_only_part_with_weights_stands_for_an_unknown_class(tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    torch.save(Around(network()), path)
    images = torch.rand(4, 1, 40, 40)
    with torch.no_grad():
        expected = network()(images).softmax(1)
    classifier = load_classifier(path, device="cpu", value_range=(0, 1))
    assert torch.allclose(classifier.predict(images), expected, atol=F32)
    sentences = [a.sentence for a in classifier.assumptions if a.kind == "architecture"]
    assert len(sentences) == 1
    assert "class Around" in sentences[0]
    assert "'backbone'" in sentences[0]


def altered(change: str) -> nn.Module:
    layers = network()
    if change == "hook":
        layers[2].register_forward_pre_hook(print)
    elif change == "pruned":
        prune.random_unstructured(layers[9], "weight", 0.5)
    elif change == "custom class":
        return Custom()
    return layers


@pytest.mark.parametrize("change", ["hook", "pruned", "custom class"])
def test_unknown_forward_pass_gives_the_class_and_the_export(tmp_path: Path, change: str) -> None:
    path = tmp_path / "model.pth"
    torch.save(altered(change), path)
    name = "Custom" if change == "custom class" else "Sequential"
    message = f"whole pickled network of the class {name}, whose code is not in the file.*export_cl"
    with pytest.raises(CheckpointError, match=message):
        load_classifier(path, device="cpu")
    assert "export_classifier(model, 'model.pt2'" in str(inspect_network(path).problem)


def test_traps_in_layers_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    trap = network()
    trap.insert(0, nn.ZeroPad2d(1))
    trap[0].padding = (10**9,) * 4
    torch.save(trap, path)
    with pytest.raises(CheckpointError, match="whole pickled network"):
        load_classifier(path, device="cpu")


def small_resnet(stem_stride: int, stage_stride: int, activation: nn.Module) -> ResNet:
    torch.manual_seed(0)
    network = ResNet(1, 3, (1, 1, 1, 1), (8,) * 4, (8, 8, 16, 16), stem_width=8).eval()
    network.conv1.stride = (stem_stride, stem_stride)
    network.layer3[0].conv1.stride = (stage_stride, stage_stride)
    network.layer3[0].downsample[0].stride = (stage_stride, stage_stride)
    for name, module in list(network.named_modules()):
        if isinstance(module, nn.ReLU):
            network.set_submodule(name, activation)
    return network


@pytest.mark.parametrize(
    ("stem_stride", "stage_stride", "activation"),
    [(2, 2, nn.ReLU()), (1, 2, nn.ReLU()), (2, 1, nn.LeakyReLU(0.1)), (1, 1, nn.SiLU())],
)
def test_strides_and_activations_of_a_known_architecture_are_those_of_the_file(
    tmp_path: Path, stem_stride: int, stage_stride: int, activation: nn.Module
) -> None:
    path = tmp_path / "model.pth"
    network = small_resnet(stem_stride, stage_stride, activation)
    torch.save(network, path)
    images = torch.rand(3, 1, 48, 48)
    with torch.no_grad():
        expected = network(images).softmax(1)
    classifier = load_classifier(path, device="cpu", value_range=(0, 1))
    assert torch.allclose(classifier.predict(images), expected, atol=F32)
    sentences = [a.sentence for a in classifier.assumptions if a.kind == "architecture"]
    assert not any("stride" in sentence for sentence in sentences)
