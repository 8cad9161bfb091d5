"""A small volume: sections through the same cells, with synapses at points with labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_quac.data.synthetic_em.noise import smooth_field
from napari_quac.data.synthetic_em.scene import PATCH_SIZE, add_density, draw_microscope
from napari_quac.data.synthetic_em.section import draw_mitochondria, paint_section
from napari_quac.data.synthetic_em.synapse import CLASSES, Synapse, densities, draw_synapse
from napari_quac.data.synthetic_em.tissue import Cells, Tissue, bend, cut, scatter_cells

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


def draw_volume(
    seed: int | tuple[int, ...], shape: tuple[int, int, int] = (12, 512, 512), per_section: int = 3
) -> SyntheticVolume:
    """Draw a volume.

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
        synapses = _find_sites(
            rng, tissue, per_section, [(y, x) for k, y, x in points if z - k < 2]
        )
        gray = paint_section(rng, tissue, synapses, mitochondria)
        for synapse in synapses:
            label = len(labels) % len(CLASSES)
            gray = add_density(gray, densities(rng, tissue, synapse)[label])
            points.append((z, *tissue.pixel_at(synapse.y, synapse.x)))
            labels.append(label)
        picture = draw_microscope(rng, (height, width)).image(gray)
        image[z] = np.round(picture * 255).astype(np.uint8)
    return SyntheticVolume(
        image, np.array(points, dtype=np.intp).reshape(-1, 3), np.array(labels, dtype=np.intp)
    )


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
