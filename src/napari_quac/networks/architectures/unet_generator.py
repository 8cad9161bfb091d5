"""The U-Net generator of pix2pix and CycleGAN; any number of levels, three norms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from napari_quac.networks.architectures.layout import (
    Norm,
    TranslationLayout,
    norm_of,
    normalization,
)

DOWN, UP = (4, 2, 1), (4, 2, 1)  # kernel, stride, padding


class UnetLevel(nn.Module):
    """One level with all those below it: down, the levels below, and up again beside the input.

    Parameters
    ----------
    widths : sequence of int
        Input channels of this level, then the feature maps of it and of each level below.
    out_channels : int
        Channels of its way up, before its input is concatenated.
    norm : "instance", "batch" or "none"
    outermost : bool
        The whole network: ends in tanh, without concatenation.
    """

    def __init__(
        self, widths: Sequence[int], out_channels: int, norm: Norm, outermost: bool = False
    ) -> None:
        super().__init__()
        bias = norm == "instance"
        inputs, width, *below = widths
        innermost = not below
        down: list[nn.Module] = [nn.Conv2d(inputs, width, *DOWN, bias=bias)]
        if not outermost:
            down.insert(0, nn.LeakyReLU(0.2))
        if not outermost and not innermost:
            down.append(normalization(norm, width))
        inside = [] if innermost else [UnetLevel(widths[1:], width, norm)]
        wide = width if innermost else 2 * width
        up: list[nn.Module] = [
            nn.ReLU(),
            nn.ConvTranspose2d(wide, out_channels, *UP, bias=bias or outermost),
            nn.Tanh() if outermost else normalization(norm, out_channels),
        ]
        self.outermost = outermost
        self.model = nn.Sequential(*down, *inside, *up)

    def forward(self, features: Tensor) -> Tensor:
        """Return (N, out_channels, h, w), with the input's channels before it if not outermost."""
        outputs: Tensor = self.model(features)
        return outputs if self.outermost else torch.cat([features, outputs], dim=1)


class UnetGenerator(nn.Module):
    """A U-Net; images (N, C, S, S) in [-1, 1], with S a multiple of ``2**levels``.

    Parameters
    ----------
    channels, out_channels : int
        Of the images.
    widths : sequence of int
        Feature maps of each level, from the outermost to the innermost; 7 and 8 levels in pix2pix.
    norm : "instance", "batch" or "none"
    """

    def __init__(
        self, channels: int, out_channels: int, widths: Sequence[int], norm: Norm = "batch"
    ) -> None:
        super().__init__()
        self.model = UnetLevel([channels, *widths], out_channels, norm, outermost=True)

    def forward(self, images: Tensor) -> Tensor:
        """Return translated images."""
        translated: Tensor = self.model(images)
        return translated


def read_unet_generator(tensors: Mapping[str, Tensor]) -> TranslationLayout:
    """Return the layout of a state dict.

    Parameters
    ----------
    tensors : Mapping[str, Tensor]
        The state dict.

    Raises
    ------
    LookupError, ValueError
        If the state dict is of another network.
    """
    first = tensors["model.model.0.weight"]
    last = tensors["model.model.3.weight"]
    if first.ndim != 4 or last.ndim != 4:
        raise ValueError(f"'model.model.0.weight' has shape {tuple(first.shape)}")
    prefix, widths = "model.model.1.model", [first.shape[0]]
    while f"{prefix}.1.weight" in tensors:
        widths.append(tensors[f"{prefix}.1.weight"].shape[0])
        prefix += ".3.model"
    levels = len(widths)
    if levels < 3:
        raise ValueError(f"it has {levels} levels")
    norm = norm_of(tensors, "model.model.0", "model.model.1.model.2")
    channels, out_channels = first.shape[1], last.shape[1]
    return TranslationLayout(
        f"U-Net, {levels} levels",
        norm,
        channels,
        out_channels,
        2**levels,
        partial(UnetGenerator, channels, out_channels, tuple(widths), norm),
        {"widths": widths, "levels": levels, "norm": norm},
    )
