"""Guess the channels and the size of the images that a network takes, to try them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

USUAL_CHANNELS = (1, 3, 4, 2)
USUAL_SIZES = (128, 64, 224, 96, 256, 32, 28, 8, 16, 48, 80, 112, 160, 192, 100, 299, 512)
USUAL_VOLUMES = (
    (16, 160, 160), (80, 80, 80), (64, 64, 64), (32, 32, 32), (32, 128, 128), (16, 128, 128),
    (16, 64, 64), (8, 64, 64), (8, 32, 32),
)  # fmt: skip
_MAX_KERNEL = 11  # a larger square of weights is a picture, not a filter


def candidates(
    shapes: Sequence[tuple[int, ...]], channels: int | None, image_size: tuple[int, ...] | None
) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Guess what a network takes, the likeliest first.

    Parameters
    ----------
    shapes : sequence of shapes
        Of its tensors, in order.
    channels : int or None
        Where it is known for sure.
    image_size : tuple of int or None
        Spatial size, where it is known for sure.

    Yields
    ------
    channels : int
    size : tuple of int
        Spatial size.
    """
    hints = list(_hints(shapes))
    filters = [shape for shape in shapes if len(shape) in (4, 5) and max(shape[2:]) <= _MAX_KERNEL]
    first = [filters[0][1]] if filters else []
    axes = len(filters[0]) - 2 if filters else 2
    sizes: list[tuple[int, ...]] = [(size, size) for size in USUAL_SIZES]
    if axes == 3:
        sizes = _volumes_that_fit(shapes, filters)
    guesses = [
        *hints,
        *((c, size) for c in first for size in sizes),
        *((c, size) for c in USUAL_CHANNELS for size in sizes if not first),
        *((c, sizes[0]) for c in USUAL_CHANNELS if c not in first),
        *((c, volume) for c in (1, 3) for volume in reversed(USUAL_VOLUMES) if not filters),
    ]
    given = [channels] if channels is not None else list(dict.fromkeys([*first, *USUAL_CHANNELS]))
    if image_size is not None:
        hinted = [c for c, size in hints if size == image_size]
        guesses = [(c, image_size) for c in [*hinted, *given]]
    elif channels is not None:
        guesses = [(channels, size) for _, size in guesses]
    yield from dict.fromkeys(c for c in guesses if channels in (None, c[0]))


def _volumes_that_fit(
    shapes: Sequence[tuple[int, ...]], filters: Sequence[tuple[int, ...]]
) -> list[tuple[int, ...]]:
    """Return the usual volumes, first those that halving brings to what the first head sees.

    A trial of a volume costs seconds where only the last layer refuses it.
    """
    heads = [shape for shape in shapes if len(shape) == 2]
    sizes: list[tuple[int, ...]] = list(USUAL_VOLUMES)
    if heads and filters and heads[0][1] % filters[-1][0] == 0:
        positions = heads[0][1] // filters[-1][0]
        sides = round(positions ** (1 / 3))
        if sides**3 == positions and sides > 1:
            sizes += [(sides * factor,) * 3 for factor in (16, 8, 4, 2)]
        sizes.sort(key=lambda size: not math.log2(math.prod(size) / positions).is_integer())
    return list(dict.fromkeys(sizes))


def _hints(shapes: Sequence[tuple[int, ...]]) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Channels and sizes that the shapes of weights speak for."""
    filters = [shape for shape in shapes if len(shape) in (4, 5) and max(shape[2:]) <= _MAX_KERNEL]
    if filters:
        heads = [shape for shape in shapes if len(shape) == 2]
        last = filters[-1][0]
        if len(filters[0]) == 4 and heads and heads[0][1] % last == 0:
            side = math.isqrt(heads[0][1] // last)
            if side > 1 and side**2 * last == heads[0][1]:
                for factor in (16, 8, 4, 32, 2, 64, 1):
                    yield filters[0][1], (side * factor, side * factor)
        return
    for shape in shapes:  # weights as large as the image: (..., C, H, W)
        if len(shape) >= 3 and min(shape[-2:]) > 1 and shape[-3] <= max(USUAL_CHANNELS):
            yield shape[-3], shape[-2:]
    for shape in shapes:  # a layer that sees all pixels of all channels
        if len(shape) in (1, 2):
            for length in sorted(set(shape), reverse=True):
                for channels in USUAL_CHANNELS:
                    side = math.isqrt(length // channels)
                    if side > 3 and side**2 * channels == length:
                        yield channels, (side, side)
        if len(shape) == 2 and shape[0] == shape[1]:
            yield 1, shape
