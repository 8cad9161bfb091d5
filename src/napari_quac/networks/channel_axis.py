"""Networks of volumes that take no channel axis, as the first ones of synister."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class WithoutChannelAxis(nn.Module):
    """Hands volumes (N, 1, D, H, W) to a network that takes (N, D, H, W)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, volumes: Tensor) -> Tensor:
        """Return what the network returns for the volumes without their channel axis."""
        logits: Tensor = self.network(volumes.squeeze(1))
        return logits


def without_channel_axis(network: nn.Module) -> nn.Module:
    """Return the network in a wrapper of its own kind, with what the wrapper needs."""
    wrapped = WithoutChannelAxis(network).eval()
    if isinstance(network, torch.jit.ScriptModule):
        script: nn.Module = torch.jit.script(wrapped)
        return script
    return wrapped
