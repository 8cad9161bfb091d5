"""Cells that fill the plane, the distance of each pixel to their membranes, and random fields."""

from __future__ import annotations

from dataclasses import dataclass
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


TILE = 32  # pixels; distances in a tile are computed for nearby cells only
REACH = 24  # pixels; more than the largest displacement by bending


@dataclass(frozen=True, eq=False)
class Cells:
    """Cells as a weighted Voronoi diagram: each pixel belongs to the nearest cell.

    Attributes
    ----------
    centers : (K, 2) ndarray, float32
        Position y, x in pixels.
    sizes : (K,) ndarray, float32
        Subtracted from the distance, in pixels: larger cells push the membrane away, which
        makes it curve around smaller cells.
    """

    centers: Field
    sizes: Field


@dataclass(frozen=True, eq=False)
class Tissue:
    """Cells seen in one section.

    Attributes
    ----------
    cells : Cells
    y, x : (H, W) ndarray, float32
        Position of each pixel in the plane of the cells, which is bent against the section.
    first, second : (H, W) ndarray, int
        The cell of each pixel, and the next one.
    depth : (H, W) ndarray, float32
        Distance to the nearest membrane in pixels.
    """

    cells: Cells
    y: Field
    x: Field
    first: NDArray[np.intp]
    second: NDArray[np.intp]
    depth: Field

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        height, width = self.depth.shape
        return height, width

    def distance(self, cell: int, window: tuple[slice, slice]) -> Field:
        """Return the distance of pixels to one cell, less the cell's size."""
        dy = self.y[window] - self.cells.centers[cell, 0]
        dx = self.x[window] - self.cells.centers[cell, 1]
        return np.asarray(np.hypot(dy, dx) - self.cells.sizes[cell], dtype=np.float32)

    def pixel_at(self, y: float, x: float) -> tuple[int, int]:
        """Return the pixel that shows a point of the plane."""
        top, left = (
            int(np.clip(place - REACH, 0, size - 1))
            for place, size in zip((y, x), self.shape, strict=True)
        )
        window = (slice(top, top + 2 * REACH + 1), slice(left, left + 2 * REACH + 1))
        far = (self.y[window] - np.float32(y)) ** 2 + (self.x[window] - np.float32(x)) ** 2
        row, column = np.unravel_index(int(far.argmin()), far.shape)
        return top + int(row), left + int(column)


def bend(rng: np.random.Generator, shape: tuple[int, ...], strength: float = 4.0) -> Field:
    """Return a smooth displacement (2, *shape) in pixels that makes membranes wavy."""
    knots = (4,) * (len(shape) - 2) + (26, 26)
    fine = (4,) * (len(shape) - 2) + (11, 11)

    def field() -> Field:
        return strength * smooth_field(rng, shape, knots) + 0.9 * smooth_field(rng, shape, fine)

    return np.stack([field(), field()]).astype(np.float32)


def cut(cells: Cells, displacement: Field) -> Tissue:
    """Section the cells: find the owner of each pixel and its distance to the membrane.

    Parameters
    ----------
    cells : Cells
        Cells to cut.
    displacement : (2, H, W) ndarray, float32
        See :func:`bend`.
    """
    height, width = displacement.shape[1:]
    rows = np.arange(height, dtype=np.float32)[:, None] + displacement[0]
    columns = np.arange(width, dtype=np.float32)[None, :] + displacement[1]
    first = np.empty((height, width), dtype=np.intp)
    second = np.empty((height, width), dtype=np.intp)
    depth = np.empty((height, width), dtype=np.float32)
    for top in range(0, height, TILE):
        for left in range(0, width, TILE):
            window = (slice(top, top + TILE), slice(left, left + TILE))
            first[window], second[window], depth[window] = _owners(
                cells, rows[window], columns[window]
            )
    return Tissue(cells, rows, columns, first, second, depth)


def _owners(
    cells: Cells, rows: Field, columns: Field
) -> tuple[NDArray[np.intp], NDArray[np.intp], Field]:
    """Return nearest cell, next cell and half the difference of their distances."""
    middle = np.array([rows.mean(), columns.mean()], dtype=np.float32)
    far = np.hypot(*(cells.centers - middle).T) - cells.sizes
    radius = np.hypot(np.abs(rows - middle[0]).max(), np.abs(columns - middle[1]).max())
    near = np.flatnonzero(far <= np.partition(far, 1)[1] + 2 * radius)
    distances = np.stack(
        [
            np.sqrt((rows - cells.centers[cell, 0]) ** 2 + (columns - cells.centers[cell, 1]) ** 2)
            - cells.sizes[cell]
            for cell in near
        ]
    )
    nearest = distances.argmin(axis=0)
    lowest = distances.min(axis=0)
    np.put_along_axis(distances, nearest[None], np.inf, axis=0)
    return (
        near[nearest],
        near[distances.argmin(axis=0)],
        np.asarray((distances.min(axis=0) - lowest) / 2, dtype=np.float32),
    )


def scatter_cells(
    rng: np.random.Generator, shape: tuple[int, int], spacing: float, existing: NDArray[np.floating]
) -> Field:
    """Return cell centers (K, 2), about evenly spread and at a distance from existing ones.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of all randomness.
    shape : tuple of int
        Height and width of the section; cells lie up to two spacings outside as well.
    spacing : float
        Least distance between centers in pixels.
    existing : (K0, 2) ndarray
        Existing centers; they come first.
    """
    margin = 1.5 * spacing
    low, high = np.array([-margin, -margin]), np.array(shape) + margin
    n_tries = int(5 * np.prod(high - low) / spacing**2)
    tries = rng.uniform(low, high, size=(n_tries, 2))
    centers = np.empty((len(existing) + n_tries, 2))
    centers[: len(existing)] = existing
    count = len(existing)
    for candidate in tries:
        gaps = ((centers[:count] - candidate) ** 2).sum(axis=1)
        if gaps.min(initial=np.inf) >= spacing**2:
            centers[count] = candidate
            count += 1
    return centers[:count].astype(np.float32)
