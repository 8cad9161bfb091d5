"""The synapse: its cleft, and the density that defines the class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_quac.data.synthetic_em.noise import Field, fine_field, soft_step
from napari_quac.data.synthetic_em.organelles import paint_vesicle
from napari_quac.data.synthetic_em.tissue import Tissue

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
    window = (
        slice(max(row - REACH, 0), row + REACH + 1),
        slice(max(column - REACH, 0), column + REACH + 1),
    )
    across = (tissue.distance(synapse.post, window) - tissue.distance(synapse.pre, window)) / 2
    along = -np.sin(synapse.angle) * (tissue.y[window] - np.float32(synapse.y))
    along = along + np.cos(synapse.angle) * (tissue.x[window] - np.float32(synapse.x))
    return window, along.astype(np.float32), across.astype(np.float32)


def widen_cleft(gap: Field, tissue: Tissue, synapse: Synapse) -> None:
    """Widen the gap between the two cells of a synapse, in place."""
    window, along, _ = _frame(tissue, synapse)
    cells = (synapse.pre, synapse.post)
    here = np.isin(tissue.first[window], cells) & np.isin(tissue.second[window], cells)
    gap[window] += (
        (CLEFT_GAP - MEMBRANE_GAP) * soft_step(19 * synapse.size - np.abs(along), 5) * here
    )


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
