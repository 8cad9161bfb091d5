"""Simulators from state dicts of the published layout, from TorchScript, and as generators."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_quac.data.dataset import Sample
from napari_quac.data.preprocessing import PRESETS
from napari_quac.errors import CheckpointError, DataError, ShapeError
from napari_quac.explain.search import search
from napari_quac.explain.settings import SearchSettings
from napari_quac.generators.opening import inspect_network, recognize_network
from napari_quac.generators.warp.recipe import WarpRecipe
from napari_quac.generators.warp.view import field_hybrid, view_warp
from napari_quac.networks.architectures.warp_unet import (
    WarpHyperparameters,
    WarpUNet,
    load_warp_unet,
)
from napari_quac.networks.classifier import Classifier

SMALL = WarpHyperparameters(2, 32, 1, (4, 4, 6, 4, 4), 3, 8)


def published_forward(state: dict[str, Tensor], x: Tensor, o: Tensor, n: int) -> Tensor:
    """Write the network down once more, one sample at a time, with plain functions."""

    def conditional(name: str, h: Tensor) -> Tensor:
        pooled = torch.cat([h.flatten(2).mean(2), o], 1)[0]
        fc = f"{name}.conv._routing_fn.fc"
        r = torch.sigmoid(state[f"{fc}.weight"] @ pooled + state[f"{fc}.bias"])
        kernel = sum(r[e] * state[f"{name}.conv.weight"][e] for e in range(len(r)))
        conv = F.conv3d if n == 3 else F.conv2d
        return conv(h, kernel, state[f"{name}.conv.bias"], padding=1)

    def normed(name: str, h: Tensor) -> Tensor:
        parts = [state[f"{name}.{k}"] for k in ("running_mean", "running_var", "weight", "bias")]
        return F.leaky_relu(F.batch_norm(h, *parts), 0.1)

    pool = F.max_pool3d if n == 3 else F.max_pool2d
    d = [conditional("input", x)]
    for level in range(1, 5):
        d.append(conditional(f"down{level}", pool(normed(f"down{level}.feed.0", d[-1]), 2)))
    code = d[4].flatten(1) @ state["in_Linear1.weight"].T + state["in_Linear1.bias"]
    code = torch.relu(torch.cat([code, o], 1))
    h = (code @ state["out_Linear1.weight"].T + state["out_Linear1.bias"]).view_as(d[4])
    h = conditional("up_input", h) + d[4]
    h = F.interpolate(normed("up1_noconv.act_bn_mp.0", h), scale_factor=2) + d[3]
    for level, skip in ((2, d[2]), (3, d[1]), (4, d[0])):
        h = conditional(f"up{level}", h)
        h = F.interpolate(normed(f"up{level}.feed.0", h), scale_factor=2) + skip
    return conditional("output", h)


def network_of(hyper: WarpHyperparameters) -> WarpUNet:
    torch.manual_seed(0)
    network = WarpUNet(hyper).eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    return network


@pytest.mark.parametrize(
    "hyper", [SMALL, WarpHyperparameters(3, 32, 1, (3, 4, 5, 3, 3), 3, 16)], ids=["2-D", "3-D"]
)
def test_outputs_are_those_of_the_network_written_down_once_more(
    hyper: WarpHyperparameters,
) -> None:
    network = network_of(hyper)
    x = torch.rand(2, 1, *(hyper.image_size,) * hyper.n_axes)
    o = torch.tensor([[1.0], [-1.0]])
    found = network(x, o)
    assert found.shape == (2, hyper.n_axes, *x.shape[2:])
    for index in range(2):
        part = slice(index, index + 1)
        expected = published_forward(network.state_dict(), x[part], o[part], hyper.n_axes)
        torch.testing.assert_close(found[part], expected, atol=1e-5, rtol=1e-4)


def test_a_published_file_loads_without_its_classifier_and_its_grid(tmp_path: Path) -> None:
    network = network_of(SMALL)
    state = {f"trans.{key}": value for key, value in network.state_dict().items()}
    state |= {"e_cls.fc.weight": torch.zeros(1, 4), "trans.in_Linear2.weight": torch.zeros(4, 4),
              "SpatialTransformer.grid": torch.zeros(1, 3, 64, 64, 64)}  # fmt: skip
    path = tmp_path / "model-00000.pt"
    torch.save(state, path)
    inspection = inspect_network(path, run=False)
    assert (inspection.family, inspection.problem) == ("warp", None)
    assert inspection.image_size == (32, 32)
    assert recognize_network(path).recipe == WarpRecipe(path)
    generator = recognize_network(path).recipe.load("cpu")
    query = torch.rand(1, 32, 32)
    expected = network(query[None], torch.ones(1, 1))[0]
    torch.testing.assert_close(generator.field(query, 1), expected)
    with pytest.raises(ShapeError, match=r"trained on \(1, 32, 32\)"):
        generator.field(torch.rand(1, 48, 48), 1)


def test_a_file_of_another_layout_is_refused_with_a_way_out() -> None:
    with pytest.raises(CheckpointError, match="Export it as TorchScript"):
        load_warp_unet({"trans.first.weight": torch.zeros(1)}, "other.pt")


class Grow(nn.Module):
    """Enlarges around the middle for +1 and shrinks for -1, in normalised units, x first."""

    def forward(self, images: Tensor, option: Tensor) -> Tensor:
        size = images.size(2)
        line = torch.linspace(-1, 1, size)
        y = line.view(1, 1, size, 1).expand(len(images), 1, size, size)
        x = line.view(1, 1, 1, size).expand(len(images), 1, size, size)
        return -0.3 * option.view(-1, 1, 1, 1) * torch.cat([x, y], 1)


class Mass(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        value = (images.mean(dim=(1, 2, 3)) - 0.06) * 100
        return torch.stack([-value, value], dim=1)


@pytest.fixture
def growing(tmp_path: Path):
    path = tmp_path / "grow.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(Grow()).save(str(path))
    classifier = Classifier(Mass().eval(), ("small", "large"), 1, (33, 33), PRESETS["unit"])
    image = torch.zeros(1, 33, 33)
    image[:, 13:20, 13:20] = 1
    recipe = WarpRecipe(path, "large", "reversed", "normalised")
    return recipe.load("cpu"), classifier, Sample("square", image)


def test_strength_rises_until_the_classifier_agrees(growing) -> None:
    generator, classifier, sample = growing
    pair = search(sample, 1, classifier, generator, SearchSettings(keep="first")).result()
    assert pair.switches
    assert pair.origin["strength"] in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
    assert pair.origin["folded"] == 0
    view = view_warp(pair, generator, classifier).result()
    assert view.sign_agreement == 1
    assert np.all(np.diff(view.logits) > 0)
    assert float(view.log_growth[16, 16]) > 0.03  # larger in the simulation
    assert view.folded_share == 0


def test_other_direction_shrinks(growing) -> None:
    generator, classifier, sample = growing
    large = Sample("large", sample.image.roll(0))
    large.image[:, 10:23, 10:23] = 1
    pair = search(large, 0, classifier, generator).result()
    assert pair.origin["option"] == -1
    view = view_warp(pair, generator, classifier).result()
    assert float(view.log_growth[16, 16]) < 0


def test_classes_that_it_does_not_know_are_refused(growing) -> None:
    generator, _, sample = growing

    def three(images: Tensor) -> Tensor:
        return torch.cat([Mass()(images), torch.zeros(len(images), 1)], dim=1)

    names = ("small", "large", "none")
    other = Classifier(three, names, 1, (33, 33), PRESETS["unit"], form="callable")
    with pytest.raises(DataError, match="cannot turn 'small' into 'none'"):
        search(sample, 2, other, generator, source=0).result()


def test_mask_on_the_displacement_leaves_no_double_image(growing) -> None:
    _, _, sample = growing
    field = torch.zeros(2, 33, 33)
    field[1] = -8  # the square moves 8 pixels to the right
    half = torch.zeros(1, 33, 33)
    half[..., :17] = 1
    full = field_hybrid(sample.image, field, torch.ones(1, 33, 33))
    assert torch.equal(field_hybrid(sample.image, field, torch.zeros(1, 33, 33)), sample.image)
    assert float(full[0, 16, 24]) == pytest.approx(1, abs=1e-5)
    mixed = field_hybrid(sample.image, field, half)
    assert float(mixed.sum()) <= float(sample.image.sum())
