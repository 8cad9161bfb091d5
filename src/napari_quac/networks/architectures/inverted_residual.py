"""Classifiers of inverted residual blocks: MobileNetV2, MobileNetV3, EfficientNet and its V2.

Kernels, widths, expansions and squeezes follow from the shapes of the weights; strides and
activations are those of the papers (Sandler et al. 2018, Howard et al. 2019, Tan and Le 2019 and
2021).
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any

from torch import Tensor, nn

from napari_quac.networks.architectures.heads import Head, accepts, global_pooling, read_head
from napari_quac.networks.architectures.layout import (
    Family,
    Layout,
    Naming,
    architecture_assumption,
    rename,
)

STRIDES = (1, 2, 2, 2, 1, 2, 1)  # of the stages; the same in all of them
_STRIDES_OF_SMALL = (2, 2, 2, 1, 2)  # MobileNetV3 small
# blocks of each stage where the file numbers the blocks without stages
_STAGES = {17: (1, 2, 3, 4, 3, 3, 1), 15: (1, 2, 3, 4, 2, 3), 11: (1, 2, 3, 2, 3)}
_EPS_OF_LARGE = 39  # blocks from which torchvision's EfficientNets (B5) have an eps of 0.001


@dataclass(frozen=True)
class Style:
    """Properties that the weights do not hold.

    Attributes
    ----------
    name : str
        Of the architecture.
    activation, squeeze_activation, gate : callable
        Return the modules.
    eps : float
        Of batch normalization.
    is_padded_as_tensorflow : bool
        The padding depends on the size of the maps.
    n_relu : int
        Number of blocks with ReLU at the start.
    activation_name : str
        For messages.
    """

    name: str
    activation: Callable[[], nn.Module]
    squeeze_activation: Callable[[], nn.Module] = nn.SiLU
    gate: Callable[[], nn.Module] = nn.Sigmoid
    eps: float = 1e-5
    is_padded_as_tensorflow: bool = False
    n_relu: int = 0
    activation_name: str = "SiLU"


@dataclass(frozen=True)
class Unit:
    """A convolution with batch normalization: its shape, stride and whether it is depthwise."""

    inputs: int
    outputs: int
    kernel: int
    stride: int = 1
    depthwise: bool = False


class TensorflowPadding(nn.Module):
    """Zeros around maps, more of them at the end, so that a stride of 2 halves them exactly."""

    def __init__(self, kernel: int, stride: int) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, maps: Tensor) -> Tensor:
        """Return the padded maps."""
        margins: list[int] = []
        for length in reversed(maps.shape[2:]):
            missing = (-(-length // self.stride) - 1) * self.stride + self.kernel - length
            margins += [max(0, missing) // 2, max(0, missing) - max(0, missing) // 2]
        return nn.functional.pad(maps, margins)


def _unit(unit: Unit, style: Style, activation: Callable[[], nn.Module] | None) -> nn.Sequential:
    same = style.is_padded_as_tensorflow and unit.kernel > 1
    layers: dict[str, nn.Module] = {}
    if same:
        layers["pad"] = TensorflowPadding(unit.kernel, unit.stride)
    layers["conv"] = nn.Conv2d(
        unit.inputs,
        unit.outputs,
        unit.kernel,
        unit.stride,
        0 if same else unit.kernel // 2,
        groups=unit.inputs if unit.depthwise else 1,
        bias=False,
    )
    layers["norm"] = nn.BatchNorm2d(unit.outputs, eps=style.eps)
    if activation is not None:
        layers["activation"] = activation()
    return nn.Sequential(OrderedDict(layers))


class SqueezeExcitation(nn.Module):
    """Feature maps weighted by a function of their averages (Hu et al. 2018)."""

    def __init__(self, width: int, squeezed: int, style: Style) -> None:
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.reduce = nn.Conv2d(width, squeezed, 1)
        self.activation = style.squeeze_activation()
        self.expand = nn.Conv2d(squeezed, width, 1)
        self.gate = style.gate()

    def forward(self, maps: Tensor) -> Tensor:
        """Return the weighted maps."""
        inner = self.activation(self.reduce(self.pool(maps)))
        return maps * self.gate(self.expand(inner))  # type: ignore[no-any-return]


class InvertedResidual(nn.Module):
    """Convolutions to many maps and back to few, added to the input where shapes allow it."""

    def __init__(
        self,
        units: Sequence[Unit],
        squeezed: int,
        style: Style,
        activation: Callable[[], nn.Module],
    ) -> None:
        super().__init__()
        last = len(units) - 1
        self.units = nn.Sequential(
            *(_unit(unit, style, activation if n < last or not n else None)
              for n, unit in enumerate(units))
        )  # fmt: skip
        width = units[max(0, last - 1)].outputs
        self.squeeze = SqueezeExcitation(width, squeezed, style) if squeezed else nn.Identity()
        keeps_size = all(unit.stride == 1 for unit in units)
        self.is_residual = keeps_size and units[0].inputs == units[-1].outputs

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps of half the size where a stride is 2."""
        inner = maps
        for number, unit in enumerate(self.units):
            inner = unit(self.squeeze(inner) if number == len(self.units) - 1 else inner)
        return inner + maps if self.is_residual else inner


