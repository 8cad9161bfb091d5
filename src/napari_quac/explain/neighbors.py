"""Correctly classified samples that are most similar to a misprediction."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_quac.data.dataset import Dataset, Sample
from napari_quac.errors import QuacError
from napari_quac.explain.prediction_table import PredictionTable
from napari_quac.networks.classifier import Classifier, to_logits
from napari_quac.stepwise import Progress, stepwise

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
    finite = [k for k in range(min(n, len(candidates))) if np.isfinite(distances[k])]
    indices = tuple(int(candidates[k]) for k in finite)
    return Neighbors(
        query,
        label,
        indices,
        tuple(samples.get(index) or dataset[index] for index in indices),
        tuple(float(distances[k]) for k in finite),
        basis,
    )


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
        with torch.no_grad():
            inputs = classifier.value_range.to_network(images.to(classifier.device))
            logits = to_logits(module(inputs), classifier.output)
    finally:
        hook.remove()
    if len(calls) != 1 or calls[0][1].shape != logits.shape:
        return None
    return calls[0][0].flatten(1).float().cpu()
