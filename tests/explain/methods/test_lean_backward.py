"""The cheaper backward pass: the same network, the same gradients, ties included."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from napari_quac.explain.methods.lean_backward import LeanBackward
from napari_quac.networks.architectures.resnet import ResNet
from napari_quac.networks.architectures.vgg import Vgg
from rounding import F32


def trained_looking(module: nn.Module) -> nn.Module:
    """Give batch norm layers other statistics than 0 and 1."""
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.running_mean, -0.5, 0.5)
            nn.init.uniform_(layer.running_var, 0.3, 2)
            if layer.affine:
                nn.init.uniform_(layer.weight, -1, 1)
                nn.init.uniform_(layer.bias, -0.3, 0.3)
    return module.eval().requires_grad_(False)


def networks() -> dict[str, nn.Module]:
    torch.manual_seed(0)

    def head() -> tuple[nn.Module, nn.Module]:
        return nn.Flatten(), nn.LazyLinear(3)

    made = {
        "vgg": Vgg(1, [(4, 4), (8, 8)], [16, 3], (16, 16)),
        "resnet": ResNet(1, 3, [1, 1], [8, 16], [8, 16], "basic", 8, 3),
        "in place": nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.MaxPool2d(2), *head()
        ),
        "overlapping, odd": nn.Sequential(
            nn.Conv2d(1, 4, 4), nn.MaxPool2d(3, 2, 1), nn.BatchNorm2d(4, affine=False),
            nn.MaxPool2d((2, 3), ceil_mode=True), *head(),
        ),
        "channels last": nn.Sequential(
            nn.Conv2d(1, 4, 3).to(memory_format=torch.channels_last), nn.MaxPool2d(2), *head()
        ),
    }  # fmt: skip
    for module in made.values():
        module.eval()(torch.rand(2, 1, 16, 16))
    return {name: trained_looking(module) for name, module in made.items()}


def gradient(module: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    leaf = images.clone().requires_grad_()
    outputs = module(leaf)
    return outputs.detach(), torch.autograd.grad(outputs[:, 1].sum(), leaf)[0]


@pytest.mark.parametrize("name", list(networks()))
@pytest.mark.parametrize("grey_levels", [0, 3])
def test_network_and_gradients_stay_the_same(name: str, grey_levels: int) -> None:
    module = networks()[name]
    images = torch.rand(3, 1, 16, 16)
    if grey_levels:  # large flat areas, where all pixels of a window are equal
        images = (images * grey_levels).round().repeat_interleave(4, -1)[..., :16] / grey_levels
    outputs, expected = gradient(module, images)
    with LeanBackward():
        found_outputs, found = gradient(module, images)
    assert torch.equal(found_outputs, outputs)
    assert expected.abs().max() > 0
    torch.testing.assert_close(found, expected, rtol=0, atol=F32 * float(expected.abs().max()))


def test_both_operations_are_replaced() -> None:
    images = torch.rand(1, 1, 16, 16, requires_grad=True)
    with LeanBackward():
        pooled = F.max_pool2d(images, 2)
        normed = F.batch_norm(images, torch.zeros(1), torch.ones(1))
    assert "_MaxPool" in pooled.grad_fn.name() and "_FixedBatchNorm" in normed.grad_fn.name()


def test_network_in_training_keeps_the_gradients_of_its_weights() -> None:
    module = networks()["vgg"].requires_grad_(True)
    images = torch.rand(3, 1, 16, 16)

    def gradients() -> list[Tensor]:
        return list(torch.autograd.grad(module(images).sum(), list(module.parameters())))

    expected = gradients()
    with LeanBackward():
        found = gradients()
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


def test_positions_of_the_maxima_can_still_be_asked_for() -> None:
    images = torch.rand(1, 1, 8, 8)
    expected = F.max_pool2d(images, 2, return_indices=True)
    with LeanBackward():
        found = F.max_pool2d(images, 2, return_indices=True)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
