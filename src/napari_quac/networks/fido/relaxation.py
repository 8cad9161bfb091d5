"""Masks that are drawn at random and yet can be differentiated (the Concrete distribution)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

EPSILON = 1e-6  # float32 tells 1 - 1e-6 from 1, which is all that the logarithms need
MODES = {1: "linear", 2: "bilinear", 3: "trilinear"}


def concrete_drop(drop: Tensor, uniform: Tensor, temperature: float) -> Tensor:
    r"""Return a soft draw of which pixels are dropped.

    .. math:: d = \mathrm{sigmoid}((\mathrm{logit}\,\theta + \mathrm{logit}\,u) / T)

    Parameters
    ----------
    drop : Tensor in [0, 1]
        Probability :math:`\theta` that a pixel is dropped.
    uniform : Tensor in [0, 1]
        Uniform noise :math:`u`, one number per pixel and draw.
    temperature : float
        :math:`T`; the smaller, the closer to 0 and 1.

    Returns
    -------
    Tensor in [0, 1], of the broadcast shape

    References
    ----------
    .. [1] Maddison, Mnih, Teh, "The Concrete distribution", ICLR 2017.
    """
    theta = drop.clamp(EPSILON, 1 - EPSILON)
    noise = uniform.clamp(EPSILON, 1 - EPSILON)
    return torch.sigmoid((theta.logit() + noise.logit()) / temperature)


def grid_size(image_size: tuple[int, ...], pixels_per_cell: int) -> tuple[int, ...]:
    """Return the size of the mask's grid: at least 8 cells a side, and no more than pixels."""
    return tuple(min(side, max(8, -(-side // pixels_per_cell))) for side in image_size)


def upsampled(grid: Tensor, image_size: tuple[int, ...]) -> Tensor:
    """Return probabilities (1, *S) of a grid (1, *G), linear in between, corners on corners."""
    if tuple(grid.shape[1:]) == image_size:
        return grid
    mode = MODES[len(image_size)]
    return F.interpolate(grid[None], image_size, mode=mode, align_corners=True)[0]
