"""Labeled dataset in memory, from which a training draws its batches."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from napari_quac.data.dataset import Dataset, Sample
from napari_quac.errors import DataError, ShapeError
from napari_quac.networks.classifier import Classifier
from napari_quac.stepwise import Progress, stepwise

MAX_BYTES = 4 * 2**30


@dataclass(frozen=True, eq=False)
class ImagePool:
    """All images of a labeled dataset.

    Attributes
    ----------
    values : (N, C, S, S) ndarray, uint16
        The images on a scale of 65535: exact for 8- and 16-bit data, half the memory of float32.
    labels : (N,) ndarray, int64
    classes : tuple of str
        Class names by label.
    ids : tuple of str
        Ids of the samples.
    """

    values: NDArray[np.uint16]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    ids: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def channels(self) -> int:
        """Number of channels."""
        return int(self.values.shape[1])

    @property
    def image_size(self) -> int:
        """Height and width, pixels."""
        return int(self.values.shape[2])

    def images(self, indices: NDArray[np.int64]) -> Tensor:
        """Return images (n, C, S, S), float32 in [0, 1]."""
        return torch.from_numpy(self.values[indices].astype(np.float32) / np.float32(65535))

    def subset(self, indices: NDArray[np.int64]) -> ImagePool:
        """Return a pool of some of the images."""
        return ImagePool(
            self.values[indices],
            self.labels[indices],
            self.classes,
            tuple(self.ids[i] for i in indices),
        )

    def of_class(self, label: int) -> NDArray[np.int64]:
        """Return the indices of the images of a class."""
        return np.flatnonzero(self.labels == label)

    def draw(self, n: int, random: np.random.Generator) -> NDArray[np.int64]:
        """Draw n images, each class equally often, and return their indices."""
        classes = random.integers(0, len(self.classes), n)
        return np.array([random.choice(self.of_class(int(label))) for label in classes])

    def resized(self, size: int) -> ImagePool:
        """Return the pool with its images resized to ``size`` pixels."""
        if size == self.image_size:
            return self
        shape = (len(self), self.channels, size, size)
        values = np.empty(shape, np.uint16)
        for first in range(0, len(self), 64):
            indices = np.arange(first, min(first + 64, len(self)))
            small = reduce_to(self.images(indices), size).clamp(0, 1)
            values[indices] = np.rint(small.numpy() * 65535).astype(np.uint16)
        return ImagePool(values, self.labels, self.classes, self.ids)

    def split(self, share: float, random: np.random.Generator) -> tuple[ImagePool, ImagePool]:
        """Divide the pool, class by class; the second part holds about ``share`` of it."""
        first: list[NDArray[np.int64]] = []
        second: list[NDArray[np.int64]] = []
        for label in range(len(self.classes)):
            indices = random.permutation(self.of_class(label))
            n = min(len(indices) - 1, max(1, round(share * len(indices))))
            second.append(indices[:n])
            first.append(indices[n:])
        return self.subset(np.concatenate(first)), self.subset(np.concatenate(second))


class PoolDataset:
    """Pool as a dataset.

    Parameters
    ----------
    pool : ImagePool
    name : str
        Shown to the user.
    """

    def __init__(self, pool: ImagePool, name: str = "held-out images") -> None:
        self.name = name
        self.classes = pool.classes
        self._pool = pool

    def __len__(self) -> int:
        return len(self._pool)

    def __getitem__(self, index: int) -> Sample:
        image = self._pool.images(np.array([index]))[0]
        return Sample(self._pool.ids[index], image, self.label(index))

    def sample_id(self, index: int) -> str:
        """Return the id of a sample."""
        return self._pool.ids[index]

    def label(self, index: int) -> int | None:
        """Return the label of a sample."""
        return int(self._pool.labels[index])


@stepwise
def load_pool(dataset: Dataset) -> Generator[Progress, None, ImagePool]:
    """Read a labeled dataset into memory.

    Parameters
    ----------
    dataset : Dataset
        At least two classes with at least two images each; all images square and of one shape.

    Returns
    -------
    pool : ImagePool

    Raises
    ------
    DataError
        If labels are missing, a class has too few images, or all of it does not fit in memory.
    ShapeError
        If an image is not square or differs from the first.
    """
    n = len(dataset)
    labels = _labels(dataset)
    values = np.empty((0, 0, 0, 0), np.uint16)
    for index in range(n):
        image = dataset[index].image
        name = dataset.sample_id(index)
        if image.ndim != 3 or image.shape[1] != image.shape[2]:
            raise ShapeError(
                f"'{name}' has shape {tuple(image.shape)}; training needs square images "
                "(C, S, S). Crop the images to squares."
            )
        if not len(values):
            if n * image.numel() * 2 > MAX_BYTES:
                raise DataError(
                    f"{n} images of shape {tuple(image.shape)} need "
                    f"{n * image.numel() * 2 / 2**30:.1f} GB, more than the "
                    f"{MAX_BYTES / 2**30:.0f} GB that a training takes. Use fewer or smaller "
                    "images."
                )
            values = np.empty((n, *image.shape), np.uint16)
        if tuple(image.shape) != values.shape[1:]:
            raise ShapeError(
                f"'{name}' has shape {tuple(image.shape)}, but the first image has "
                f"{values.shape[1:]}. Resize all images to one shape."
            )
        values[index] = np.rint(image.numpy() * 65535).astype(np.uint16)
        if index % 50 == 0:
            yield Progress(index, n, "reading images")
    ids = tuple(dataset.sample_id(index) for index in range(n))
    return ImagePool(values, labels, tuple(dataset.classes), ids)


def _labels(dataset: Dataset) -> NDArray[np.int64]:
    labels: list[int] = []
    for index in range(len(dataset)):
        label = dataset.label(index)
        if label is None:
            raise DataError(
                f"'{dataset.sample_id(index)}' has no class. Training needs a folder with one "
                "subfolder of images per class."
            )
        labels.append(label)
    if len(dataset.classes) < 2:
        raise DataError(
            f"'{dataset.name}' has {len(dataset.classes)} class(es), training needs at least 2. "
            "Put the images into one subfolder per class."
        )
    for label, name in enumerate(dataset.classes):
        if labels.count(label) < 2:
            raise DataError(
                f"Class '{name}' of '{dataset.name}' has {labels.count(label)} image(s), training "
                "needs at least 2. Add images, or remove the folder."
            )
    return np.array(labels, np.int64)


def reduce_to(images: Tensor, size: int) -> Tensor:
    """Resize images (N, C, S, S) to ``size`` pixels; when they shrink, by averaging areas."""
    if images.shape[-1] == size:
        return images
    if images.shape[-1] % size == 0:
        return F.avg_pool2d(images, images.shape[-1] // size)
    antialias = images.shape[-1] > size
    return F.interpolate(
        images, (size, size), mode="bilinear", align_corners=False, antialias=antialias
    )


def enlarge_to(images: Tensor, size: int) -> Tensor:
    """Resize images (N, C, S, S) to ``size`` pixels, bilinear."""
    if images.shape[-1] == size:
        return images
    return F.interpolate(images, (size, size), mode="bilinear", align_corners=False)


def resize_for(classifier: Classifier, images: Tensor) -> Tensor:
    """Return images (N, C, S, S) at the image size of a classifier."""
    size = classifier.image_size[0] if classifier.image_size else images.shape[-1]
    return reduce_to(images, size) if images.shape[-1] > size else enlarge_to(images, size)


def turn(images: Tensor, symmetry: int) -> Tensor:
    """Apply one of the eight symmetries of the square to images (N, C, S, S)."""
    images = torch.rot90(images, symmetry % 4, (2, 3))
    return images.flip(3) if symmetry >= 4 else images
