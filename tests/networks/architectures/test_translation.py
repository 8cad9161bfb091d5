"""Generators of CycleGAN and pix2pix, built from the published names and shapes.

The state dicts are made here from that description, and the expected outputs by functions of
torch, without the modules that are tested.
"""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from napari_quac.errors import CheckpointError
from napari_quac.networks.architectures.translation import load_translation, recognize_translation

State = dict[str, Tensor]


def randomly(*shape: int) -> Tensor:
    return 0.3 * torch.randn(shape)


def add_convolution(state: State, name: str, shape: tuple[int, ...], bias: int | None) -> None:
    state[f"{name}.weight"] = randomly(*shape) / (shape[1] ** 0.5)
    if bias is not None:
        state[f"{name}.bias"] = randomly(bias)


def add_norm(state: State, name: str, width: int, norm: str, old: bool) -> None:
    if norm == "batch":
        state[f"{name}.weight"], state[f"{name}.bias"] = 1 + randomly(width), randomly(width)
    if norm == "batch" or old:
        state[f"{name}.running_mean"] = randomly(width)
        state[f"{name}.running_var"] = 0.5 + torch.rand(width)
        state[f"{name}.num_batches_tracked"] = torch.tensor(7)


def resnet_state(
    blocks: int, norm: str, dropout: bool = False, old: bool = False, d: int = 4, channels: int = 1
) -> State:
    torch.manual_seed(blocks)
    state: State = {}
    with_bias = norm == "instance"
    layers = [(1, (d, channels, 7, 7)), (4, (2 * d, d, 3, 3)), (7, (4 * d, 2 * d, 3, 3))]
    for index, shape in layers:
        add_convolution(state, f"model.{index}", shape, shape[0] if with_bias else None)
        add_norm(state, f"model.{index + 1}", shape[0], norm, old)
    for block in range(10, 10 + blocks):
        for index in (1, 6 if dropout else 5):
            name = f"model.{block}.conv_block"
            shape = (4 * d, 4 * d, 3, 3)
            add_convolution(state, f"{name}.{index}", shape, 4 * d if with_bias else None)
            add_norm(state, f"{name}.{index + 1}", 4 * d, norm, old)
    for index, shape in ((10 + blocks, (4 * d, 2 * d, 3, 3)), (13 + blocks, (2 * d, d, 3, 3))):
        add_convolution(state, f"model.{index}", shape, shape[1] if with_bias else None)
        add_norm(state, f"model.{index + 1}", shape[1], norm, old)
    add_convolution(state, f"model.{17 + blocks}", (channels, d, 7, 7), channels)
    return state


def normed(state: State, name: str, x: Tensor) -> Tensor:
    if f"{name}.weight" in state:
        mean, variance = state[f"{name}.running_mean"], state[f"{name}.running_var"]
        return F.batch_norm(x, mean, variance, state[f"{name}.weight"], state[f"{name}.bias"])
    return F.instance_norm(x)


def resnet_forward(state: State, x: Tensor, blocks: int, dropout: bool = False) -> Tensor:
    def convolved(name: str, x: Tensor, **how: int) -> Tensor:
        return F.conv2d(x, state[f"{name}.weight"], state.get(f"{name}.bias"), **how)

    def raised(name: str, x: Tensor) -> Tensor:
        weight, bias = state[f"{name}.weight"], state.get(f"{name}.bias")
        return F.conv_transpose2d(x, weight, bias, stride=2, padding=1, output_padding=1)

    x = F.pad(x, (3, 3, 3, 3), mode="reflect")
    x = normed(state, "model.2", convolved("model.1", x)).relu()
    x = normed(state, "model.5", convolved("model.4", x, stride=2, padding=1)).relu()
    x = normed(state, "model.8", convolved("model.7", x, stride=2, padding=1)).relu()
    for block in range(10, 10 + blocks):
        name, second = f"model.{block}.conv_block", 6 if dropout else 5
        y = convolved(f"{name}.1", F.pad(x, (1, 1, 1, 1), mode="reflect"))
        y = normed(state, f"{name}.2", y).relu()
        y = convolved(f"{name}.{second}", F.pad(y, (1, 1, 1, 1), mode="reflect"))
        x = x + normed(state, f"{name}.{second + 1}", y)
    x = normed(state, f"model.{11 + blocks}", raised(f"model.{10 + blocks}", x)).relu()
    x = normed(state, f"model.{14 + blocks}", raised(f"model.{13 + blocks}", x)).relu()
    return convolved(f"model.{17 + blocks}", F.pad(x, (3, 3, 3, 3), mode="reflect")).tanh()


