"""Networks of volumes without a channel axis, as the first ones of synister."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class WithoutChannelAxis(nn.Module):
    """A network for volumes (N, 1, D, H, W) around one for (N, D, H, W)."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, volumes: Tensor) -> Tensor:
        """Return what the network returns for the volumes without their channel axis."""
        logits: Tensor = self.network(volumes.squeeze(1))
        return logits


def add_channel_axis(network: nn.Module) -> nn.Module:
    """Wrap a network that takes no channel axis; a script stays a script."""
    wrapped = WithoutChannelAxis(network).eval()
    if isinstance(network, torch.jit.ScriptModule):
        script: nn.Module = torch.jit.script(wrapped)
        return script
    return wrapped
