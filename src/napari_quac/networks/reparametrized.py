"""Weights that a checkpoint stores as factors: pruning, weight and spectral normalization."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

_PARAMETRIZED = re.compile(r"(?P<layer>(?:.*\.)?)parametrizations\.(?P<name>\w+)\.(?P<part>.+)")
_SUFFIXED = re.compile(r"(?P<layer>(?:.*\.)?)(?P<name>weight|bias)_(?P<part>orig|mask|g|v|u)")
_PARTS = {
    frozenset({"orig", "mask"}): "pruning",
    frozenset({"g", "v"}): "weight normalization",
    frozenset({"original0", "original1"}): "weight normalization",
    frozenset({"orig", "u", "v"}): "spectral normalization",
    frozenset({"original", "0._u", "0._v"}): "spectral normalization",
}


def merge_factors(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Multiply the factors of weights, as a network in eval mode does.

    Parameters
    ----------
    tensors : Mapping[str, Tensor]
        A state dict, such as with ``fc.weight_g`` and ``fc.weight_v``.

    Returns
    -------
    state : dict from str to Tensor
        With ``fc.weight``; other tensors are unchanged.
    """
    factors: dict[str, dict[str, str]] = {}
    for name in tensors:
        match = _PARAMETRIZED.fullmatch(name) or _SUFFIXED.fullmatch(name)
        if match:
            factors.setdefault(match["layer"] + match["name"], {})[match["part"]] = name
    state = dict(tensors)
    for weight, names in factors.items():
        kind = _PARTS.get(frozenset(names))
        parts = {part: tensors[name] for part, name in names.items()}
        merged = None if kind is None or weight in tensors else _merged(kind, parts)
        if merged is not None:
            state[weight] = merged
            for name in names.values():
                del state[name]
    return state


def _merged(kind: str, parts: Mapping[str, Tensor]) -> Tensor | None:
    """Return the product of factors; None if their shapes do not fit."""
    if kind == "pruning":
        weight, mask = parts["orig"], parts["mask"]
        return weight * mask if weight.shape == mask.shape else None
    if kind == "weight normalization":
        scale = parts.get("g", parts.get("original0"))
        direction = parts["v"] if "v" in parts else parts["original1"]
        if scale is None or scale.ndim not in (0, direction.ndim):
            return None
        axes = [axis for axis in range(direction.ndim) if not scale.ndim or scale.shape[axis] == 1]
        norms: Tensor = torch.linalg.vector_norm(direction, dim=axes, keepdim=True)
        return direction * (scale / norms)
    weight = parts["orig"] if "orig" in parts else parts["original"]
    left = parts["u"] if "u" in parts else parts["0._u"]
    right = parts["v"] if "v" in parts else parts["0._v"]
    for axis in range(min(2, weight.ndim)):  # that of the outputs; 1 in transposed convolutions
        matrix = weight.movedim(axis, 0).flatten(1)
        if matrix.shape == (len(left), len(right)):
            return weight / (left @ matrix @ right)
    return None
