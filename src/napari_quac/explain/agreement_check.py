"""Predictions of about 60 labeled images under several preprocessings."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Generator, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_quac.data.dataset import Dataset, evenly_spaced
from napari_quac.errors import DataError, QuacError
from napari_quac.explain.agreement import Agreement, Candidate, compare_with_labels
from napari_quac.explain.question import true_class
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.device import in_batches
from napari_quac.networks.stored_statistics import StoredStatistics
from napari_quac.stepwise import Progress, stepwise

N_IMAGES = 60
MOST_IMAGES = 240  # for many labels: two images of each, one for each half


def choose_images(dataset: Dataset, n_images: int = N_IMAGES) -> list[int]:
    """Choose labeled images, equally many of each label, spread evenly over the dataset.

    Parameters
    ----------
    dataset : Dataset
        Samples with labels; none is read.
    n_images : int
        Number of images; more, at most 240, where there would be fewer than two of each label.

    Returns
    -------
    list of int
        Indices; labels take turns. Fewer than ``n_images`` if the dataset has no more.
    """
    by_label: defaultdict[int, list[int]] = defaultdict(list)
    for index in range(len(dataset)):
        label = dataset.label(index)
        if label is not None and 0 <= label < len(dataset.classes):
            by_label[label].append(index)
    n_images = min(max(n_images, 2 * len(by_label)), MOST_IMAGES)
    counts = dict.fromkeys(sorted(by_label), 0)
    while sum(counts.values()) < n_images:
        open_labels = [label for label in counts if counts[label] < len(by_label[label])]
        if not open_labels:
            break
        for label in open_labels[: n_images - sum(counts.values())]:
            counts[label] += 1
    chosen = {
        label: [by_label[label][i] for i in evenly_spaced(len(by_label[label]), count)]
        for label, count in counts.items()
        if count
    }
    turns = max(map(len, chosen.values()), default=0)
    return [rows[turn] for turn in range(turns) for rows in chosen.values() if turn < len(rows)]


@stepwise
def check_agreement(
    dataset: Dataset, candidates: Sequence[Candidate], n_images: int = N_IMAGES
) -> Generator[Progress, None, Agreement]:
    """Predict labeled images with every candidate and compare the predictions with the labels.

    Each image is read once. Images that cannot be read or predicted are left out and listed.

    Parameters
    ----------
    dataset : Dataset
        Samples with labels.
    candidates : sequence of Candidate
        Ways to use one classifier, or networks with the same outputs.
    n_images : int
        Number of images; see :func:`choose_images`.

    Returns
    -------
    Steps of Agreement

    Raises
    ------
    DataError
        If there is no label, or no labeled image can be predicted.
    """
    chosen = choose_images(dataset, n_images)
    if not chosen:
        raise DataError(
            f"'{dataset.name}' has no labels to compare predictions with. Sort the images into one "
            "folder per class."
        )
    predictions: list[dict[int, NDArray[np.float32]]] = [{} for _ in candidates]
    statistics = [StoredStatistics(candidate.classifier) for candidate in candidates]
    failures: dict[int, str] = {}
    batch_size = candidates[0].classifier.batch_for(candidates[0].classifier.image_size or (64, 64))
    n_steps = len(candidates) * len(chosen)
    for start in range(0, len(chosen), batch_size):
        rows = chosen[start : start + batch_size]
        yield Progress(start * len(candidates), n_steps, "comparing predictions with labels")
        batches = _read_batches(dataset, rows, candidates[0].classifier, failures)
        for place, candidate in enumerate(candidates):
            for indices, images in batches:
                try:
                    probabilities = _predict(candidate.classifier, images, statistics[place])
                except QuacError as error:
                    failures.update(dict.fromkeys(indices, str(error)))
                else:
                    predictions[place].update(zip(indices, probabilities, strict=True))
            done = start * len(candidates) + (place + 1) * len(rows)
            yield Progress(done, n_steps, f"comparing predictions with labels: {candidate.name}")
    indices = [index for index in chosen if index not in failures]
    if not indices:
        raise DataError(next(iter(failures.values())))
    rows_by_candidate = [
        (np.stack([table[index] for index in indices]), stored.distance())
        for table, stored in zip(predictions, statistics, strict=True)
    ]
    return _compare(dataset, candidates, indices, rows_by_candidate, failures)


def _read_batches(
    dataset: Dataset, rows: Sequence[int], classifier: Classifier, failures: dict[int, str]
) -> list[tuple[list[int], Tensor]]:
    """Read images, and stack those of one shape."""
    by_shape: defaultdict[torch.Size, dict[int, Tensor]] = defaultdict(dict)
    for index in rows:
        try:
            sample = dataset[index]
            classifier.check_image(sample.image.shape, f"The sample '{sample.id}'")
        except QuacError as error:
            failures[index] = str(error)
        else:
            by_shape[sample.image.shape][index] = sample.image
    return [([*images], torch.stack([*images.values()])) for images in by_shape.values()]


def _predict(
    classifier: Classifier, images: Tensor, statistics: StoredStatistics
) -> NDArray[np.float32]:
    def step(batch: Tensor) -> Tensor:
        # without the fast version: to prepare it takes longer than to predict 60 images
        with torch.inference_mode(), statistics.observed():
            return classifier.logits(batch.to(classifier.device)).softmax(dim=1).float().cpu()

    size = classifier.batch_for(images.shape[2:])
    return np.asarray(in_batches(step, images, size, classifier.name).numpy())


def _compare(
    dataset: Dataset,
    candidates: Sequence[Candidate],
    indices: Sequence[int],
    predictions: Sequence[tuple[NDArray[np.float32], float | None]],
    failures: Mapping[int, str],
) -> Agreement:
    classifier = candidates[0].classifier
    current = [true_class(i, dataset.classes, classifier) for i in range(len(dataset.classes))]
    outputs = np.array([-1 if k is None else k for k in current], dtype=np.int64)
    labels = np.array([dataset.label(index) for index in indices], dtype=np.int64)
    counts = Counter(dataset.label(index) for index in range(len(dataset)))
    rows = tuple(
        compare_with_labels(candidate, probabilities, labels, outputs, distance)
        for candidate, (probabilities, distance) in zip(candidates, predictions, strict=True)
    )
    return Agreement(
        dataset.name,
        dataset.classes,
        classifier.class_names,
        tuple(indices),
        rows,
        {name: counts[i] for i, name in enumerate(dataset.classes) if current[i] is None},
        {dataset.sample_id(index): reason for index, reason in failures.items()},
        len(dataset) - counts[None],
    )
