"""Residual classifiers of torchvision (and timm), of DAPI (a head on all positions), of funlib."""

from __future__ import annotations

import math
import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Literal

from torch import Tensor, nn

from napari_quac.networks.architectures.heads import Head, accepts, global_pooling, read_head
from napari_quac.networks.architectures.layout import (
    Family,
    Layout,
    Naming,
    architecture_assumption,
    numbered,
)

Block = Literal["basic", "bottleneck"]

_SEQUENCE = (r"^0\.", "conv1."), (r"^1\.", "bn1."), *(
    (rf"^{number}\.", f"layer{number - 3}.") for number in range(4, 10)
)  # fmt: skip
_TRANSFORMERS = (
    (r"^embedder\.embedder\.convolution\.", "conv1."),
    (r"^embedder\.embedder\.normalization\.", "bn1."),
    *((rf"^encoder\.stages\.{n}\.layers\.", f"layer{n + 1}.") for n in range(6)),
    *((rf"\.layer\.{n}\.convolution\.", f".conv{n + 1}.") for n in range(3)),
    *((rf"\.layer\.{n}\.normalization\.", f".bn{n + 1}.") for n in range(3)),
    (r"\.shortcut\.convolution\.", ".downsample.0."),
    (r"\.shortcut\.normalization\.", ".downsample.1."),
)
NAMINGS = (
    Naming("torchvision", ("layer1.0.conv1.weight", "conv1.weight", "bn1.running_mean"), "fc"),
    Naming("fastai", ("4.0.conv1.weight", "0.weight", "1.running_mean"), "", _SEQUENCE),
    Naming("transformers", ("embedder.embedder.convolution.weight",), "classifier", _TRANSFORMERS),
)


class ResNet(nn.Sequential):
    """A stem, stages of residual blocks, average pooling over the image, one linear layer.

    Parameters
    ----------
    channels, n_classes : int
        Channels of the input, and number of outputs.
    depths : sequence of int
        Number of blocks in each stage; each stage but the first halves the image.
    inner, outer : sequence of int
        Feature maps inside of the blocks of each stage, and at their end.
    block : {"basic", "bottleneck"}
        Two 3×3 convolutions, or 1×1, 3×3 and 1×1.
    stem_width, stem_kernel : int
        Feature maps and kernel size of the first convolution; a kernel of 7 halves the image and is
        followed by max pooling, one of 3 is not.
    groups : int
        Groups of the 3×3 convolutions in bottleneck blocks.
    head : Head, optional
        Layers after pooling, instead of one linear layer. Where it takes twice the feature maps,
        their maximum stands before their average, as in fastai.
    """

    def __init__(
        self,
        channels: int,
        n_classes: int,
        depths: Sequence[int],
        inner: Sequence[int],
        outer: Sequence[int],
        block: Block = "basic",
        stem_width: int = 64,
        stem_kernel: int = 7,
        groups: int = 1,
        head: Head | None = None,
    ) -> None:
        large = stem_kernel > 3
        layers: dict[str, nn.Module] = {
            "conv1": nn.Conv2d(
                channels, stem_width, stem_kernel, 1 + large, stem_kernel // 2, bias=False
            ),
            "bn1": nn.BatchNorm2d(stem_width),
            "relu": nn.ReLU(),
        }
        if large:
            layers["maxpool"] = nn.MaxPool2d(3, stride=2, padding=1)
        width = stem_width
        for stage, depth in enumerate(depths):
            blocks: list[nn.Module] = []
            for position in range(depth):
                stride = 2 if position == 0 and stage > 0 else 1
                if block == "bottleneck":
                    blocks.append(Bottleneck(width, inner[stage], outer[stage], stride, groups))
                else:
                    blocks.append(BasicBlock(width, outer[stage], stride))
                width = outer[stage]
            layers[f"layer{stage + 1}"] = nn.Sequential(*blocks)
        layers["avgpool"] = global_pooling(head, width)
        layers["flatten"] = nn.Flatten()
        layers["fc"] = nn.Linear(width, n_classes) if head is None else head.build()
        super().__init__(OrderedDict(layers))