class InvertedResidualNet(nn.Sequential):
    """A stem of stride 2, inverted residual blocks, a last convolution, pooling and a head."""

    def __init__(
        self,
        stem: Unit,
        blocks: Sequence[tuple[Sequence[Unit], int]],
        last: Unit,
        head: Head,
        style: Style,
    ) -> None:
        modules = [
            InvertedResidual(
                units, squeezed, style, nn.ReLU if n < style.n_relu else style.activation
            )
            for n, (units, squeezed) in enumerate(blocks)
        ]
        layers: dict[str, nn.Module] = {
            "stem": _unit(stem, style, style.activation),
            "blocks": nn.Sequential(*modules),
            "last": _unit(last, style, style.activation),
            "pool": global_pooling(head, last.outputs),
            "flatten": nn.Flatten(),
            "classifier": head.build(),
        }
        super().__init__(OrderedDict(layers))


def recognize_inverted_residual(
    tensors: Mapping[str, Tensor],
    image_size: tuple[int, ...] | None,
    metadata: Mapping[str, str],
) -> Layout | None:
    """Read MobileNetV2, MobileNetV3 or EfficientNet off a state dict; None if it is another one."""
    del image_size  # any size will do
    stages = _stages(tensors)
    is_mobilenet3 = _is_mobilenet3(stages)
    is_published = is_mobilenet3 and {"classifier.0.weight", "classifier.3.weight"} <= set(tensors)
    head = read_head(
        tensors, "classifier", activations={"1": nn.Hardswish} if is_published else None
    )
    if not stages or "last.conv.weight" not in tensors:
        return None
    style = _style(stages, tensors, metadata, is_mobilenet3)
    stem, last = (_read_unit(tensors[f"{part}.conv.weight"]) for part in ("stem", "last"))
    if style is None or stem is None or last is None or not accepts(head, last.outputs):
        return None
    strides = _STRIDES_OF_SMALL if len(stages) == 5 else STRIDES
    blocks = _read_blocks(stages, strides)
    if blocks is None:
        return None
    renamed = {name: t for name, t in tensors.items() if not name.startswith("blocks.")}
    for number, block in enumerate(chain(*stages)):
        renamed |= {f"blocks.{number}.{name}": t for name, t in _numbered_units(block)}
    build = partial(
        InvertedResidualNet,
        Unit(stem.inputs, stem.outputs, stem.kernel, 2),
        blocks,
        last,
        head,
        style,
    )
    padding = "of TensorFlow" if style.is_padded_as_tensorflow else "by half a kernel"
    steps = ", ".join(map(str, strides[: len(stages)]))
    sentence = (
        f"{style.name} is built as in {metadata['library']}: a stem of stride 2, stages of stride "
        f"{steps}, {style.activation_name}, padding {padding}, average pooling. {head.note}"
    )
    assumptions = (architecture_assumption(sentence.strip()),)
    name = "mobilenet" if style.name.startswith("Mobile") else "efficientnet"
    parameters: dict[str, Any] = {"depths": [len(stage) for stage in stages], "eps": style.eps}
    return Layout(
        name, build, stem.inputs, head.n_outputs, None, parameters,
        assumptions=assumptions, tensors=renamed, smallest_size=32,
    )  # fmt: skip


Block = dict[str, Tensor]


def _stages(tensors: Mapping[str, Tensor]) -> list[list[Block]]:
    """Return the tensors of each block of each stage, in order."""
    found: dict[tuple[int, int], Block] = {}
    for name, tensor in tensors.items():
        if match := re.match(r"blocks\.(\d+)\.(\d+)\.(.+)", name):
            found.setdefault((int(match[1]), int(match[2])), {})[match[3]] = tensor
    stages: dict[int, list[Block]] = {}
    for stage, position in sorted(found):
        stages.setdefault(stage, []).append(found[stage, position])
    ordered = list(stages.values())
    if len(ordered) != 1:
        return ordered
    blocks = iter(ordered[0])
    counts = _STAGES.get(len(ordered[0]), ())
    return [[next(blocks) for _ in range(count)] for count in counts]


