"""Division of labeled images into training images and held-out images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from napari_quac.errors import DataError


def split_by_class(
    labels: NDArray[np.int64], share: float, random: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Divide images at random, class by class.

    Parameters
    ----------
    labels : (N,) ndarray, int64
        Label of each image; at least two images for each label.
    share : float
        Share of each class in the second part, in (0, 1); at least one image and not all.
    random : numpy Generator
        Source of the random order.

    Returns
    -------
    first, second : (n,) ndarray, int64
        Indices of the images.
    """
    parts = []
    for label in range(int(labels.max()) + 1):
        indices = random.permutation(np.flatnonzero(labels == label))
        n = min(len(indices) - 1, max(1, round(share * len(indices))))
        parts.append((indices[n:], indices[:n]))
    first, second = (np.concatenate(part) for part in zip(*parts, strict=True))
    return first, second


def split_by_group(
    labels: NDArray[np.int64],
    groups: Sequence[str],
    share: float,
    random: np.random.Generator,
    classes: Sequence[str],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Divide images so that each group is in one part only; see :func:`split_by_class`.

    Groups are added to the second part in random order, as long as a class of theirs lacks
    images there and no class loses its last group in the first part.

    Parameters
    ----------
    labels, share, random
        See :func:`split_by_class`; the share is approximate.
    groups : sequence of str
        Group of each image.
    classes : sequence of str
        Class names, for the message.

    Raises
    ------
    DataError
        If a class has images of one group only.
    """
    names, group_of = np.unique(np.asarray(groups), return_inverse=True)
    n_classes = len(classes)
    counts = np.zeros((len(names), n_classes), np.int64)
    np.add.at(counts, (group_of, labels), 1)
    for label in range(n_classes):
        if np.count_nonzero(counts[:, label]) < 2:
            raise DataError(
                f"All images of the class '{classes[label]}' are of one group "
                f"({names[counts[:, label].argmax()]}), so none can be held out. Choose other "
                "groups, or separate validation images."
            )
    required = np.maximum(1, np.rint(share * counts.sum(axis=0)).astype(np.int64))
    held_out = np.zeros(len(names), bool)
    # rounds: first only groups that do not exceed what is missing, then any
    for is_strict in (True, False):
        for group in random.permutation(len(names)):
            missing = required - counts[held_out].sum(axis=0)
            is_useful = bool(((missing > 0) & (counts[group] > 0)).any())
            fits = bool((counts[group] <= np.maximum(missing, 0)).all())
            remaining = counts[~held_out].sum(axis=0) - counts[group]
            if not held_out[group] and is_useful and (fits or not is_strict):
                held_out[group] = bool((remaining > 0).all())
    absent = counts[held_out].sum(axis=0) == 0
    if absent.any():
        raise DataError(
            f"No group with images of the class '{classes[int(absent.argmax())]}' can be held out "
            "without leaving a class without training images. Choose smaller groups."
        )
    in_second = held_out[group_of]
    return np.flatnonzero(~in_second), np.flatnonzero(in_second)
