"""Predictions of about 60 labeled images under several preprocessings."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_quac.data.dataset import Dataset, evenly_spaced
from napari_quac.errors import DataError, QuacError, one_line
from napari_quac.explain.agreement import Agreement, Candidate, compare_with_labels
from napari_quac.explain.agreement_candidates import (
    present_candidate,
    usual_candidates,
)
from napari_quac.explain.labels import match_labels
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.device import in_batches
from napari_quac.networks.fast_inference import RUN_ERRORS
from napari_quac.networks.outputs import to_logits
from napari_quac.networks.stored_statistics import StoredStatistics
from napari_quac.stepwise import Progress, stepwise

N_IMAGES = 60
MOST_IMAGES = 240  # for many labels: two images of each, one for each half
IMAGES_PER_STEP = 16  # between two steps other jobs can take their turn
SUSPICIOUS_ACCURACY = 0.8
"""Below it, other preprocessings and class orders are tried without a request."""
STATUS = "comparing predictions with labels"


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
    dataset: Dataset,
    classifier: Classifier,
    n_images: int = N_IMAGES,
) -> Generator[Progress, None, Agreement]:
    """Predict labeled images under the usual preprocessings and compare them with the labels.

    Parameters
    ----------
    dataset : Dataset
        Samples with labels.
    classifier : Classifier
        The classifier as it is used at present.
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
            "folder per class, or choose a table or pattern of labels (--label-table, "
            "--label-pattern)."
        )
    candidates = usual_candidates(classifier, _first_shape(dataset, chosen))
    return (yield from compare_candidates(dataset, candidates, chosen))


@stepwise
def check_briefly(
    dataset: Dataset,
    classifier: Classifier,
    n_images: int = N_IMAGES,
) -> Generator[Progress, None, Agreement | None]:
    """Compare the present predictions with labels, and others only if these disagree.

    Parameters
    ----------
    dataset, classifier, n_images
        As for :func:`check_agreement`.

    Returns
    -------
    Steps of Agreement or None
        Of the present preprocessing alone if its accuracy is at least 0.8. None without labels.

    Raises
    ------
    DataError
        If no labeled image can be predicted.
    """
    chosen = choose_images(dataset, n_images)
    if not chosen:
        return None
    candidates = [present_candidate(classifier)]
    agreement = yield from compare_candidates(dataset, candidates, chosen)
    if agreement.rows[0].accuracy >= SUSPICIOUS_ACCURACY:
        return agreement
    return (yield from check_agreement(dataset, classifier, n_images))


def _first_shape(dataset: Dataset, rows: Sequence[int]) -> tuple[int, ...]:
    """Return the shape of the first image that can be read.

    Raises
    ------
    DataError
        If none can be read.
    """
    reason = ""
    for index in rows:
        try:
            return tuple(dataset[index].image.shape)
        except QuacError as error:
            reason = reason or str(error)
    raise DataError(reason)


@stepwise
def compare_candidates(
    dataset: Dataset, candidates: Sequence[Candidate], rows: Sequence[int]
) -> Generator[Progress, None, Agreement]:
    """Predict images with every candidate and compare the predictions with the labels.

    Each image is read once. Images that cannot be read or predicted are left out and listed.

    Parameters
    ----------
    dataset : Dataset
        Samples with labels.
    candidates : sequence of Candidate
        Ways to use one classifier, or networks with the same outputs.
    rows : sequence of int
        Indices of labeled images.

    Returns
    -------
    Steps of Agreement

    Raises
    ------
    DataError
        If no image can be predicted.
    """
    predictions: list[dict[int, NDArray[np.float32]]] = [{} for _ in candidates]
    statistics = [StoredStatistics(candidate.classifier) for candidate in candidates]
    failures: list[dict[int, str]] = [{} for _ in candidates]
    unread: dict[int, str] = {}
    n_steps = len(candidates) * len(rows)
    for start in range(0, len(rows), IMAGES_PER_STEP):
        batch = rows[start : start + IMAGES_PER_STEP]
        yield Progress(start * len(candidates), n_steps, STATUS)
        stacks = _read_stacks(dataset, batch, candidates[0].classifier, unread)
        for place, candidate in enumerate(candidates):
            for indices, images in stacks:
                try:
                    probabilities = _predict(candidate.classifier, images, statistics[place])
                except (QuacError, *RUN_ERRORS) as error:
                    failures[place].update(dict.fromkeys(indices, one_line(error)))
                else:
                    predictions[place].update(zip(indices, probabilities, strict=True))
            done = start * len(candidates) + (place + 1) * len(batch)
            yield Progress(done, n_steps, f"{STATUS}: {candidate.name}")
    most = max(map(len, predictions))
    if most == 0:
        raise DataError(next(iter((unread or failures[0]).values())))
    usable = [place for place, table in enumerate(predictions) if 2 * len(table) > most]
    for place in usable:
        unread.update(failures[place])
    indices = [index for index in rows if index not in unread]
    tables = {
        candidates[place]: (
            np.stack([predictions[place][index] for index in indices]),
            statistics[place].distances(),
        )
        for place in usable
    }
    omitted = {
        candidate.name: next(iter(failures[place].values()))
        for place, candidate in enumerate(candidates)
        if place not in usable
    }
    return replace(_compare(dataset, tables, indices, unread), omitted=omitted)


def _read_stacks(
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
        with torch.inference_mode():
            inputs = classifier.to_network(batch.to(classifier.device))
            with statistics.observed(inputs):
                logits = to_logits(classifier.outputs(inputs), classifier.output)
            return classifier.probabilities(logits).float().cpu()

    size = classifier.batch_for(images.shape[2:])
    return np.asarray(in_batches(step, images, size, classifier.name).numpy())


def _compare(
    dataset: Dataset,
    tables: Mapping[Candidate, tuple[NDArray[np.float32], NDArray[np.float64] | None]],
    indices: Sequence[int],
    failures: Mapping[int, str],
) -> Agreement:
    """Compare the predictions (n, K) of each candidate with the labels."""
    classifier = next(iter(tables)).classifier
    match = match_labels(dataset.classes, classifier)
    outputs = np.array([-1 if k is None else k for k in match.indices], dtype=np.int64)
    labels = np.array([dataset.label(index) for index in indices], dtype=np.int64)
    counts = Counter(dataset.label(index) for index in range(len(dataset)))
    return Agreement(
        dataset.name,
        dataset.classes,
        classifier.class_names,
        tuple(indices),
        tuple(
            compare_with_labels(candidate, probabilities, labels, outputs, distances)
            for candidate, (probabilities, distances) in tables.items()
        ),
        {name: counts[dataset.classes.index(name)] for name in match.unmatched},
        {dataset.sample_id(index): reason for index, reason in failures.items()},
        len(dataset) - counts[None],
    )
