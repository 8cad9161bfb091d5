"""Sections through tissue: organelles, membranes, and synapses with the density of a class."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_quac.data.synthetic_em.tissue import Field, Tissue, fine_field, smooth_field, soft_step

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


CLASSES = ("T-bar", "PSD", "plain")

MEMBRANE_GAP = 1.3  # pixels from the border of two cells to each membrane
CLEFT_GAP = 3.0  # the same at a synapse
REACH = 34  # pixels around a synapse that its parts can cover


@dataclass(frozen=True)
class Synapse:
    """Place and shape of a synapse, which do not depend on its class.

    Attributes
    ----------
    pre, post : int
        The cell with the vesicles and the cell opposite.
    y, x : float
        Middle of the cleft, in pixels of the bent plane of the tissue.
    angle : float
        Direction into the presynaptic cell, radians from the y axis to the x axis.
    size : float
        Factor on all lengths of the densities.
    strength : float in [0, 1]
        Darkness of the density, if any.
    bar_tilt, bar_shift : float
        Slope of the T-bar's top against the membrane; its shift along the membrane in pixels.
    psd_length, psd_thickness : float
        Half length along the membrane and thickness of the postsynaptic density, in pixels.
    """

    pre: int
    post: int
    y: float
    x: float
    angle: float
    size: float
    strength: float
    bar_tilt: float
    bar_shift: float
    psd_length: float
    psd_thickness: float


def draw_synapse(
    rng: np.random.Generator, pre: int, post: int, y: float, x: float, angle: float
) -> Synapse:
    """Draw the shape of a synapse; about one in twelve is faint."""
    faint = rng.random() < 0.08
    return Synapse(
        pre,
        post,
        y,
        x,
        angle,
        size=float(rng.uniform(0.9, 1.2)),
        strength=float(rng.uniform(0.12, 0.35) if faint else rng.uniform(0.75, 0.97)),
        bar_tilt=float(rng.uniform(-0.2, 0.2)),
        bar_shift=float(rng.uniform(-4, 4)),
        psd_length=float(rng.uniform(14, 20)),
        psd_thickness=float(rng.uniform(6.0, 8.5)),
    )


def _frame(tissue: Tissue, synapse: Synapse) -> tuple[tuple[slice, slice], Field, Field]:
    """Return window, position along the membrane, and signed distance from it (pre > 0)."""
    row, column = tissue.pixel_at(synapse.y, synapse.x)
    rows = slice(max(row - REACH, 0), row + REACH + 1)
    window = (rows, slice(max(column - REACH, 0), column + REACH + 1))
    across = (tissue.distance(synapse.post, window) - tissue.distance(synapse.pre, window)) / 2
    along = -np.sin(synapse.angle) * (tissue.y[window] - np.float32(synapse.y))
    along = along + np.cos(synapse.angle) * (tissue.x[window] - np.float32(synapse.x))
    return window, along.astype(np.float32), across.astype(np.float32)


def widen_cleft(gap: Field, tissue: Tissue, synapse: Synapse) -> None:
    """Widen the gap between the two cells of a synapse, in place."""
    window, along, _ = _frame(tissue, synapse)
    cells = (synapse.pre, synapse.post)
    here = np.isin(tissue.first[window], cells) & np.isin(tissue.second[window], cells)
    inside = soft_step(19 * synapse.size - np.abs(along), 5)
    gap[window] += (CLEFT_GAP - MEMBRANE_GAP) * inside * here


def paint_vesicle_cluster(
    rng: np.random.Generator, image: Field, tissue: Tissue, synapse: Synapse, n_vesicles: int
) -> None:
    """Draw vesicles in the presynaptic cell, close to the synapse but clear of its densities."""
    window, along, across = _frame(tissue, synapse)
    top, left = window[0].start, window[1].start
    spots = tissue.pixel_at(synapse.y, synapse.x) + rng.normal(0, 24, size=(n_vesicles * 8, 2))
    placed: list[tuple[float, float]] = []
    for y, x in spots:
        row, column = round(float(y)), round(float(x))
        if not (0 <= row < tissue.shape[0] and 0 <= column < tissue.shape[1]):
            continue
        if tissue.first[row, column] != synapse.pre or tissue.depth[row, column] < 6.5:
            continue
        if any((y - py) ** 2 + (x - px) ** 2 < 9.5**2 for py, px in placed):
            continue
        if row - top in range(along.shape[0]) and column - left in range(along.shape[1]):
            u, v = along[row - top, column - left], across[row - top, column - left]
            if abs(u) < 19 * synapse.size and v < 20 * synapse.size:
                continue
        placed.append((y, x))
        paint_vesicle(image, y, x, rng.uniform(3.6, 4.8), rng.uniform(0.6, 0.85))
        if len(placed) == n_vesicles:
            return


def densities(rng: np.random.Generator, tissue: Tissue, synapse: Synapse) -> Field:
    """Return the darkness that each class adds to the image.

    Parameters
    ----------
    rng : numpy.random.Generator
        Draws the roughness of the densities, the same for all classes.
    tissue : Tissue
        The cells.
    synapse : Synapse
        Its place and shape.

    Returns
    -------
    darkness : (K, H, W) ndarray, float32 in [0, 1]
        In the order of ``CLASSES``; zero for ``"plain"``.
    """
    darkness = np.zeros((len(CLASSES), *tissue.shape), dtype=np.float32)
    window, along, across = _frame(tissue, synapse)
    rough = 1 + 0.12 * fine_field(rng, along.shape, 1.5)
    wobble = fine_field(rng, along.shape, 3.0)
    size = synapse.size
    u, v = along - synapse.bar_shift, across + 0.35 * wobble
    pedestal = soft_step(3.8 * size - np.abs(u), 2) * soft_step(11 * size - v, 2)
    middle = 11.0 * size + synapse.bar_tilt * u + 0.006 * u**2
    platform = soft_step(3.4 * size - np.abs(v - middle), 2)
    platform *= soft_step(12 * size - np.abs(u), 3)
    in_pre = soft_step(v - 1.5, 1.5) * (tissue.first[window] == synapse.pre)
    darkness[0][window] = np.maximum(pedestal, platform) * in_pre
    depth = -v  # into the postsynaptic cell
    fuzzy = soft_step(synapse.psd_thickness * size + CLEFT_GAP - depth + 0.8 * wobble, 4)
    band = fuzzy * soft_step(synapse.psd_length * size - np.abs(along), 5)
    in_post = soft_step(depth - 1.5, 1.5) * (tissue.first[window] == synapse.post)
    darkness[1][window] = band * in_post
    darkness[:, window[0], window[1]] *= rough
    return np.asarray(np.clip(synapse.strength * darkness, 0, 1), dtype=np.float32)


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
        radius, strength = float(rng.uniform(3.6, 5.5)), float(rng.uniform(0.4, 0.8))
        paint_vesicle(image, row, column, radius, strength)
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
