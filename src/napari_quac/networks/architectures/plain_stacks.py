"""Plain stacks of layers, as in torchvision: AlexNet, VGG with adaptive pooling, SqueezeNet."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn

from napari_quac.networks.architectures.heads import Head, MaximumAndAverage, read_head
from napari_quac.networks.architectures.layout import (
    Family,
    Layout,
    Naming,
    architecture_assumption,
    numbered,
)

# convolutions between two poolings
VGG_LEVELS: Mapping[tuple[int, ...], str] = {
    (1, 1, 2, 2, 2): "VGG-11",
    (2, 2, 2, 2, 2): "VGG-13",
    (2, 2, 3, 3, 3): "VGG-16",
    (2, 2, 4, 4, 4): "VGG-19",
}
_ALEXNET = {0: (11, 4, 2), 3: (5, 1, 2), 6: (3, 1, 1), 8: (3, 1, 1), 10: (3, 1, 1)}


class PlainStack(nn.Module):
    """Convolutions in a row, pooling to a fixed size, and linear layers.

    Parameters
    ----------
    features : Mapping[str, Module]
        The convolutions with their activations and poolings.
    width : int
        Feature maps at their end.
    head : Head
        Linear layers, which determine the size that is pooled to.
    """

    def __init__(self, features: Mapping[str, nn.Module], width: int, head: Head) -> None:
        super().__init__()
        self.features = nn.Sequential(OrderedDict(features))
        self.pool = _pooling(head, width)
        self.classifier = head.build()

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (N, K) of images (N, C, H, W)."""
        return self.classifier(self.pool(self.features(images)).flatten(1))  # type: ignore[no-any-return]


