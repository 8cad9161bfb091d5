"""The 3-D network of the transmitter project, built from its description with torch.nn alone."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor, nn


class PublishedVgg3d(nn.Module):
    """Takes volumes with a channel axis, or without one as its first version did."""

    def __init__(
        self,
        size: Sequence[int],
        n_feature_maps: int,
        factors: Sequence[tuple[int, int, int]],
        n_convolutions: Sequence[int],
        increments: Sequence[int],
        n_hidden: int = 8,
        n_classes: int = 3,
        has_channel_axis: bool = True,
    ) -> None:
        super().__init__()
        self.has_channel_axis = has_channel_axis
        layers: list[nn.Module] = []
        before, width, left = 1, n_feature_maps, list(size)
        for level, factor in enumerate(factors):
            for _ in range(n_convolutions[level]):
                layers += [nn.Conv3d(before, width, 3, padding=1), nn.BatchNorm3d(width),
                           nn.ReLU(inplace=True)]  # fmt: skip
                before = width
            layers.append(nn.MaxPool3d(factor))
            left = [length // one for length, one in zip(left, factor, strict=True)]
            width *= increments[level]
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Linear(prod(left) * before, n_hidden), nn.ReLU(inplace=True), nn.Dropout(),
            nn.Linear(n_hidden, n_hidden), nn.ReLU(inplace=True), nn.Dropout(),
            nn.Linear(n_hidden, n_classes),
        )  # fmt: skip

    def forward(self, volumes: Tensor) -> Tensor:
        if not self.has_channel_axis:
            n, depth, height, width = volumes.shape
            volumes = volumes.reshape(n, 1, depth, height, width)
        return self.classifier(self.features(volumes).flatten(1))


def trained(network: nn.Module, seed: int = 0) -> nn.Module:
    """Give batch norms the statistics of a network that was trained, and end its training."""
    random = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm3d):
            for tensor, low, high in ((module.running_mean, -0.3, 0.3),
                                      (module.running_var, 0.4, 1.6)):  # fmt: skip
                tensor.copy_(low + (high - low) * torch.rand(tensor.shape, generator=random))
        if isinstance(module, nn.Conv3d | nn.Linear):
            n_inputs = module.weight[0].numel()
            noise = torch.randn(module.weight.shape, generator=random)
            module.weight.data = noise * (2 / n_inputs) ** 0.5
    return network.eval()


def published(n_slices: int = 4, side: int = 16, **options: object) -> nn.Module:
    """Return a small one with two levels, sections left alone in the first."""
    torch.manual_seed(0)
    network = PublishedVgg3d(
        (n_slices, side, side), 3, [(1, 2, 2), (2, 2, 2)], (2, 3), (2, 2), **options
    )  # type: ignore[arg-type]
    return trained(network)