class BasicBlock(nn.Module):
    """Two 3×3 convolutions beside a shortcut; the activations are separate, for DeepLIFT.

    With biases, as in DAPI, the convolution of the shortcut is 3×3, too.
    """

    def __init__(self, inputs: int, width: int, stride: int, bias: bool = False) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, stride, 1, bias=bias)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=bias)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu2 = nn.ReLU()
        self.downsample = _shortcut(inputs, width, stride, bias)

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps of half the size where the stride is 2."""
        inner = self.relu1(self.bn1(self.conv1(maps)))
        return self.relu2(self.bn2(self.conv2(inner)) + self.downsample(maps))  # type: ignore[no-any-return]


class Bottleneck(nn.Module):
    """A 1×1, a 3×3 and a 1×1 convolution beside a shortcut."""

    def __init__(self, inputs: int, inner: int, outer: int, stride: int, groups: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, inner, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(inner, inner, 3, stride, 1, groups=groups, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.relu2 = nn.ReLU()
        self.conv3 = nn.Conv2d(inner, outer, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outer)
        self.relu3 = nn.ReLU()
        self.downsample = _shortcut(inputs, outer, stride)

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps of half the size where the stride is 2."""
        inner = self.relu1(self.bn1(self.conv1(maps)))
        inner = self.relu2(self.bn2(self.conv2(inner)))
        return self.relu3(self.bn3(self.conv3(inner)) + self.downsample(maps))  # type: ignore[no-any-return]


def _shortcut(inputs: int, outputs: int, stride: int, bias: bool = False) -> nn.Module:
    if stride == 1 and inputs == outputs:
        return nn.Identity()
    kernel, padding = (3, 1) if bias else (1, 0)
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=bias)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs))


def recognize_resnet(
    tensors: Mapping[str, Tensor], image_size: tuple[int, ...] | None = None
) -> Layout | None:
    """Read the structure of a :class:`ResNet` off its state dict; None if it is another one."""
    del image_size  # any size will do
    needed = ("conv1.weight", "bn1.weight", "layer1.0.conv1.weight")
    head = read_head(tensors, "fc")
    if any(name not in tensors for name in needed) or tensors["conv1.weight"].ndim != 4:
        return None
    depths = stage_depths(tensors)
    bottleneck = "layer1.0.conv3.weight" in tensors
    last = "conv3" if bottleneck else "conv2"
    stages = range(1, len(depths) + 1)
    inner = [int(tensors[f"layer{stage}.0.conv1.weight"].shape[0]) for stage in stages]
    outer = [int(tensors[f"layer{stage}.0.{last}.weight"].shape[0]) for stage in stages]
    groups = inner[0] // int(tensors["layer1.0.conv2.weight"].shape[1]) if bottleneck else 1
    stem = tensors["conv1.weight"]
    block: Block = "bottleneck" if bottleneck else "basic"
    if not accepts(head, outer[-1]):
        return None
    channels, n_classes = int(stem.shape[1]), head.n_outputs
    stem_width, stem_kernel = int(stem.shape[0]), int(stem.shape[2])

    parameters: dict[str, Any] = {"depths": depths, "inner": inner, "outer": outer, "block": block}
    parameters |= {"stem_width": stem_width, "stem_kernel": stem_kernel, "groups": groups}
    is_plain = {"fc.weight", "fc.bias"} <= tensors.keys() and head.n_inputs == outer[-1]
    replaced = None if is_plain else head
    build = partial(ResNet, channels, n_classes, head=replaced, **parameters)
    notes: tuple[str, ...] = ()
    assumptions = (architecture_assumption(head.note),) if head.note else ()
    if stem_kernel <= 3:
        notes = ("A small stem was assumed: no stride and no pooling before the first stage.",)
    return Layout(
        "resnet", build, channels, n_classes, None, parameters, notes, assumptions=assumptions
    )


RESNET = Family(
    ("resnet",), lambda tensors, size, _: recognize_resnet(tensors, size), "fc", NAMINGS
)


