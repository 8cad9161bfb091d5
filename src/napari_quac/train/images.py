"""Labeled images of a training: reading, drawing, choosing two classes, fitting a classifier."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_quac.data.dataset import Dataset, Sample, evenly_spaced
from napari_quac.data.groups import sample_groups
from napari_quac.data.overlap import Overlap, compare_hashes, pixel_hash
from napari_quac.errors import DataError, ShapeError
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.network_input import plural_channels
from napari_quac.networks.resizing import resize
from napari_quac.stepwise import Progress, stepwise
from napari_quac.train.splitting import split_by_class, split_by_group

MAX_GIGABYTES = 4.0
MAX_SKIPPED = 0.1
"""Share of images that may be skipped; more are no accident."""
N_PROBED = 9
"""Number of images whose most frequent shape is that of the training."""
TWO_CLASSES = "Training needs at least 2 classes: one subfolder each, with at least 2 images."


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
    groups : tuple of str
        Group of each image, whose images are not divided between training and held-out images;
        empty without groups.
    skipped : mapping of str to str
        Id of each sample that cannot be used, to the reason.
    """

    values: NDArray[np.uint16]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    ids: tuple[str, ...]
    groups: tuple[str, ...] = ()
    skipped: Mapping[str, str] = field(default_factory=dict)

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
        return replace(
            self,
            values=self.values[indices],
            labels=self.labels[indices],
            ids=tuple(self.ids[i] for i in indices),
            groups=tuple(self.groups[i] for i in indices) if self.groups else (),
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
        values = np.empty((len(self), self.channels, size, size), np.uint16)
        for first in range(0, len(self), 64):
            indices = np.arange(first, min(first + 64, len(self)))
            small = resize(self.images(indices), size).clamp(0, 1)
            values[indices] = np.rint(small.numpy() * 65535).astype(np.uint16)
        return replace(self, values=values)

    def overlap(self, others: ImagePool) -> Overlap:
        """Return the images that are also in another pool; see :mod:`napari_quac.data.overlap`."""
        known = {pixel_hash(v): name for v, name in zip(others.values, others.ids, strict=True)}
        return compare_hashes(map(pixel_hash, self.values), self.ids, known)

    def split(self, share: float, random: np.random.Generator) -> tuple[ImagePool, ImagePool]:
        """Divide the pool; the second part holds about ``share`` of each class.

        Raises
        ------
        DataError
            If the groups do not allow it.
        """
        if self.groups:
            indices = split_by_group(self.labels, self.groups, share, random, self.classes)
        else:
            indices = split_by_class(self.labels, share, random)
        return self.subset(indices[0]), self.subset(indices[1])


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
def load_pool(dataset: Dataset, group: str = "") -> Generator[Progress, None, ImagePool]:
    """Read a labeled dataset into memory.

    A few images that cannot be read, have no label or another shape are skipped.

    Parameters
    ----------
    dataset : Dataset
        At least two classes with at least two images each; all images square and of one shape.
    group : str
        Groups that are not divided; see :func:`~napari_quac.data.groups.sample_groups`.

    Returns
    -------
    pool : ImagePool

    Raises
    ------
    DataError
        If more than a tenth of the images cannot be used, a class has too few images, or all of
        it does not fit in memory.
    ShapeError
        If these images are not square or of other shapes.
    """
    n = len(dataset)
    if len(dataset.classes) < 2:
        raise DataError(f"'{dataset.name}' has {len(dataset.classes)} class(es). {TWO_CLASSES}")
    groups = sample_groups(dataset, group) if group else ()
    shape = _usual_shape(dataset)
    gigabytes = n * math.prod(shape) * 2 / 2**30
    if gigabytes > MAX_GIGABYTES:
        raise DataError(
            f"{n} images of shape {shape} need {gigabytes:.1f} GB, more than the "
            f"{MAX_GIGABYTES:.0f} GB of a training. Use fewer or smaller images."
        )
    values = np.empty((n, *shape), np.uint16)
    problems: dict[int, DataError] = {}
    for index in range(n):
        try:
            image = _usable_image(dataset, index, shape)
        except DataError as error:
            problems[index] = error
        else:
            values[index] = np.rint(image.numpy() * 65535).astype(np.uint16)
        if index % 50 == 0:
            yield Progress(index, n, "reading images")
    if len(problems) > MAX_SKIPPED * n:
        first = next(iter(problems.values()))
        raise type(first)(f"{len(problems)} of {n} images cannot be used; the first: {first}")
    kept = np.array([index for index in range(n) if index not in problems], np.int64)
    labels = np.array([dataset.label(int(index)) for index in kept], np.int64)
    for label, name in enumerate(dataset.classes):
        if (count := int((labels == label).sum())) < 2:
            raise DataError(
                f"Class '{name}' of '{dataset.name}' has {count} image(s). {TWO_CLASSES}"
            )
    ids = tuple(dataset.sample_id(index) for index in range(n))
    return ImagePool(
        values[kept] if problems else values,
        labels,
        tuple(dataset.classes),
        tuple(ids[index] for index in kept),
        tuple(groups[index] for index in kept) if groups else (),
        {ids[index]: str(error) for index, error in problems.items()},
    )


def _usual_shape(dataset: Dataset) -> tuple[int, ...]:
    """Return the most frequent shape of some images that can be read."""
    shapes: Counter[tuple[int, ...]] = Counter()
    problem: DataError | None = None
    n = len(dataset)
    sparse = evenly_spaced(n, N_PROBED)
    for index in dict.fromkeys([*sparse, *range(n)]):
        try:
            shapes[tuple(dataset[index].image.shape)] += 1
        except DataError as error:
            problem = problem or error
        if shapes.total() == N_PROBED:
            break
    if not shapes:
        raise problem or DataError(f"'{dataset.name}' has no images. {TWO_CLASSES}")
    return shapes.most_common(1)[0][0]


def _usable_image(dataset: Dataset, index: int, shape: tuple[int, ...]) -> Tensor:
    """Return an image for the training, or say why it cannot be used."""
    name = dataset.sample_id(index)
    if dataset.label(index) is None:
        raise DataError(f"'{name}' has no class. {TWO_CLASSES}")
    image = dataset[index].image
    if image.ndim != 3 or image.shape[1] != image.shape[2]:
        text = f"'{name}' has shape {tuple(image.shape)}, not square (C, S, S). Crop the images."
        raise ShapeError(text)
    if image.shape != shape:
        raise ShapeError(
            f"'{name}' has shape {tuple(image.shape)}, but the others have {shape}. Resize all "
            "images to one shape."
        )
    return image


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
    return replace(chosen, labels=labels, classes=names)


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
    return replace(pool, labels=place_of[pool.labels], classes=names)


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
    if not classifier.takes_channels(pool.channels):
        raise ShapeError(
            f"The images have {plural_channels(pool.channels)}, the classifier {classifier.name} "
            f"needs {classifier.channels}. Choose other images or another classifier."
        )
