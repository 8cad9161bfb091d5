"""ConvNeXt (Liu et al. 2022), as in torchvision, timm, transformers and its authors' code."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from napari_quac.networks.architectures.heads import Head, accepts, global_pooling, read_head
from napari_quac.networks.architectures.layout import (
    Family,
    Layout,
    Naming,
    architecture_assumption,
    count_parts,
)

EPS = 1e-6  # of layer normalization, in all libraries


class ChannelNorm(nn.LayerNorm):
    """Layer normalization over the channels of maps (N, C, H, W)."""

    def forward(self, maps: Tensor) -> Tensor:
        """Return the normalized maps."""
        return super().forward(maps.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ConvNextBlock(nn.Module):
    """A depthwise convolution and two linear layers for each position, added to the input."""

    def __init__(self, width: int, inner: int, kernel: int, is_scaled: bool) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(width, width, kernel, padding=kernel // 2, groups=width)
        self.norm = nn.LayerNorm(width, eps=EPS)
        self.expand = nn.Linear(width, inner)
        self.activation = nn.GELU()
        self.project = nn.Linear(inner, width)
        self.scale = nn.Parameter(torch.ones(width)) if is_scaled else None

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps of the same shape."""
        inner = self.norm(self.depthwise(maps).permute(0, 2, 3, 1))
        inner = self.project(self.activation(self.expand(inner)))
        if self.scale is not None:
            inner = inner * self.scale
        return maps + inner.permute(0, 3, 1, 2)  # type: ignore[no-any-return]


