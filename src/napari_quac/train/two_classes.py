"""What trainings between two classes share: which two, their images, and how they resume."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_quac.errors import CheckpointError, DataError, ShapeError
from napari_quac.networks.classifier import Classifier
from napari_quac.train.checkpointing import read_state
from napari_quac.train.images import ImagePool
from napari_quac.train.stargan_run import RESUME_FILE


def checked_pair(
    pair: Sequence[str] | None, classes: tuple[str, ...], what: str
) -> tuple[str, str]:
    """Return the two classes of a training; ``what`` begins the sentence of the error.

    Raises
    ------
    DataError
        If it is not clear which two, or there is no such class.
    """
    if pair is None and len(classes) != 2:
        raise DataError(
            f"{what} two classes, and there are {len(classes)}: {', '.join(classes)}. Say which "
            "two."
        )
    names = tuple(pair or classes)
    unknown = [name for name in names if name not in classes]
    if len(names) != 2 or names[0] == names[1] or unknown:
        raise DataError(
            f"'{', '.join(names)}' are not two of the classes. There are: {', '.join(classes)}."
        )
    return names[0], names[1]


def of_two(pool: ImagePool, names: tuple[str, str]) -> ImagePool:
    """Return the images of two classes, which become 0 and 1.

    Raises
    ------
    DataError
        If there are none of a class.
    """
    missing = [name for name in names if name not in pool.classes]
    if missing:
        raise DataError(f"There are no images of class '{missing[0]}' to judge by. Add some.")
    parts = [pool.of_class(pool.classes.index(name)) for name in names]
    chosen = pool.subset(np.concatenate(parts))
    labels = np.repeat(np.arange(2), [len(part) for part in parts])
    return ImagePool(chosen.values, labels, names, chosen.ids)


def indices_in(classifier: Classifier, pool: ImagePool) -> tuple[int, int]:
    """Return the classifier's indices of both classes of a pool.

    Raises
    ------
    DataError, ShapeError
        If it does not know them, or takes other images.
    """
    if classifier.channels != pool.channels:
        raise ShapeError(
            f"The images have {pool.channels} channel(s), but the classifier {classifier.name} was "
            f"trained on {classifier.channels}. Choose other images or another classifier."
        )
    missing = [name for name in pool.classes if name not in classifier.class_names]
    if missing:
        raise DataError(
            f"The classifier {classifier.name} knows no class '{missing[0]}', but "
            f"{', '.join(classifier.class_names)}. Name the folders, or the classifier's classes, "
            "so that they agree."
        )
    first, second = (classifier.class_names.index(name) for name in pool.classes)
    return first, second


def resume_two(trainer: Any, output: Path, names: tuple[str, str]) -> float:
    """Load the state of an earlier training into a trainer; return the minutes it took.

    Raises
    ------
    CheckpointError
        If there is none, or it does not fit.
    """
    path = output / RESUME_FILE
    if not path.exists():
        raise CheckpointError(
            f"There is no training to resume in '{output}' (no {RESUME_FILE}). Choose the folder "
            "of an earlier training, or begin anew."
        )
    state = read_state(path)
    try:
        if tuple(state["class_names"]) != names:
            raise ValueError(f"it was made for {state['class_names']}")
        trainer.load(state)
        return float(state["minutes"])
    except (KeyError, RuntimeError, ValueError, TypeError) as error:
        raise CheckpointError(
            f"The training in '{output}' cannot be resumed: it was made with other sizes of "
            "network, other classes or other images. Use the same settings, or another folder."
        ) from error
