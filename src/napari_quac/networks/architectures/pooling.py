"""The downsampling of VGG-like networks, which a state dict does not store."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from napari_quac.data.place import extent

Factors = tuple[int, ...]

SYNISTER_SIZE = (16, 160, 160)  # voxels; the input of the published 3-D synapse classifiers


@dataclass(frozen=True)
class Downsampling:
    """Pooling factors of each level, and the size of the input that matches them.

    Attributes
    ----------
    pools : tuple of tuple of int
        One factor for each axis, for each level.
    image_size : tuple of int or None
        None if it cannot be determined.
    note : str
        The assumption, as a sentence.
    problem : str
        The reason why nothing fits; empty if something does.
    """

    pools: tuple[Factors, ...]
    image_size: tuple[int, ...] | None
    note: str = ""
    problem: str = ""


def downsampling(
    n_positions: int,
    n_levels: int,
    n_axes: int,
    image_size: tuple[int, ...] | None = None,
    factors: Sequence[Sequence[int]] | None = None,
) -> Downsampling:
    """Find pooling factors that match the number of positions at the fully connected layers.

    Parameters
    ----------
    n_positions : int
        Positions after the last level.
    n_levels : int
        Levels with pooling at their end.
    n_axes : int
        2 for images, 3 for volumes.
    image_size : tuple of int, optional
        Spatial size of the input. Without it, a square or cube that is halved at each level is
        assumed, or in 3-D the size of the published synapse classifiers.
    factors : sequence of sequence of int, optional
        The pooling factors of each level, if the user gives them.

    Notes
    -----
    The size determines how often each axis is halved, but not at which level. Where several orders
    fit, that of the published networks is taken: thick sections are halved last, and levels without
    pooling come last.
    """
    halved = ((2,) * n_axes,) * n_levels
    if factors is not None:
        return _checked(tuple(map(tuple, factors)), n_positions, n_levels, n_axes, image_size)
    kind = "images" if n_axes == 2 else "volumes"
    if image_size is not None and len(image_size) != n_axes:
        problem = f"it takes {kind}, and {extent(image_size)} has {len(image_size)} axes"
        return Downsampling(halved, None, problem=problem)
    # Published synapse classifiers are the likeliest 3-D networks in files without a size, and
    # their position counts are no cubes.
    size = image_size or (SYNISTER_SIZE if n_axes == 3 else None)
    fitting = (
        [pools for pools in schemes(n_levels, n_axes) if _fits(size, pools, n_positions)]
        if size is not None
        else []
    )
    if fitting:
        note = "" if image_size and fitting[0] == halved else _note(fitting)
        if image_size is None:
            note = f"Its size was assumed to be {extent(SYNISTER_SIZE)}, as in synister. {note}"
        return Downsampling(fitting[0], size, note)
    # Otherwise the positions have to form a square or cube, the image halved at each level.
    side = round(n_positions ** (1 / n_axes))
    cube = (side * 2**n_levels,) * n_axes if side**n_axes == n_positions else None
    sees = f"its fully connected layers see {n_positions} positions"
    if image_size is None:
        if cube is not None:
            return Downsampling(halved, cube)
        problem = f"{sees}, so the size of its {kind} cannot be determined"
    elif cube is not None:
        problem = (
            f"its fully connected layers fit {kind} of {extent(cube)}, not of {extent(image_size)}"
        )
    else:
        problem = f"{sees}, which no pooling of {extent(image_size)} yields"
    return Downsampling(halved, None, problem=problem)


def schemes(n_levels: int, n_axes: int) -> Iterator[tuple[Factors, ...]]:
    """Yield all pooling schemes, the likeliest first; factors are 1 or 2, equal along y and x."""
    full, none = (2,) * n_axes, (1,) * n_axes
    flat = (1, 2, 2)  # sections are thicker than pixels, so they are halved less often
    kinds = (full, none) if n_axes == 2 else (flat, full, none)
    usual = [(full,) * n_levels]
    if n_axes == 3:
        usual += [(flat,) * n + (full,) * (n_levels - n) for n in range(n_levels, 0, -1)]
    usual += [(full,) * n + (none,) * (n_levels - n) for n in range(n_levels - 1, -1, -1)]
    yield from usual
    yield from (scheme for scheme in product(kinds, repeat=n_levels) if scheme not in usual)


def pooled(size: Sequence[int], pools: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """Return a size after pooling; each level rounds down."""
    lengths = tuple(size)
    for factors in pools:
        lengths = tuple(length // factor for length, factor in zip(lengths, factors, strict=True))
    return lengths


def _fits(size: Sequence[int], pools: Sequence[Sequence[int]], n_positions: int) -> bool:
    return math.prod(pooled(size, pools)) == n_positions


def _checked(
    pools: tuple[Factors, ...],
    n_positions: int,
    n_levels: int,
    n_axes: int,
    image_size: tuple[int, ...] | None,
) -> Downsampling:
    text = ", ".join("×".join(map(str, factors)) for factors in pools)
    if len(pools) != n_levels or any(len(factors) != n_axes for factors in pools):
        problem = (
            f"it has {n_levels} levels in {n_axes} axes, which the factors {text} do not match"
        )
        return Downsampling(((2,) * n_axes,) * n_levels, None, problem=problem)
    if image_size is None:
        return Downsampling(
            pools, None, problem="its size cannot be determined from the factors alone"
        )
    if len(image_size) != n_axes or not _fits(image_size, pools, n_positions):
        problem = (
            f"{extent(image_size)} pooled by {text} do not yield the {n_positions} positions that "
            "its fully connected layers see"
        )
        return Downsampling(pools, None, problem=problem)
    return Downsampling(pools, image_size)


def _note(fitting: Sequence[tuple[Factors, ...]]) -> str:
    text = ", ".join("×".join(map(str, factors)) for factors in fitting[0])
    others = len(fitting) - 1
    note = f"Pooling factors are not stored in the file; {text} were chosen to fit the size."
    if others:
        note += (
            f" {others} other choice{'s' if others > 1 else ''} would fit as well; give the "
            "factors if the network was trained with other ones."
        )
    return note
