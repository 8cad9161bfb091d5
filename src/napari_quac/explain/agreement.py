"""Agreement of a classifier with the labels of samples, under several preprocessings.

The input range, the normalization and the class order of a classifier are rarely in its file, and
a wrong one raises no error. About 60 labeled images tell most of them apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from napari_quac.explain.paired_accuracy import (
    assign_outputs,
    cross_fit_order,
    mcnemar_p_value,
    predicted_outputs,
    wilson_interval,
)
from napari_quac.networks.classifier import Classifier

ALPHA = 0.05
CLEAR_SHARE = 0.95  # of the bootstrap samples in which a candidate is farther than the nearest
LARGEST_DISTANCE = 1.0  # beyond it, not even the best candidate fits the stored statistics
CLOSE_DISTANCE, CLEAR_FACTOR = 0.1, 5.0  # to outweigh labels; measured: 0.01 against at least 0.26
TINY = 1e-12


@dataclass(frozen=True, eq=False)
class Candidate:
    """One way to use a classifier.

    Attributes
    ----------
    name : str
        Display name, such as ``"ImageNet"``.
    classifier : Classifier
        The network with this preprocessing.
    is_current : bool
        True for the present choice.
    variant : Mapping[str, str] or None
        Parts of the architecture that differ from the present choice, as in ``ClassifierRecipe``.
    """

    name: str
    classifier: Classifier
    is_current: bool = False
    variant: Mapping[str, str] | None = None


@dataclass(frozen=True, eq=False)
class CandidateAgreement:
    """Agreement of one candidate with the labels of n images, L labels and K outputs.

    Attributes
    ----------
    candidate : Candidate
    labels : (n,) ndarray of int
        Label of each image.
    probabilities : (n, K) ndarray, float32
        Predictions; NaN where the network returns no finite number.
    correct : (n,) ndarray of bool
        True where the present class names agree with the label.
    reordered_correct : (n,) ndarray of bool
        The same for a class order fitted to the other half of the images.
    outputs : (L,) ndarray of int
        Output of each label in the order fitted to all images; -1 for none.
    stored_distances : (1 + R,) ndarray or None
        Distance to the statistics of training that normalization layers store, in nats, of all
        images and of R bootstrap samples; None without such layers.
    """

    candidate: Candidate
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float32]
    correct: NDArray[np.bool_]
    reordered_correct: NDArray[np.bool_]
    outputs: NDArray[np.int64]
    stored_distances: NDArray[np.float64] | None = None

    @property
    def stored_distance(self) -> float | None:
        """Distance of all images to the stored statistics of training; None without them."""
        return None if self.stored_distances is None else float(self.stored_distances[0])

    @property
    def name(self) -> str:
        """Display name of the candidate."""
        return self.candidate.name

    @cached_property
    def needs_order(self) -> bool:
        """True if another class order agrees significantly better than the present names."""
        if len(set(self.labels.tolist())) < 2:  # one label says nothing about an order
            return False
        gains = self.reordered_correct.sum() > self.correct.sum()
        return bool(gains and mcnemar_p_value(self.reordered_correct, self.correct) <= ALPHA)

    @property
    def best_correct(self) -> NDArray[np.bool_]:
        """Correct images under the better class order; (n,)."""
        return self.reordered_correct if self.needs_order else self.correct

    @property
    def n_images(self) -> int:
        """Number of images."""
        return len(self.labels)

    @property
    def accuracy(self) -> float:
        """Share of correct images with the present class names."""
        return float(self.correct.mean())

    @property
    def reordered_accuracy(self) -> float:
        """Share of correct images with a class order fitted to the other half."""
        return float(self.reordered_correct.mean())

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson interval of 95 % of the accuracy."""
        return wilson_interval(int(self.correct.sum()), self.n_images)

    @property
    def balanced_accuracy(self) -> float:
        """Mean of the accuracies of the labels."""
        return float(np.mean([self.correct[self.labels == i].mean() for i in set(self.labels)]))

    @property
    def confidence(self) -> float:
        """Mean probability of the predicted class."""
        return float(np.mean(np.nan_to_num(self.probabilities).max(axis=1)))

    @property
    def log_likelihood(self) -> float:
        """Mean log probability of the labels under the better class order."""
        outputs = self.outputs[self.labels]
        chosen = self.probabilities[np.arange(self.n_images), np.maximum(outputs, 0)]
        chosen = np.where(outputs >= 0, np.nan_to_num(chosen), 0)
        return float(np.log(np.clip(chosen, TINY, 1)).mean())

    @property
    def predicted(self) -> NDArray[np.int64]:
        """Most probable output of each image; -1 where it is not finite; (n,)."""
        return predicted_outputs(self.probabilities)

    @property
    def n_not_finite(self) -> int:
        """Number of images for which the network returned NaN or infinity."""
        return int((self.predicted < 0).sum())

    def confusion(self) -> NDArray[np.int64]:
        """Return counts by label (rows) and output (columns); (L, K)."""
        counts = np.zeros((len(self.outputs), self.probabilities.shape[1]), dtype=np.int64)
        is_finite = self.predicted >= 0
        np.add.at(counts, (self.labels[is_finite], self.predicted[is_finite]), 1)
        return counts


