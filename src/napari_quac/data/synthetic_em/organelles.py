"""Membranes, vesicles and mitochondria: contents of cells that do not depend on the class."""

from __future__ import annotations

import numpy as np

from napari_quac.data.synthetic_em.noise import Field, fine_field, smooth_field, soft_step
from napari_quac.data.synthetic_em.tissue import Tissue

MEMBRANE_GRAY = 0.18


def paint_cytoplasm(rng: np.random.Generator, tissue: Tissue) -> Field:
    """Return the cells without membranes, gray in [0, 1]: shade, mottling, granules."""
    n_cells = len(tissue.cells.sizes)
    shade = rng.normal(0.70, 0.035, n_cells) - 0.13 * (rng.random(n_cells) < 0.15)
    image = shade.astype(np.float32)[tissue.first]
    shape = tissue.shape
    image += 0.05 * fine_field(rng, shape, 1.5) + 0.03 * smooth_field(rng, shape, (9, 9))
    granules = fine_field(rng, shape, 1.2) + 0.5 * smooth_field(rng, shape, (20, 20))
    image -= 0.16 * soft_step(granules - 1.7, 0.7)
    return np.asarray(image, dtype=np.float32)


def paint_membranes(rng: np.random.Generator, image: Field, tissue: Tissue, gap: Field) -> None:
    """Draw both membranes along every border between cells.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of all randomness.
    image : (H, W) ndarray
        Changed in place.
    tissue : Tissue
        Where the borders are.
    gap : (H, W) ndarray
        Half the distance between the two membranes in pixels.
    """
    strength = 0.86 + 0.10 * smooth_field(rng, tissue.shape, (20, 20))
    line = np.exp(-0.5 * ((tissue.depth - gap) / 1.05) ** 2)
    between = soft_step(gap - tissue.depth, 1.0)
    image -= (0.22 * between * np.clip(image - 0.42, 0, 1) / 0.3).astype(np.float32)
    dark = np.clip(line * strength, 0, 0.97)
    image += dark * (MEMBRANE_GRAY - image)


def _window(image: Field, y: float, x: float, reach: float) -> tuple[slice, slice]:
    """Return the part of an image within ``reach`` of a point, empty if that is outside."""
    top, left = max(int(y - reach), 0), max(int(x - reach), 0)
    bottom = min(int(y + reach) + 2, image.shape[0])
    right = min(int(x + reach) + 2, image.shape[1])
    return slice(top, max(bottom, top)), slice(left, max(right, left))


def _offsets(window: tuple[slice, slice], y: float, x: float) -> tuple[Field, Field]:
    """Return distances along y and x from a point, for the pixels of a window."""
    rows = np.arange(window[0].start, window[0].stop, dtype=np.float32)[:, None] - np.float32(y)
    columns = np.arange(window[1].start, window[1].stop, dtype=np.float32)[None, :] - np.float32(x)
    return rows, columns


def paint_vesicle(
    image: Field, y: float, x: float, radius: float, strength: float, core: float = 0.0
) -> None:
    """Draw one vesicle, a ring; with ``core`` > 0 its inside is dark.

    Parameters
    ----------
    image : (H, W) ndarray
        Changed in place.
    y, x, radius : float
        In pixels.
    strength, core : float in [0, 1]
        Darkness of the ring and of the inside.
    """
    window = _window(image, y, x, radius + 4)
    rows, columns = _offsets(window, y, x)
    r = np.hypot(rows, columns)
    ring = strength * np.exp(-0.5 * ((r - radius) / 0.95) ** 2)
    part = image[window]
    part += ring * (0.25 - part)
    if core > 0:
        part += core * soft_step(radius - 1.6 - r, 1.6) * (0.14 - part)


def paint_cistern(
    image: Field, y: float, x: float, radii: tuple[float, float], angle: float, strength: float
) -> None:
    """Draw a flat sac of endoplasmic reticulum, or with equal radii a microtubule.

    Parameters
    ----------
    image : (H, W) ndarray
        Changed in place.
    y, x : float
        Center in pixels.
    radii : tuple of float
        Long and short radius in pixels.
    angle : float
        Direction of the long radius in radians.
    strength : float in [0, 1]
        Darkness of its membrane.
    """
    window = _window(image, y, x, radii[0] + 4)
    rows, columns = _offsets(window, y, x)
    along = np.cos(angle) * rows + np.sin(angle) * columns
    across = -np.sin(angle) * rows + np.cos(angle) * columns + 0.012 * along**2
    beyond = np.maximum(np.abs(along) - (radii[0] - radii[1]), 0)
    r = np.hypot(beyond, across)
    part = image[window]
    part += strength * np.exp(-0.5 * ((r - radii[1]) / 0.9) ** 2) * (0.25 - part)


def paint_mitochondrion(
    image: Field, y: float, x: float, radii: tuple[float, float], angle: float, look: int
) -> None:
    """Draw one mitochondrion: two membranes, a dark matrix and cristae across.

    Parameters
    ----------
    image : (H, W) ndarray
        Changed in place.
    y, x : float
        Center in pixels.
    radii : tuple of float
        Long and short radius in pixels.
    angle : float
        Direction of the long radius in radians.
    look : int
        Seed of the cristae, so that one mitochondrion looks alike in neighboring sections.
    """
    rng = np.random.default_rng(look)
    window = _window(image, y, x, radii[0] + 4)
    rows, columns = _offsets(window, y, x)
    part = image[window]
    along = np.cos(angle) * rows + np.sin(angle) * columns
    across = -np.sin(angle) * rows + np.cos(angle) * columns
    r = np.hypot(along / radii[0], across / radii[1])
    inside = (1 - r) * radii[1]  # about the distance to the outer membrane
    phase = rng.uniform(0, 2 * np.pi) + 0.9 * np.sin(across / 4.5 + rng.uniform(0, 6))
    cristae = soft_step(np.sin(2 * np.pi * along / rng.uniform(6.0, 7.5) + phase) - 0.1, 1.0)
    matrix = 0.50 - 0.26 * cristae * soft_step(inside - 4, 2)
    part += soft_step(inside, 1.2) * (matrix.astype(np.float32) - part)
    part += 0.8 * np.exp(-0.5 * (inside / 1.0) ** 2) * (MEMBRANE_GRAY - part)
    part += 0.7 * np.exp(-0.5 * ((inside - 3.2) / 0.9) ** 2) * (MEMBRANE_GRAY + 0.05 - part)
