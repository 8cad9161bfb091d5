"""Variants of an architecture with the same weights: activations, pooling and strides.

A state dict holds the weights alone. The parts between them are changed here in the built module,
whatever its architecture, and the published choice is the first of each list.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any

import torch
from torch import nn

from napari_quac.errors import CheckpointError
from napari_quac.networks.architectures.layout import Layout, architecture_assumption
from napari_quac.registry import unknown_name

Variant = Mapping[str, str]
"""Name of a part to the choice for it, such as ``{"pooling": "average"}``."""

ACTIVATIONS: Mapping[str, Callable[[], nn.Module]] = {
    "ReLU": nn.ReLU,
    "leaky ReLU 0.01": partial(nn.LeakyReLU, 0.01),
    "leaky ReLU 0.1": partial(nn.LeakyReLU, 0.1),
    "leaky ReLU 0.2": partial(nn.LeakyReLU, 0.2),
    "ELU": nn.ELU,
    "SiLU": nn.SiLU,
    "GELU": nn.GELU,
}
HEADS = ("classifier", "fc", "head")
VARIED = ("resnet", "resnet-dapi", "resnet2d-funlib", "vgg", "vgg2d", "vgg3d")
"""Architectures that people write by themselves under the same names."""

_AVERAGE: Mapping[type[nn.Module], Callable[..., nn.Module]] = {
    nn.MaxPool2d: nn.AvgPool2d,
    nn.MaxPool3d: nn.AvgPool3d,
}


def variants_of(layout: Layout) -> dict[str, tuple[str, ...]]:
    """Return the choices that the weights leave open, by the name of the part.

    Parameters
    ----------
    layout : Layout
        An architecture that fits a state dict.

    Returns
    -------
    choices : dict
        The first one is that of the published architecture; empty for architectures without a
        choice.
    """
    if layout.name not in VARIED or layout.problem:
        return {}
    with torch.device("meta"):
        module = layout.build()
    choices: dict[str, tuple[str, ...]] = {}
    if _activations(module, in_head=False):
        choices["activation"] = tuple(ACTIVATIONS)
    if _activations(module, in_head=True):
        choices["head activation"] = tuple(ACTIVATIONS)
    if any(name != "maxpool" for name, _ in _poolings(module)):
        choices["pooling"] = ("max", "average")
    if layout.name == "resnet":
        choices |= _residual_choices(module)
    return choices


def choices_text(choices: Mapping[str, tuple[str, ...]]) -> str:
    """Return the choices of :func:`variants_of` for the card."""
    return "; ".join(f"{name} = {' | '.join(entries)}" for name, entries in choices.items())


def _residual_choices(module: nn.Module) -> dict[str, tuple[str, ...]]:
    names = [name for name, _ in module.named_children()]
    stem = module.get_submodule("conv1")
    has_pooling = "maxpool" in names
    choices: dict[str, tuple[str, ...]] = {
        "stem pooling": ("max", "none", "average") if has_pooling else ("none", "max")
    }
    if isinstance(stem, nn.Conv2d):
        choices["stem stride"] = ("2", "1") if stem.stride[0] == 2 else ("1", "2")
    for name in names:
        if name.startswith("layer") and name != "layer1":
            choices[f"stride of stage {name.removeprefix('layer')}"] = ("2", "1")
    if any(name.endswith("conv3") for name, _ in module.named_modules()):
        choices["bottleneck stride"] = ("3x3 convolution", "1x1 convolution")
    return choices


def with_variant(layout: Layout, variant: Variant | None) -> Layout:
    """Return a layout with chosen parts; the other ones are stated as assumptions.

    Parameters
    ----------
    layout : Layout
        An architecture that fits a state dict.
    variant : Mapping[str, str] or None
        Choices of :func:`variants_of`.

    Raises
    ------
    UnknownNameError
        If it has no such part, or the part no such choice.
    """
    choices = variants_of(layout)
    variant = dict(variant or {})
    for name, choice in variant.items():
        if name not in choices:
            raise unknown_name(f"variant of {layout.name}", name, list(choices))
        simple = {_simplified(entry): entry for entry in choices[name]}
        if _simplified(choice) not in simple:
            raise unknown_name(name, choice, list(choices[name]))
        variant[name] = simple[_simplified(choice)]
    if not choices:
        return layout
    changes = {name: choice for name, choice in variant.items() if choice != choices[name][0]}
    assumed = {name: entries[0] for name, entries in choices.items() if name not in variant}
    assumptions = layout.assumptions
    if assumed:
        assumptions = (*assumptions, architecture_assumption(_sentence(assumed)))
    parameters = {**layout.parameters, **({"variant": variant} if variant else {})}
    build = partial(_build, layout.build, MappingProxyType(changes)) if changes else layout.build
    return replace(layout, build=build, parameters=parameters, assumptions=assumptions)


def _simplified(text: str) -> str:
    return text.casefold().replace("_", " ").strip()


def _sentence(assumed: Variant) -> str:
    """Return the assumption about parts that are built as published."""
    parts = ", ".join(f"{name} = {choice}" for name, choice in assumed.items())
    return (
        f"The weights do not hold these parts, which are assumed as published: {parts}. Choose "
        "another variant if the network was built otherwise (--variant NAME=CHOICE)."
    )


def parse_variant(texts: list[str] | tuple[str, ...]) -> dict[str, str]:
    """Read choices such as ``pooling=average``.

    Raises
    ------
    CheckpointError
        If one has another form.
    """
    variant = {}
    for text in texts:
        name, equals, choice = text.partition("=")
        if not equals:
            raise CheckpointError(
                f"The variant '{text}' needs the form NAME=CHOICE, such as pooling=average "
                "(--variant)."
            )
        variant[name.strip()] = choice.strip()
    return variant


def _build(build: Callable[[], nn.Module], changes: Variant) -> nn.Module:
    """Build a module and change its parts."""
    module = build()
    for name, choice in changes.items():
        if name.endswith("activation"):
            for place in _activations(module, in_head=name.startswith("head")):
                module.set_submodule(place, ACTIVATIONS[choice]())
        elif name == "pooling":
            for place, pooling in _poolings(module):
                if place != "maxpool":
                    module.set_submodule(place, _averaging(pooling))
        elif name == "stem pooling":
            _set_stem_pooling(module, choice)
        elif name == "stem stride":
            _set_stride(module.get_submodule("conv1"), int(choice))
        elif name.startswith("stride of stage "):
            _set_stage_stride(module, f"layer{name.rpartition(' ')[2]}.0.", int(choice))
        else:
            _move_bottleneck_strides(module)
    return module


def _activations(module: nn.Module, in_head: bool) -> list[str]:
    names = [name for name, part in module.named_modules() if isinstance(part, nn.ReLU)]
    return [name for name in names if (name.split(".")[0] in HEADS) == in_head]


def _poolings(module: nn.Module) -> list[tuple[str, nn.Module]]:
    return [(name, part) for name, part in module.named_modules() if type(part) in _AVERAGE]


def _averaging(pooling: Any) -> nn.Module:
    average: nn.Module = _AVERAGE[type(pooling)](
        pooling.kernel_size, pooling.stride, pooling.padding, pooling.ceil_mode
    )
    return average


def _set_stem_pooling(module: nn.Module, choice: str) -> None:
    if choice == "none":
        module.set_submodule("maxpool", nn.Identity())
    elif choice == "average":
        module.set_submodule("maxpool", _averaging(module.get_submodule("maxpool")))
    else:  # after the activation of a small stem
        relu = module.get_submodule("relu")
        module.set_submodule("relu", nn.Sequential(relu, nn.MaxPool2d(3, 2, 1)))


def _set_stride(convolution: Any, stride: int) -> None:
    convolution.stride = (stride, stride)


def _set_stage_stride(module: nn.Module, block: str, stride: int) -> None:
    """Change the stride of the first block of a stage and of its shortcut."""
    for name, part in module.named_modules():
        if name.startswith(block) and isinstance(part, nn.Conv2d) and math.prod(part.stride) > 1:
            _set_stride(part, stride)


def _move_bottleneck_strides(module: nn.Module) -> None:
    """Move the strides of bottleneck blocks to their first convolution, as in the first paper."""
    for part in module.modules():
        if all(isinstance(getattr(part, f"conv{n}", None), nn.Conv2d) for n in (1, 2, 3)):
            first: Any = part.get_submodule("conv1")
            second: Any = part.get_submodule("conv2")
            first.stride, second.stride = second.stride, first.stride
