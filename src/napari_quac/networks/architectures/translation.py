"""Generators of CycleGAN and pix2pix (ResNet and U-Net), read off their state dicts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from napari_quac.errors import CheckpointError

Norm = Literal["instance", "batch", "none"]


@dataclass(frozen=True, eq=False)
class TranslationLayout:
    """An architecture that fits the state dict of a generator of CycleGAN or pix2pix.

    Attributes
    ----------
    name : str
        Such as ``"ResNet, 9 blocks"``.
    norm : "instance", "batch" or "none"
    channels, out_channels : int
        Of its input and of its output.
    multiple : int
        Height and width have to be multiples of this, in pixels.
    build : callable
        Returns the module, with weights yet to be loaded.
    parameters : Mapping[str, Any]
        Further properties, JSON-ready.
    """

    name: str
    norm: Norm
    channels: int
    out_channels: int
    multiple: int
    build: Callable[[], nn.Module]
    parameters: Mapping[str, Any] = field(default_factory=dict)


def normalization(norm: Norm, width: int) -> nn.Module:
    """Return the layer that follows a convolution; without weights unless it is batch norm."""
    if norm == "batch":
        return nn.BatchNorm2d(width)
    return nn.InstanceNorm2d(width) if norm == "instance" else nn.Identity()


def norm_of(tensors: Mapping[str, Tensor], convolution: str, following: str) -> Norm:
    """Tell the norm from a convolution and the layer after it, by their names in the file."""
    if f"{following}.weight" in tensors:
        return "batch"
    # a norm with an offset makes a bias before it superfluous, so there is none
    return "instance" if f"{convolution}.bias" in tensors else "none"


FIRST_BLOCK = 10


class ResnetBlock(nn.Module):
    """Two convolutions whose output is added to their input.

    Parameters
    ----------
    width : int
        Feature maps.
    norm : "instance", "batch" or "none"
    dropout : bool
        Shifts the second convolution by one; has no effect in eval mode.
    """

    def __init__(self, width: int, norm: Norm, dropout: bool) -> None:
        super().__init__()
        bias = norm == "instance"
        self.conv_block = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(width, width, 3, bias=bias),
            normalization(norm, width),
            nn.ReLU(),
            *([nn.Dropout(0.5)] if dropout else []),
            nn.ReflectionPad2d(1),
            nn.Conv2d(width, width, 3, bias=bias),
            normalization(norm, width),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Return features (N, width, h, w) with the block's change added."""
        change: Tensor = self.conv_block(features)
        return features + change


