"""Bin-conditional network in training; its file has the layout of derm_audit.

Reading such files is in :mod:`napari_quac.networks.architectures.exaggeration_net`, whose forward
is the same computation with fixed tensors.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

DEGREE = 1
MOMENTUM = 0.1
EPSILON = 1e-5
SLOPE = 0.25  # difference of the bins before the first step


def bin_code(n_bins: int) -> Tensor:
    """Return 1 and the position of each bin, from -1 to 1 in even steps; (n_bins, 2).

    Scale and offset of a norm are linear in it: neighboring bins are trained together, and lie in
    order. With separate numbers for each bin, most bins are seen too rarely in minutes.
    """
    place = torch.linspace(-1, 1, n_bins)
    return torch.stack([torch.ones_like(place), place], dim=1)


class TrainableBinNorm(nn.Module):
    """Batch norm, then a scale and an offset that depend on the bin."""

    running_mean: Tensor
    running_var: Tensor
    code: Tensor

    def __init__(self, width: int, n_bins: int) -> None:
        super().__init__()
        self.register_buffer("running_mean", torch.zeros(width))
        self.register_buffer("running_var", torch.ones(width))
        self.register_buffer("code", bin_code(n_bins))
        gamma, beta = torch.zeros(DEGREE + 1, width), torch.zeros(DEGREE + 1, width)
        gamma[0] = 1.0
        gamma[1], beta[1] = SLOPE * torch.randn(width), SLOPE * torch.randn(width)
        self.gamma, self.beta = nn.Parameter(gamma), nn.Parameter(beta)
        self.fixed_means = False

    def forward(self, features: Tensor, bins: Tensor) -> Tensor:
        """Return normalized features (N, width, h, w) for bins (N,)."""
        from_batch = self.training and not self.fixed_means
        normed = F.batch_norm(
            features, self.running_mean, self.running_var, None, None, from_batch, MOMENTUM, EPSILON
        )
        code = self.code[bins]
        gamma, beta = (code @ table for table in (self.gamma, self.beta))
        return gamma[:, :, None, None] * normed + beta[:, :, None, None]

    def tables(self) -> dict[str, Tensor]:
        """Return its tensors by the names of the published layout."""
        return {
            "batchnorm.running_mean": self.running_mean,
            "batchnorm.running_var": self.running_var,
            "embed_gamma.weight": self.code @ self.gamma,
            "embed_beta.weight": self.code @ self.beta,
        }


class TrainableBinNetwork(nn.Module):
    """Down twice, residual blocks, up twice; every norm depends on the bin.

    Parameters
    ----------
    channels : int
        Of the images.
    n_bins : int
    width : int
        Feature maps at full resolution.
    n_blocks : int
        Residual blocks at a quarter of it.
    """

    def __init__(self, channels: int, n_bins: int, width: int, n_blocks: int) -> None:
        super().__init__()

        def norm(n: int) -> TrainableBinNorm:
            return TrainableBinNorm(n, n_bins)

        def same(inputs: int, outputs: int, k: int) -> nn.Conv2d:
            return nn.Conv2d(inputs, outputs, k, padding=k // 2, padding_mode="reflect")

        def up(wide: int) -> nn.ConvTranspose2d:
            return nn.ConvTranspose2d(wide, wide // 2, 3, 2, 1, 1)

        wide = 4 * width
        self.n_blocks = n_blocks
        self.convolutions = nn.ModuleDict(
            {
                "layer2": same(channels, width, 7),
                "layer5": nn.Conv2d(width, 2 * width, 3, 2, 1),
                "layer6": nn.Conv2d(2 * width, wide, 3, 2, 1),
                "layer7": up(wide),
                "layer8": up(2 * width),
                "layer10": same(width, channels, 7),
            }
        )
        self.norms = nn.ModuleDict(
            {
                "layer3": norm(width),
                "layer5": norm(2 * width),
                "layer6": norm(wide),
                "layer7": norm(2 * width),
                "layer8": norm(width),
            }
        )
        for number in range(n_blocks):
            for part in ("a", "b"):
                self.convolutions[f"block{number}{part}"] = same(wide, wide, 3)
                self.norms[f"block{number}{part}"] = norm(wide)
        for parameter in self.convolutions["layer10"].parameters():
            nn.init.zeros_(parameter)  # no change at first

    def forward(self, images: Tensor, bins: Tensor) -> Tensor:
        """Return half the change (N, C, S, S) of images in [-1, 1] for bins (N,)."""

        def through(name: str, features: Tensor) -> Tensor:
            normed: Tensor = self.norms[name](self.convolutions[name](features), bins)
            return normed

        features = F.relu(self.norms["layer3"](self.convolutions["layer2"](images), bins))
        for name in ("layer5", "layer6"):
            features = F.relu(through(name, features))
        for number in range(self.n_blocks):
            inner = F.relu(through(f"block{number}a", features))
            features = features + through(f"block{number}b", inner)
        for name in ("layer7", "layer8"):
            features = F.relu(through(name, features))
        return torch.tanh(self.convolutions["layer10"](features))

    def keep_means(self, keep: bool) -> None:
        """Normalize by the running means if ``keep``, else by those of each batch."""
        for norm in self.modules():
            if isinstance(norm, TrainableBinNorm):
                norm.fixed_means = keep

    def published(self) -> dict[str, Tensor]:
        """Return its tensors by the names of derm_audit."""
        tensors: dict[str, Tensor] = {}
        for name, module in self.convolutions.items():
            for key, value in module.state_dict().items():
                tensors[f"{_published(name, 'layer1')}.{key}"] = value
        for name, module in self.norms.items():
            if isinstance(module, TrainableBinNorm):
                for key, value in module.tables().items():
                    tensors[f"{_published(name, 'layer2')}.{key}"] = value
        return tensors


def _published(name: str, part: str) -> str:
    """Return the name in the published layout of a convolution (layer1) or a norm (layer2)."""
    if name.startswith("block"):
        parts = {("a", "layer1"): "layer1", ("a", "layer2"): "layer2",
                 ("b", "layer1"): "layer4", ("b", "layer2"): "layer5"}  # fmt: skip
        return f"resblocks.{name[5:-1]}.{parts[name[-1], part]}"
    return name if name in ("layer2", "layer3", "layer10") else f"{name}.{part}"
