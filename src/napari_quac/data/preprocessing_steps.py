"""Steps of preprocessing: functions of images (N, C, *S), through which gradients pass."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from napari_quac.data.dataset import Sample
from napari_quac.data.place import short_extent
from napari_quac.errors import ShapeError
from napari_quac.reading import parse_json

Size = int | tuple[int, ...]
SMALLEST_VARIANCE = 1e-12  # a blank image stays blank, and its gradient finite

LUMINANCE = (0.2989, 0.587, 0.114)  # ITU-R BT.601, as in torchvision and Pillow


def with_channels(images: Tensor, choice: str | int | None) -> Tensor:
    """Return images (..., C, *S) with the chosen channels; ``images`` has a batch axis."""
    if choice is None:
        return images
    if choice == "average":
        return images.mean(dim=1, keepdim=True)
    if choice == "luminance":
        if images.shape[1] != 3:
            raise ShapeError(
                f"Luminance is that of 3 channels, but the images have {images.shape[1]}. "
                "Choose their average."
            )
        weights = images.new_tensor(LUMINANCE).view(-1, *(1,) * (images.ndim - 2))
        return (images * weights).sum(dim=1, keepdim=True)
    if choice == "repeat":
        if images.shape[1] == 3:
            return images
        return images[:, :1].expand(-1, 3, *(-1,) * (images.ndim - 2))
    index = int(choice)
    if index >= images.shape[1]:
        raise ShapeError(
            f"There is no channel {index + 1} in images of {images.shape[1]} channels. "
            "Choose another one."
        )
    return images[:, index : index + 1]


def standardized(images: Tensor) -> Tensor:
    """Return images with zero mean and unit standard deviation, over channels and pixels."""
    flat = images.flatten(1)
    variance = flat.var(dim=1, correction=0).clamp_min(SMALLEST_VARIANCE)
    column = (-1, *(1,) * (images.ndim - 1))
    return (images - flat.mean(dim=1).view(column)) / variance.sqrt().view(column)


def resized_2d(
    images: Tensor, size: tuple[int, ...], interpolation: str, eight_bit: bool
) -> Tensor:
    """Resize images with antialiasing; with ``eight_bit`` rounded, with a straight gradient."""
    settings: dict[str, Any] = {"mode": interpolation, "antialias": True, "align_corners": False}
    resized = F.interpolate(images, size, **settings)
    if not eight_bit:
        return resized
    with torch.no_grad():
        rounded = _resized_as_pillow((images.clamp(0, 1) * 255).round(), size, settings)
        difference = rounded / 255 - resized
    return resized + difference


def _resized_as_pillow(levels: Tensor, size: tuple[int, ...], settings: dict[str, Any]) -> Tensor:
    """Resize one axis after the other, rounded after each.

    Measured: of 367104 values 129 (bicubic) and 0 (bilinear) differ from Pillow's by one level,
    instead of 1085 and 247 of PyTorch's own resizing of integers.
    """
    height, width = levels.shape[2:]
    rows_first = size[0] < height and size[1] > width
    between = (size[0], width) if rows_first else (height, size[1])
    for target in (between, tuple(size)):
        levels = F.interpolate(levels, target, **settings).add(0.5).floor().clamp(0, 255)
    return levels


def resized_3d(volumes: Tensor, size: tuple[int, ...]) -> Tensor:
    """Resize volumes, averaging where all axes shrink."""
    if all(a >= b for a, b in zip(volumes.shape[2:], size, strict=True)):
        return F.interpolate(volumes, size, mode="area")
    return F.interpolate(volumes, size, mode="trilinear", align_corners=False)


def per_channel(values: Sequence[float], images: Tensor) -> Tensor:
    """Return numbers, one for all channels or one for each, as a tensor (C, 1, …)."""
    if len(values) not in (1, images.shape[1]):
        channels = "1 channel" if images.shape[1] == 1 else f"{images.shape[1]} channels"
        raise ShapeError(
            f"There are {len(values)} means or standard deviations, but the network takes "
            f"{channels}. Give one number, or one for each channel."
        )
    return images.new_tensor(values).view(-1, *(1,) * (images.ndim - 2))


def between_percentiles(images: Tensor, low: float, high: float) -> Tensor:
    """Map two percentiles of each image to 0 and 1, and clip."""
    flat = images.flatten(1)
    n_values = flat.shape[1]
    ordered = flat.sort(dim=1).values  # torch.quantile takes 16 million values only
    limits = []
    for percentile in (low, high):
        position = percentile / 100 * (n_values - 1)
        below = math.floor(position)
        above = min(below + 1, n_values - 1)
        limits.append(torch.lerp(ordered[:, below], ordered[:, above], position - below))
    column = (-1, *(1,) * (images.ndim - 1))
    spread = (limits[1] - limits[0]).clamp_min(math.sqrt(SMALLEST_VARIANCE))
    return ((images - limits[0].view(column)) / spread.view(column)).clamp(0, 1)


def size_for(size: Size, old: Sequence[int]) -> tuple[int, ...]:
    """Return a size along each axis of an image of size ``old``."""
    new = size if isinstance(size, tuple) else (size,) * len(old)
    if len(new) != len(old):
        raise ShapeError(
            f"The images have {len(old)} axes, but the size {short_extent(new)} has {len(new)}. "
            "Choose another size."
        )
    return new


def padded(images: Tensor, size: Sequence[int]) -> Tensor:
    """Pad images with black to a size, on both sides; one pixel more at the end if it is odd."""
    missing = [max(0, new - old) for old, new in zip(images.shape[2:], size, strict=True)]
    if not any(missing):
        return images
    sides = [side for gap in reversed(missing) for side in (gap // 2, gap - gap // 2)]
    return F.pad(images, sides)


def center(old: Sequence[int], new: Sequence[int], floor: bool = False) -> tuple[slice, ...]:
    """Return the central window: halves are rounded to even, as by torchvision, or down."""
    rounded = math.floor if floor else round
    starts = [max(0, rounded((a - b) / 2)) for a, b in zip(old, new, strict=True)]
    return tuple(slice(start, start + n) for start, n in zip(starts, new, strict=True))


def moved(
    sample: Sample, image: Tensor, starts: Sequence[float], factors: Sequence[float]
) -> Sample:
    """Return a sample with a new image, which begins at ``starts`` in pixels of the old one."""
    n_axes = image.ndim - 1
    scale = sample.scale or (1.0,) * n_axes
    translate = sample.translate or (0.0,) * n_axes
    return replace(
        sample,
        image=image,
        scale=tuple(s * f for s, f in zip(scale, factors, strict=True)),
        translate=tuple(t + a * s for t, a, s in zip(translate, starts, scale, strict=True)),
        place=sample.place.part(starts, factors, image.shape[1:]) if sample.place else None,
    )


def size_words(size: Size) -> str:
    """Return a size in words; one number stands for a square."""
    return short_extent(size if isinstance(size, tuple) else (size, size))


def number_words(values: Sequence[float]) -> str:
    """Return numbers in words, separated by commas."""
    return ", ".join(f"{number:g}" for number in values)


def numbers_from_text(text: str | None) -> tuple[float, ...]:
    """Read numbers in JSON or between commas; empty if the text is none or something else."""
    if not text:
        return ()
    try:
        numbers = parse_json(text if text.strip()[:1] in "[{" else f"[{text}]")
        values = tuple(map(float, numbers)) if isinstance(numbers, list) else ()
    except (ValueError, TypeError, OverflowError):
        return ()
    return values if all(map(math.isfinite, values)) else ()