def unet_state(levels: int, norm: str, old: bool = False, d: int = 2, channels: int = 1) -> State:
    torch.manual_seed(levels)
    state: State = {}
    with_bias = norm == "instance"
    widths = [d * min(2**level, 8) for level in range(levels)]
    below = channels
    prefix = "model.model"
    for level, width in enumerate(widths):
        outer, inner = level == 0, level == levels - 1
        down, up = (0, 3) if outer else (1, 3 if inner else 5)
        shape = (width, below, 4, 4)
        add_convolution(state, f"{prefix}.{down}", shape, width if with_bias else None)
        given = width if inner else 2 * width
        has_bias = with_bias or outer
        add_convolution(state, f"{prefix}.{up}", (given, below, 4, 4), below if has_bias else None)
        if not outer and not inner:
            add_norm(state, f"{prefix}.{down + 1}", width, norm, old)
        if not outer:
            add_norm(state, f"{prefix}.{up + 1}", below, norm, old)
        below = width
        prefix += ".1.model" if outer else ".3.model"
    return state


def unet_forward(
    state: State, x: Tensor, prefix: str = "model.model", outer: bool = True
) -> Tensor:
    def of(name: str) -> tuple[Tensor, Tensor | None]:
        return state[f"{prefix}.{name}.weight"], state.get(f"{prefix}.{name}.bias")

    if outer:
        y = F.conv2d(x, *of("0"), stride=2, padding=1)
        y = unet_forward(state, y, f"{prefix}.1.model", False).relu()
        return F.conv_transpose2d(y, *of("3"), stride=2, padding=1).tanh()
    y = F.conv2d(F.leaky_relu(x, 0.2), *of("1"), stride=2, padding=1)
    if f"{prefix}.5.weight" in state:
        y = unet_forward(state, normed(state, f"{prefix}.2", y), f"{prefix}.3.model", False)
        y = F.conv_transpose2d(y.relu(), *of("5"), stride=2, padding=1)
        y = normed(state, f"{prefix}.6", y)
    else:
        y = F.conv_transpose2d(y.relu(), *of("3"), stride=2, padding=1)
        y = normed(state, f"{prefix}.4", y)
    return torch.cat([x, y], dim=1)


@pytest.mark.parametrize("old", [False, True], ids=["", "old"])
@pytest.mark.parametrize("dropout", [False, True], ids=["", "dropout"])
@pytest.mark.parametrize("norm", ["instance", "batch"])
@pytest.mark.parametrize("blocks", [6, 9])
def test_resnet_generator(blocks: int, norm: str, dropout: bool, old: bool) -> None:
    state = resnet_state(blocks, norm, dropout, old)
    if norm == "instance" and not old and not dropout:
        assert len(state) == {6: 36, 9: 48}[blocks]
    layout, module = load_translation(state, "a.pth")
    assert (layout.norm, layout.channels, layout.multiple) == (norm, 1, 4)
    assert layout.parameters["blocks"] == blocks and layout.parameters["dropout"] == dropout
    images = torch.rand(2, 1, 16, 20) * 2 - 1
    expected = resnet_forward(state, images, blocks, dropout)
    torch.testing.assert_close(module(images), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("old", [False, True], ids=["", "old"])
@pytest.mark.parametrize("norm", ["instance", "batch"])
@pytest.mark.parametrize("levels", [7, 8])
def test_unet_generator(levels: int, norm: str, old: bool) -> None:
    state = unet_state(levels, norm, old)
    if not old:
        count = {("instance", 7): 28, ("instance", 8): 32, ("batch", 7): 70, ("batch", 8): 82}
        assert len(state) == count[norm, levels]
    layout, module = load_translation(state, "a.pth")
    assert (layout.norm, layout.multiple) == (norm, 2**levels)
    assert layout.parameters["levels"] == levels
    # an instance norm of one pixel would be refused by torch, as it is in training
    images = torch.rand(1, 1, 2**levels, 2**levels) * 2 - 1
    expected = unet_forward(state, images)
    assert expected.std() > 1e-3
    torch.testing.assert_close(module(images), expected, rtol=1e-4, atol=1e-5)


def test_three_channels_are_read_off() -> None:
    layout = recognize_translation(resnet_state(6, "batch", channels=3), "a.pth")
    assert (layout.channels, layout.out_channels) == (3, 3)
    assert recognize_translation(unet_state(7, "batch", channels=3), "a.pth").channels == 3


@pytest.mark.parametrize("without", ["model.14.conv_block.1.weight", "model.17.weight"])
def test_missing_tensor_is_named_with_a_way_out(without: str) -> None:
    state = resnet_state(9, "instance")
    state.pop(without, None)
    state["model.99.weight"] = torch.zeros(1)
    with pytest.raises(CheckpointError, match=r"a\.pth"):
        load_translation(state, "a.pth")
