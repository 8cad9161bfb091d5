"""Samples that are made to fit a network: one channel of several, another size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from napari_quac.data.dataset import Dataset
from napari_quac.data.sample import Sample
from napari_quac.errors import ShapeError

Channels = Literal["average", "repeat"] | int
How = Literal["resize", "crop"]


@dataclass(frozen=True)
class Fit:
    """A change of an image's shape.

    Attributes
    ----------
    channels : int, "average", "repeat" or None
        Index of the channel to keep; the average of all of them; one channel three times; None to
        leave them as they are.
    size : tuple of int or None
        Size ``*S`` to reach, pixels; None to leave it.
    how : "resize" or "crop"
        How the size is reached: by interpolation (averaged to shrink), or by cutting out the
        centre.
    """

    channels: Channels | None = None
    size: tuple[int, ...] | None = None
    how: How = "resize"

    def __str__(self) -> str:
        parts = []
        if self.channels is not None:
            said = {"average": "average of channels", "repeat": "channel repeated"}
            parts.append(said.get(str(self.channels)) or f"channel {int(self.channels) + 1}")
        if self.size is not None:
            pixels = " × ".join(map(str, self.size)) + " px"
            parts.append(f"resized to {pixels}" if self.how == "resize" else f"centre of {pixels}")
        return ", ".join(parts)

    def apply(self, sample: Sample) -> Sample:
        """Return the sample with another image, at its true place in the world.

        Raises
        ------
        ShapeError
            If the image has no such channel, or is too small to be cropped.
        """
        image = self._with_channels(sample)
        if self.size is None or tuple(image.shape[1:]) == self.size:
            return replace(sample, image=image)
        if self.how == "crop":
            return self._cropped(replace(sample, image=image))
        return self._resized(replace(sample, image=image))

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
                f"The sample '{sample.id}' has {len(image)} channels, so there is no channel "
                f"{self.channels + 1}. Choose the folder again, and another channel."
            )
        return image[self.channels : self.channels + 1]

    def _cropped(self, sample: Sample) -> Sample:
        here, wanted = sample.image.shape[1:], self.size or ()
        if len(here) != len(wanted) or any(a < b for a, b in zip(here, wanted, strict=True)):
            found = " × ".join(map(str, here))
            raise ShapeError(
                f"The sample '{sample.id}' has {found} pixels, too few to cut out "
                f"{' × '.join(map(str, wanted))}. Choose the folder again, and resize."
            )
        starts = [(a - b) // 2 for a, b in zip(here, wanted, strict=True)]
        window = tuple(slice(a, a + b) for a, b in zip(starts, wanted, strict=True))
        scale, place = _placement(sample)
        moved = tuple(p + a * s for p, a, s in zip(place, starts, scale, strict=True))
        image = sample.image[(slice(None), *window)].contiguous()
        placed = sample.place.part(starts, (1.0,) * len(starts), wanted) if sample.place else None
        return replace(sample, image=image, translate=moved, place=placed)

    def _resized(self, sample: Sample) -> Sample:
        here, wanted = tuple(sample.image.shape[1:]), self.size or ()
        if len(here) != len(wanted):
            raise ShapeError(
                f"The sample '{sample.id}' has {len(here)} axes of space, the network wants "
                f"{len(wanted)}. Choose other images, or another network."
            )
        scale, place = _placement(sample)
        factors = [a / b for a, b in zip(here, wanted, strict=True)]
        scaled = tuple(s * f for s, f in zip(scale, factors, strict=True))
        # positions are those of pixel centres, and the edge of the image stays where it is
        moved = tuple(p + (f - 1) / 2 * s for p, s, f in zip(place, scale, factors, strict=True))
        image = _resize(sample.image, wanted).clamp(0, 1)
        first = [(f - 1) / 2 for f in factors]
        placed = sample.place.part(first, factors, wanted) if sample.place else None
        return replace(sample, image=image, scale=scaled, translate=moved, place=placed)


class FittedDataset:
    """A dataset whose images are changed as they are read; its name says how.

    Parameters
    ----------
    dataset : Dataset
        The samples as they are.
    fit : Fit
        How each of them is changed.
    """

    def __init__(self, dataset: Dataset, fit: Fit) -> None:
        self.dataset, self.fit = dataset, fit
        self.name = f"{dataset.name}, {fit}"
        self.classes = dataset.classes

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Sample:
        return self.fit.apply(self.dataset[index])

    def sample_id(self, index: int) -> str:
        """Return the id of the sample as it was."""
        return self.dataset.sample_id(index)

    def label(self, index: int) -> int | None:
        """Return the label of the sample."""
        return self.dataset.label(index)


def ways_to_fit(
    found: Sequence[int], channels: int, size: Sequence[int] | None
) -> tuple[tuple[str, Fit], ...]:
    """Return what makes images of a shape fit a network, each with words for a button.

    Parameters
    ----------
    found : (C, *S)
        Shape of the samples.
    channels : int
        What the network wants.
    size : sequence of int or None
        Spatial size that it wants, pixels; None for any.

    Returns
    -------
    tuple of (str, Fit)
        Channels come first: where both are wrong, the size is asked about once they are right.
        Empty where nothing sensible helps.
    """
    has, here = found[0], tuple(found[1:])
    if has != channels:
        if channels == 1 and has > 1:
            ways = [(f"Use channel {index + 1}", Fit(index)) for index in range(min(has, 4))]
            return (("Average of channels", Fit("average")), *ways)
        if channels == 3 and has == 1:
            return (("Repeat the channel 3 times", Fit("repeat")),)
        return ()
    wanted = None if size is None else tuple(size)
    if wanted is None or wanted == here or len(wanted) != len(here):
        return ()
    pixels = f"{wanted[0]} px" if len(set(wanted)) == 1 else " × ".join(map(str, wanted)) + " px"
    resize = (f"Resize samples to {pixels}", Fit(size=wanted))
    if any(a < b for a, b in zip(here, wanted, strict=True)):
        return (resize,)
    return (resize, (f"Crop the centre, {pixels}", Fit(size=wanted, how="crop")))


def _placement(sample: Sample) -> tuple[tuple[float, ...], tuple[float, ...]]:
    axes = sample.image.ndim - 1
    return sample.scale or (1.0,) * axes, sample.translate or (0.0,) * axes


def _resize(image: Tensor, size: Sequence[int]) -> Tensor:
    """Resize (C, *S), averaging where it shrinks."""
    if len(size) == 2:
        smooth = F.interpolate(
            image[None], tuple(size), mode="bilinear", align_corners=False, antialias=True
        )
        return smooth[0]
    if all(a >= b for a, b in zip(image.shape[1:], size, strict=True)):
        return F.interpolate(image[None], tuple(size), mode="area")[0]
    return F.interpolate(image[None], tuple(size), mode="trilinear", align_corners=False)[0]
