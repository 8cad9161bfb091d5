"""Preprocessing of samples for a network: selection of channels, and another size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch.nn.functional as F
from torch import Tensor

from napari_quac.data.assumptions import assumptions_of
from napari_quac.data.dataset import Dataset, Sample
from napari_quac.data.place import short_extent
from napari_quac.errors import ShapeError

Channels = Literal["average", "repeat"] | int
ResizeMode = Literal["resize", "crop"]
CHANNEL_WORDS = {"average": "average of channels", "repeat": "channel repeated"}


@dataclass(frozen=True)
class Preprocessing:
    """A change of an image's shape.

    Attributes
    ----------
    channels : int, "average", "repeat" or None
        Index of one channel; the average of all of them; one channel three times; None for no
        change.
    size : tuple of int or None
        New size ``*S`` in pixels; None for no change.
    mode : "resize" or "crop"
        Interpolation (averaging when the image shrinks), or the center of the image.
    """

    channels: Channels | None = None
    size: tuple[int, ...] | None = None
    mode: ResizeMode = "resize"

    def __str__(self) -> str:
        parts = []
        if self.channels is not None:
            words = CHANNEL_WORDS.get(str(self.channels))
            parts.append(words or f"channel {int(self.channels) + 1}")
        if self.size is not None:
            verb = "resized to" if self.mode == "resize" else "cropped to the central"
            parts.append(f"{verb} {short_extent(self.size)}")
        return ", ".join(parts)

    def apply(self, sample: Sample) -> Sample:
        """Return the sample with the new image, at its true place in the world.

        Raises
        ------
        ShapeError
            If the image lacks the channel, is too small for cropping, or has another number of
            spatial axes.
        """
        sample = replace(sample, image=self._with_channels(sample))
        old_size = tuple(sample.image.shape[1:])
        if self.size is None or old_size == self.size:
            return sample
        if len(old_size) != len(self.size):
            raise ShapeError(
                f"'{sample.id}' has {len(old_size)} axes, not {len(self.size)}. Choose others."
            )
        if self.mode == "crop":
            return self._cropped(sample, self.size)
        factors = [old / new for old, new in zip(old_size, self.size, strict=True)]
        # positions are those of pixel centers, and the edge of the image stays in place
        starts = [(factor - 1) / 2 for factor in factors]
        return _moved(sample, _resize(sample.image, self.size).clamp(0, 1), starts, factors)

    def _with_channels(self, sample: Sample) -> Tensor:
        image = sample.image
        if self.channels is None:
            return image
        if self.channels == "average":
            return image.mean(dim=0, keepdim=True)
        if self.channels == "repeat":
            return image[:1].repeat(3, *(1,) * (image.ndim - 1))
        if self.channels >= len(image):
            raise ShapeError(
                f"'{sample.id}' has no channel {self.channels + 1} of {len(image)}. Choose another."
            )
        return image[self.channels : self.channels + 1]

    def _cropped(self, sample: Sample, size: tuple[int, ...]) -> Sample:
        old_size = tuple(sample.image.shape[1:])
        if any(old < new for old, new in zip(old_size, size, strict=True)):
            raise ShapeError(
                f"'{sample.id}' has {short_extent(old_size)}, too few to crop. Resize it instead."
            )
        starts = [(old - new) // 2 for old, new in zip(old_size, size, strict=True)]
        window = tuple(slice(a, a + n) for a, n in zip(starts, size, strict=True))
        image = sample.image[(slice(None), *window)].contiguous()
        return _moved(sample, image, starts, (1.0,) * len(starts))


def _moved(
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


class PreprocessedDataset:
    """A dataset whose images are preprocessed as they are read; its name names the preprocessing.

    Parameters
    ----------
    dataset : Dataset
        The original samples.
    preprocessing : Preprocessing
        The change of each sample.
    """

    def __init__(self, dataset: Dataset, preprocessing: Preprocessing) -> None:
        self.dataset, self.preprocessing = dataset, preprocessing
        self.name = f"{dataset.name}, {preprocessing}"
        self.classes = dataset.classes
        self.layout = getattr(dataset, "layout", None)
        self.assumptions = assumptions_of(dataset)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Sample:
        return self.preprocessing.apply(self.dataset[index])

    def sample_id(self, index: int) -> str:
        """Return the id of the original sample."""
        return self.dataset.sample_id(index)

    def label(self, index: int) -> int | None:
        """Return the label of the sample."""
        return self.dataset.label(index)


def suggest_preprocessing(
    image_shape: Sequence[int], channels: int, size: Sequence[int] | None
) -> tuple[tuple[str, Preprocessing], ...]:
    """Suggest preprocessings that make images of a shape fit a network, with texts for buttons.

    Parameters
    ----------
    image_shape : (C, *S)
        Shape of the samples.
    channels : int
        Input channels of the network.
    size : sequence of int or None
        Spatial size of the network's input in pixels; None for any.

    Returns
    -------
    tuple of (str, Preprocessing)
        Channels come first: where both differ, the size follows once the channels fit. Empty
        where nothing sensible helps.
    """
    n_channels, old_size = image_shape[0], tuple(image_shape[1:])
    if n_channels != channels:
        if channels == 1 and n_channels > 1:
            single = [(f"Use channel {i + 1}", Preprocessing(i)) for i in range(min(n_channels, 4))]
            return (("Average channels", Preprocessing("average")), *single)
        if channels == 3 and n_channels == 1:
            return (("Repeat channel 3 times", Preprocessing("repeat")),)
        return ()
    new_size = None if size is None else tuple(size)
    if new_size is None or new_size == old_size or len(new_size) != len(old_size):
        return ()
    square = len(new_size) == 2 and len(set(new_size)) == 1
    pixels = f"{new_size[0]} px" if square else short_extent(new_size)
    resize = (f"Resize samples to {pixels}", Preprocessing(size=new_size))
    if any(old < new for old, new in zip(old_size, new_size, strict=True)):
        return (resize,)
    crop = Preprocessing(size=new_size, mode="crop")
    return (resize, (f"Crop samples to central {pixels}", crop))


def _resize(image: Tensor, size: Sequence[int]) -> Tensor:
    """Resize (C, *S), averaging where it shrinks."""
    if len(size) == 2:
        mode: dict[str, Any] = {"mode": "bilinear", "align_corners": False, "antialias": True}
        return F.interpolate(image[None], tuple(size), **mode)[0]
    if all(a >= b for a, b in zip(image.shape[1:], size, strict=True)):
        return F.interpolate(image[None], tuple(size), mode="area")[0]
    return F.interpolate(image[None], tuple(size), mode="trilinear", align_corners=False)[0]


@dataclass(frozen=True)
class PreprocessedRecipe:
    """Samples with a channel selection or another size, so that they fit a network.

    Attributes
    ----------
    source : recipe
        The original samples.
    preprocessing : Preprocessing
    """

    source: Any
    preprocessing: Preprocessing

    @property
    def directory(self) -> Path | None:
        """Folder of the samples, or None."""
        return getattr(self.source, "directory", None)

    def load(self) -> Dataset:
        """Load the original samples; each is preprocessed when it is read."""
        return PreprocessedDataset(self.source.load(), self.preprocessing)