class ConvNext(nn.Module):
    """A stem of patches, stages of blocks with convolutions of stride 2 between, and a head.

    Parameters
    ----------
    channels : int
        Channels of the input.
    patch : int
        Kernel size and stride of the stem.
    depths, widths, inner : sequence of int
        Number of blocks of each stage, and their feature maps at their end and inside.
    kernel : int
        Size of the depthwise convolutions.
    is_scaled : bool
        Blocks scale what they add.
    head : Head
        Layers after pooling.
    norms : (bool, bool)
        Layer normalization before and after pooling; libraries differ.
    """

    def __init__(
        self,
        channels: int,
        patch: int,
        depths: Sequence[int],
        widths: Sequence[int],
        inner: Sequence[int],
        kernel: int,
        is_scaled: bool,
        head: Head,
        norms: tuple[bool, bool] = (False, True),
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(channels, widths[0], patch, patch), ChannelNorm(widths[0], eps=EPS)
        )
        stages: list[nn.Module] = []
        for number, depth in enumerate(depths):
            width = widths[number]
            layers: dict[str, nn.Module] = {}
            if number:
                before = widths[number - 1]
                layers["downsample"] = nn.Sequential(
                    ChannelNorm(before, eps=EPS), nn.Conv2d(before, width, 2, 2)
                )
            blocks = [ConvNextBlock(width, inner[number], kernel, is_scaled) for _ in range(depth)]
            stages.append(nn.Sequential(OrderedDict(layers | {"blocks": nn.Sequential(*blocks)})))
        self.stages = nn.Sequential(*stages)
        width = widths[-1]
        self.norm_maps = ChannelNorm(width, eps=EPS) if norms[0] else nn.Identity()
        self.pool = global_pooling(head, width)
        self.norm = nn.LayerNorm(width, eps=EPS) if norms[1] else nn.Identity()
        self.head = head.build()

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (N, K) of images (N, C, H, W)."""
        maps = self.norm_maps(self.stages(self.stem(images)))
        return self.head(self.norm(self.pool(maps).flatten(1)))  # type: ignore[no-any-return]


def recognize_convnext(
    tensors: Mapping[str, Tensor],
    image_size: tuple[int, ...] | None,
    metadata: Mapping[str, str],
) -> Layout | None:
    """Read the structure of a :class:`ConvNext` off its state dict; None if it is another one."""
    del image_size  # any size will do
    depths, head = (
        count_parts(tensors, r"stages\.(\d+)\.blocks\.(\d+)\."),
        read_head(tensors, "head", EPS),
    )
    firsts = [f"stages.{number}.blocks.0" for number in range(len(depths))]
    names = [f"{first}.{part}.weight" for first in firsts for part in ("depthwise", "expand")]
    stem = tensors.get("stem.0.weight")
    if stem is None or not depths or any(name not in tensors for name in names):
        return None
    widths = [int(tensors[f"{first}.depthwise.weight"].shape[0]) for first in firsts]
    if not accepts(head, widths[-1]):
        return None
    channels = int(stem.shape[1])
    parameters: dict[str, Any] = {
        "patch": int(stem.shape[2]),
        "depths": depths,
        "widths": widths,
        "inner": [int(tensors[f"{first}.expand.weight"].shape[0]) for first in firsts],
        "kernel": int(tensors[names[0]].shape[2]),
        "is_scaled": f"{firsts[0]}.scale" in tensors,
        "norms": ("norm_maps.weight" in tensors, "norm.weight" in tensors),
    }
    build = partial(ConvNext, channels, head=head, **parameters)
    sentence = (
        f"ConvNeXt is built as in {metadata['library']}: stages of stride 2, GELU, average "
        f"pooling. {head.note}"
    )
    smallest = parameters["patch"] * 2 ** (len(depths) - 1)
    return Layout(
        "convnext", build, channels, head.n_outputs, None, parameters,
        assumptions=(architecture_assumption(sentence.strip()),), smallest_size=smallest,
    )  # fmt: skip


_BLOCK = r"(stages\.\d+\.blocks\.\d+)\."
_TORCHVISION = (
    (r"^features\.0\.", "stem."),
    (r"^features\.([1357])\.(\d+)\.layer_scale$", r"features.\1.\2.scale"),
    (r"^features\.([1357])\.(\d+)\.block\.0\.", r"features.\1.\2.depthwise."),
    (r"^features\.([1357])\.(\d+)\.block\.2\.", r"features.\1.\2.norm."),
    (r"^features\.([1357])\.(\d+)\.block\.3\.", r"features.\1.\2.expand."),
    (r"^features\.([1357])\.(\d+)\.block\.5\.", r"features.\1.\2.project."),
    *((rf"^features\.{2 * n + 1}\.", f"stages.{n}.blocks.") for n in range(4)),
    *((rf"^features\.{2 * n}\.", f"stages.{n}.downsample.") for n in range(1, 4)),
)
_TIMM = (
    (rf"{_BLOCK}conv_dw\.", r"\1.depthwise."),
    (rf"{_BLOCK}mlp\.fc1\.", r"\1.expand."),
    (rf"{_BLOCK}mlp\.fc2\.", r"\1.project."),
    (rf"{_BLOCK}gamma$", r"\1.scale"),
    (r"^norm_pre\.", "norm_maps."),
    (r"^head\.norm\.", "norm."),
)
_AUTHORS = (
    (r"^downsample_layers\.0\.", "stem."),
    (r"^downsample_layers\.(\d+)\.", r"stages.\1.downsample."),
    (r"^stages\.(\d+)\.(\d+)\.", r"stages.\1.blocks.\2."),
    (rf"{_BLOCK}dwconv\.", r"\1.depthwise."),
    (rf"{_BLOCK}pwconv1\.", r"\1.expand."),
    (rf"{_BLOCK}pwconv2\.", r"\1.project."),
    (rf"{_BLOCK}gamma$", r"\1.scale"),
)
_TRANSFORMERS = (
    (r"^embeddings\.patch_embeddings\.", "stem.0."),
    (r"^embeddings\.layernorm\.", "stem.1."),
    (r"^encoder\.(stages\.\d+)\.downsampling_layer\.", r"\1.downsample."),
    (r"^encoder\.(stages\.\d+)\.layers\.", r"\1.blocks."),
    (rf"{_BLOCK}layer_scale_parameter$", r"\1.scale"),
    (rf"{_BLOCK}dwconv\.", r"\1.depthwise."),
    (rf"{_BLOCK}layernorm\.", r"\1.norm."),
    (rf"{_BLOCK}pwconv1\.", r"\1.expand."),
    (rf"{_BLOCK}pwconv2\.", r"\1.project."),
    (r"^layernorm\.", "norm."),
)


def _flatten(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Flatten the scales of torchvision, and linear layers that are stored as convolutions."""
    flat: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if name.endswith(".scale"):
            tensor = tensor.flatten()
        elif name.endswith((".expand.weight", ".project.weight")):
            tensor = tensor.flatten(1)
        flat[name] = tensor
    return flat


FAMILY = Family(
    ("convnext",),
    recognize_convnext,
    "head",
    (
        Naming(
            "torchvision",
            ("features.1.0.layer_scale", "features.1.0.block.0.weight"),
            "classifier",
            _TORCHVISION,
            _flatten,
        ),
        Naming(
            "timm",
            ("stem.0.weight", "stages.0.blocks.0.conv_dw.weight"),
            "head.fc",
            _TIMM,
            _flatten,
        ),
        Naming(
            "the authors' code",
            ("downsample_layers.0.0.weight", "stages.0.0.dwconv.weight"),
            "head",
            _AUTHORS,
        ),
        Naming(
            "transformers",
            ("embeddings.patch_embeddings.weight", "encoder.stages.0.layers.0.dwconv.weight"),
            "",
            _TRANSFORMERS,
        ),
    ),
)
