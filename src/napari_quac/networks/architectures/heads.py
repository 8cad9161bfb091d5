"""Heads of classifiers: the linear layers after pooling, which users replace by their own."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Layer:
    """One layer of a head.

    Attributes
    ----------
    path : str
        Its name in the head; empty if it is the head.
    build : callable
        Returns the module.
    is_activation : bool
        True for an activation, which is assumed.
    n_inputs, n_outputs : int
        Features that it takes and returns; 0 if any.
    is_linear : bool
    """

    path: str
    build: Callable[[], nn.Module]
    is_activation: bool = False
    n_inputs: int = 0
    n_outputs: int = 0
    is_linear: bool = False


@dataclass(frozen=True)
class Head:
    """The structure of a head, read off a state dict.

    Attributes
    ----------
    layers : tuple of Layer
        In their order.
    """

    layers: tuple[Layer, ...]

    @property
    def n_inputs(self) -> int:
        """Features that it takes."""
        return next(layer.n_inputs for layer in self.layers if layer.n_inputs)

    @property
    def n_outputs(self) -> int:
        """Number of classes."""
        return next(layer.n_outputs for layer in reversed(self.layers) if layer.n_outputs)

    @property
    def note(self) -> str:
        """Sentence about the layers that the weights do not hold; empty without any."""
        if not any(layer.is_activation for layer in self.layers):
            return ""
        n_linear = sum(layer.is_linear for layer in self.layers)
        return f"ReLU is assumed between the {n_linear} linear layers of the head."

    def build(self) -> nn.Module:
        """Return the module, with weights yet to be loaded."""
        if not self.layers[0].path:
            return self.layers[0].build()
        tree: dict[str, Any] = {}
        for layer in self.layers:
            *parents, name = layer.path.split(".")
            branch = tree
            for parent in parents:
                branch = branch.setdefault(parent, {})
            branch[name] = layer.build()
        return _sequential(tree)


def read_head(
    tensors: Mapping[str, Tensor],
    prefix: str,
    eps: float = 1e-5,
    activations: Mapping[str, Callable[[], nn.Module]] | None = None,
) -> Head | None:
    """Read the structure of a head off a state dict.

    Parameters
    ----------
    tensors : Mapping[str, Tensor]
        The state dict.
    prefix : str
        Name of the head, such as ``fc``.
    eps : float
        Of layer normalization.
    activations : Mapping[str, callable], optional
        Activations of the library by their path; all others are ReLU, which is assumed.

    Returns
    -------
    head : Head or None
        None if its tensors are not those of linear layers and normalizations in a row.

    Notes
    -----
    Modules without weights leave gaps in the numbers of a Sequential. The first gap after a linear
    layer is an activation, all others are dropout, which does nothing in eval mode.
    """
    parts = _parts(tensors, prefix)
    layers: list[Layer] = []
    width, activated = 0, True
    for path in _with_gaps(parts):
        if path not in parts:
            library = (activations or {}).get(path)
            activation = nn.Dropout if activated else library or nn.ReLU
            layers.append(Layer(path, activation, not activated and library is None))
            activated = True
            continue
        layer = _layer(path, parts[path], eps)
        if layer is None or (width and layer.n_inputs != width):
            return None
        if layer.is_linear:
            if not activated and not path.rpartition(".")[2].isdigit():
                layers.append(Layer(f"{path}_activation", nn.ReLU, True))
            activated = False
        width = layer.n_outputs
        layers.append(layer)
    return Head(tuple(layers)) if any(layer.is_linear for layer in layers) else None


def accepts(head: Head | None, width: int) -> TypeGuard[Head]:
    """Tell whether a head takes the average of ``width`` feature maps, or also their maximum."""
    return head is not None and head.n_inputs in (width, 2 * width)


def global_pooling(head: Head | None, width: int, n_axes: int = 2) -> nn.Module:
    """Return the pooling before a head: the average, or with twice the inputs also the maximum."""
    if head is not None and head.n_inputs == 2 * width:
        return MaximumAndAverage()
    return nn.AdaptiveAvgPool2d(1) if n_axes == 2 else nn.AdaptiveAvgPool3d(1)


class MaximumAndAverage(nn.Module):
    """The maximum of each feature map, then the average of each, as before the heads of fastai."""

    def __init__(self) -> None:
        super().__init__()
        self.maximum, self.average = nn.AdaptiveMaxPool2d(1), nn.AdaptiveAvgPool2d(1)

    def forward(self, maps: Tensor) -> Tensor:
        """Return (N, 2C, 1, 1) of maps (N, C, H, W)."""
        return torch.cat([self.maximum(maps), self.average(maps)], dim=1)


def _parts(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, dict[str, Tensor]]:
    """Return the tensors of each layer by its path, numbered layers in ascending order."""
    parts: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if name.startswith(f"{prefix}."):
            path, _, part = name[len(prefix) + 1 :].rpartition(".")
            parts.setdefault(path, {})[part] = tensor
    places = {path: place for place, path in enumerate(parts)}

    def order(path: str) -> list[int]:
        return [int(piece) if piece.isdigit() else places[path] for piece in path.split(".")]

    return {path: parts[path] for path in sorted(parts, key=order)}


def _with_gaps(paths: Iterable[str]) -> Iterator[str]:
    """Yield all paths in order, with the numbers that are missing among them."""
    previous: list[str] = []
    for path in paths:
        pieces = path.split(".")
        for depth, piece in enumerate(pieces):
            if not piece.isdigit():
                continue
            start = 0
            if previous[:depth] == pieces[:depth] and len(previous) > depth:
                start = int(previous[depth]) + 1 if previous[depth].isdigit() else 0
            for number in range(start, int(piece)):
                yield ".".join([*pieces[:depth], str(number)])
        yield path
        previous = pieces


def _layer(path: str, parts: Mapping[str, Tensor], eps: float) -> Layer | None:
    """Return the layer with these tensors; None if no head has such a one."""
    weight, mean = parts.get("weight"), parts.get("running_mean")
    if mean is not None:
        n = len(mean)
        build = partial(nn.BatchNorm1d, n, affine=weight is not None)
        return Layer(path, build, False, n, n)
    if weight is None or weight.ndim > 2 or not set(parts) <= {"weight", "bias"}:
        return None
    if weight.ndim == 1:
        n = len(weight)
        return Layer(path, partial(nn.LayerNorm, n, eps=eps), False, n, n)
    n_outputs, n_inputs = map(int, weight.shape)
    linear = partial(nn.Linear, n_inputs, n_outputs, bias="bias" in parts)
    return Layer(path, linear, False, n_inputs, n_outputs, True)


def _sequential(tree: Mapping[str, Any]) -> nn.Sequential:
    children = {
        name: _sequential(child) if isinstance(child, dict) else child
        for name, child in tree.items()
    }
    return nn.Sequential(OrderedDict(children))