def _is_mobilenet3(stages: Sequence[Sequence[Block]]) -> bool:
    """Tell MobileNetV3 by its blocks, since users replace heads: some squeeze, none is fused."""
    squeezes = ["squeeze.reduce.weight" in block for block in chain(*stages)]
    return any(squeezes) and not all(squeezes) and not _has_fused_blocks(stages)


def _has_fused_blocks(stages: Sequence[Sequence[Block]]) -> bool:
    blocks = stages[1] if len(stages) > 1 else ()
    return any(len(_conv_names(block)) < 3 and _kernel(block) > 1 for block in blocks)


def _style(
    stages: Sequence[Sequence[Block]],
    tensors: Mapping[str, Tensor],
    metadata: Mapping[str, str],
    is_mobilenet3: bool,
) -> Style | None:
    """Choose the properties that the weights do not hold."""
    is_torchvision = metadata["library"] == "torchvision"
    as_tensorflow = not is_torchvision and metadata.get("architecture", "").startswith("tf_")
    eps = 1e-3 if as_tensorflow else 1e-5
    if is_mobilenet3:
        name, n_relu = ("small", 3) if len(stages) == 5 else ("large", 6)
        eps = 1e-3 if is_torchvision else eps
        return Style(
            f"MobileNetV3-{name}", nn.Hardswish, nn.ReLU, nn.Hardsigmoid, eps, as_tensorflow,
            n_relu, "ReLU, then Hardswish",
        )  # fmt: skip
    if len(stages) not in (6, 7):
        return None
    fused = _has_fused_blocks(stages)
    if not fused and not any("squeeze." in name for name in tensors):
        return Style("MobileNetV2", nn.ReLU6, eps=eps, is_padded_as_tensorflow=as_tensorflow,
                     activation_name="ReLU6")  # fmt: skip
    n_blocks = sum(map(len, stages))
    if is_torchvision and (fused or n_blocks >= _EPS_OF_LARGE):
        eps = 1e-3
    name = "EfficientNetV2" if fused else "EfficientNet"
    return Style(name, nn.SiLU, eps=eps, is_padded_as_tensorflow=as_tensorflow)


def _conv_names(block: Mapping[str, Tensor]) -> list[str]:
    return sorted(name for name in block if name.endswith(".conv.weight"))


def _kernel(block: Mapping[str, Tensor]) -> int:
    return int(block[_conv_names(block)[0]].shape[-1])


def _read_unit(weight: Tensor) -> Unit | None:
    if weight.ndim != 4 or weight.shape[2] != weight.shape[3]:
        return None
    outputs, inputs, kernel = int(weight.shape[0]), int(weight.shape[1]), int(weight.shape[2])
    return Unit(inputs, outputs, kernel)


def _read_blocks(
    stages: Sequence[Sequence[Block]], strides: Sequence[int]
) -> list[tuple[list[Unit], int]] | None:
    """Return the convolutions of all blocks, with the width of their squeeze or 0."""
    blocks: list[tuple[list[Unit], int]] = []
    for stage, stride in zip(stages, strides, strict=False):
        for position, block in enumerate(stage):
            units = _read_block(block, stride if position == 0 else 1)
            if units is None:
                return None
            squeeze = block.get("squeeze.reduce.weight")
            blocks.append((units, int(squeeze.shape[0]) if squeeze is not None else 0))
    return blocks


def _read_block(block: Mapping[str, Tensor], stride: int) -> list[Unit] | None:
    """Return the convolutions of a block; the first one that is larger than 1×1 has the stride."""
    units: list[Unit] = []
    for name in _conv_names(block):
        unit = _read_unit(block[name])
        if unit is None:
            return None
        depthwise = unit.inputs == 1 and unit.kernel > 1
        inputs = unit.outputs if depthwise else unit.inputs
        units.append(
            Unit(inputs, unit.outputs, unit.kernel, stride if unit.kernel > 1 else 1, depthwise)
        )
    return units or None


