"""Classes of a training: the pair, its images, and the agreement with a classifier."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from napari_quac.errors import DataError, ShapeError
from napari_quac.networks.classifier import Classifier
from napari_quac.train.images import ImagePool


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
    unknown = [name for name in names if name not in classes]
    if len(names) != 2 or names[0] == names[1] or unknown:
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
        raise DataError(
            f"The validation images have no class '{missing[0]}'. Add images of that class."
        )
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
            f"{', '.join(classifier.class_names)}. Name the folders, or the classifier's classes, "
            "so that they agree."
        )
    first, second = (classifier.class_names.index(name) for name in pool.classes)
    return first, second


def require_same_classes(classifier: Classifier, pool: ImagePool) -> None:
    """Refuse a classifier whose classes differ from those of the images, or are in another order.

    Raises
    ------
    DataError, ShapeError
        If the classes or the channels differ.
    """
    _check_channels(classifier, pool)
    if set(classifier.class_names) != set(pool.classes):
        raise DataError(
            f"The images are of classes {', '.join(pool.classes)}, but the classifier "
            f"{classifier.name} has {', '.join(classifier.class_names)}. Name the folders, or "
            "the classifier's classes, so that they agree."
        )
    if tuple(classifier.class_names) != pool.classes:
        raise DataError(
            f"The folders are sorted {', '.join(pool.classes)}, but the classifier's classes are "
            f"{', '.join(classifier.class_names)}. Rename the folders (for instance 0_…, 1_…) so "
            "that both have the same order."
        )


def _check_channels(classifier: Classifier, pool: ImagePool) -> None:
    if classifier.channels != pool.channels:
        raise ShapeError(
            f"The images have {pool.channels} channel(s), but the classifier {classifier.name} was "
            f"trained on {classifier.channels}. Choose other images or another classifier."
        )
