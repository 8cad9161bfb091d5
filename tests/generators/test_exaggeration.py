"""Explainers of the published layouts against the networks written down once more."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from napari_quac.data.dataset import Sample
from napari_quac.errors import CheckpointError, ShapeError
from napari_quac.explain.search import search
from napari_quac.explain.settings import SearchSettings
from napari_quac.generators.exaggeration.recipe import ExaggerationRecipe
from napari_quac.generators.opening import inspect_network, recognize_network
from napari_quac.networks.architectures.exaggeration_net import load_bin_generator
from napari_quac.testing import corner_classifier, corner_image

State = dict[str, Tensor]
N_BINS = 10


def norm_of(name: str, channels: int, kind: str) -> State:
    gamma, beta, inner = {
        "luab": ("gamma_conditional", "beta_conditional", ""),
        "derm": ("embed_gamma", "embed_beta", "batchnorm."),
    }[kind]
    state = {
        f"{name}.{gamma}.weight": 1 + 0.3 * torch.randn(N_BINS, channels),
        f"{name}.{beta}.weight": 0.3 * torch.randn(N_BINS, channels),
        f"{name}.{inner}running_mean": 0.1 * torch.randn(channels),
        f"{name}.{inner}running_var": 0.5 + torch.rand(channels),
    }
    if kind == "luab":
        state |= {f"{name}.weight": 1 + 0.1 * torch.randn(channels),
                  f"{name}.bias": 0.1 * torch.randn(channels)}  # fmt: skip
    return state


def convolution_of(name: str, outputs: int, inputs: int, k: int, transposed: bool = False) -> State:
    shape = (inputs, outputs, k, k) if transposed else (outputs, inputs, k, k)
    return {f"{name}.weight": torch.randn(shape) / (inputs * k * k) ** 0.5,
            f"{name}.bias": 0.1 * torch.randn(outputs)}  # fmt: skip


def luab_state() -> State:
    torch.manual_seed(0)
    widths = (4, 6, 8)
    state = norm_of("bn1", 1, "luab") | convolution_of("conv1.conv", 4, 1, 3)
    for number, (inputs, outputs) in enumerate([(4, 6), (6, 8), (8, 6), (6, 4)]):
        name = f"g_e_res_block{number + 1}" if number < 2 else f"g_res_block{number - 1}"
        state |= norm_of(f"{name}.bn1", inputs, "luab") | norm_of(f"{name}.bn2", outputs, "luab")
        state |= convolution_of(f"{name}.conv1.conv", outputs, inputs, 3)
        state |= convolution_of(f"{name}.conv2.conv", outputs, outputs, 3)
        state |= convolution_of(f"{name}.conv_identity.conv", outputs, inputs, 1)
    return state | norm_of("bn2", widths[0], "luab") | convolution_of("conv.conv", 1, 4, 3)


def derm_state() -> State:
    torch.manual_seed(1)
    state = convolution_of("layer2", 4, 1, 7) | norm_of("layer3", 4, "derm")
    for name, inputs, outputs in (("layer5", 4, 8), ("layer6", 8, 16)):
        state |= convolution_of(f"{name}.layer1", outputs, inputs, 3)
        state |= norm_of(f"{name}.layer2", outputs, "derm")
    for number in range(2):
        for part, norm in (("layer1", "layer2"), ("layer4", "layer5")):
            state |= convolution_of(f"resblocks.{number}.{part}", 16, 16, 3)
            state |= norm_of(f"resblocks.{number}.{norm}", 16, "derm")
    for name, inputs, outputs in (("layer7", 16, 8), ("layer8", 8, 4)):
        state |= convolution_of(f"{name}.layer1", outputs, inputs, 3, transposed=True)
        state |= norm_of(f"{name}.layer2", outputs, "derm")
    return state | convolution_of("layer10", 1, 4, 7)


def written_luab(state: State, x: Tensor, b: int) -> Tensor:
    def norm(name: str, h: Tensor) -> Tensor:
        mean, variance = state[f"{name}.running_mean"], state[f"{name}.running_var"]
        shape = (1, -1, 1, 1)
        h = (h - mean.view(shape)) / (variance.view(shape) + 1e-3).sqrt()
        h = h * state[f"{name}.weight"].view(shape) + state[f"{name}.bias"].view(shape)
        gamma = state[f"{name}.gamma_conditional.weight"][b].view(shape)
        return gamma * h + state[f"{name}.beta_conditional.weight"][b].view(shape)

    def conv(name: str, h: Tensor, pad: int = 1) -> Tensor:
        return F.conv2d(h, state[f"{name}.conv.weight"], state[f"{name}.conv.bias"], padding=pad)

    h = conv("conv1", norm("bn1", x).relu())
    for name in ("g_e_res_block1", "g_e_res_block2", "g_res_block1", "g_res_block2"):

        def sized(t: Tensor, name: str = name) -> Tensor:
            if "_e_" in name:
                return F.avg_pool2d(t, 2)
            return t.repeat_interleave(2, 2).repeat_interleave(2, 3)

        inner = conv(f"{name}.conv1", sized(norm(f"{name}.bn1", h).relu()))
        inner = conv(f"{name}.conv2", norm(f"{name}.bn2", inner).relu())
        h = inner + conv(f"{name}.conv_identity", sized(h), 0)
    return conv("conv", norm("bn2", h).relu()).tanh()


def written_derm(state: State, x: Tensor, b: int) -> Tensor:
    def norm(name: str, h: Tensor) -> Tensor:
        inner = f"{name}.batchnorm"
        h = F.batch_norm(h, state[f"{inner}.running_mean"], state[f"{inner}.running_var"])
        gamma = state[f"{name}.embed_gamma.weight"][b].view(1, -1, 1, 1)
        return gamma * h + state[f"{name}.embed_beta.weight"][b].view(1, -1, 1, 1)

    def conv(name: str, h: Tensor, stride: int = 1, reflect: int = 0) -> Tensor:
        if reflect:
            h = torch.nn.ReflectionPad2d(reflect)(h)
        pad = 0 if reflect else 1
        return F.conv2d(h, state[f"{name}.weight"], state[f"{name}.bias"], stride, pad)

    h = norm("layer3", conv("layer2", x, reflect=3)).relu()
    for name in ("layer5", "layer6"):
        h = norm(f"{name}.layer2", conv(f"{name}.layer1", h, 2)).relu()
    for number in range(2):
        block = f"resblocks.{number}"
        inner = norm(f"{block}.layer2", conv(f"{block}.layer1", h, reflect=1)).relu()
        h = h + norm(f"{block}.layer5", conv(f"{block}.layer4", inner, reflect=1))
    for name in ("layer7", "layer8"):
        weight, bias = state[f"{name}.layer1.weight"], state[f"{name}.layer1.bias"]
        h = F.conv_transpose2d(h, weight, bias, stride=2, padding=1, output_padding=1)
        h = norm(f"{name}.layer2", h).relu()
    return conv("layer10", h, reflect=3).tanh()


@pytest.mark.parametrize(
    ("state", "prefix", "written"),
    [(luab_state(), "G.", written_luab), (derm_state(), "", written_derm)],
    ids=["Luab", "derm_audit"],
)
def test_outputs_are_those_of_the_network_written_down_once_more(
    tmp_path: Path, state: State, prefix: str, written: object
) -> None:
    path = tmp_path / "explainer.pt"
    wrapped = {f"{prefix}{key}": value for key, value in state.items()}
    torch.save({"state_dict": wrapped} if prefix else {"generator": wrapped, "epoch": 3}, path)
    inspection = inspect_network(path, run=False)
    assert (inspection.family, inspection.problem) == ("exaggeration", None)
    assert "10 bins" in inspection.findings[0]
    generator = recognize_network(path).recipe.load("cpu")
    query = torch.rand(1, 16, 16)
    made = generator.traversal(query)
    assert made.shape == (10, 1, 16, 16)
    for index in (0, 4, 9):
        expected = (written(state, 2 * query[None] - 1, index)[0] + 1) / 2  # type: ignore[operator]
        torch.testing.assert_close(made[index], expected, atol=1e-5, rtol=1e-4)


def test_weights_in_half_precision_are_computed_with_in_full() -> None:
    halved = {key: value.half() for key, value in derm_state().items()}
    made = load_bin_generator(halved, "half.pt")(torch.rand(1, 1, 16, 16), torch.tensor([3]))
    assert made.dtype == torch.float32
    assert torch.isfinite(made).all()


def test_bins_are_proposed_from_the_source_on(tmp_path: Path) -> None:
    path = tmp_path / "explainer.pt"
    torch.save({"state_dict": {f"G.{k}": v for k, v in luab_state().items()}}, path)
    generator = ExaggerationRecipe(path, "right").load("cpu")
    classifier = corner_classifier(16)
    sample = Sample("left", corner_image(0, 16))
    pair = search(sample, 1, classifier, generator, SearchSettings(max_tries=20)).result()
    assert pair.n_tried == 10
    assert pair.origin["n_bins"] == 10
    assert pair.origin["desired"] == (pair.origin["bin"] + 0.5) / 10
    traversal = generator.traversal(sample.image)
    assert torch.equal(pair.generated, traversal[pair.origin["bin"]])
    with pytest.raises(ShapeError, match="multiple of 4"):
        generator.traversal(torch.rand(1, 15, 15))


def test_unknown_layout_names_the_known_ones() -> None:
    with pytest.raises(CheckpointError, match=r"Luab.*derm_audit"):
        load_bin_generator({"enc.blocks.0.embed.weight": torch.zeros(2, 2)}, "other.pt")
