"""The ResNet generator of CycleGAN and pix2pix; any number of blocks, three norms."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from torch import Tensor, nn

from napari_quac.networks.architectures.layout import (
    Norm,
    TranslationLayout,
    norm_of,
    normalization,
)

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
