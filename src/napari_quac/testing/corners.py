"""Tiny networks and images with known answers, for tests of other methods and generators."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from napari_quac.data.dataset import Sample
from napari_quac.data.preprocessing import PRESETS
from napari_quac.generators.family import GeneratorFamily
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.generator import FunctionGenerator

CLASSES = ("left", "right", "both")


class CornerNetwork(nn.Module):
    """Looks at two corners: a bright one speaks for its class, two of them for the third.

    The logits are linear in the mean of each corner and smooth in their product, so that every
    method of attribution has something to find, and finds it in the corners.

    Parameters
    ----------
    size : int
        Side of the images in pixels; each corner is a quarter of that.
    """

    def __init__(self, size: int = 32) -> None:
        super().__init__()
        self.corner = max(1, size // 4)

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (N, 3) of images (N, 1, size, size) in [0, 1]."""
        k = self.corner
        left = images[:, :, :k, :k].mean(dim=(1, 2, 3))
        right = images[:, :, -k:, -k:].mean(dim=(1, 2, 3))
        return torch.stack([8 * (left - right), 8 * (right - left), 16 * left * right - 2], dim=1)


def corner_classifier(size: int = 32) -> Classifier:
    """Return a classifier whose important pixels are known: the two corners."""
    module = CornerNetwork(size).eval()
    return Classifier(
        module,
        CLASSES,
        channels=1,
        image_size=(size, size),
        preprocessing=PRESETS["unit"],
        form="callable",
        name="corners",
        description={"Kind": "two corners"},
    )


def corner_image(label: int, size: int = 32, seed: int = 0) -> Tensor:
    """Return an image (1, size, size) of a class of :data:`CLASSES`."""
    generator = torch.Generator().manual_seed(seed)
    image = 0.3 + 0.1 * torch.rand((1, size, size), generator=generator)
    k = size // 4
    image[..., :k, :k] += 0.5 if label in (0, 2) else -0.3
    image[..., -k:, -k:] += 0.5 if label in (1, 2) else -0.3
    return image.clamp(0, 1)


def corner_generator(size: int = 32) -> FunctionGenerator:
    """Return a generator that repaints the corners for the target and changes little else."""

    def convert(query: Tensor, source: int, target: int, seed: int) -> Tensor:
        corners = corner_image(target, size, seed % 1000)
        converted = query.clone()
        k, middle = size // 4, size // 2
        converted[..., :k, :k] = corners[..., :k, :k]
        converted[..., -k:, -k:] = corners[..., -k:, -k:]
        converted[..., middle - 2 : middle + 2, middle - 2 : middle + 2] += 0.1
        return converted.clamp(0, 1)

    return FunctionGenerator(convert, "corners")


@dataclass(frozen=True)
class CornerSamples:
    """A dataset of corner images; some labels are wrong on purpose.

    Attributes
    ----------
    n : int
        Number of samples.
    size : int
        Side in pixels.
    wrong : tuple of int
        Samples whose label is not what they show.
    """

    n: int = 9
    size: int = 32
    wrong: tuple[int, ...] = (4,)
    name: str = "corner images"
    classes: tuple[str, ...] = field(default=CLASSES)

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, index: int) -> Sample:
        if index >= self.n:
            raise IndexError(f"There is no sample {index} among {self.n}.")
        image = corner_image(index % 3, self.size, index)
        sample_id, label = self.sample_id(index), self.label(index)
        return Sample(sample_id, image, label, scale=(4.0, 4.0), unit="nm")

    def sample_id(self, index: int) -> str:
        """Return a name such as ``"corner/3"``."""
        return f"corner/{index}"

    def label(self, index: int) -> int:
        """Return the label, which is wrong for the samples in ``wrong``."""
        return (index + (index in self.wrong)) % 3


@dataclass(frozen=True)
class ReadyNetwork(GeneratorFamily):
    """A recipe whose network is there already, or whose loading fails on purpose.

    Attributes
    ----------
    network : Classifier or Generator
    error : BaseException or None
        Raised instead.
    """

    files = ()

    network: Any
    error: BaseException | None = None

    def load(self, device: Any = "auto") -> Any:
        """Return the network."""
        if self.error is not None:
            raise self.error
        return self.network
