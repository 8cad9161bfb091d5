"""Sections through tissue, with all structures that do not depend on a class."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_quac.data.synthetic_em.noise import Field, smooth_field, soft_step
from napari_quac.data.synthetic_em.organelles import (
    paint_cistern,
    paint_cytoplasm,
    paint_membranes,
    paint_mitochondrion,
    paint_vesicle,
)
from napari_quac.data.synthetic_em.synapse import (
    MEMBRANE_GAP,
    Synapse,
    paint_vesicle_cluster,
    widen_cleft,
)
from napari_quac.data.synthetic_em.tissue import Tissue

AREA = 128**2  # pixels; the numbers of organelles below refer to this area


@dataclass(frozen=True)
class Mitochondrion:
    """A mitochondrion, which follows its cell through the sections.

    Attributes
    ----------
    cell : int
    y, x : float
        Distance from the cell's center in pixels.
    elongation : float
        Long radius by short radius.
    angle : float
        Direction of the long radius in radians.
    look : int
        Seed of its cristae.
    """

    cell: int
    y: float
    x: float
    elongation: float
    angle: float
    look: int


def draw_mitochondria(rng: np.random.Generator, n_cells: int) -> tuple[Mitochondrion, ...]:
    """Draw mitochondria for about a quarter of the cells."""
    return tuple(
        Mitochondrion(
            cell,
            y=float(rng.normal(0, 5)),
            x=float(rng.normal(0, 5)),
            elongation=float(rng.uniform(1.0, 1.35)),
            angle=float(rng.uniform(0, np.pi)),
            look=int(rng.integers(1 << 31)),
        )
        for cell in np.flatnonzero(rng.random(n_cells) < 0.25).tolist()
    )


def paint_section(
    rng: np.random.Generator,
    tissue: Tissue,
    synapses: Sequence[Synapse],
    mitochondria: Sequence[Mitochondrion],
) -> Field:
    """Return the gray of a section without densities.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of all randomness.
    tissue : Tissue
        The cells.
    synapses : sequence of Synapse
        Synapses, which determine clefts and vesicles.
    mitochondria : sequence of Mitochondrion
        Skipped if their cell is too narrow or a synapse is near.

    Returns
    -------
    gray : (H, W) ndarray, float32, about [0, 1]
    """
    image = paint_cytoplasm(rng, tissue)
    sites = np.array([tissue.pixel_at(s.y, s.x) for s in synapses], dtype=np.intp).reshape(-1, 2)
    gap = np.full(tissue.shape, MEMBRANE_GAP, dtype=np.float32)
    for synapse in synapses:
        widen_cleft(gap, tissue, synapse)
        paint_vesicle_cluster(rng, image, tissue, synapse, int(rng.integers(10, 26)))
    for mitochondrion in mitochondria:
        _place(image, tissue, mitochondrion, sites)
    _scatter(rng, image, tissue, sites)
    image -= _smudges(rng, tissue, sites)
    paint_membranes(rng, image, tissue, gap)
    return image


def _place(
    image: Field, tissue: Tissue, mitochondrion: Mitochondrion, sites: NDArray[np.intp]
) -> None:
    """Draw a mitochondrion if there is room for it."""
    center = tissue.cells.centers[mitochondrion.cell] + (mitochondrion.y, mitochondrion.x)
    height, width = tissue.shape
    if not (-12 <= center[0] < height + 12 and -12 <= center[1] < width + 12):
        return
    row, column = tissue.pixel_at(*center)
    room = float(tissue.depth[row, column]) - 2
    clearance = np.hypot(*(sites - (row, column)).T).min(initial=np.inf)
    if tissue.first[row, column] != mitochondrion.cell or room < 10 or clearance < 38:
        return
    short = min(room, 17.0)
    radii = (short * mitochondrion.elongation, short)
    paint_mitochondrion(image, row, column, radii, mitochondrion.angle, mitochondrion.look)


def _scatter(
    rng: np.random.Generator, image: Field, tissue: Tissue, sites: NDArray[np.intp]
) -> None:
    """Draw scattered dense-core vesicles, vesicles, cisterns and microtubules."""
    area = image.size / AREA

    def spots(count: float, depth: float) -> Iterator[tuple[int, int]]:
        tries = rng.integers((0, 0), tissue.shape, size=(rng.poisson(count * area), 2))
        inside = tissue.depth[tries[:, 0], tries[:, 1]] >= depth
        gaps = np.hypot(*(tries[:, None] - sites[None]).transpose(2, 0, 1))
        for row, column in tries[inside & (gaps.min(axis=1, initial=np.inf) >= 27)]:
            yield int(row), int(column)

    for row, column in spots(4, 8):
        core = float(rng.uniform(0.4, 0.9))
        paint_vesicle(image, row, column, float(rng.uniform(5, 6.5)), 0.7, core)
    for row, column in spots(16, 7):
        paint_vesicle(
            image, row, column, float(rng.uniform(3.6, 5.5)), float(rng.uniform(0.4, 0.8))
        )
    for row, column in spots(8, 6):
        radii = (float(rng.uniform(6, 12)), float(rng.uniform(1.8, 3.0)))
        angle, strength = float(rng.uniform(0, np.pi)), float(rng.uniform(0.3, 0.6))
        paint_cistern(image, row, column, radii, angle, strength)
    for row, column in spots(16, 5):
        paint_cistern(image, row, column, (2.6, 2.6), 0.0, float(rng.uniform(0.3, 0.6)))


def _smudges(rng: np.random.Generator, tissue: Tissue, sites: NDArray[np.intp]) -> Field:
    """Return the darkness around membranes that were cut at a slant, away from synapses."""
    smudges = soft_step(smooth_field(rng, tissue.shape, (30, 30)) - 1.1, 0.6)
    rows, columns = np.indices(tissue.shape, sparse=True)
    for row, column in sites:
        far = np.hypot(rows - row, columns - column).astype(np.float32)
        smudges *= soft_step(far - 34, 10)
    return np.asarray(0.22 * smudges * np.exp(-0.5 * (tissue.depth / 5.0) ** 2), dtype=np.float32)
