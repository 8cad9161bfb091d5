"""Accuracy and class balance of predictions, as numbers and in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_quac.explain.percentage import percentage

if TYPE_CHECKING:
    from napari_quac.explain.prediction_table import PredictionTable

UNKNOWN = -1
MOST_CLASSES = 6


@dataclass(frozen=True, eq=False)
class Accuracy:
    """Counts of K classes among the predicted samples.

    Attributes
    ----------
    class_names : tuple of str
    n_predicted : int
        Number of predicted samples.
    n_samples : int
        Number of all samples.
    labeled, predicted, correct : (K,) ndarray, int64
        Number of samples with the label, with the prediction, and with both.
    """

    class_names: tuple[str, ...]
    n_predicted: int
    n_samples: int
    labeled: NDArray[np.int64]
    predicted: NDArray[np.int64]
    correct: NDArray[np.int64]

    @property
    def text(self) -> str:
        """Accuracy and class balance in one line; empty without predictions."""
        if not self.n_predicted:
            return ""
        parts = []
        n_labeled = int(self.labeled.sum())
        if n_labeled:
            n_correct = int(self.correct.sum())
            parts.append(
                f"{percentage(n_correct / n_labeled)} correct ({n_correct} of {n_labeled})"
            )
            parts.append(f"labeled {self._balance(self.labeled)}")
        parts.append(f"predicted {self._balance(self.predicted)}")
        if self.n_predicted < self.n_samples:
            parts.append(f"{self.n_predicted} of {self.n_samples} samples predicted")
        return " · ".join(parts)

    @property
    def details(self) -> str:
        """One line for each class."""
        lines = []
        for name, labeled, predicted, correct in zip(
            self.class_names, self.labeled, self.predicted, self.correct, strict=True
        ):
            line = f"{name}: predicted {predicted}"
            if labeled:
                line += f", labeled {labeled}, of these {percentage(correct / labeled)} correct"
            lines.append(line)
        return "\n".join(lines)

    def _balance(self, counts: NDArray[np.int64]) -> str:
        total = max(1, int(counts.sum()))
        most_frequent = np.argsort(-counts, kind="stable")[:MOST_CLASSES]
        shares = [
            f"{self.class_names[number]} {percentage(counts[number] / total)}"
            for number in (np.sort(most_frequent))
        ]
        if len(counts) > MOST_CLASSES:
            shares.append("…")
        return ", ".join(shares)


def measure_accuracy(table: PredictionTable) -> Accuracy:
    """Count labels and predictions of the predicted samples."""
    predicted, n_classes = table.predicted, len(table.class_names)
    is_predicted = table.is_predicted
    has_label = is_predicted & (table.truth != UNKNOWN)
    is_correct = has_label & (table.truth == predicted)
    return Accuracy(
        table.class_names,
        int(np.count_nonzero(is_predicted)),
        len(table),
        np.bincount(table.truth[has_label], minlength=n_classes),
        np.bincount(predicted[is_predicted], minlength=n_classes),
        np.bincount(predicted[is_correct], minlength=n_classes),
    )
