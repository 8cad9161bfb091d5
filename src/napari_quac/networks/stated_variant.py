"""Strides, pooling and activations that a whole pickled network states, as choices of a variant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from napari_quac.networks.architectures.layout import Layout
from napari_quac.networks.pickled_module import ModuleRecord
from napari_quac.networks.variants import ACTIVATIONS, variants_of, with_variant

_POOLING = {"MaxPool2d": "max", "AvgPool2d": "average", "Identity": "none"}


def stated_variant(
    layout: Layout,
    record: ModuleRecord,
    originals: Mapping[str, Tensor],
    tensors: Mapping[str, Tensor],
) -> dict[str, str]:
    """Return the choices of a variant that the record of a pickled network determines.

    Parameters
    ----------
    layout : Layout
        The architecture that its weights fit.
    record : ModuleRecord
        Of the whole network.
    originals, tensors : Mapping[str, Tensor]
        The same tensors by their names in the file, and in the module of the layout.
    """
    choices = variants_of(layout)
    strides = {
        id(originals[f"{name}weight"]): module.attributes.get("stride")
        for name, module in record.named_modules()
        if f"{name}weight" in originals
    }
    variant: dict[str, str] = {}
    for part, options in choices.items():
        if "stride" in part:
            misfits = [_count_misfits(layout, {part: o}, strides, tensors) for o in options]
            if len(set(misfits)) > 1:
                variant[part] = options[misfits.index(min(misfits))]
    stem = record.children.get("maxpool")
    if "stem pooling" in choices and stem is not None:
        choice = _POOLING.get(stem.class_name, "")
        if choice in choices["stem pooling"]:
            variant["stem pooling"] = choice
    activations = {_activation(module) for _, module in record.named_modules()} - {""}
    if len(activations) == 1 and "activation" in choices:
        variant["activation"] = activations.pop()
    return variant


def _count_misfits(
    layout: Layout,
    variant: Mapping[str, str],
    strides: Mapping[int, Any],
    tensors: Mapping[str, Tensor],
) -> int:
    """Count the convolutions whose stride differs from that of the file."""
    with torch.device("meta"):
        module = with_variant(layout, variant).build()
    convolutions = {
        name: part.stride
        for name, part in module.named_modules()
        if isinstance(part, nn.Conv1d | nn.Conv2d | nn.Conv3d) and f"{name}.weight" in tensors
    }
    return sum(
        strides.get(id(tensors[f"{name}.weight"]), stride) != stride
        for name, stride in convolutions.items()
    )


def _activation(record: ModuleRecord) -> str:
    """Return the choice for an activation; empty for another module."""
    if record.class_name == "LeakyReLU":
        name = f"leaky ReLU {record.attributes.get('negative_slope', 0.01):g}"
    else:
        name = record.class_name
    is_activation = record.class_path.startswith("torch.nn.modules.activation.")
    return name if is_activation and name in ACTIVATIONS else ""
