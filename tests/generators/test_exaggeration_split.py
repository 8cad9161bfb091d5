"""The explainer in two parts gives what a forward written here from the published layout gives."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_quac.errors import CheckpointError
from napari_quac.generators.exaggeration.recipe import ExaggerationRecipe
from napari_quac.generators.opening import inspect_network

WIDTHS = (4, 6, 8)


class SpectralConv(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 1, 1))
        self.bias = nn.Parameter(torch.randn(outputs))
        self.register_buffer("u", torch.randn(1, outputs))

    def forward(self, features: Tensor) -> Tensor:
        matrix = self.weight.view(len(self.weight), -1)
        right = self.u @ matrix
        right = right / right.norm()
        left = right @ matrix.T
        left = left / left.norm()
        return F.conv2d(features, self.weight / (left @ matrix @ right.T), self.bias)


def norm(width: int, affine: bool = True) -> nn.BatchNorm2d:
    made = nn.BatchNorm2d(width, affine=affine)
    made.running_mean.normal_()
    made.running_var.uniform_(0.5, 1.5)
    return made


class Down(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.left_branch = nn.Sequential(nn.AvgPool2d(2), SpectralConv(inputs, outputs))
        self.right_branch = nn.Sequential(
            norm(inputs), nn.ReLU(), nn.AvgPool2d(2), nn.Conv2d(inputs, outputs, 3, padding=1),
            norm(outputs), nn.ReLU(), nn.Conv2d(outputs, outputs, 3, padding=1),
        )  # fmt: skip

    def forward(self, features: Tensor) -> Tensor:
        return self.left_branch(features) + self.right_branch(features)


class Conditional(nn.Module):
    def __init__(self, width: int, n_bins: int) -> None:
        super().__init__()
        self.bn, self.embed = norm(width, False), nn.Embedding(n_bins, 2 * width)

    def forward(self, features: Tensor, bins: Tensor) -> Tensor:
        known, width = self.embed(bins)[:, :, None, None], features.shape[1]
        return F.relu(known[:, :width] * self.bn(features) + known[:, width:])


class Up(nn.Module):
    def __init__(self, inputs: int, outputs: int, n_bins: int) -> None:
        super().__init__()
        self.left_branch = nn.Sequential(nn.Upsample(scale_factor=2), SpectralConv(inputs, outputs))
        self.cbn_relu_first = Conditional(inputs, n_bins)
        self.cbn_relu_second = Conditional(outputs, n_bins)
        self.upsample_conv = nn.Sequential(
            nn.Upsample(scale_factor=2), nn.Conv2d(inputs, outputs, 3, padding=1)
        )
        self.last_conv = nn.Conv2d(outputs, outputs, 3, padding=1)

    def forward(self, features: Tensor, bins: Tensor) -> Tensor:
        inner = self.upsample_conv(self.cbn_relu_first(features, bins))
        return self.left_branch(features) + self.last_conv(self.cbn_relu_second(inner, bins))


class Published(nn.Module):
    def __init__(self, channels: int, n_bins: int) -> None:
        super().__init__()
        self.enc, self.gen, self.disc = nn.Module(), nn.Module(), nn.Linear(2, 2)
        self.enc.first_block = nn.Sequential(norm(channels), nn.ReLU(), nn.Conv2d(channels, 4, 3))
        given = (channels, *WIDTHS)
        self.enc.blocks = nn.ModuleList(map(Down, given[:-1], given[1:]))
        widths = (WIDTHS[-1], *WIDTHS[::-1])
        self.gen.blocks = nn.ModuleList(Up(a, b, n_bins) for a, b in pairwise(widths))
        self.gen.last_block = nn.Sequential(
            norm(WIDTHS[0]), nn.ReLU(), nn.Conv2d(WIDTHS[0], channels, 3, padding=1), nn.Tanh()
        )

    def forward(self, images: Tensor, bins: Tensor) -> Tensor:
        for block in self.enc.blocks:
            images = block(images)
        for block in self.gen.blocks:
            images = block(images, bins)
        return self.gen.last_block(images)


@pytest.mark.parametrize(("channels", "n_bins", "wrapped"), [(1, 10, True), (3, 4, False)])
def test_outputs_are_those_of_an_independent_forward(
    tmp_path: Path, channels: int, n_bins: int, wrapped: bool
) -> None:
    torch.manual_seed(0)
    network = Published(channels, n_bins).eval()
    path = tmp_path / "split.pth"
    state = network.state_dict()
    torch.save({"model": state, "step": 3} if wrapped else state, path)
    found = inspect_network(path)
    assert (found.family, found.role, found.problem) == ("exaggeration", "generator", None)
    query = torch.rand(channels, 16, 24)
    with torch.no_grad():
        made = network((2 * query - 1).expand(n_bins, *query.shape), torch.arange(n_bins))
    images = ExaggerationRecipe(path).load("cpu").traversal(query)
    torch.testing.assert_close(images, made / 2 + 0.5, atol=1e-5, rtol=0)
    assert (images[0] - images[1]).abs().max() > 0.01  # the bins differ


def test_a_file_with_a_part_missing_is_refused(tmp_path: Path) -> None:
    state = Published(1, 4).state_dict()
    del state["enc.blocks.0.left_branch.1.weight"]
    path = tmp_path / "split.pth"
    torch.save(state, path)
    with pytest.raises(CheckpointError, match="does not match any known"):
        ExaggerationRecipe(path).load("cpu")
