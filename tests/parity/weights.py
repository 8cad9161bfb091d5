"""Seeded weights and inputs of a StarGAN v2, which need not be stored; uses nothing of ours."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

Shapes = Mapping[str, Mapping[str, list[int]]]


def _normal(random: np.random.Generator, *shape: int) -> Tensor:
    return torch.from_numpy(random.standard_normal(shape).astype(np.float32))


def seeded_states(shapes: Shapes) -> dict[str, dict[str, Tensor]]:
    """Return the state of each network, from the shapes of its tensors."""
    random = np.random.default_rng(7)
    states: dict[str, dict[str, Tensor]] = {}
    for network in sorted(shapes):
        states[network] = {}
        for key, shape in sorted(shapes[network].items()):
            is_matrix = len(shape) > 1
            scale = (2 / float(np.prod(shape[1:]))) ** 0.5 if is_matrix else 0.1
            offset = 1.0 if not is_matrix and key.endswith("weight") else 0.0
            states[network][key] = _normal(random, *shape) * scale + offset
    return states


def seeded_inputs() -> dict[str, Tensor]:
    """Return query ``x``, reference ``r``, latent ``z`` and domain ``y`` of two images."""
    random = np.random.default_rng(8)
    return {
        "x": torch.tanh(_normal(random, 2, 1, 64, 64)),
        "r": torch.tanh(_normal(random, 2, 1, 128, 128)),
        "z": _normal(random, 2, 16),
        "y": torch.tensor([2, 0]),
    }
