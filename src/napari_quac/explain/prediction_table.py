"""Predictions of the classifier for all samples of a dataset."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_quac.data.dataset import Dataset, ReadAhead, Sample, reading_order
from napari_quac.errors import OutOfMemoryError, QuacError, is_out_of_memory, one_line
from napari_quac.explain.labels import LabelMatch, match_labels
from napari_quac.networks.classifier import CPU_BATCH, GPU_BATCH, Classifier
from napari_quac.networks.outputs import to_logits
from napari_quac.networks.run_errors import network_errors
from napari_quac.stepwise import Progress, stepwise

UNKNOWN = -1
BATCHES_AHEAD = 2
"""Batches of remote samples that are requested at once: the present one and the next."""


@dataclass(frozen=True, eq=False)
class PredictionTable:
    """Predictions of N samples, by their index in the dataset.

    Attributes
    ----------
    class_names : tuple of str
        Of the classifier.
    probabilities : (N, K) ndarray, float32 in [0, 1]
        NaN for samples without a prediction, or with a failure.
    truth : (N,) ndarray, int64
        The classifier's class that the sample's label names; -1 without one.
    failures : mapping of int to str
        Index of a sample that could not be read or predicted, to the error message.
    labels : LabelMatch or None
        Classes of the classifier that the labels name.
    """

    class_names: tuple[str, ...]
    probabilities: NDArray[np.float32]
    truth: NDArray[np.int64]
    failures: Mapping[int, str] = field(default_factory=dict)
    labels: LabelMatch | None = None

    def __len__(self) -> int:
        return len(self.truth)

    @property
    def is_predicted(self) -> NDArray[np.bool_]:
        """True for samples with a prediction; (N,)."""
        return np.asarray(np.isfinite(self.probabilities).all(axis=1))

    @property
    def is_complete(self) -> bool:
        """True if every sample has a prediction or a failure."""
        return int(np.count_nonzero(self.is_predicted)) + len(self.failures) >= len(self)

    @property
    def predicted(self) -> NDArray[np.int64]:
        """The most probable class; -1 without a prediction; (N,)."""
        filled = np.where(np.isfinite(self.probabilities), self.probabilities, 0)
        return np.where(self.is_predicted, filled.argmax(axis=1), UNKNOWN)

    @property
    def confidence(self) -> NDArray[np.float32]:
        """Probability of the predicted class; NaN without a prediction; (N,)."""
        return np.asarray(self.probabilities.max(axis=1, initial=-np.inf))

    @property
    def mispredicted(self) -> NDArray[np.bool_]:
        """True for samples whose label and predicted class differ; (N,)."""
        return np.asarray(
            self.is_predicted & (self.truth != UNKNOWN) & (self.truth != self.predicted)
        )

    def confusion(self) -> NDArray[np.int64]:
        """Return counts by true class (rows) and predicted class (columns); (K, K)."""
        n_classes = len(self.class_names)
        counts = np.zeros((n_classes, n_classes), dtype=np.int64)
        both = self.is_predicted & (self.truth != UNKNOWN)
        np.add.at(counts, (self.truth[both], self.predicted[both]), 1)
        return counts


@stepwise
def predict_all(
    dataset: Dataset,
    classifier: Classifier,
    batch_size: int | None = None,
    previous: PredictionTable | None = None,
    partial_every: float = 0.0,
) -> Generator[Progress, None, PredictionTable]:
    """Predict every sample, a batch at a time.

    A sample that cannot be read or does not fit is recorded as a failure.

    Parameters
    ----------
    dataset : Dataset
        The samples, read one batch at a time.
    classifier : Classifier
        The classifier under study.
    batch_size : int, optional
        Samples at a time; changes no result.
    previous : PredictionTable, optional
        Earlier predictions of the same samples and classifier, which are not repeated.
    partial_every : float
        Seconds between two partial tables, which are copies.

    Returns
    -------
    Steps of PredictionTable
        ``Progress.partial`` is the unfinished table.
    """
    batch_size = batch_size or (CPU_BATCH if classifier.device.type == "cpu" else GPU_BATCH)
    n_samples = len(dataset)
    probabilities = np.full((n_samples, classifier.n_classes), np.nan, dtype=np.float32)
    failures: dict[int, str] = {}
    missing = np.arange(n_samples)
    if previous is not None:
        probabilities[:], failures = previous.probabilities, dict(previous.failures)
        missing = np.flatnonzero(~previous.is_predicted)
        missing = missing[~np.isin(missing, list(failures))]
    labels = match_labels(dataset.classes, classifier)
    truth = _truths(dataset, labels)

    def current_table() -> PredictionTable:
        return PredictionTable(
            classifier.class_names, probabilities.copy(), truth.copy(), dict(failures), labels
        )

    last_partial, missing = -np.inf, reading_order(dataset, missing)
    with ReadAhead(dataset, missing.tolist(), BATCHES_AHEAD * batch_size) as ahead:
        for start in range(0, len(missing), batch_size):
            partial = None
            if time.monotonic() - last_partial >= partial_every:
                last_partial, partial = time.monotonic(), current_table()
            yield Progress(start, len(missing), "predict all samples", partial)
            ahead.advance(start)
            outcomes = _predict_batch(missing[start : start + batch_size], dataset, classifier)
            for index, outcome in outcomes.items():
                if isinstance(outcome, str):
                    failures[index] = outcome
                else:
                    probabilities[index] = outcome
    return current_table()


def _predict_batch(
    indices: NDArray[np.int64], dataset: Dataset, classifier: Classifier
) -> dict[int, NDArray[np.float32] | str]:
    """Read and predict samples; the error of each that has no prediction."""
    outcomes: dict[int, NDArray[np.float32] | str] = {}
    batches: defaultdict[torch.Size, dict[int, Tensor]] = defaultdict(dict)
    for index in indices.tolist():
        try:
            sample = dataset[index]
            classifier.check_image(sample.image.shape, f"The sample '{sample.id}'")
        except Exception as error:  # noqa: BLE001 - becomes the failure of the sample
            outcomes[index] = failure_text(error)
        else:
            batches[sample.image.shape][index] = sample.image
    for images in batches.values():  # of one shape each
        outcomes |= _predict_together(images, classifier)
    return outcomes


def _predict_together(
    images: Mapping[int, Tensor], classifier: Classifier
) -> dict[int, NDArray[np.float32] | str]:
    """Return the probabilities of images of one shape, or the error of each that has none."""
    try:
        rows = classifier.predict(torch.stack([*images.values()])).numpy()
    except Exception as error:  # noqa: BLE001 - becomes the failure of the sample
        if len(images) == 1 or isinstance(error, OutOfMemoryError):
            return dict.fromkeys(images, failure_text(error))
        parts = [_predict_together({i: image}, classifier) for i, image in images.items()]
        return {index: outcome for part in parts for index, outcome in part.items()}
    return dict(zip(images, rows, strict=True))


def failure_text(error: Exception) -> str:
    """Return the message of an error for the row of a sample."""
    if isinstance(error, QuacError):
        return str(error)
    if is_out_of_memory(error):
        return "Memory ran out. Choose smaller images, or a smaller size of the preprocessing."
    return f"Internal error: {type(error).__name__}: {one_line(error)}"


def _truths(dataset: Dataset, labels: LabelMatch) -> NDArray[np.int64]:
    truths = (labels.index(dataset.label(index)) for index in range(len(dataset)))
    return np.array([UNKNOWN if truth is None else truth for truth in truths], dtype=np.int64)


N_NEIGHBORS = 6
N_CANDIDATES = 64
"""Number of images, the nearest by their probabilities, that are compared by features."""

Basis = Literal["features", "probabilities"]


@dataclass(frozen=True, eq=False)
class Neighbors:
    """Correctly classified samples of one class, nearest first.

    Attributes
    ----------
    query : Sample
        The misprediction.
    label : int
        The class of the neighbors: the label of the query.
    indices : tuple of int
        Their indices in the dataset.
    samples : tuple of Sample
    distances : tuple of float
    basis : "features" or "probabilities"
        Basis of the distance.
    """

    query: Sample
    label: int
    indices: tuple[int, ...]
    samples: tuple[Sample, ...]
    distances: tuple[float, ...]
    basis: Basis

    @property
    def basis_text(self) -> str:
        """Basis of the distance, as text."""
        if self.basis == "features":
            return "by the features before the classifier's last layer"
        return "by the predicted probabilities"


@stepwise
def nearest_correct(
    query: Sample,
    label: int,
    table: PredictionTable,
    dataset: Dataset,
    classifier: Classifier,
    n: int = N_NEIGHBORS,
) -> Generator[Progress, None, Neighbors | None]:
    """Find the correctly classified samples of a class that are nearest to a query.

    The nearest 64 by the Hellinger distance of their probabilities are compared by the Euclidean
    distance of the features that enter the last linear layer, divided by the square root of their
    number. Without access to the layers of the classifier, only the probabilities are compared.

    Parameters
    ----------
    query : Sample
        The misprediction.
    label : int
        The classifier's class that the query's label names.
    table : PredictionTable
        Predictions of the classifier for the dataset.
    dataset : Dataset
        The samples to search.
    classifier : Classifier
        The classifier under study.
    n : int
        Maximum number of neighbors.

    Returns
    -------
    Steps of Neighbors or None
        None if no sample of the class is classified correctly.
    """
    correct = np.flatnonzero((table.truth == label) & (table.predicted == label))
    if not len(correct):
        return None
    yield Progress(0, None, "find neighbors")
    prediction = classifier.predict(query.image[None])[0].numpy()
    distances = hellinger(table.probabilities[correct], prediction)
    order = np.argsort(distances, kind="stable")[:N_CANDIDATES]
    candidates, distances = correct[order], distances[order]
    basis: Basis = "probabilities"
    query_features = penultimate_features(classifier, query.image[None])
    samples: dict[int, Sample] = {}
    if query_features is not None:
        basis, measured = "features", np.full(len(candidates), np.inf)
        for number, index in enumerate(candidates.tolist()):
            yield Progress(number, len(candidates), "find neighbors")
            try:
                samples[index] = dataset[index]
                features = penultimate_features(classifier, samples[index].image[None])
            except QuacError:
                continue  # the file has become unreadable
            if features is not None:
                difference = (features - query_features).flatten().double()
                measured[number] = float(difference.square().mean().sqrt())
        order = np.argsort(measured, kind="stable")
        candidates, distances = candidates[order], measured[order]
    nearest = [float(distance) for distance in distances[:n] if np.isfinite(distance)]
    indices = candidates[: len(nearest)].tolist()  # infinite distances come last
    neighbors = (samples.get(index) or dataset[index] for index in indices)
    return Neighbors(query, label, tuple(indices), tuple(neighbors), tuple(nearest), basis)


def hellinger(
    probabilities: NDArray[np.float32], other: NDArray[np.float32]
) -> NDArray[np.float64]:
    r"""Return the Hellinger distance of each row (N, K) to ``other`` (K,), in [0, 1].

    .. math:: \sqrt{\tfrac12 \sum_k (\sqrt{p_k} - \sqrt{q_k})^2}
    """
    difference = np.sqrt(probabilities.astype(np.float64)) - np.sqrt(other.astype(np.float64))
    return np.asarray(np.sqrt(0.5 * np.square(difference).sum(axis=1)))


def penultimate_features(classifier: Classifier, images: Tensor) -> Tensor | None:
    """Return the input of the last linear layer of a classifier.

    Parameters
    ----------
    classifier : Classifier
        The classifier under study.
    images : (N, C, *S) Tensor, float32 in [0, 1]
        The images.

    Returns
    -------
    features : (N, F) Tensor, on the CPU, or None
        None for a network without accessible layers, or whose output is not that of its last
        linear layer.

    Raises
    ------
    NetworkError
        If the network fails.
    """
    module = classifier.module
    if classifier.form != "eager" or not isinstance(module, nn.Module):
        return None
    layers = [layer for layer in module.modules() if isinstance(layer, nn.Linear)]
    if not layers:
        return None
    calls: list[tuple[Tensor, Tensor]] = []

    def record(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        calls.append((inputs[0].detach(), output.detach()))

    hook = layers[-1].register_forward_hook(record)
    try:
        with torch.no_grad(), network_errors(f"The classifier {classifier.name}"):
            inputs = classifier.to_network(images.to(classifier.device))
            logits = to_logits(module(inputs), classifier.output)
    finally:
        hook.remove()
    if len(calls) != 1 or calls[0][1].shape != logits.shape:
        return None
    return calls[0][0].flatten(1).float().cpu()
