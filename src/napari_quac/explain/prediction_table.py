"""What the classifier says of every sample of a dataset."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from napari_quac.data.dataset import Dataset
from napari_quac.errors import QuacError
from napari_quac.explain.question import true_class
from napari_quac.networks.classifier import CPU_BATCH, GPU_BATCH, Classifier
from napari_quac.stepwise import Progress, stepwise

UNKNOWN = -1


@dataclass(frozen=True, eq=False)
class PredictionTable:
    """Predictions of N samples, by their index in the dataset.

    Attributes
    ----------
    class_names : tuple of str
        Of the classifier.
    probabilities : (N, K) ndarray, float32 in [0, 1]
        NaN where a sample has no prediction yet, or has failed.
    truth : (N,) ndarray, int64
        The classifier's class that the sample's label names; -1 where it names none.
    failures : mapping of int to str
        Index of a sample that could not be read or predicted, to the reason.
    """

    class_names: tuple[str, ...]
    probabilities: NDArray[np.float32]
    truth: NDArray[np.int64]
    failures: Mapping[int, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.truth)

    @property
    def known(self) -> NDArray[np.bool_]:
        """Where there is a prediction; (N,)."""
        return np.asarray(np.isfinite(self.probabilities).all(axis=1))

    @property
    def predicted(self) -> NDArray[np.int64]:
        """The most probable class; -1 where there is no prediction; (N,)."""
        filled = np.where(np.isfinite(self.probabilities), self.probabilities, 0)
        return np.where(self.known, filled.argmax(axis=1), UNKNOWN)

    @property
    def confidence(self) -> NDArray[np.float32]:
        """Probability of the predicted class; NaN where there is none; (N,)."""
        return np.asarray(self.probabilities.max(axis=1, initial=-np.inf))

    @property
    def wrong(self) -> NDArray[np.bool_]:
        """Where the label is known and another class is predicted; (N,)."""
        return np.asarray(self.known & (self.truth != UNKNOWN) & (self.truth != self.predicted))

    def confusion(self) -> NDArray[np.int64]:
        """Return counts by true class (rows) and predicted class (columns); (K, K)."""
        n_classes = len(self.class_names)
        counts = np.zeros((n_classes, n_classes), dtype=np.int64)
        both = self.known & (self.truth != UNKNOWN)
        np.add.at(counts, (self.truth[both], self.predicted[both]), 1)
        return counts


@stepwise
def predict_all(
    dataset: Dataset, classifier: Classifier, batch_size: int | None = None
) -> Generator[Progress, None, PredictionTable]:
    """Predict every sample, a batch at a time.

    A sample that cannot be read or does not fit is noted, and the others go on.

    Parameters
    ----------
    dataset : Dataset
        The samples, read one batch at a time.
    classifier : Classifier
        The classifier under study.
    batch_size : int, optional
        Samples at a time; changes no result.

    Returns
    -------
    Steps of PredictionTable
        ``Progress.partial`` is the table as far as it has come.
    """
    batch_size = batch_size or (CPU_BATCH if classifier.device.type == "cpu" else GPU_BATCH)
    n_samples = len(dataset)
    probabilities = np.full((n_samples, classifier.n_classes), np.nan, dtype=np.float32)
    failures: dict[int, str] = {}
    truth = np.full(n_samples, UNKNOWN, dtype=np.int64)
    for index in range(n_samples):
        named = true_class(dataset.label(index), dataset.classes, classifier)
        truth[index] = UNKNOWN if named is None else named

    def so_far() -> PredictionTable:
        return PredictionTable(
            classifier.class_names, probabilities.copy(), truth.copy(), dict(failures)
        )

    for start in range(0, n_samples, batch_size):
        yield Progress(start, n_samples, "predict", so_far())
        indices, images = [], []
        for index in range(start, min(start + batch_size, n_samples)):
            try:
                sample = dataset[index]
                classifier.check_image(sample.image.shape, f"The sample '{sample.id}'")
            except QuacError as error:
                failures[index] = str(error)
                continue
            indices.append(index)
            images.append(sample.image)
        for part in _of_one_shape(indices, images):
            batch = torch.stack([images[indices.index(index)] for index in part])
            try:
                probabilities[part] = classifier.predict(batch).numpy()
            except QuacError as error:
                failures.update(dict.fromkeys(part, str(error)))
    return so_far()


def _of_one_shape(indices: list[int], images: list[torch.Tensor]) -> list[list[int]]:
    groups: dict[tuple[int, ...], list[int]] = {}
    for index, image in zip(indices, images, strict=True):
        groups.setdefault(tuple(image.shape), []).append(index)
    return list(groups.values())
