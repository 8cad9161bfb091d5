"""Random fields: smooth ones for shapes and shading, fine ones for texture and grain."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

Field = NDArray[np.float32]


def smooth_field(rng: np.random.Generator, shape: tuple[int, ...], knots: tuple[int, ...]) -> Field:
    """Return a smooth random field, a spline through random values on a coarse grid.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of all randomness.
    shape : tuple of int
        Shape of the field in pixels.
    knots : tuple of int
        Distance between grid points along each axis, in pixels; structures have about that size.

    Returns
    -------
    field : (*shape) ndarray, float32
        Each value is about standard normal.
    """
    weights = [_spline_weights(size, knot) for size, knot in zip(shape, knots, strict=True)]
    field = rng.standard_normal([weight.shape[1] for weight in weights]).astype(np.float32)
    for axis, weight in enumerate(weights):
        field = np.moveaxis(np.tensordot(weight, field, axes=(1, axis)), 0, axis)
    return np.ascontiguousarray(field)


@lru_cache(maxsize=32)
def _spline_weights(size: int, knot: int) -> Field:
    """Return the weight of each value on the grid in each pixel, (size, n_values)."""
    position, fraction = np.divmod(np.arange(size) / knot, 1)
    columns = position.astype(int)[:, None] + np.arange(4)
    t = fraction[:, None]
    cubic = np.concatenate(
        [(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3], axis=1
    )
    cubic /= np.sqrt((cubic**2).sum(axis=1, keepdims=True))  # the same deviation everywhere
    weights = np.zeros((size, int(position[-1]) + 4), dtype=np.float32)
    np.put_along_axis(weights, columns, cubic.astype(np.float32), axis=1)
    return weights


def fine_field(rng: np.random.Generator, shape: tuple[int, ...], sigma: float) -> Field:
    """Return blurred white noise of mean 0 and standard deviation 1.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of all randomness.
    shape : tuple of int
        Shape of the field in pixels.
    sigma : float
        Blur in pixels; the grains are about twice as wide.
    """
    noise = gaussian_filter(
        rng.standard_normal(shape).astype(np.float32), sigma, mode="wrap", truncate=3
    )
    return np.asarray(noise / max(float(noise.std()), 1e-6), dtype=np.float32)


def soft_step(values: NDArray[np.floating], width: float) -> Field:
    """Return 0 far below zero and 1 far above, passing over in about ``width``."""
    return np.asarray(0.5 + 0.5 * np.tanh(values * (2.0 / width)), dtype=np.float32)
