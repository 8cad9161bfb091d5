"""Drawn scenes: a synapse in its surroundings, and a volume of sections through the same cells."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from napari_quac.data.synthetic_em.section import (
    CLASSES,
    Synapse,
    densities,
    draw_mitochondria,
    draw_synapse,
    paint_section,
)
from napari_quac.data.synthetic_em.tissue import (
    Cells,
    Field,
    Tissue,
    bend,
    cut,
    fine_field,
    scatter_cells,
    smooth_field,
)
from napari_quac.stepwise import Progress, stepwise

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
        grays = map(self._gray, range(len(self.darkness)))
        return [self.microscope.image(gray, with_grain=False) for gray in grays]

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


SPACING = 0.85 * PATCH_SIZE  # least distance between synapses of neighboring sections
Z_KNOT = 4  # sections over which cells and membranes move noticeably


@dataclass(frozen=True, eq=False)
class SyntheticVolume:
    """A drawn volume.

    Attributes
    ----------
    image : (Z, H, W) ndarray, uint8
    points : (n, 3) ndarray, int
        Voxel z, y, x of each synapse; a whole patch around it lies inside of the section.
    labels : (n,) ndarray, int
        Class of each synapse.
    """

    image: NDArray[np.uint8]
    points: NDArray[np.intp]
    labels: NDArray[np.intp]


@stepwise
def draw_volume(
    seed: int | tuple[int, ...], shape: tuple[int, int, int] = (12, 512, 512), per_section: int = 3
) -> Generator[Progress, None, SyntheticVolume]:
    """Draw a volume, one section in each step.

    Parameters
    ----------
    seed : int or tuple of int
        Seed of the random numbers.
    shape : tuple of int
        Sections, height and width.
    per_section : int
        Synapses in each section, at most.
    """
    rng = np.random.default_rng(seed)
    n_sections, height, width = shape
    centers = scatter_cells(rng, (height, width), 42.0, np.empty((0, 2)))
    sizes = rng.uniform(-8, 24, len(centers)).astype(np.float32)
    drift = 7 * smooth_field(rng, (n_sections, 2 * len(centers)), (Z_KNOT, 1))
    drift = drift.reshape(n_sections, *centers.shape)
    displacement = bend(rng, shape)
    mitochondria = draw_mitochondria(rng, len(centers))
    image = np.empty(shape, dtype=np.uint8)
    points: list[tuple[int, int, int]] = []
    labels: list[int] = []
    for z in range(n_sections):
        tissue = cut(Cells(centers + drift[z], sizes), displacement[:, z])
        occupied = [(y, x) for k, y, x in points if z - k < 2]
        synapses = _find_sites(rng, tissue, per_section, occupied)
        gray = paint_section(rng, tissue, synapses, mitochondria)
        for synapse in synapses:
            label = len(labels) % len(CLASSES)
            gray = add_density(gray, densities(rng, tissue, synapse)[label])
            points.append((z, *tissue.pixel_at(synapse.y, synapse.x)))
            labels.append(label)
        picture = draw_microscope(rng, (height, width)).image(gray)
        image[z] = np.round(picture * 255).astype(np.uint8)
        yield Progress(z + 1, n_sections, f"drawing section {z + 1} of {n_sections}")
    voxels = np.array(points, dtype=np.intp).reshape(-1, 3)
    return SyntheticVolume(image, voxels, np.array(labels, dtype=np.intp))


def _find_sites(
    rng: np.random.Generator, tissue: Tissue, count: int, occupied: list[tuple[int, int]]
) -> list[Synapse]:
    """Return synapses on long borders between two cells, away from each other and from others."""
    half = PATCH_SIZE // 2
    spots = np.argwhere(tissue.depth[half:-half, half:-half] < 0.5) + half
    rng.shuffle(spots)
    for spot in occupied:
        spots = spots[np.hypot(*(spots - spot).T) >= SPACING]
    synapses: list[Synapse] = []
    while len(spots) and len(synapses) < count:
        synapse = _synapse_at(rng, tissue, int(spots[0, 0]), int(spots[0, 1]))
        radius = 4.0 if synapse is None else SPACING
        if synapse is not None:
            synapses.append(synapse)
        spots = spots[np.hypot(*(spots - spots[0]).T) >= radius]
    return synapses


def _synapse_at(rng: np.random.Generator, tissue: Tissue, row: int, column: int) -> Synapse | None:
    """Return a synapse on the border at a pixel, or None where the border is too short."""
    cells = [int(tissue.first[row, column]), int(tissue.second[row, column])]
    pre, post = sorted(cells, key=lambda cell: -float(tissue.cells.sizes[cell]))
    site = np.array([tissue.y[row, column], tissue.x[row, column]], dtype=np.float64)
    centers = tissue.cells.centers.astype(np.float64)
    towards = centers[[pre, post]] - site
    far = np.hypot(*towards.T)
    if far[0] < 30 or far[1] < 22:
        return None
    normal = towards[0] / far[0] - towards[1] / far[1]
    normal /= np.hypot(*normal)
    along = np.array([-normal[1], normal[0]])
    others = np.delete(np.arange(len(centers)), [pre, post])
    for shift in (-20, 0, 20):
        gaps = np.hypot(*(centers - (site + shift * along)).T) - tissue.cells.sizes
        if gaps[others].min() < gaps[[pre, post]].min() + 10:
            return None
    angle = float(np.arctan2(normal[1], normal[0]))
    return draw_synapse(rng, pre, post, float(site[0]), float(site[1]), angle)
