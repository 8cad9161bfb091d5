"""Bin-conditional network in training; its file has the layout of derm_audit.

Its forward is that of :mod:`napari_quac.networks.architectures.exaggeration_net`, where such files
are read.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_quac.networks.architectures.exaggeration_net import (
    TranslationBinNetwork,
    published_name,
)

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
        self.n_bins, self.fixed_means = n_bins, False

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


class TrainableBinNetwork(TranslationBinNetwork):
    """Network in training, which returns half the change of images in [-1, 1].

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
        wide = 4 * width
        blocks = [f"block{number}{part}" for number in range(n_blocks) for part in "ab"]

        def same(inputs: int, outputs: int, k: int) -> nn.Conv2d:
            return nn.Conv2d(inputs, outputs, k, padding=k // 2, padding_mode="reflect")

        convolutions: dict[str, nn.Module] = {
            "layer2": same(channels, width, 7),
            "layer5": nn.Conv2d(width, 2 * width, 3, 2, 1),
            "layer6": nn.Conv2d(2 * width, wide, 3, 2, 1),
            "layer7": nn.ConvTranspose2d(wide, 2 * width, 3, 2, 1, 1),
            "layer8": nn.ConvTranspose2d(2 * width, width, 3, 2, 1, 1),
            "layer10": same(width, channels, 7),
        }
        widths = {"layer3": width, "layer5": 2 * width, "layer6": wide}
        widths |= {"layer7": 2 * width, "layer8": width}
        norms = {name: TrainableBinNorm(n, n_bins) for name, n in widths.items()}
        for name in blocks:
            convolutions[name], norms[name] = same(wide, wide, 3), TrainableBinNorm(wide, n_bins)
        super().__init__(nn.ModuleDict(convolutions), nn.ModuleDict(norms))
        for parameter in self.convolutions["layer10"].parameters():
            nn.init.zeros_(parameter)  # no change at first

    def keep_means(self, keep: bool) -> None:
        """Normalize by the running means if ``keep``, else by those of each batch."""
        for norm in self.modules():
            if isinstance(norm, TrainableBinNorm):
                norm.fixed_means = keep

    def published(self) -> dict[str, Tensor]:
        """Return its tensors by the names of derm_audit."""
        parts = {
            published_name(name, "layer1"): module.state_dict()
            for name, module in self.convolutions.items()
        }
        for name, norm in self.norms.items():
            if isinstance(norm, TrainableBinNorm):
                parts[published_name(name, "layer2")] = norm.tables()
        return {f"{name}.{key}": part[key] for name, part in parts.items() for key in part}