class ResnetGenerator(nn.Module):
    """Two reductions, residual blocks and two enlargements; images (N, C, S, S) in [-1, 1].

    Parameters
    ----------
    channels, out_channels : int
        Of the images.
    width : int
        Feature maps at full resolution.
    n_blocks : int
        6 and 9 in CycleGAN.
    norm : "instance", "batch" or "none"
    dropout : bool
        In the blocks.
    """

    def __init__(
        self,
        channels: int,
        out_channels: int,
        width: int = 64,
        n_blocks: int = 9,
        norm: Norm = "instance",
        dropout: bool = False,
    ) -> None:
        super().__init__()
        bias = norm == "instance"

        def down(narrow: int) -> list[nn.Module]:
            convolution = nn.Conv2d(narrow, 2 * narrow, 3, 2, 1, bias=bias)
            return [convolution, normalization(norm, 2 * narrow), nn.ReLU()]

        def up(wide: int) -> list[nn.Module]:
            convolution = nn.ConvTranspose2d(wide, wide // 2, 3, 2, 1, 1, bias=bias)
            return [convolution, normalization(norm, wide // 2), nn.ReLU()]

        self.model = nn.Sequential(
            nn.ReflectionPad2d(3),
            nn.Conv2d(channels, width, 7, bias=bias),
            normalization(norm, width),
            nn.ReLU(),
            *down(width),
            *down(2 * width),
            *(ResnetBlock(4 * width, norm, dropout) for _ in range(n_blocks)),
            *up(4 * width),
            *up(2 * width),
            nn.ReflectionPad2d(3),
            nn.Conv2d(width, out_channels, 7),
            nn.Tanh(),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return translated images; height and width have to be multiples of 4."""
        translated: Tensor = self.model(images)
        return translated


def read_resnet_generator(tensors: Mapping[str, Tensor]) -> TranslationLayout:
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
    blocks = {int(name.split(".")[1]) for name in tensors if ".conv_block." in name}
    n_blocks = len(blocks)
    if not blocks or blocks != set(range(FIRST_BLOCK, FIRST_BLOCK + n_blocks)):
        raise ValueError(f"its blocks are at {sorted(blocks)}, not from {FIRST_BLOCK} on")
    prefix = f"model.{FIRST_BLOCK}.conv_block"
    # number 6 alone is ambiguous: it is the norm where there is batch norm and no dropout
    dropout = f"{prefix}.5.weight" not in tensors
    first = tensors["model.1.weight"]
    last = tensors[f"model.{FIRST_BLOCK + n_blocks + 7}.weight"]
    if first.ndim != 4 or last.ndim != 4:
        raise ValueError(f"'model.1.weight' has shape {tuple(first.shape)}")
    norm = norm_of(tensors, "model.1", "model.2")
    width, channels = first.shape[:2]
    out_channels = last.shape[0]
    return TranslationLayout(
        f"ResNet, {n_blocks} block{'s' if n_blocks != 1 else ''}",
        norm,
        channels,
        out_channels,
        4,
        partial(ResnetGenerator, channels, out_channels, width, n_blocks, norm, dropout),
        {"width": width, "blocks": n_blocks, "norm": norm, "dropout": dropout},
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


def is_translation(names: Iterable[str]) -> bool:
    """Tell the generator of a CycleGAN or pix2pix by the names of its tensors."""
    names = list(names)
    is_unet = any(name.startswith("model.model.") for name in names)
    is_resnet = "model.1.weight" in names and any(".conv_block." in name for name in names)
    return is_unet or is_resnet


def without_old_statistics(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Drop the running means that old files hold for instance norms, which do not use them."""
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    return {
        name: tensor
        for name, tensor in tensors.items()
        if not (name.endswith(statistics) and f"{name.rpartition('.')[0]}.weight" not in tensors)
    }


def recognize_translation(tensors: Mapping[str, Tensor], name: str) -> TranslationLayout:
    """Return the architecture of a CycleGAN's or pix2pix's generator.

    Parameters
    ----------
    tensors : Mapping[str, Tensor]
        The state dict.
    name : str
        Of the file, for messages.

    Raises
    ------
    CheckpointError
        If the shapes fit neither a ResNet nor a U-Net generator.
    """
    try:
        nested = any(key.startswith("model.model.") for key in tensors)
        return read_unet_generator(tensors) if nested else read_resnet_generator(tensors)
    except (LookupError, ValueError) as error:
        raise CheckpointError(
            f"'{name}' looks like a generator of CycleGAN or pix2pix, but its tensors fit neither "
            f"its ResNet nor its U-Net ({error}). Choose the file of its training, or write its "
            "images into folders SOURCE/TARGET/NAME and open that folder as generator."
        ) from error


def load_translation(
    tensors: Mapping[str, Tensor], name: str
) -> tuple[TranslationLayout, nn.Module]:
    """Build the network that a state dict belongs to, with its weights, in eval mode.

    Parameters
    ----------
    tensors : Mapping[str, Tensor]
        The state dict.
    name : str
        Of the file, for messages.

    Raises
    ------
    CheckpointError
        If names or shapes do not fit.
    """
    layout = recognize_translation(tensors, name)
    module = layout.build()
    try:
        module.load_state_dict(without_old_statistics(tensors), strict=True)
    except RuntimeError as error:
        mismatch = " ".join(line.strip() for line in str(error).splitlines()[1:])[:300]
        raise CheckpointError(
            f"'{name}' does not match a {layout.name} of CycleGAN or pix2pix. {mismatch}"
        ) from error
    return layout, module.eval().requires_grad_(False)
