"""A bin-conditional explainer in two parts: a plain encoder, and a generator that knows the bin.

The layout of the port by Shvetsov: encoder blocks ``enc.blocks``, generator blocks ``gen.blocks``
with conditional batch norms, and ``gen.last_block``.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

TELLING = "gen.blocks.0.cbn_relu_first.embed.weight"


class SplitBinNetwork(nn.Module):
    """Images (N, C, H, W) and bins (N,) to images, all in [-1, 1].

    Parameters
    ----------
    state : Mapping[str, Tensor]
        The file; other parts, such as a discriminator, are ignored.

    Notes
    -----
    ``enc.first_block`` is in the files, and no image passes through it. Shortcuts are divided by
    their largest singular value, from one power iteration that starts at the stored vector; the
    authors' code iterates again with every image.
    """

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        super().__init__()
        names = [name for name in state if name.startswith(("enc.", "gen."))]
        self.names = {name: name.replace(".", "_") for name in names}
        for name, attribute in self.names.items():
            self.register_buffer(attribute, state[name])
        self.n_down, self.n_up = _count(state, "enc.blocks."), _count(state, "gen.blocks.")
        for prefix, number in (("enc", self.n_down), ("gen", self.n_up)):
            for index in range(number):
                shortcut = f"{prefix}.blocks.{index}.left_branch.1"
                weight = state[f"{shortcut}.weight"]
                normed = weight / _largest_singular_value(weight, state.get(f"{shortcut}.u"))
                self.register_buffer(self.names[f"{shortcut}.weight"], normed)

    @property
    def n_bins(self) -> int:
        """Number of bins."""
        return int(self._tensor(TELLING).shape[0])

    @property
    def channels(self) -> int:
        """Number of channels of its images."""
        return int(self._tensor("enc.blocks.0.left_branch.1.weight").shape[1])

    @property
    def multiple(self) -> int:
        """Divisor of the sides of an image."""
        return int(2**self.n_down)

    def forward(self, images: Tensor, bins: Tensor) -> Tensor:
        """Return images (N, C, H, W) for images (N, C, H, W) and bins (N,)."""
        features = images
        for index in range(self.n_down):
            features = self._encoded(f"enc.blocks.{index}", features)
        for index in range(self.n_up):
            features = self._generated(f"gen.blocks.{index}", features, bins)
        features = F.relu(self._normed("gen.last_block.0", features))
        return torch.tanh(self._convolved("gen.last_block.2", features))

    def _encoded(self, name: str, features: Tensor) -> Tensor:
        shortcut = self._convolved(f"{name}.left_branch.1", F.avg_pool2d(features, 2))
        inner = F.relu(self._normed(f"{name}.right_branch.0", features))
        inner = self._convolved(f"{name}.right_branch.3", F.avg_pool2d(inner, 2))
        inner = F.relu(self._normed(f"{name}.right_branch.4", inner))
        return shortcut + self._convolved(f"{name}.right_branch.6", inner)

    def _generated(self, name: str, features: Tensor, bins: Tensor) -> Tensor:
        shortcut = self._convolved(f"{name}.left_branch.1", _enlarged(features))
        inner = F.relu(self._conditioned(f"{name}.cbn_relu_first", features, bins))
        inner = self._convolved(f"{name}.upsample_conv.1", _enlarged(inner))
        inner = F.relu(self._conditioned(f"{name}.cbn_relu_second", inner, bins))
        return shortcut + self._convolved(f"{name}.last_conv", inner)

    def _convolved(self, name: str, features: Tensor) -> Tensor:
        weight, bias = self._tensor(f"{name}.weight"), self._tensor(f"{name}.bias")
        return F.conv2d(features, weight, bias, padding=weight.shape[-1] // 2)

    def _normed(self, name: str, features: Tensor) -> Tensor:
        scale, offset = (
            self._tensor(f"{name}.{part}") if f"{name}.{part}" in self.names else None
            for part in ("weight", "bias")
        )
        mean, variance = (self._tensor(f"{name}.running_{part}") for part in ("mean", "var"))
        return F.batch_norm(features, mean, variance, scale, offset)

    def _conditioned(self, name: str, features: Tensor, bins: Tensor) -> Tensor:
        scale, offset = self._tensor(f"{name}.embed.weight")[bins].chunk(2, dim=1)
        normed = self._normed(f"{name}.bn", features)
        return scale[:, :, None, None] * normed + offset[:, :, None, None]

    def _tensor(self, name: str) -> Tensor:
        return self.get_buffer(self.names[name])


def _count(state: Mapping[str, Tensor], prefix: str) -> int:
    return len({name.split(".")[2] for name in state if name.startswith(prefix)})


def _enlarged(features: Tensor) -> Tensor:
    return F.interpolate(features, scale_factor=2, mode="nearest")


def _largest_singular_value(weight: Tensor, start: Tensor | None) -> Tensor:
    """Estimate it by one power iteration from the stored left vector."""
    matrix = weight.flatten(1)
    if start is None:
        return matrix.new_ones(())
    right = F.normalize(start.flatten() @ matrix, dim=0)
    largest: Tensor = torch.linalg.vector_norm(matrix @ right)
    return largest
