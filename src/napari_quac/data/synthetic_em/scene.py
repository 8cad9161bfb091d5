"""A synapse in its surroundings, which can be rendered with the density of any class."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from napari_quac.data.synthetic_em.noise import Field, fine_field, smooth_field
from napari_quac.data.synthetic_em.section import draw_mitochondria, paint_section
from napari_quac.data.synthetic_em.synapse import Synapse, densities, draw_synapse
from napari_quac.data.synthetic_em.tissue import Cells, bend, cut, scatter_cells

PATCH_SIZE = 128  # pixels
DENSITY_GRAY = 0.10
VISIBLE = 0.04  # smallest change of gray, on the range [0, 1], that counts as a difference


@dataclass(frozen=True, eq=False)
class Microscope:
    """The effects of the microscope between section and file.

    Attributes
    ----------
    blur : float
        Standard deviation in pixels.
    gain, offset : float
        Contrast and brightness.
    grain : (H, W) ndarray, float32
        Additive noise, and slow changes of brightness.
    """

    blur: float
    gain: float
    offset: float
    grain: Field

    def image(self, gray: Field, with_grain: bool = True) -> Field:
        """Return the picture of a section, float32 in [0, 1]."""
        blurred = gaussian_filter(gray, self.blur, mode="nearest", truncate=3)
        image = (blurred - 0.5) * self.gain + 0.5 + self.offset
        if with_grain:
            image = image + self.grain
        return np.asarray(np.clip(image, 0, 1), dtype=np.float32)


def draw_microscope(rng: np.random.Generator, shape: tuple[int, int]) -> Microscope:
    """Draw blur, contrast, brightness and grain."""
    grain = rng.uniform(0.03, 0.05) * fine_field(rng, shape, 0.55)
    grain = grain + 0.015 * fine_field(rng, shape, 1.3) + 0.025 * smooth_field(rng, shape, (70, 70))
    return Microscope(
        blur=float(rng.uniform(0.55, 0.9)),
        gain=float(rng.uniform(0.9, 1.15)),
        offset=float(rng.uniform(-0.05, 0.05)),
        grain=grain.astype(np.float32),
    )


def add_density(gray: Field, darkness: Field) -> Field:
    """Return a section with a density drawn into it."""
    return np.asarray(gray + darkness * (DENSITY_GRAY - gray), dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Scene:
    """A drawn scene; the classes share everything except for ``darkness``.

    Attributes
    ----------
    synapse : Synapse
    site : tuple of int
        Pixel (row, column) of the middle of the cleft.
    surroundings : (H, W) ndarray, float32
        Gray of the section without any density.
    darkness : (K, H, W) ndarray, float32 in [0, 1]
        Darkness of the density of each class.
    microscope : Microscope
    """

    synapse: Synapse
    site: tuple[int, int]
    surroundings: Field
    darkness: Field
    microscope: Microscope

    def _gray(self, label: int) -> Field:
        return add_density(self.surroundings, self.darkness[label])

    def render(self, label: int) -> Field:
        """Return the image of the scene with the density of one class, (H, W) in [0, 1]."""
        return self.microscope.image(self._gray(label))

    @cached_property
    def _clean(self) -> list[Field]:
        return [
            self.microscope.image(self._gray(label), with_grain=False)
            for label in range(len(self.darkness))
        ]

    def difference(self, label: int, other: int) -> NDArray[np.bool_]:
        """Return which pixels differ visibly between two classes, noise left aside, (H, W)."""
        return np.asarray(np.abs(self._clean[label] - self._clean[other]) > VISIBLE)


def draw_scene(seed: int | tuple[int, ...], size: int = PATCH_SIZE) -> Scene:
    """Draw the scene of one patch, with its synapse near the middle.

    Parameters
    ----------
    seed : int or tuple of int
        Decides everything.
    size : int
        Height and width in pixels.

    Returns
    -------
    scene : Scene
    """
    rng = np.random.default_rng(seed)
    y, x = size / 2 + rng.uniform(-10, 10, size=2)
    angle = rng.uniform(0, 2 * np.pi)
    cells = _cells_around(rng, (size, size), float(y), float(x), float(angle))
    tissue = cut(cells, bend(rng, (size, size)))
    synapse = draw_synapse(rng, 0, 1, float(y), float(x), float(angle))
    mitochondria = draw_mitochondria(rng, len(cells.sizes))
    surroundings = paint_section(rng, tissue, [synapse], mitochondria)
    return Scene(
        synapse,
        tissue.pixel_at(synapse.y, synapse.x),
        surroundings,
        densities(rng, tissue, synapse),
        draw_microscope(rng, (size, size)),
    )


def _cells_around(
    rng: np.random.Generator, shape: tuple[int, int], y: float, x: float, angle: float
) -> Cells:
    """Return cells of which the first two touch at (y, x), the first in direction ``angle``."""
    normal = np.array([np.cos(angle), np.sin(angle)])
    along = np.array([-np.sin(angle), np.cos(angle)])
    site = np.array([y, x])
    pre, post = rng.uniform(36, 56), rng.uniform(24, 44)
    pair = np.stack([site + pre * normal, site - post * normal])
    centers = scatter_cells(rng, shape, float(rng.uniform(34, 46)), pair)
    sizes = rng.uniform(-8, 8, len(centers))
    sizes[:2] = pre - 20, post - 20  # both are 20 away from the site
    free = np.ones(len(centers), dtype=bool)
    for shift in (-20, 0, 20):  # the border between the two must not be cut short
        far = np.hypot(*(centers - (site + shift * along)).T) - sizes
        free &= far > far[:2].min() + 8
    free[:2] = True
    return Cells(centers[free].astype(np.float32), sizes[free].astype(np.float32))
