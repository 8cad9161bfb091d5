"""Cells that fill the plane, and the distance of each pixel to their membranes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_quac.data.synthetic_em.noise import Field, smooth_field

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
    return np.stack(
        [
            strength * smooth_field(rng, shape, knots) + 0.9 * smooth_field(rng, shape, fine)
            for _ in range(2)
        ]
    ).astype(np.float32)


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
