"""Labeled images of a training: reading, drawing, choosing two classes, fitting a classifier."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_quac.data.dataset import Dataset, Sample
from napari_quac.errors import DataError, ShapeError
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.resizing import resize
from napari_quac.stepwise import Progress, stepwise

MAX_GIGABYTES = 4.0


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
        ids = tuple(self.ids[i] for i in indices)
        return ImagePool(self.values[indices], self.labels[indices], self.classes, ids)

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
        values = np.empty((len(self), self.channels, size, size), np.uint16)
        for first in range(0, len(self), 64):
            indices = np.arange(first, min(first + 64, len(self)))
            small = resize(self.images(indices), size).clamp(0, 1)
            values[indices] = np.rint(small.numpy() * 65535).astype(np.uint16)
        return ImagePool(values, self.labels, self.classes, self.ids)

    def split(self, share: float, random: np.random.Generator) -> tuple[ImagePool, ImagePool]:
        """Divide the pool, class by class; the second part holds about ``share`` of it."""
        parts = []
        for label in range(len(self.classes)):
            indices = random.permutation(self.of_class(label))
            n = min(len(indices) - 1, max(1, round(share * len(indices))))
            parts.append((indices[n:], indices[:n]))
        first, second = (self.subset(np.concatenate(part)) for part in zip(*parts, strict=True))
        return first, second


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
    n, labels = len(dataset), _labels(dataset)
    values = np.empty((0, 0, 0, 0), np.uint16)
    for index in range(n):
        image, name = dataset[index].image, dataset.sample_id(index)
        shape = tuple(image.shape)
        if image.ndim != 3 or shape[1] != shape[2]:
            raise ShapeError(f"'{name}' has shape {shape}, not square (C, S, S). Crop the images.")
        if not len(values):
            gigabytes = n * image.numel() * 2 / 2**30
            if gigabytes > MAX_GIGABYTES:
                raise DataError(
                    f"{n} images of shape {shape} need {gigabytes:.1f} GB, more than the "
                    f"{MAX_GIGABYTES:.0f} GB of a training. Use fewer or smaller images."
                )
            values = np.empty((n, *shape), np.uint16)
        if shape != values.shape[1:]:
            raise ShapeError(
                f"'{name}' has shape {shape}, but the first image has {values.shape[1:]}. Resize "
                "all images to one shape."
            )
        values[index] = np.rint(image.numpy() * 65535).astype(np.uint16)
        if index % 50 == 0:
            yield Progress(index, n, "reading images")
    ids = tuple(dataset.sample_id(index) for index in range(n))
    return ImagePool(values, labels, tuple(dataset.classes), ids)


def _labels(dataset: Dataset) -> NDArray[np.int64]:
    """Return the labels of all samples, at least two of each of at least two classes."""
    labels = [dataset.label(index) for index in range(len(dataset))]
    way_out = "Training needs at least 2 classes: one subfolder each, with at least 2 images."
    if None in labels:
        unlabeled = dataset.sample_id(labels.index(None))
        raise DataError(f"'{unlabeled}' has no class. {way_out}")
    if len(dataset.classes) < 2:
        raise DataError(f"'{dataset.name}' has {len(dataset.classes)} class(es). {way_out}")
    for label, name in enumerate(dataset.classes):
        if labels.count(label) < 2:
            n = labels.count(label)
            raise DataError(f"Class '{name}' of '{dataset.name}' has {n} image(s). {way_out}")
    return np.array(labels, np.int64)


def resize_for(classifier: Classifier, images: Tensor) -> Tensor:
    """Return images (N, C, S, S) at the image size of a classifier."""
    return resize(images, classifier.image_size[0]) if classifier.image_size else images


def turn(images: Tensor, symmetry: int) -> Tensor:
    """Apply one of the eight symmetries of the square to images (N, C, S, S)."""
    images = torch.rot90(images, symmetry % 4, (2, 3))
    return images.flip(3) if symmetry >= 4 else images


def validate_class_pair(pair: Sequence[str] | None, classes: tuple[str, ...]) -> tuple[str, str]:
    """Return the two classes of a training.

    Parameters
    ----------
    pair : two str, or None
        By default the only two classes.
    classes : tuple of str
        Classes of the images.

    Raises
    ------
    DataError
        If the pair is not clear, or there is no such class.
    """
    if pair is None and len(classes) != 2:
        raise DataError(
            f"This generator needs two classes, and there are {len(classes)}: "
            f"{', '.join(classes)}. Choose a pair."
        )
    names = tuple(pair or classes)
    if len(names) != 2 or len(set(names) & set(classes)) != 2:
        raise DataError(
            f"'{', '.join(names)}' are not two of the classes. There are: {', '.join(classes)}."
        )
    return names[0], names[1]


def select_class_pair(pool: ImagePool, names: tuple[str, str]) -> ImagePool:
    """Return the images of two classes, which become 0 and 1.

    Raises
    ------
    DataError
        If a class has no images.
    """
    missing = [name for name in names if name not in pool.classes]
    if missing:
        raise DataError(f"The validation images have no class '{missing[0]}'. Add some of it.")
    parts = [pool.of_class(pool.classes.index(name)) for name in names]
    chosen = pool.subset(np.concatenate(parts))
    labels = np.repeat(np.arange(2), [len(part) for part in parts])
    return ImagePool(chosen.values, labels, names, chosen.ids)


def class_indices(classifier: Classifier, pool: ImagePool) -> tuple[int, int]:
    """Return the classifier's indices of both classes of a pool.

    Raises
    ------
    DataError, ShapeError
        If the classifier lacks a class, or takes other images.
    """
    _check_channels(classifier, pool)
    missing = [name for name in pool.classes if name not in classifier.class_names]
    if missing:
        raise DataError(
            f"The classifier {classifier.name} has no class '{missing[0]}', but "
            f"{', '.join(classifier.class_names)}. Rename the folders or the classes."
        )
    first, second = (classifier.class_names.index(name) for name in pool.classes)
    return first, second


def order_like(pool: ImagePool, class_names: Sequence[str]) -> ImagePool:
    """Return a pool with its classes in another order; unchanged if the names differ.

    Parameters
    ----------
    pool : ImagePool
        Images of the classes, usually in the order of their folders.
    class_names : sequence of str
        The same names in the order of a classifier.
    """
    names = tuple(class_names)
    if names == pool.classes or sorted(names) != sorted(pool.classes):
        return pool
    place_of = np.array([names.index(name) for name in pool.classes], np.int64)
    return ImagePool(pool.values, place_of[pool.labels], names, pool.ids)


def require_same_classes(classifier: Classifier, pool: ImagePool) -> None:
    """Refuse a classifier whose classes differ from those of the images, or are in another order.

    Raises
    ------
    DataError, ShapeError
        If the classes or the channels differ.
    """
    _check_channels(classifier, pool)
    if tuple(classifier.class_names) != pool.classes:
        raise DataError(
            f"The folders are {', '.join(pool.classes)}, but the classes of the classifier "
            f"{classifier.name} are {', '.join(classifier.class_names)}. Rename the folders (for "
            "instance 0_…, 1_…) or the classes, so that both have the same order."
        )


def _check_channels(classifier: Classifier, pool: ImagePool) -> None:
    if classifier.channels != pool.channels:
        raise ShapeError(
            f"The images have {pool.channels} channel(s), the classifier {classifier.name} needs "
            f"{classifier.channels}. Choose other images or another classifier."
        )
