"""VGG-like classifiers in 2-D and 3-D, as in QuAC, DAPI and synister."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from napari_quac.networks.architectures.layout import Layout, numbered
from napari_quac.networks.architectures.pooling import downsampling, pooled


class Vgg(nn.Module):
    """Levels of convolutions and max pooling, then fully connected layers.

    Activations are separate modules and none is used twice, as DeepLIFT requires.

    Parameters
    ----------
    channels : int
        Channels of the input.
    levels : sequence of sequences of int
        For each level the number of feature maps of each of its convolutions.
    head : sequence of int
        Number of outputs of each fully connected layer; the last is the number of classes.
    image_size : sequence of int
        Spatial size of the input; two numbers make a 2-D network, three a 3-D one.
    pools : sequence of sequences of int, optional
        Pooling factors of each level, 2 along each axis by default.
    batch_norm : bool
        Batch normalization after each convolution.
    dropout : float or None
        Dropout rate between the fully connected layers in training; None for no such layer.
    """

    def __init__(
        self,
        channels: int,
        levels: Sequence[Sequence[int]],
        head: Sequence[int],
        image_size: Sequence[int],
        pools: Sequence[Sequence[int]] | None = None,
        batch_norm: bool = True,
        dropout: float | None = 0.5,
    ) -> None:
        super().__init__()
        flat = len(image_size) == 2
        convolution = nn.Conv2d if flat else nn.Conv3d
        normalization = nn.BatchNorm2d if flat else nn.BatchNorm3d
        pooling = nn.MaxPool2d if flat else nn.MaxPool3d
        pools = pools or [(2,) * len(image_size)] * len(levels)
        features: list[nn.Module] = []
        for widths, factors in zip(levels, pools, strict=True):
            for width in widths:
                features.append(convolution(channels, width, kernel_size=3, padding=1))
                if batch_norm:
                    features.append(normalization(width))
                features.append(nn.ReLU())
                channels = width
            features.append(pooling(tuple(factors)))
        self.features = nn.Sequential(*features)
        layers: list[nn.Module] = []
        inputs = channels * math.prod(pooled(image_size, pools))
        for width in head[:-1]:
            layers += [nn.Linear(inputs, width), nn.ReLU()]
            if dropout is not None:
                layers.append(nn.Dropout(dropout))
            inputs = width
        layers.append(nn.Linear(inputs, head[-1]))
        self.classifier = nn.Sequential(*layers)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (N, K) of images (N, C, *S)."""
        return self.classifier(torch.flatten(self.features(images), 1))  # type: ignore[no-any-return]


def recognize_vgg(
    tensors: Mapping[str, Tensor],
    image_size: tuple[int, ...] | None = None,
    pools: Sequence[Sequence[int]] | None = None,
) -> Layout | None:
    """Read the structure of a :class:`Vgg` off its state dict.

    Parameters
    ----------
    tensors : Mapping[str, Tensor]
        The state dict, with names ``features.*`` and ``classifier.*``.
    image_size : tuple of int, optional
        Spatial size of the input, if the file or the user gives it.
    pools : sequence of sequence of int, optional
        Pooling factors of each level, if the user gives them; files do not store them, see
        :func:`~napari_quac.networks.architectures.pooling.downsampling`.

    Returns
    -------
    layout : Layout or None
        None if this is another architecture.
    """
    weights, head = numbered(tensors, "features"), numbered(tensors, "classifier")
    convolutions = {index: weight for index, weight in weights.items() if weight.ndim > 2}
    if not _has_parts(tensors, convolutions, head):
        return None
    batch_norm = len(weights) > len(convolutions)
    levels = _levels(list(convolutions.items()), 3 if batch_norm else 2)
    head_gaps = {later - earlier for earlier, later in pairwise(head)}
    if levels is None or len(head_gaps) > 1 or not head_gaps <= {2, 3}:
        return None

    axes = next(iter(convolutions.values())).ndim - 2
    channels = int(next(iter(convolutions.values())).shape[1])
    widths = [int(weight.shape[0]) for weight in head.values()]
    area, rest = divmod(int(next(iter(head.values())).shape[1]), levels[-1][-1])
    if rest:
        return None
    pooling = downsampling(area, len(levels), axes, image_size, pools)

    def build() -> nn.Module:
        dropout = None if head_gaps == {2} else 0.5
        size = pooling.image_size or (1,) * axes
        return Vgg(channels, levels, widths, size, pooling.pools, batch_norm, dropout)

    parameters = {
        "levels": levels,
        "head": widths,
        "pools": [list(factors) for factors in pooling.pools],
        "batch_norm": batch_norm,
    }
    notes = (pooling.note,) if pooling.note else ()
    name, size = f"vgg{axes}d", pooling.image_size
    return Layout(name, build, channels, widths[-1], size, parameters, notes, pooling.problem)


def _has_parts(
    tensors: Mapping[str, Tensor], convolutions: Mapping[int, Tensor], head: Mapping[int, Tensor]
) -> bool:
    """Tell whether there are 3 × 3 convolutions and linear layers, and nothing else."""
    if not convolutions or not head or any(weight.ndim != 2 for weight in head.values()):
        return False
    if any(name.split(".")[0] not in ("features", "classifier") for name in tensors):
        return False
    return all(set(weight.shape[2:]) == {3} for weight in convolutions.values())


def _levels(convolutions: list[tuple[int, Tensor]], step: int) -> list[list[int]] | None:
    """Group convolutions by the pooling between them, which leaves a gap of one number."""
    if convolutions[0][0] != 0:
        return None
    levels = [[int(convolutions[0][1].shape[0])]]
    for (earlier, _), (later, weight) in pairwise(convolutions):
        if later - earlier == step + 1:
            levels.append([])
        elif later - earlier != step:
            return None
        levels[-1].append(int(weight.shape[0]))
    return levels
