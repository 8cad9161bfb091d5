"""Weights that are stored as factors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune, spectral_norm

from napari_quac.generators.opening import load_classifier
from napari_quac.networks.architectures.resnet import ResNet
from napari_quac.networks.reparametrized import merge_factors


def prune_layers(network: ResNet) -> None:
    prune.l1_unstructured(network.conv1, "weight", 0.5)
    prune.l1_unstructured(network.fc, "bias", 0.4)


def norm_weights(network: ResNet) -> None:
    parametrizations.weight_norm(network.fc)
    parametrizations.weight_norm(network.conv1)


def norm_spectra(network: ResNet) -> None:
    parametrizations.spectral_norm(network.conv1)
    spectral_norm(network.fc)


@pytest.mark.parametrize("change", [prune_layers, norm_weights, norm_spectra])
def test_factors_give_the_weights_of_eval_mode(
    tmp_path: Path, change: Callable[[ResNet], None]
) -> None:
    torch.manual_seed(0)
    network = ResNet(1, 3, [1, 1], [4, 8], [4, 8], "basic", 4)
    change(network)
    images = torch.rand(3, 1, 32, 32)
    network.train()(images)
    network.eval()
    path = tmp_path / "network.pth"
    torch.save({"state_dict": network.state_dict()}, path)
    expected = network(2 * images - 1).softmax(dim=1)
    torch.testing.assert_close(load_classifier(path).predict(images), expected, atol=1e-5, rtol=0)


def test_factors_of_the_first_form_of_weight_normalization() -> None:
    direction, scale = torch.randn(3, 4, 2, 2), torch.rand(3, 1, 1, 1)
    norms = direction.flatten(1).norm(dim=1).reshape(3, 1, 1, 1)
    merged = merge_factors({"a.weight_v": direction, "a.weight_g": scale, "a.bias": norms})
    torch.testing.assert_close(merged["a.weight"], scale * direction / norms)
    assert set(merged) == {"a.weight", "a.bias"}


@pytest.mark.parametrize(
    "tensors",
    [
        {"weight_orig": torch.ones(2, 2)},
        {"weight_orig": torch.ones(2, 2), "weight_mask": torch.ones(3)},
        {"parametrizations.weight.original": torch.ones(2, 2)},
    ],
)
def test_other_tensors_stay_as_they_are(tensors: dict[str, Tensor]) -> None:
    merged = merge_factors(tensors)
    assert merged.keys() == tensors.keys()
    assert all(merged[name] is tensor for name, tensor in tensors.items())


def test_layer_types_are_those_of_torch() -> None:
    layer = parametrizations.weight_norm(nn.Linear(4, 3))
    merged = merge_factors(layer.state_dict())
    torch.testing.assert_close(merged["weight"], layer.weight)
