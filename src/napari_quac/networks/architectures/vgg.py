"""VGG-like classifiers in 2-D and 3-D, as in QuAC, DAPI and synister, and their downsampling."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise, product

import torch
from torch import Tensor, nn

from napari_quac.data.place import extent
from napari_quac.networks.architectures.layout import Layout, numbered

Factors = tuple[int, ...]

SYNISTER_SIZE = (16, 160, 160)  # voxels; the input of the published 3-D synapse classifiers


@dataclass(frozen=True)
class Downsampling:
    """Pooling factors of each level, and the size of the input that matches them.

    Attributes
    ----------
    pools : tuple of tuple of int
        One factor for each axis, for each level.
    image_size : tuple of int or None
        None if it cannot be determined.
    note : str
        The assumption, as a sentence.
    problem : str
        The reason why nothing fits; empty if something does.
    """

    pools: tuple[Factors, ...]
    image_size: tuple[int, ...] | None
    note: str = ""
    problem: str = ""


def downsampling(
    n_positions: int,
    n_levels: int,
    n_axes: int,
    image_size: tuple[int, ...] | None = None,
    factors: Sequence[Sequence[int]] | None = None,
) -> Downsampling:
    """Find pooling factors that match the number of positions at the fully connected layers.

    Parameters
    ----------
    n_positions : int
        Positions after the last level.
    n_levels : int
        Levels with pooling at their end.
    n_axes : int
        2 for images, 3 for volumes.
    image_size : tuple of int, optional
        Spatial size of the input. Without it, a square or cube that is halved at each level is
        assumed, or in 3-D the size of the published synapse classifiers.
    factors : sequence of sequence of int, optional
        The pooling factors of each level, if the user gives them.

    Notes
    -----
    The size determines how often each axis is halved, but not at which level. Where several orders
    fit, that of the published networks is taken: thick sections are halved last, and levels without
    pooling come last.
    """
    halved = ((2,) * n_axes,) * n_levels
    if factors is not None:
        return _checked(tuple(map(tuple, factors)), n_positions, n_levels, n_axes, image_size)
    kind = "images" if n_axes == 2 else "volumes"
    if image_size is not None and len(image_size) != n_axes:
        problem = f"it takes {kind}, and {extent(image_size)} has {len(image_size)} axes"
        return Downsampling(halved, None, problem=problem)
    # Published synapse classifiers are the likeliest 3-D networks in files without a size, and
    # their position counts are no cubes.
    size = image_size or (SYNISTER_SIZE if n_axes == 3 else None)
    candidates = schemes(n_levels, n_axes) if size is not None else ()
    fitting = [pools for pools in candidates if _fits(size or (), pools, n_positions)]
    if fitting:
        note = "" if image_size and fitting[0] == halved else _note(fitting)
        if image_size is None:
            note = f"Its size was assumed to be {extent(SYNISTER_SIZE)}, as in synister. {note}"
        return Downsampling(fitting[0], size, note)
    # Otherwise the positions have to form a square or cube, the image halved at each level.
    side = round(n_positions ** (1 / n_axes))
    cube = (side * 2**n_levels,) * n_axes if side**n_axes == n_positions else None
    sees = f"its fully connected layers see {n_positions} positions"
    if image_size is None:
        if cube is not None:
            return Downsampling(halved, cube)
        problem = f"{sees}, so the size of its {kind} cannot be determined"
    elif cube is not None:
        problem = (
            f"its fully connected layers fit {kind} of {extent(cube)}, not of {extent(image_size)}"
        )
    else:
        problem = f"{sees}, which no pooling of {extent(image_size)} yields"
    return Downsampling(halved, None, problem=problem)


def schemes(n_levels: int, n_axes: int) -> Iterator[tuple[Factors, ...]]:
    """Yield all pooling schemes, the likeliest first; factors are 1 or 2, equal along y and x."""
    full, none = (2,) * n_axes, (1,) * n_axes
    flat = (1, 2, 2)  # sections are thicker than pixels, so they are halved less often
    kinds = (full, none) if n_axes == 2 else (flat, full, none)
    usual = [(full,) * n_levels]
    if n_axes == 3:
        usual += [(flat,) * n + (full,) * (n_levels - n) for n in range(n_levels, 0, -1)]
    usual += [(full,) * n + (none,) * (n_levels - n) for n in range(n_levels - 1, -1, -1)]
    yield from usual
    yield from (scheme for scheme in product(kinds, repeat=n_levels) if scheme not in usual)


def pooled(size: Sequence[int], pools: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """Return a size after pooling; each level rounds down."""
    lengths = tuple(size)
    for factors in pools:
        lengths = tuple(length // factor for length, factor in zip(lengths, factors, strict=True))
    return lengths


def _fits(size: Sequence[int], pools: Sequence[Sequence[int]], n_positions: int) -> bool:
    return math.prod(pooled(size, pools)) == n_positions


def _checked(
    pools: tuple[Factors, ...],
    n_positions: int,
    n_levels: int,
    n_axes: int,
    image_size: tuple[int, ...] | None,
) -> Downsampling:
    text = ", ".join("×".join(map(str, factors)) for factors in pools)
    if len(pools) != n_levels or any(len(factors) != n_axes for factors in pools):
        problem = f"the factors {text} do not match its {n_levels} levels in {n_axes} axes"
        return Downsampling(((2,) * n_axes,) * n_levels, None, problem=problem)
    if image_size is None:
        return Downsampling(pools, None, problem="its size does not follow from the factors alone")
    if len(image_size) != n_axes or not _fits(image_size, pools, n_positions):
        problem = (
            f"{extent(image_size)} pooled by {text} do not yield the {n_positions} positions that "
            "its fully connected layers see"
        )
        return Downsampling(pools, None, problem=problem)
    return Downsampling(pools, image_size)


def _note(fitting: Sequence[tuple[Factors, ...]]) -> str:
    text = ", ".join("×".join(map(str, factors)) for factors in fitting[0])
    others = len(fitting) - 1
    note = f"Pooling factors are not stored in the file; {text} were chosen to fit the size."
    if others:
        note += (
            f" {others} other choice{'s' if others > 1 else ''} would fit as well; give the "
            "factors if the network was trained with other ones."
        )
    return note


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
        :func:`~napari_quac.networks.architectures.vgg.downsampling`.

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

    dropout = None if head_gaps == {2} else 0.5
    side = pooling.image_size or (1,) * axes
    build = partial(Vgg, channels, levels, widths, side, pooling.pools, batch_norm, dropout)
    pools = [list(factors) for factors in pooling.pools]
    parameters = {"levels": levels, "head": widths, "pools": pools, "batch_norm": batch_norm}
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
