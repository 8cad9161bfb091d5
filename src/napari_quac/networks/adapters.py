"""Wrappers around networks that take their images in another form than (N, C, *S) in float32."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

Adapter = Literal[
    "no channel axis",
    "channels last",
    "one at a time",
    "flat rows",
    "first output",
    "logits entry",
    "float32 output",
    "float32 weights",
    "float16 images",
    "bfloat16 images",
    "float64 images",
]
"""Change of the images, of the weights or of the output between a classifier and its network."""

ADAPTER_NOTES: dict[Adapter, str] = {
    "no channel axis": "It takes volumes without a channel axis; the axis is removed "
    "automatically.",
    "channels last": "It takes images with channels last (N, H, W, C); they are rearranged "
    "automatically.",
    "one at a time": "It takes one image at a time, so batches are evaluated image by image.",
    "flat rows": "Its output has further axes of length 1, which are removed automatically.",
    "first output": "It returns its logits inside of a tuple, from which they are taken.",
    "logits entry": "It returns a dictionary, from which the entry 'logits' is taken.",
    "float32 output": "",
    "float32 weights": "Its weights are converted to 32-bit floats.",
    "float16 images": "It takes 16-bit floats; images are converted automatically, and its answers "
    "are less precise than with 32 bits.",
    "bfloat16 images": "It takes bfloat16 numbers; images are converted automatically, and its "
    "answers are less precise than with 32 bits.",
    "float64 images": "It takes 64-bit floats; images are converted automatically.",
}

Network = Callable[[Tensor], Any]


class _Adapted(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network


class WithoutChannelAxis(_Adapted):
    """A network for volumes (N, 1, D, H, W) around one for (N, D, H, W)."""

    def forward(self, volumes: Tensor) -> Tensor:
        """Return the output for the volumes without their channel axis."""
        outputs: Tensor = self.network(volumes.squeeze(1))
        return outputs


class ChannelsLast(_Adapted):
    """A network for images (N, C, *S) around one for (N, *S, C)."""

    def forward(self, images: Tensor) -> Tensor:
        """Return the output for the images with their channels at the end."""
        outputs: Tensor = self.network(images.movedim(1, -1))
        return outputs


class OneAtATime(_Adapted):
    """A network for batches around one that takes, or has to be given, single images."""

    def forward(self, images: Tensor) -> Tensor:
        """Return the outputs of the single images."""
        return torch.cat([self.network(image) for image in images.split(1)])


class FlatRows(_Adapted):
    """A network that returns (N, K) around one that returns (N,) or (N, K, 1, 1)."""

    def forward(self, images: Tensor) -> Tensor:
        """Return one row for each image."""
        outputs: Tensor = self.network(images)
        return outputs.reshape(images.shape[0], -1)


class FirstOutput(_Adapted):
    """A network that returns a tensor around one that returns a tuple of one tensor."""

    def forward(self, images: Tensor) -> Tensor:
        """Return the first output."""
        outputs: Tensor = self.network(images)[0]
        return outputs


class LogitsEntry(_Adapted):
    """A network that returns a tensor around one that returns a dictionary."""

    def forward(self, images: Tensor) -> Tensor:
        """Return the entry ``logits``."""
        outputs: Tensor = self.network(images)["logits"]
        return outputs


class WithFloatOutput(_Adapted):
    """A network that returns the type of its images around one that returns another type."""

    def forward(self, images: Tensor) -> Tensor:
        """Return the output in the type of the images."""
        outputs: Tensor = self.network(images)
        return outputs.to(images.dtype)


class WithHalfImages(_Adapted):
    """A network for images in float32 around one in float16."""

    def forward(self, images: Tensor) -> Tensor:
        """Return the output in float32."""
        outputs: Tensor = self.network(images.to(torch.float16))
        return outputs.to(images.dtype)


class WithBfloat16Images(_Adapted):
    """A network for images in float32 around one in bfloat16."""

    def forward(self, images: Tensor) -> Tensor:
        """Return the output in float32."""
        outputs: Tensor = self.network(images.to(torch.bfloat16))
        return outputs.to(images.dtype)


class WithDoubleImages(_Adapted):
    """A network for images in float32 around one in float64."""

    def forward(self, images: Tensor) -> Tensor:
        """Return the output in float32."""
        outputs: Tensor = self.network(images.to(torch.float64))
        return outputs.to(images.dtype)


_WRAPPERS: dict[Adapter, type[_Adapted]] = {
    "no channel axis": WithoutChannelAxis,
    "channels last": ChannelsLast,
    "one at a time": OneAtATime,
    "flat rows": FlatRows,
    "first output": FirstOutput,
    "logits entry": LogitsEntry,
    "float32 output": WithFloatOutput,
    "float16 images": WithHalfImages,
    "bfloat16 images": WithBfloat16Images,
    "float64 images": WithDoubleImages,
}
IMAGE_TYPES: dict[torch.dtype, Adapter] = {
    torch.float16: "float16 images",
    torch.bfloat16: "bfloat16 images",
    torch.float64: "float64 images",
}
"""Type of weights to the adapter of a network that needs images of that type."""


def adapt(network: Network, adapters: Sequence[Adapter]) -> Network:
    """Wrap a network, the first adapter innermost; a script stays a script.

    Parameters
    ----------
    network : torch module or callable
        It is not changed.
    adapters : sequence of str
        Keys of :data:`ADAPTER_NOTES`.

    Returns
    -------
    network : torch module or callable
        In eval mode, without parameter gradients.
    """
    for adapter in adapters:
        if adapter == "float32 weights":
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # PyTorch's own, about exported programs
                network = copy.deepcopy(network)
            network.float()  # type: ignore[attr-defined]
            for parameter in network.parameters():  # type: ignore[attr-defined]
                parameter.requires_grad_(False)
        else:
            network = _wrap(network, _WRAPPERS[adapter])
    return network


def _wrap(network: Network, wrapper: type[_Adapted]) -> nn.Module:
    wrapped = wrapper(network).eval()  # type: ignore[arg-type]
    if isinstance(network, torch.jit.ScriptModule):
        script: nn.Module = torch.jit.script(wrapped)
        return script
    return wrapped