@dataclass(frozen=True, eq=False)
class Agreement:
    """Agreement of all candidates with the labels of the same images.

    Attributes
    ----------
    dataset_name : str
    labels : tuple of str
        Names of the labels, by index.
    class_names : tuple of str
        Present names of the K outputs.
    indices : tuple of int
        The images, by their index in the dataset.
    rows : tuple of CandidateAgreement
        In the order of the candidates.
    unmatched : Mapping[str, int]
        Labels that name no class, with the number of their samples in the dataset.
    failures : Mapping[str, str]
        Id of each image that could not be read or predicted, with the reason.
    n_labeled : int
        Number of samples with a label in the dataset.
    omitted : Mapping[str, str]
        Name of each candidate that could not predict at least half of the images, with the reason.
    """

    dataset_name: str
    labels: tuple[str, ...]
    class_names: tuple[str, ...]
    indices: tuple[int, ...]
    rows: tuple[CandidateAgreement, ...]
    unmatched: Mapping[str, int] = field(default_factory=dict)
    failures: Mapping[str, str] = field(default_factory=dict)
    n_labeled: int = 0
    omitted: Mapping[str, str] = field(default_factory=dict)

    @property
    def n_images(self) -> int:
        """Number of checked images."""
        return len(self.indices)

    @property
    def chance(self) -> float:
        """Accuracy of always predicting the most frequent label of the checked images."""
        return max(Counter(self.rows[0].labels.tolist()).values()) / self.n_images

    @cached_property
    def by_accuracy(self) -> tuple[CandidateAgreement, ...]:
        """Rows from the most to the least accurate; the present one first among equals."""
        return tuple(
            sorted(
                self.rows,
                key=lambda row: (
                    int(row.best_correct.sum()), row.candidate.is_current, row.log_likelihood
                ),
                reverse=True,
            )
        )  # fmt: skip

    @cached_property
    def tied(self) -> tuple[CandidateAgreement, ...]:
        """Rows that the labels cannot tell from the most accurate one, itself included."""
        top = self.by_accuracy[0]
        return tuple(
            row
            for row in self.by_accuracy
            if row is top or mcnemar_p_value(top.best_correct, row.best_correct) > ALPHA
        )

    @cached_property
    def plausible(self) -> tuple[CandidateAgreement, ...]:
        """Tied rows that fit the statistics stored in the network, nearest first.

        A row is left out if it is farther than the nearest one in at least 95 % of the bootstrap
        samples. All tied rows, if the network stores no statistics or none of the rows fits them.
        """
        return _nearest_rows(self.tied, LARGEST_DISTANCE, 1.0)

    @cached_property
    def trained_with(self) -> tuple[CandidateAgreement, ...]:
        """Rows of which the stored statistics leave no doubt, against the labels; mostly none.

        The images fit them closely, and all tied rows at least five times worse.
        """
        rows = _nearest_rows(self.rows, CLOSE_DISTANCE, CLEAR_FACTOR)
        is_contrary = len(rows) < len(self.rows) and not set(rows) & set(self.tied)
        return tuple(row for row in rows if self._is_above_chance(row)) if is_contrary else ()

    @cached_property
    def best(self) -> CandidateAgreement:
        """The row to use: by labels, else by stored statistics, else the present one."""
        rows = self.trained_with or self.plausible
        present = [row for row in rows if row.candidate.is_current]
        return (present or rows)[0]

    def _is_above_chance(self, row: CandidateAgreement) -> bool:
        n_correct = int(row.best_correct.sum())
        return wilson_interval(n_correct, self.n_images)[0] > self.chance

    @property
    def second(self) -> CandidateAgreement | None:
        """The most accurate of the other rows."""
        return next((row for row in self.by_accuracy if row is not self.best), None)

    @property
    def current(self) -> CandidateAgreement | None:
        """The row of the present choice, if it is among the candidates."""
        return next((row for row in self.rows if row.candidate.is_current), None)

    @property
    def p_value(self) -> float | None:
        """McNemar's exact test of the best against the second-best row; None for a single row."""
        return None if self.second is None else self.p_value_against(self.second)

    def p_value_against(self, row: CandidateAgreement) -> float:
        """Return the p-value of McNemar's exact test of the best row against another."""
        return mcnemar_p_value(self.best.best_correct, row.best_correct)

    @property
    def labels_decide(self) -> bool:
        """True if the labels tell the best row from all others."""
        return self.tied == (self.best,)

    @property
    def is_near_chance(self) -> bool:
        """True if the interval of the best accuracy reaches chance; False for a single label."""
        if self.chance == 1:
            return False
        return not self._is_above_chance(self.by_accuracy[0])

    @property
    def conclusion(self) -> str:
        """The conclusion in a fixed phrase.

        ``"agrees"``, ``"cannot tell"``, ``"near chance"``, or ``"another"`` with one or more of
        ``"preprocessing"``, ``"architecture"`` and ``"class order"``, such as ``"another
        preprocessing and class order"``.
        """
        if self.is_near_chance:
            return "near chance"
        changes = []
        if self.current not in (self.trained_with or self.tied):
            changes.append(
                "preprocessing" if self.best.candidate.variant is None else "architecture"
            )
        if self.best.needs_order:
            changes.append("class order")
        if changes:
            return f"another {' and '.join(changes)}"
        return "agrees" if self.labels_decide or self.trained_with else "cannot tell"

    @property
    def best_class_names(self) -> tuple[str, ...]:
        """Class names in output order that agree best, for the best row."""
        return self.class_names_of(self.best)

    def class_names_of(self, row: CandidateAgreement) -> tuple[str, ...]:
        """Return the class names in output order that agree best for a row."""
        if not row.needs_order:
            return self.class_names
        assigned = {int(k): self.labels[i] for i, k in enumerate(row.outputs) if k >= 0}
        leftover = set(self.class_names) - set(assigned.values())
        return tuple(
            assigned.get(index) or (name if name in leftover else f"class {index}")
            for index, name in enumerate(self.class_names)
        )