def stage_depths(tensors: Mapping[str, Tensor]) -> list[int]:
    """Count the blocks of ``layer1``, ``layer2``, ... in a state dict."""
    blocks: dict[int, set[int]] = {}
    for name in tensors:
        if match := re.match(r"layer(\d+)\.(\d+)\.", name):
            blocks.setdefault(int(match[1]), set()).add(int(match[2]))
    return [len(blocks[stage]) for stage in sorted(blocks)]


class DapiResNet(nn.Sequential):
    """A stem without activation, and stages that each halve the image; convolutions have biases.

    Parameters
    ----------
    channels : int
        Channels of the input.
    widths, depths : sequence of int
        Feature maps and number of blocks of each stage.
    head : sequence of int
        Outputs of each linear layer; the last is the number of classes. With a single one the
        image is averaged before (funlib), with several its positions are all kept (DAPI).
    side : int
        Positions along each axis that the head sees.
    """

    def __init__(
        self,
        channels: int,
        widths: Sequence[int],
        depths: Sequence[int],
        head: Sequence[int],
        side: int = 1,
    ) -> None:
        layers: dict[str, nn.Module] = {
            "conv": nn.Conv2d(channels, widths[0], 3, padding=1),
            "bn": nn.BatchNorm2d(widths[0]),
        }
        inputs = widths[0]
        for number, (width, depth) in enumerate(zip(widths, depths, strict=True), start=1):
            blocks = [BasicBlock(inputs, width, 2, bias=True)]
            blocks += [BasicBlock(width, width, 1, bias=True) for _ in range(depth - 1)]
            layers[f"layer{number}"] = nn.Sequential(*blocks)
            inputs = width
        if len(head) == 1:
            layers["avgpool"] = nn.AdaptiveAvgPool2d(1)
            fc: nn.Module = nn.Linear(inputs, head[0])
        else:
            inputs *= side**2
            linear: list[nn.Module] = []
            for width in head[:-1]:
                linear += [nn.Linear(inputs, width), nn.ReLU(), nn.Dropout()]
                inputs = width
            fc = nn.Sequential(*linear, nn.Linear(inputs, head[-1]))
        super().__init__(OrderedDict(layers | {"flatten": nn.Flatten(), "fc": fc}))


def recognize_dapi_resnet(
    tensors: Mapping[str, Tensor], image_size: tuple[int, ...] | None = None
) -> Layout | None:
    """Read the structure of a :class:`DapiResNet` off its state dict; None if it is another one.

    ``image_size`` is needed where the image size is no multiple of the downsampling.
    """
    needed = ("conv.weight", "conv.bias", "bn.weight", "layer1.0.downsample.0.weight")
    if any(name not in tensors for name in needed):
        return None
    depths = stage_depths(tensors)
    firsts = (tensors[f"layer{stage + 1}.0.conv1.weight"] for stage in range(len(depths)))
    widths = [int(weight.shape[0]) for weight in firsts]
    channels = int(tensors["conv.weight"].shape[1])
    if "fc.weight" in tensors:
        head, side, size, problem = [int(tensors["fc.weight"].shape[0])], 1, None, ""
        name = "resnet2d-funlib"
    else:
        weights = numbered(tensors, "fc")
        if not weights:
            return None
        head = [int(weight.shape[0]) for weight in weights.values()]
        area = int(next(iter(weights.values())).shape[1]) / widths[-1]
        side = math.isqrt(int(area))
        size, problem = _size(area, side, 2 ** len(depths), image_size)
        name = "resnet-dapi"

    parameters: dict[str, Any] = {"widths": widths, "depths": depths, "head": head, "side": side}
    build = partial(DapiResNet, channels, **parameters)
    return Layout(name, build, channels, head[-1], size, parameters, (), problem)


def _size(
    area: float, side: int, factor: int, image_size: tuple[int, ...] | None
) -> tuple[tuple[int, ...] | None, str]:
    if side**2 != area:
        return None, f"its fully connected layers see {area:g} positions, which is no square"
    if image_size is None:
        return (side * factor, side * factor), ""
    if all(-(-length // factor) == side for length in image_size):
        return image_size, ""
    return None, (
        f"its fully connected layers fit images of {side * factor} × {side * factor} pixels, not "
        "of " + " × ".join(map(str, image_size))
    )
