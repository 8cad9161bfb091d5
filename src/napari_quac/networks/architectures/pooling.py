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
    """Pooling factors of each level, and the size of the input that goes with them.

    Attributes
    ----------
    pools : tuple of tuple of int
        One factor for each axis, for each level.
    image_size : tuple of int or None
        None if it cannot be known.
    note : str
        What was assumed, as a sentence.
    problem : str
        Why nothing fits; empty if something does.
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
    given: Sequence[Sequence[int]] | None = None,
) -> Downsampling:
    """Find pooling factors that leave as many positions as the fully connected layers see.

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
    given : sequence of sequence of int, optional
        The factors, where they are known.

    Notes
    -----
    The size fixes how often each axis is halved, and not at which level. Where several orders fit,
    that of the published networks is taken: thick sections are left alone first, and levels
    without pooling come last.
    """
    first = ((2,) * n_axes,) * n_levels
    if given is not None:
        return _as_given(tuple(map(tuple, given)), n_positions, n_levels, n_axes, image_size)
    if image_size is not None:
        if len(image_size) != n_axes:
            what = "images" if n_axes == 2 else "volumes"
            text = f"it takes {what}, and {extent(image_size)} has {len(image_size)} axes"
            return Downsampling(first, None, problem=text)
        fitting = [p for p in schemes(n_levels, n_axes) if _fits(image_size, p, n_positions)]
        if fitting:
            note = "" if fitting[0] == first else _note(fitting)
            return Downsampling(fitting[0], image_size, note)
    elif n_axes == 3 and (
        fitting := [p for p in schemes(n_levels, 3) if _fits(SYNISTER_SIZE, p, n_positions)]
    ):
        note = f"Its size was assumed to be {extent(SYNISTER_SIZE)}, as in synister. "
        return Downsampling(fitting[0], SYNISTER_SIZE, note + _note(fitting))
    side = round(n_positions ** (1 / n_axes))
    size = (side * 2**n_levels,) * n_axes
    if side**n_axes != n_positions and image_size is not None:
        problem = (
            f"its fully connected layers see {n_positions} positions, which no pooling of "
            f"{extent(image_size)} leaves"
        )
        return Downsampling(first, None, problem=problem)
    if side**n_axes != n_positions:
        problem = (
            f"its fully connected layers see {n_positions} positions, so the size of its "
            f"{'images' if n_axes == 2 else 'volumes'} cannot be known"
        )
        return Downsampling(first, None, problem=problem)
    if image_size is None:
        return Downsampling(first, size)
    what = "images" if n_axes == 2 else "volumes"
    problem = (
        f"its fully connected layers fit {what} of {extent(size)}, not of {extent(image_size)}"
    )
    return Downsampling(first, None, problem=problem)


def schemes(n_levels: int, n_axes: int) -> Iterator[tuple[Factors, ...]]:
    """Yield all that may be, the likeliest first; factors are 1 or 2, y and x are alike."""
    full, none = (2,) * n_axes, (1,) * n_axes
    flat = (1, 2, 2)  # sections are thicker than pixels: halved less often
    kinds = (full, none) if n_axes == 2 else (flat, full, none)
    usual = [(full,) * n_levels]
    if n_axes == 3:
        usual += [(flat,) * n + (full,) * (n_levels - n) for n in range(n_levels, 0, -1)]
    usual += [(full,) * n + (none,) * (n_levels - n) for n in range(n_levels - 1, -1, -1)]
    yield from usual
    yield from (scheme for scheme in product(kinds, repeat=n_levels) if scheme not in usual)


def pooled(size: Sequence[int], pools: Sequence[Sequence[int]]) -> tuple[int, ...]:
    """Return what is left of a size; each level rounds down."""
    left = tuple(size)
    for factors in pools:
        left = tuple(length // factor for length, factor in zip(left, factors, strict=True))
    return left


def _fits(size: Sequence[int], pools: Sequence[Sequence[int]], n_positions: int) -> bool:
    return math.prod(pooled(size, pools)) == n_positions


def _as_given(
    pools: tuple[Factors, ...],
    n_positions: int,
    n_levels: int,
    n_axes: int,
    image_size: tuple[int, ...] | None,
) -> Downsampling:
    text = ", ".join("×".join(map(str, factors)) for factors in pools)
    if len(pools) != n_levels or any(len(factors) != n_axes for factors in pools):
        problem = f"it has {n_levels} levels in {n_axes} axes, which {text} are no factors for"
        return Downsampling(((2,) * n_axes,) * n_levels, None, problem=problem)
    if image_size is None:
        return Downsampling(pools, None, problem="with factors alone its size cannot be known")
    if len(image_size) != n_axes or not _fits(image_size, pools, n_positions):
        problem = (
            f"{extent(image_size)} pooled by {text} do not leave the {n_positions} positions that "
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
            "factors if the network was trained with another one."
        )
    return note
