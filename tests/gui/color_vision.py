"""Contrast, and colors as color-blind people see them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from skimage.color import deltaE_ciede2000, rgb2lab

SIMULATIONS = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
         [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
         [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
         [0.004733, 0.691367, 0.303900]]
    ),
}  # fmt: skip
"""Of linear RGB, for complete dichromacy: Machado et al. 2009, doi:10.1109/TVCG.2009.113."""


def rgb(color: str) -> NDArray[np.float64]:
    return np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255


def linear(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def seen_as(color: str, simulation: str) -> NDArray[np.float64]:
    """Return the color in CIELAB as it is seen."""
    values = np.clip(SIMULATIONS[simulation] @ linear(rgb(color)), 0, 1)
    srgb = np.where(values <= 0.0031308, values * 12.92, 1.055 * values ** (1 / 2.4) - 0.055)
    return rgb2lab(srgb)


def distance(first: str, second: str) -> float:
    """Return the smallest CIEDE2000 distance of two colors over all kinds of vision."""
    return min(
        float(deltaE_ciede2000(seen_as(first, kind), seen_as(second, kind))) for kind in SIMULATIONS
    )


def contrast(first: str, second: str) -> float:
    """Return the contrast ratio of WCAG 2.2, from 1 to 21."""
    weights = np.array([0.2126, 0.7152, 0.0722])
    low, high = sorted(float(linear(rgb(color)) @ weights) for color in (first, second))
    return (high + 0.05) / (low + 0.05)