def _numbered_units(block: Mapping[str, Tensor]) -> list[tuple[str, Tensor]]:
    """Return the tensors of a block under the names of our module."""
    numbers = {name.split(".")[0]: n for n, name in enumerate(_conv_names(block))}
    return [
        (f"units.{numbers[unit]}.{rest}" if unit in numbers else name, tensor)
        for name, tensor in block.items()
        for unit, _, rest in [name.partition(".")]
    ]


def _convert_timm(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Give the convolutions of each block numbers, and pair them with their normalizations."""
    blocks: dict[str, set[str]] = {}
    for name in tensors:
        if match := re.match(r"(blocks\.\d+\.\d+)\.(conv\w*)\.weight", name):
            blocks.setdefault(match[1], set()).add(match[2])
    converted: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        match = re.match(r"(blocks\.\d+\.\d+)\.(conv\w*|bn\d)\.(.*)", name)
        if match:
            block, part, rest = match.groups()
            order = ["conv_exp", "conv", "conv_pw", "conv_dw", "conv_pwl"]
            if "conv_pwl" not in blocks[block]:
                order = ["conv", "conv_dw", "conv_pw"]
            names = [layer for layer in order if layer in blocks[block]]
            number = names.index(part) if part in names else int(part[2:]) - 1
            name = f"{block}.{number}.{'conv' if part in names else 'norm'}.{rest}"
        converted[name] = tensor
    if "conv_head.bias" not in converted:
        return rename(converted, ((r"^conv_head\.", "last.conv."),))
    # MobileNetV3: the convolution after pooling is the first linear layer of the head
    converted["classifier.0.weight"] = converted.pop("conv_head.weight").flatten(1)
    converted["classifier.0.bias"] = converted.pop("conv_head.bias")
    stage = max(int(name.split(".")[1]) for name in converted if name.startswith("blocks."))
    return rename(converted, ((rf"^blocks\.{stage}\.0\.0\.", "last."),))


_TORCHVISION = (
    (r"^features\.0\.0\.", "stem.conv."),
    (r"^features\.0\.1\.", "stem.norm."),
    (r"^features\.(?:\d+|last)\.0\.weight$", "last.conv.weight"),
    (r"^features\.(?:\d+|last)\.1\.(?=weight|bias|running|num)", "last.norm."),
    # MobileNetV2; its first block has no expansion
    (r"^features\.1\.conv\.1\.", "features.1.block.1.0."),
    (r"^features\.1\.conv\.2\.", "features.1.block.1.1."),
    (r"^features\.(\d+)\.conv\.2\.weight", r"features.\1.block.2.0.weight"),
    (r"^features\.(\d+)\.conv\.3\.", r"features.\1.block.2.1."),
    (r"^features\.(\d+)\.conv\.", r"features.\1.block."),
    (r"^features\.(\d+)\.block\.", r"features.0.\1.block."),
    (r"^features\.(\d+)\.(\d+)\.block\.(\d)\.0\.", r"blocks.\1.\2.\3.conv."),
    (r"^features\.(\d+)\.(\d+)\.block\.(\d)\.1\.", r"blocks.\1.\2.\3.norm."),
    (r"^features\.(\d+)\.(\d+)\.block\.\d\.fc1\.", r"blocks.\1.\2.squeeze.reduce."),
    (r"^features\.(\d+)\.(\d+)\.block\.\d\.fc2\.", r"blocks.\1.\2.squeeze.expand."),
)
_TIMM = (
    (r"^conv_stem\.", "stem.conv."),
    (r"^bn1\.", "stem.norm."),
    (r"^bn2\.", "last.norm."),
    (r"\.se\.conv_reduce\.", ".squeeze.reduce."),
    (r"\.se\.conv_expand\.", ".squeeze.expand."),
)
FAMILY = Family(
    ("mobilenet", "efficientnet"),
    recognize_inverted_residual,
    "classifier",
    (
        Naming(
            "torchvision",
            ("features.0.0.weight", "features.1.conv.0.0.weight"),
            "classifier",
            _TORCHVISION,
        ),
        Naming(
            "torchvision",
            ("features.0.0.weight", "features.1.block.0.0.weight"),
            "classifier",
            _TORCHVISION,
        ),
        Naming(
            "torchvision",
            ("features.0.0.weight", "features.1.0.block.0.0.weight"),
            "classifier",
            _TORCHVISION,
        ),
        Naming(
            "timm", ("conv_stem.weight", "conv_head.bias"), "classifier", _TIMM, _convert_timm, "3"
        ),
        Naming("timm", ("conv_stem.weight", "bn2.weight"), "classifier", _TIMM, _convert_timm),
    ),
)
