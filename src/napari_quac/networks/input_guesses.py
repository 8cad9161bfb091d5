"""Guesses of the channels and size of a network's input, from the shapes of its weights."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

USUAL_CHANNELS = (1, 3, 4, 2)
USUAL_SIZES = (128, 64, 224, 96, 256, 32, 28, 8, 16, 48, 80, 112, 160, 192, 100, 299, 512)
OTHER_SIZES = tuple(size for size in range(24, 513, 8) if size not in USUAL_SIZES)
USUAL_VOLUMES = (
    (16, 160, 160), (80, 80, 80), (64, 64, 64), (32, 32, 32), (32, 128, 128), (16, 128, 128),
    (16, 64, 64), (8, 64, 64), (8, 32, 32),
)  # fmt: skip
_MAX_KERNEL = 11  # larger weights are as large as an image, not a filter

Shape = tuple[int, ...]
Guess = tuple[int, Shape]  # channels and spatial size


def candidates(
    shapes: Sequence[Shape], channels: int | None, image_size: Shape | None
) -> Iterator[Guess]:
    """Guess the input of a network, the likeliest first.

    Parameters
    ----------
    shapes : sequence of shapes
        Of its tensors, in order.
    channels : int or None
        If the file or the user gives them.
    image_size : tuple of int or None
        Spatial size, if the file or the user gives it.

    Yields
    ------
    channels : int
    size : tuple of int
        Spatial size.
    """
    filters = _filters(shapes)
    hints = list(_hints(shapes, filters))
    if image_size is not None:
        hinted = [c for c, size in hints if size == image_size]
        first = [filters[0][1]] if filters else []
        others = [channels] if channels is not None else [*first, *USUAL_CHANNELS]
        guesses = [(c, image_size) for c in [*hinted, *others]]
    else:
        guesses = [*hints, *_usual_inputs(shapes, filters)]
        if channels is not None:
            guesses = [(channels, size) for _, size in guesses]
    yield from dict.fromkeys(guess for guess in guesses if channels in (None, guess[0]))


def _filters(shapes: Sequence[Shape]) -> list[Shape]:
    """Return the weights of convolutions."""
    return [shape for shape in shapes if len(shape) in (4, 5) and max(shape[2:]) <= _MAX_KERNEL]


def _head_positions(shapes: Sequence[Shape], filters: Sequence[Shape]) -> int:
    """Return the number of positions at the first linear layer; 0 if it follows from nothing."""
    heads = [shape for shape in shapes if len(shape) == 2]
    if not heads or not filters or heads[0][1] % filters[-1][0]:
        return 0
    return heads[0][1] // filters[-1][0]


def _usual_inputs(shapes: Sequence[Shape], filters: Sequence[Shape]) -> Iterator[Guess]:
    """Yield usual sizes: with the channels of the first filter, then with all usual ones."""
    squares: list[Shape] = [(size, size) for size in (*USUAL_SIZES, *OTHER_SIZES)]
    if filters:
        sizes = _volumes_that_fit(shapes, filters) if len(filters[0]) == 5 else squares
        yield from ((filters[0][1], size) for size in sizes)
        # grouped first convolutions have more channels than their weights
        yield from ((c, sizes[0]) for c in USUAL_CHANNELS)
    else:
        yield from ((c, size) for c in USUAL_CHANNELS for size in squares)
        yield from ((c, volume) for c in (1, 3) for volume in reversed(USUAL_VOLUMES))


def _volumes_that_fit(shapes: Sequence[Shape], filters: Sequence[Shape]) -> list[Shape]:
    """Return the usual volumes, first those whose halvings give the positions of the first head.

    The order matters: a trial of a volume takes seconds if only the last layer refuses it.
    """
    sizes: list[Shape] = list(USUAL_VOLUMES)
    positions = _head_positions(shapes, filters)
    if positions:
        side = round(positions ** (1 / 3))
        if side**3 == positions and side > 1:
            sizes += [(side * factor,) * 3 for factor in (16, 8, 4, 2)]
        # the ratio of voxels to positions is a power of 2 if all poolings halve
        sizes.sort(key=lambda size: not math.log2(math.prod(size) / positions).is_integer())
    return list(dict.fromkeys(sizes))


def _hints(shapes: Sequence[Shape], filters: Sequence[Shape]) -> Iterator[Guess]:
    """Yield channels and sizes that follow from the shapes of weights."""
    if not filters:
        yield from _hints_without_filters(shapes)
    elif len(filters[0]) == 4:
        positions = _head_positions(shapes, filters)
        side = math.isqrt(positions)
        if side > 1 and side**2 == positions:
            # 3 to 6 halvings are usual; fewer, or none, are rare
            for factor in (16, 8, 4, 32, 2, 64, 1):
                yield filters[0][1], (side * factor, side * factor)


def _hints_without_filters(shapes: Sequence[Shape]) -> Iterator[Guess]:
    for shape in shapes:  # weights as large as the image: (..., C, H, W)
        if len(shape) >= 3 and min(shape[-2:]) > 1 and shape[-3] <= max(USUAL_CHANNELS):
            yield shape[-3], shape[-2:]
    for shape in shapes:  # a layer over all pixels of all channels
        if len(shape) in (1, 2):
            for length in sorted(set(shape), reverse=True):
                yield from _square_images(length)
        if len(shape) == 2 and shape[0] == shape[1]:
            yield 1, shape


def _square_images(n_values: int) -> Iterator[Guess]:
    """Yield the square images of more than 3 pixels a side that have so many values."""
    for channels in USUAL_CHANNELS:
        side = math.isqrt(n_values // channels)
        if side > 3 and side**2 * channels == n_values:
            yield channels, (side, side)