def _pooling(head: Head, width: int) -> nn.Module:
    if head.n_inputs == 2 * width:
        return MaximumAndAverage()
    return nn.AdaptiveAvgPool2d(math.isqrt(head.n_inputs // width))


def recognize_pooled_vgg(
    tensors: Mapping[str, Tensor],
    image_size: tuple[int, ...] | None,
    metadata: Mapping[str, str],
) -> Layout | None:
    """Read a VGG of torchvision off its state dict; None if it is another network.

    Its head sees 7 × 7 positions, to which the maps of any image are pooled; that of fastai sees
    the maximum and the average of each map.
    """
    del image_size, metadata  # any size will do
    weights, head = numbered(tensors, "features"), read_head(tensors, "classifier")
    convolutions = {index: weight for index, weight in weights.items() if weight.ndim == 4}
    if head is None or not convolutions or set(weights) - set(convolutions) != _norms(tensors):
        return None
    if any(tuple(weight.shape[2:]) != (3, 3) for weight in convolutions.values()):
        return None
    batch_norm = len(weights) > len(convolutions)
    counts = [1]
    for earlier, later in pairwise(convolutions):
        if later - earlier == 3 + batch_norm:
            counts.append(0)
        counts[-1] += 1
    width = int(next(reversed(convolutions.values())).shape[0])
    if tuple(counts) not in VGG_LEVELS or head.n_inputs not in (49 * width, 2 * width):
        return None
    widths = [int(weight.shape[0]) for weight in convolutions.values()]
    channels = int(convolutions[0].shape[1])
    build = partial(_build_vgg, channels, widths, counts, batch_norm, head)
    name = VGG_LEVELS[tuple(counts)]
    pooled = "7 × 7" if head.n_inputs == 49 * width else "1 × 1"
    sentence = (
        f"{name} is built as in torchvision: ReLU, max pooling by 2 after each level, average "
        f"pooling to {pooled} positions before the head. {head.note}"
    )
    parameters = {"counts": counts, "widths": widths, "batch_norm": batch_norm}
    return _layout("vgg-torchvision", build, channels, head.n_outputs, sentence, 32, parameters)


def _norms(tensors: Mapping[str, Tensor]) -> set[int]:
    names = (name.split(".") for name in tensors if name.startswith("features."))
    return {int(name[1]) for name in names if name[-1] == "running_mean" and name[1].isdigit()}


def _build_vgg(
    channels: int, widths: Sequence[int], counts: Sequence[int], batch_norm: bool, head: Head
) -> PlainStack:
    layers: list[nn.Module] = []
    remaining = iter(widths)
    for count in counts:
        for _ in range(count):
            width = next(remaining)
            layers.append(nn.Conv2d(channels, width, 3, padding=1))
            if batch_norm:
                layers.append(nn.BatchNorm2d(width))
            layers.append(nn.ReLU())
            channels = width
        layers.append(nn.MaxPool2d(2))
    return PlainStack({str(n): layer for n, layer in enumerate(layers)}, channels, head)


def recognize_alexnet(
    tensors: Mapping[str, Tensor],
    image_size: tuple[int, ...] | None,
    metadata: Mapping[str, str],
) -> Layout | None:
    """Read AlexNet off its state dict; None if it is another network."""
    del image_size, metadata  # any size will do
    weights, head = numbered(tensors, "features"), read_head(tensors, "classifier")
    kernels = {index: tuple(weight.shape[2:]) for index, weight in weights.items()}
    if head is None or kernels != {n: (kernel, kernel) for n, (kernel, _, _) in _ALEXNET.items()}:
        return None
    widths = [int(weight.shape[0]) for weight in weights.values()]
    if head.n_inputs not in (36 * widths[-1], 2 * widths[-1]):
        return None
    channels = int(weights[0].shape[1])
    sentence = (
        "AlexNet is built as in torchvision: a stem of stride 4, ReLU, three max poolings and "
        f"average pooling before the head. {head.note}"
    )
    build = partial(_build_alexnet, channels, widths, head)
    return _layout("alexnet", build, channels, head.n_outputs, sentence, 63, {"widths": widths})


def _build_alexnet(channels: int, widths: Sequence[int], head: Head) -> PlainStack:
    layers: dict[str, nn.Module] = {}
    for (index, (kernel, stride, padding)), width in zip(_ALEXNET.items(), widths, strict=True):
        layers[str(index)] = nn.Conv2d(channels, width, kernel, stride, padding)
        layers[str(index + 1)] = nn.ReLU()
        if index in (0, 3, 10):
            layers[str(index + 2)] = nn.MaxPool2d(3, 2)
        channels = width
    return PlainStack(layers, channels, head)


class Fire(nn.Module):
    """A 1×1 convolution to few maps, then 1×1 and 3×3 convolutions side by side."""

    def __init__(self, inputs: int, squeezed: int, small: int, large: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, squeezed, 1)
        self.squeeze_activation = nn.ReLU()
        self.expand1x1 = nn.Conv2d(squeezed, small, 1)
        self.expand1x1_activation = nn.ReLU()
        self.expand3x3 = nn.Conv2d(squeezed, large, 3, padding=1)
        self.expand3x3_activation = nn.ReLU()

    def forward(self, maps: Tensor) -> Tensor:
        """Return the maps of both convolutions."""
        maps = self.squeeze_activation(self.squeeze(maps))
        small = self.expand1x1_activation(self.expand1x1(maps))
        return torch.cat([small, self.expand3x3_activation(self.expand3x3(maps))], dim=1)


class SqueezeNet(nn.Sequential):
    """Fire modules with max pooling between them; a 1×1 convolution returns the classes."""

    def __init__(self, features: Mapping[str, nn.Module], width: int, n_classes: int) -> None:
        convolution = nn.Conv2d(width, n_classes, 1)
        pooling = nn.AdaptiveAvgPool2d(1)
        classifier = nn.Sequential(nn.Dropout(), convolution, nn.ReLU(), pooling, nn.Flatten())
        layers = {"features": nn.Sequential(OrderedDict(features)), "classifier": classifier}
        super().__init__(OrderedDict(layers))


def recognize_squeezenet(
    tensors: Mapping[str, Tensor],
    image_size: tuple[int, ...] | None,
    metadata: Mapping[str, str],
) -> Layout | None:
    """Read SqueezeNet 1.0 or 1.1 off its state dict; None if it is another network."""
    del image_size, metadata  # any size will do
    stem, head = tensors["features.0.weight"], tensors.get("classifier.1.weight")
    fires = sorted(int(name.split(".")[1]) for name in tensors if name.endswith(".squeeze.weight"))
    if head is None or head.ndim != 4 or fires[-1] != 12 or stem.ndim != 4:
        return None
    shapes = {
        index: [tensors[f"features.{index}.{part}.weight"].shape for part in
                ("squeeze", "expand1x1", "expand3x3")]
        for index in fires
    }  # fmt: skip
    version = "1.0" if stem.shape[2] == 7 else "1.1"
    build = partial(_build_squeezenet, stem.shape, shapes, int(head.shape[0]))
    sentence = (
        f"SqueezeNet {version} is built as in torchvision: a stem of stride 2, ReLU, three max "
        "poolings, ReLU before the final average pooling."
    )
    channels = int(stem.shape[1])
    return _layout("squeezenet", build, channels, int(head.shape[0]), sentence, 32, {})


def _build_squeezenet(
    stem: Sequence[int], shapes: Mapping[int, Sequence[Sequence[int]]], n_classes: int
) -> SqueezeNet:
    width, channels, kernel = stem[0], stem[1], stem[2]
    layers: dict[str, nn.Module] = {"0": nn.Conv2d(channels, width, kernel, 2), "1": nn.ReLU()}
    for index in range(2, max(shapes) + 1):
        if index not in shapes:  # a gap in the numbers
            layers[str(index)] = nn.MaxPool2d(3, 2, ceil_mode=True)
            continue
        squeezed, small, large = (shape[0] for shape in shapes[index])
        layers[str(index)] = Fire(width, squeezed, small, large)
        width = small + large
    return SqueezeNet(layers, width, n_classes)


def _layout(
    name: str, build: Callable[[], nn.Module], channels: int, n_classes: int, sentence: str,
    smallest: int, parameters: Mapping[str, object],
) -> Layout:  # fmt: skip
    assumptions = (architecture_assumption(sentence.strip()),)
    return Layout(
        name, build, channels, n_classes, None, parameters,
        assumptions=assumptions, smallest_size=smallest,
    )  # fmt: skip


VGG = Family(
    ("vgg-torchvision",),
    recognize_pooled_vgg,
    "classifier",
    (Naming("torchvision", ("features.0.weight",), "classifier"),),
)
ALEXNET = Family(
    ("alexnet",),
    recognize_alexnet,
    "classifier",
    (Naming("torchvision", tuple(f"features.{n}.weight" for n in _ALEXNET), "classifier"),),
)
SQUEEZENET = Family(
    ("squeezenet",),
    recognize_squeezenet,
    "classifier",
    (Naming("torchvision", ("features.12.squeeze.weight", "features.0.weight"), "classifier"),),
)
