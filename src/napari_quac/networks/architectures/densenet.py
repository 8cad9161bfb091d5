"""Densely connected classifiers in 2-D and 3-D, as in torchvision, timm and MONAI."""

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

_FEATURES = (r"^(?=(conv|norm|denseblock|transition)\d)", "features.")
NAMINGS = (
    Naming(
        "MONAI",
        ("conv0.weight", "denseblock1.denselayer1.layers.conv1.weight"),
        "class_layers.out",
        (_FEATURES, (r"\.layers\.", ".")),
    ),
    Naming(
        "torchvision", ("conv0.weight", "denseblock1.denselayer1.conv1.weight"), "", (_FEATURES,)
    ),
    Naming(
        "torchvision before 0.4",
        ("conv0.weight", "denseblock1.denselayer1.conv.1.weight"),
        "",
        (_FEATURES, (r"\.(norm|conv)\.([12])\.", r".\1\2.")),
    ),
)


class DenseNet(nn.Module):
    """A stem, blocks whose layers see all earlier maps, transitions that halve the image.

    Parameters
    ----------
    channels : int
        Channels of the input.
    depths : sequence of int
        Number of layers in each block.
    stem_width, growth, inner : int
        Feature maps of the first convolution, of each layer, and of its 1×1 convolution.
    transitions : sequence of int
        Feature maps after each transition.
    head : Head
        Layers after pooling.
    n_axes : int
        2 for images, 3 for volumes.
    """

    def __init__(
        self,
        channels: int,
        depths: Sequence[int],
        stem_width: int,
        growth: int,
        inner: int,
        transitions: Sequence[int],
        head: Head,
        n_axes: int = 2,
    ) -> None:
        super().__init__()
        flat = n_axes == 2
        convolution = nn.Conv2d if flat else nn.Conv3d
        normalization = nn.BatchNorm2d if flat else nn.BatchNorm3d
        pooling = nn.MaxPool2d if flat else nn.MaxPool3d
        layers: dict[str, nn.Module] = {
            "conv0": convolution(channels, stem_width, 7, 2, 3, bias=False),
            "norm0": normalization(stem_width),
            "relu0": nn.ReLU(),
            "pool0": pooling(3, 2, 1),
        }
        width = stem_width
        for number, depth in enumerate(depths, start=1):
            block: OrderedDict[str, nn.Module] = OrderedDict()
            for layer in range(1, depth + 1):
                block[f"denselayer{layer}"] = DenseLayer(width, inner, growth, n_axes)
                width += growth
            layers[f"denseblock{number}"] = nn.Sequential(block)
            if number <= len(transitions):
                layers[f"transition{number}"] = _transition(width, transitions[number - 1], n_axes)
                width = transitions[number - 1]
        layers[f"norm{len(depths) + 1}"] = normalization(width)
        self.features = nn.Sequential(OrderedDict(layers))
        # fastai takes the features as they are, without the activation of torchvision's forward
        self.relu = nn.Identity() if head.n_inputs == 2 * width else nn.ReLU()
        self.pool = global_pooling(head, width, n_axes)
        self.classifier = head.build()

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (N, K) of images (N, C, *S)."""
        pooled = self.pool(self.relu(self.features(images)))
        return self.classifier(pooled.flatten(1))  # type: ignore[no-any-return]


class DenseLayer(nn.Module):
    """A 1×1 and a 3×3 convolution, whose maps are appended to the input."""

    def __init__(self, inputs: int, inner: int, growth: int, n_axes: int) -> None:
        super().__init__()
        convolution = nn.Conv2d if n_axes == 2 else nn.Conv3d
        normalization = nn.BatchNorm2d if n_axes == 2 else nn.BatchNorm3d
        self.norm1 = normalization(inputs)
        self.relu1 = nn.ReLU()
        self.conv1 = convolution(inputs, inner, 1, bias=False)
        self.norm2 = normalization(inner)
        self.relu2 = nn.ReLU()
        self.conv2 = convolution(inner, growth, 3, padding=1, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        """Return the maps with those of this layer appended."""
        inner = self.conv1(self.relu1(self.norm1(maps)))
        return torch.cat([maps, self.conv2(self.relu2(self.norm2(inner)))], dim=1)


def _transition(inputs: int, outputs: int, n_axes: int) -> nn.Sequential:
    flat = n_axes == 2
    layers: dict[str, nn.Module] = {
        "norm": nn.BatchNorm2d(inputs) if flat else nn.BatchNorm3d(inputs),
        "relu": nn.ReLU(),
        "conv": (nn.Conv2d if flat else nn.Conv3d)(inputs, outputs, 1, bias=False),
        "pool": nn.AvgPool2d(2) if flat else nn.AvgPool3d(2),
    }
    return nn.Sequential(OrderedDict(layers))


def recognize_densenet(
    tensors: Mapping[str, Tensor],
    image_size: tuple[int, ...] | None,
    metadata: Mapping[str, str],
) -> Layout | None:
    """Read the structure of a :class:`DenseNet` off its state dict; None if it is another one."""
    del image_size, metadata  # any size will do
    depths = count_parts(tensors, r"features\.denseblock(\d+)\.denselayer(\d+)\.")
    stem, head = tensors["features.conv0.weight"], read_head(tensors, "classifier")
    names = [f"features.transition{number}.conv.weight" for number in range(1, len(depths))]
    last_norm = f"features.norm{len(depths) + 1}.weight"
    if not depths or any(name not in tensors for name in [*names, last_norm]):
        return None
    if not accepts(head, len(tensors[last_norm])):
        return None
    inner = tensors["features.denseblock1.denselayer1.conv1.weight"]
    growth = tensors["features.denseblock1.denselayer1.conv2.weight"]
    n_axes, channels = stem.ndim - 2, int(stem.shape[1])
    parameters: dict[str, Any] = {
        "depths": depths,
        "stem_width": int(stem.shape[0]),
        "growth": int(growth.shape[0]),
        "inner": int(inner.shape[0]),
        "transitions": [int(tensors[name].shape[0]) for name in names],
        "n_axes": n_axes,
    }
    build = partial(DenseNet, channels, head=head, **parameters)
    name = f"DenseNet-{2 * sum(depths) + len(depths) + 1}"
    sentence = (
        f"{name} is built as in torchvision and MONAI: a stem of stride 2 with max pooling, ReLU, "
        f"average pooling in transitions. {head.note}"
    )
    assumptions = (architecture_assumption(sentence.strip()),)
    smallest = 2 ** (len(depths) + 1)
    return Layout(
        "densenet", build, channels, head.n_outputs, None, parameters,
        assumptions=assumptions, smallest_size=smallest,
    )  # fmt: skip


DENSENET = Family(("densenet",), recognize_densenet, "classifier", NAMINGS)