def _nearest_rows(
    rows: tuple[CandidateAgreement, ...], largest: float, factor: float
) -> tuple[CandidateAgreement, ...]:
    """Return the rows nearest to the stored statistics, nearest first; all if none is near.

    Parameters
    ----------
    rows : tuple of CandidateAgreement
        With or without distances.
    largest : float
        Distance of the nearest row up to which others are left out.
    factor : float
        Others are left out if they are farther by this factor in 95 % of the bootstrap samples.
    """
    distances = [row.stored_distances for row in rows]
    if len(distances) < 2 or any(entry is None for entry in distances):
        return rows
    table = np.stack([entry for entry in distances if entry is not None])
    order = np.argsort(table[:, 0], kind="stable")
    if table[order[0], 0] >= largest:
        return rows
    is_farther = (table > factor * table[order[0]])[:, 1:].mean(axis=1) >= CLEAR_SHARE
    return tuple(rows[place] for place in order if not is_farther[place])


def compare_with_labels(
    candidate: Candidate,
    probabilities: NDArray[np.float32],
    labels: NDArray[np.int64],
    outputs: NDArray[np.int64],
    stored_distances: NDArray[np.float64] | None = None,
) -> CandidateAgreement:
    """Compare the predictions of one candidate with the labels.

    Parameters
    ----------
    candidate : Candidate
        The network with its preprocessing.
    probabilities : (n, K) ndarray, float32
        Predictions.
    labels : (n,) ndarray of int
        Labels of the same images.
    outputs : (L,) ndarray of int
        Output that each label names at present; -1 for none.
    stored_distances : (1 + R,) ndarray, optional
        As in :class:`CandidateAgreement`.
    """
    predicted = predicted_outputs(probabilities)
    correct = (predicted == outputs[labels]) & (predicted >= 0)
    reordered = cross_fit_order(probabilities, labels, len(outputs), outputs)
    fitted = assign_outputs(probabilities, labels, len(outputs), outputs)
    row = CandidateAgreement(
        candidate, labels, probabilities, correct, reordered, fitted, stored_distances
    )
    return row if row.needs_order else replace(row, outputs=outputs)
