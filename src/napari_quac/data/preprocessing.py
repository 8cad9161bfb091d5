"""Preprocessing: from images in [0, 1] to the input of a network, differentiably.

The same value describes the preprocessing inside a classifier, where attributions pass through it,
and a change of the samples themselves, where a generator needs another size or other channels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import torch.nn.functional as F
from torch import Tensor

from napari_quac.data.dataset import Sample
from napari_quac.data.place import short_extent
from napari_quac.data.preprocessing_steps import (
    Size,
    between_percentiles,
    center,
    moved,
    number_words,
    numbers_from_text,
    padded,
    per_channel,
    resized_2d,
    resized_3d,
    size_for,
    size_words,
    standardized,
    with_channels,
)
from napari_quac.errors import DataError, ShapeError, ValueRangeError
from napari_quac.reading import parse_json

Channels = Literal["average", "luminance", "repeat"] | int
Interpolation = Literal["bilinear", "bicubic"]
Standardization = Literal["zscore"] | tuple[float, float]

CHANNEL_WORDS = {
    "average": "average of channels",
    "luminance": "luminance of RGB",
    "repeat": "gray repeated in 3 channels",
}
VALUE_FIELDS = ("standardize", "value_range", "mean", "std")


@dataclass(frozen=True)
class Preprocessing:
    r"""Steps from an image in [0, 1] to the input of a network, in the order of the attributes.

    Attributes
    ----------
    channels : "average", "luminance", "repeat", int or None
        The average of all channels; the luminance of RGB, as in torchvision and Pillow; one channel
        three times; the index of one channel; None for
        no change.
    resize : int, tuple of int or None
        Length of the shorter side, as in torchvision; or the new size ``*S``. Bilinear or bicubic
        interpolation with antialiasing; volumes that shrink are averaged.
    interpolation : "bilinear" or "bicubic"
    eight_bit : bool
        Round as a resizing of 8-bit images does; gradients pass straight through.
    pad : int, tuple of int or None
        Size to which smaller images are padded with black, on all sides.
    crop : int, tuple of int or None
        Size of the center that is cut out; images that are smaller are padded with black, as by
        torchvision's CenterCrop.
    floor_crop : bool
        Round the start of the center down, as transformers does; torchvision rounds halves to
        even.
    standardize : "zscore", (low, high) or None
        Per image, over all channels and pixels: zero mean and unit standard deviation; or two
        percentiles that become 0 and 1, between which values are clipped.
    value_range : (low, high) or None
        Network inputs for black and white; None for 0 and 1.
    mean, std : tuple of float or None
        Subtracted and divided by, after ``value_range``; one for all channels or one for each.

    Raises
    ------
    DataError, ValueRangeError
        If a number is impossible.
    """

    channels: Channels | None = None
    resize: Size | None = None
    interpolation: Interpolation = "bilinear"
    eight_bit: bool = False
    pad: Size | None = None
    crop: Size | None = None
    floor_crop: bool = False
    standardize: Standardization | None = None
    value_range: tuple[float, float] | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        for field in fields(self):  # lists come from JSON and forms
            entry = getattr(self, field.name)
            if isinstance(entry, Sequence) and not isinstance(entry, str):
                object.__setattr__(self, field.name, tuple(entry))
        for name in ("resize", "pad", "crop"):
            size = getattr(self, name)
            if size is not None and min(size if isinstance(size, tuple) else (size,)) < 1:
                raise DataError(f"'{name}' needs at least 1 pixel.")
        self._check_values()

    def _check_values(self) -> None:
        numbers = (*(self.value_range or ()), *(self.mean or ()), *(self.std or ()))
        if not all(map(math.isfinite, numbers)):
            raise DataError("Value range, means and standard deviations are finite numbers.")
        if self.value_range is not None and not self.value_range[1] > self.value_range[0]:
            raise ValueRangeError(
                f"The upper end of a value range must be above {self.value_range[0]:g}, got "
                f"{self.value_range[1]:g}."
            )
        if self.std is not None and not all(deviation > 0 for deviation in self.std):
            raise DataError("Each standard deviation must be above 0.")
        if self.mean and self.std and min(len(self.mean), len(self.std)) > 1:
            if len(self.mean) != len(self.std):
                raise DataError(f"{len(self.mean)} means, but {len(self.std)} deviations.")
        if isinstance(self.standardize, tuple):
            if (
                len(self.standardize) != 2
                or not 0 <= self.standardize[0] < self.standardize[1] <= 100
            ):
                raise DataError("Percentiles are two ascending numbers from 0 to 100.")
        if self.standardize == "zscore" and self.value_range is not None:
            raise DataError("A z-score has no value range. Omit one of them.")

    def __str__(self) -> str:
        return ", ".join([*self._geometry_words(), *self._value_words()])

    @property
    def value_words(self) -> str:
        """The change of values in words, such as ``-1 to 1``."""
        return ", ".join(self._value_words()) or "0 to 1"

    @property
    def changes_values(self) -> bool:
        """True if it changes values and not only channels and size."""
        return any(getattr(self, name) is not None for name in VALUE_FIELDS)

    @property
    def is_range_only(self) -> bool:
        """True if ``value_range`` is its only step."""
        return replace(self, value_range=None) == Preprocessing()

    @property
    def is_linear(self) -> bool:
        """True if its only steps are affine functions of the image."""
        return self.standardize is None and not (self.eight_bit and self.resize is not None)

    def _geometry_words(self) -> list[str]:
        parts = []
        if self.channels is not None:
            words = CHANNEL_WORDS.get(str(self.channels))
            parts.append(words or f"channel {int(self.channels) + 1}")
        if self.resize is not None:
            is_side = isinstance(self.resize, int)
            side = f"{self.resize} px along the shorter side"
            text = side if is_side else short_extent(self.resize)  # type: ignore[arg-type]
            kind = "" if self.interpolation == "bilinear" else f" ({self.interpolation})"
            rounding = " with 8-bit rounding" if self.eight_bit else ""
            parts.append(f"resized to {text}{kind}{rounding}")
        if self.pad is not None:
            parts.append(f"padded to {size_words(self.pad)}")
        if self.crop is not None:
            parts.append(f"cropped to the central {size_words(self.crop)}")
        return parts

    def _value_words(self) -> list[str]:
        parts = []
        if self.standardize == "zscore":
            parts.append("per-image z-score")
        elif self.standardize is not None:
            low, high = self.standardize
            parts.append(f"percentiles {low:g} and {high:g} of each image to 0 and 1")
        if self.value_range is not None:
            parts.append("{:g} to {:g}".format(*self.value_range))
        if self.mean is not None:
            parts.append(f"mean {number_words(self.mean)}")
        if self.std is not None:
            parts.append(f"standard deviation {number_words(self.std)}")
        return parts

    def to_network(self, images: Tensor) -> Tensor:
        """Return the input of the network.

        Parameters
        ----------
        images : (N, C, *S) Tensor, float in [0, 1]
            Images of one size.

        Returns
        -------
        inputs : (N, C', *S') Tensor
            Gradients pass through all steps.

        Raises
        ------
        ShapeError
            If the images lack a channel or have another number of spatial axes, or there are
            other numbers of means or deviations than channels.
        """
        images = with_channels(images, self.channels)
        if self.resize is not None:
            images = self._resized(images)
        for size in (self.pad, self.crop):
            if size is not None:
                images = padded(images, size_for(size, images.shape[2:]))
        if self.crop is not None:
            crop = self._crop_size(images.shape[2:])
            window = center(images.shape[2:], crop, self.floor_crop)
            images = images[(slice(None), slice(None), *window)]
        return self._with_values(images)

    def _with_values(self, images: Tensor) -> Tensor:
        if self.standardize == "zscore":
            images = standardized(images)
        elif self.standardize is not None:
            images = between_percentiles(images, *self.standardize)
        if self.value_range is not None and self.value_range != (0.0, 1.0):
            low, high = self.value_range
            images = images * (high - low) + low
        if self.mean is not None:
            images = images - per_channel(self.mean, images)
        if self.std is not None:
            images = images / per_channel(self.std, images)
        return images

    def _resized(self, images: Tensor) -> Tensor:
        size = self._resize_size(images.shape[2:])
        if size == tuple(images.shape[2:]):
            return images
        if len(size) != 2:
            return resized_3d(images, size)
        return resized_2d(images, size, self.interpolation, self.eight_bit)

    def _resize_size(self, old: Sequence[int]) -> tuple[int, ...]:
        """Return the size after resizing an image of size ``old``."""
        if self.resize is None:
            return tuple(old)
        if isinstance(self.resize, tuple):
            if len(self.resize) != len(old):
                raise ShapeError(
                    f"The images have {len(old)} axes, but the size {short_extent(self.resize)} "
                    f"has {len(self.resize)}. Choose another size."
                )
            return self.resize
        return tuple(int(self.resize * length / min(old)) for length in old)

    def _crop_size(self, old: Sequence[int]) -> tuple[int, ...]:
        return tuple(old) if self.crop is None else size_for(self.crop, old)

    def network_size(self, image_size: Sequence[int]) -> tuple[int, ...]:
        """Return the spatial size of the input for images of a size."""
        size = self._resize_size(image_size)
        if self.pad is not None:
            size = tuple(map(max, size, size_for(self.pad, size)))
        return self._crop_size(size)

    @property
    def fixed_size(self) -> tuple[int, ...] | None:
        """Spatial size of the input where it is the same for all images; None otherwise."""
        size = self.crop if self.crop is not None else self.resize
        if isinstance(size, tuple):
            return size
        return (size, size) if self.crop is not None and size is not None else None

    def field_of_view(self, image_size: Sequence[int]) -> tuple[tuple[float, float], ...]:
        """Return what the network sees of an image: first and last edge along each axis, in pixels.

        Edges lie at 0 and at the size of the image; padding reaches beyond them.

        Examples
        --------
        >>> Preprocessing(resize=256, crop=224).field_of_view((128, 128))
        ((8.0, 120.0), (8.0, 120.0))
        """
        resized = self._resize_size(image_size)
        frame = list(resized)
        for size in (self.pad, self.crop):
            if size is not None:
                frame = list(map(max, frame, size_for(size, frame)))
        window = center(frame, self._crop_size(frame), self.floor_crop)
        margins = [(whole - inner) // 2 for whole, inner in zip(frame, resized, strict=True)]
        factors = [old / new for old, new in zip(image_size, resized, strict=True)]
        return tuple(
            ((part.start - margin) * factor, (part.stop - margin) * factor)
            for part, margin, factor in zip(window, margins, factors, strict=True)
        )

    def to_image(self, values: Tensor, image_size: Sequence[int], mode: str = "linear") -> Tensor:
        """Return a map over the input of the network as one over the image.

        Parameters
        ----------
        values : (*S') Tensor
            A map at the size of the network's input.
        image_size : sequence of int
            Spatial size ``*S`` of the image.
        mode : "linear" or "nearest"
            Interpolation.

        Returns
        -------
        (*S) Tensor
            0 where the image is cropped.
        """
        resized = self._resize_size(image_size)
        padded = (
            resized if self.pad is None else tuple(map(max, resized, size_for(self.pad, resized)))
        )
        crop = self._crop_size(padded)
        frame = values.new_zeros(tuple(map(max, padded, crop)))
        frame[center(frame.shape, crop, self.floor_crop)] = values
        frame = frame[center(frame.shape, resized)]
        if tuple(frame.shape) == tuple(image_size):
            return frame
        kind = "nearest" if mode == "nearest" else "trilinear" if frame.ndim == 3 else "bilinear"
        return F.interpolate(frame[None, None], tuple(image_size), mode=kind)[0, 0]

    def apply(self, sample: Sample) -> Sample:
        """Return the sample with other channels or another size, at its true place in the world.

        Raises
        ------
        ShapeError
            If the image lacks the channel, is too small for cropping, or has another number of
            spatial axes.
        """
        old_size = tuple(sample.image.shape[1:])
        try:
            image = with_channels(sample.image[None], self.channels)
            size = self._resize_size(old_size)
            resized = replace(self, eight_bit=False)._resized(image)[0].clamp(0, 1)
        except ShapeError as error:
            raise ShapeError(f"'{sample.id}': {error}") from error
        crop = self._crop_size(size)
        if any(old < new for old, new in zip(size, crop, strict=True)):
            raise ShapeError(
                f"'{sample.id}' has {short_extent(size)}, too few to crop. Resize it instead."
            )
        window = center(size, crop, self.floor_crop)
        # positions are those of pixel centers, and the edge of the image stays in place
        factors = [old / new for old, new in zip(old_size, size, strict=True)]
        starts = [
            (factor - 1) / 2 + part.start * factor
            for factor, part in zip(factors, window, strict=True)
        ]
        image = resized[(slice(None), *window)].contiguous()
        return moved(sample, image, starts, factors)


PRESETS: Mapping[str, Preprocessing] = {
    "quac": Preprocessing(value_range=(-1.0, 1.0)),
    "unit": Preprocessing(value_range=(0.0, 1.0)),
    "bytes": Preprocessing(value_range=(0.0, 255.0)),
    "imagenet": Preprocessing(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
    "imagenet-gray": Preprocessing(mean=(0.449,), std=(0.226,)),
    "zscore": Preprocessing(standardize="zscore"),
}
PRESET_TITLES: Mapping[str, str] = {
    "quac": "−1 to 1",
    "unit": "0 to 1",
    "bytes": "0 to 255",
    "imagenet": "ImageNet",
    "imagenet-gray": "ImageNet (gray)",
    "zscore": "Per-image z-score",
}
DEFAULT = PRESETS["quac"]
"""The QuAC library's input range, which is assumed where nothing is known."""


def with_values_of(preprocessing: Preprocessing, values: Preprocessing) -> Preprocessing:
    """Return a preprocessing with channels and size as they are, and the values of another one."""
    return replace(preprocessing, **{name: getattr(values, name) for name in VALUE_FIELDS})


def preset_of(preprocessing: Preprocessing) -> str | None:
    """Return the id of the preset that changes values in the same way, or None."""
    values = with_values_of(Preprocessing(), preprocessing)
    if not values.changes_values:
        return "unit"
    return next((name for name, preset in PRESETS.items() if preset == values), None)


def preprocessing_from_metadata(metadata: Mapping[str, str]) -> Preprocessing | None:
    """Return the preprocessing that a file's metadata state, or None.

    Parameters
    ----------
    metadata : Mapping[str, str]
        JSON texts of ``preprocessing`` (all fields), or of ``mean``, ``std``, ``value_range`` or
        ``range``, ``standardize``, ``resize``, ``crop``, ``interpolation``, ``eight_bit``,
        ``gray_to_rgb``, ``floor_crop``.

    Raises
    ------
    DataError
        If a text states an impossible preprocessing.
    """
    if "preprocessing" in metadata:
        from napari_quac.serialize import from_plain

        return from_plain(Preprocessing, parse_json(metadata["preprocessing"]), "preprocessing")
    changes: dict[str, Any] = {}
    for name, key in (("mean", "mean"), ("std", "std"), ("value_range", "value_range"),
                      ("value_range", "range")):  # fmt: skip
        numbers = numbers_from_text(metadata.get(key))
        if numbers and (name != "value_range" or (len(numbers) == 2 and numbers[1] > numbers[0])):
            changes.setdefault(name, numbers)
    for name in ("resize", "crop", "pad"):
        if numbers := numbers_from_text(metadata.get(name)):
            size = tuple(map(int, numbers))
            changes[name] = size[0] if len(size) == 1 else size
    if metadata.get("standardize"):
        text = metadata["standardize"].strip('"')
        changes["standardize"] = text if text == "zscore" else numbers_from_text(text)
    if metadata.get("interpolation", "").strip('"') == "bicubic":
        changes["interpolation"] = "bicubic"
    if metadata.get("eight_bit") == "true" and "resize" in changes:
        changes["eight_bit"] = True
    if metadata.get("floor_crop") == "true" and "crop" in changes:
        changes["floor_crop"] = True
    if metadata.get("gray_to_rgb") == "true":
        changes["channels"] = "repeat"
    # a size alone says nothing about the values
    return Preprocessing(**changes) if set(changes) & set(VALUE_FIELDS) else None


def combine(first: Preprocessing, second: Preprocessing) -> Preprocessing:
    """Return ``first`` with the steps of ``second`` in place of its own, where it has some."""
    initial = Preprocessing()
    changes = {field.name: getattr(second, field.name) for field in fields(second)}
    return replace(
        first, **{name: entry for name, entry in changes.items() if entry != getattr(initial, name)}
    )
