"""Votes of groups of samples, such as the synapses of a neuron."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_quac.explain.prediction_table import UNKNOWN, PredictionTable

Z95 = 1.959963984540054
"""Quantile of the normal distribution for an interval of 95 %."""


@dataclass(frozen=True, eq=False)
class GroupVote:
    """The predictions of the samples of one group.

    Attributes
    ----------
    name : str
        Of the group, such as the id of a neuron.
    indices : tuple of int
        Samples of the group in the dataset.
    votes : tuple of int
        Number of samples that are classified as each class.
    probabilities : tuple of float
        Mean probability of each class, in [0, 1]; NaN without predictions.
    winner : int
        Class with the most votes; of several, that with the higher mean probability; -1 without
        predictions.
    truth : int
        Class of most labels; -1 without labels, or if two classes have as many.
    interval : (float, float)
        Interval of 95 % (Wilson) of the share of the winner, as if samples were independent.
    """

    name: str
    indices: tuple[int, ...]
    votes: tuple[int, ...]
    probabilities: tuple[float, ...]
    winner: int
    truth: int
    interval: tuple[float, float]

    @property
    def n_predicted(self) -> int:
        """Number of samples with a prediction."""
        return sum(self.votes)

    @property
    def confidence(self) -> float:
        """Share of the votes for the winner, in [0, 1]; NaN without predictions."""
        return self.votes[self.winner] / self.n_predicted if self.winner != UNKNOWN else math.nan

    @property
    def is_wrong(self) -> bool:
        """True if winner and label are known and differ."""
        return UNKNOWN not in (self.winner, self.truth) and self.winner != self.truth


def vote(predictions: PredictionTable, groups: Sequence[str]) -> list[GroupVote]:
    """Count the votes of each group: wrong groups first, the most confident ones on top.

    Parameters
    ----------
    predictions : PredictionTable
        Of N samples, some of which may have no prediction yet.
    groups : sequence of str
        Group of each of the N samples; those with an empty name do not vote.
    """
    members: defaultdict[str, list[int]] = defaultdict(list)
    for index, name in enumerate(groups):
        if name:
            members[name].append(index)
    found = [_vote(name, np.array(rows), predictions) for name, rows in members.items()]

    def order(group: GroupVote) -> tuple[bool, bool, float, int]:
        share = group.confidence
        return (not group.is_wrong, math.isnan(share), -share if share == share else 0.0,
                -group.n_predicted)  # fmt: skip

    return sorted(found, key=order)


def wilson(n_hits: int, n: int) -> tuple[float, float]:
    """Return the interval of 95 % of a share [1]_; (0, 1) without observations.

    References
    ----------
    .. [1] Wilson, "Probable inference, the law of succession, and statistical inference", J. Am.
       Stat. Assoc. 22, 1927.

    Examples
    --------
    >>> [round(end, 3) for end in wilson(8, 10)]
    [0.49, 0.943]
    """
    if not n:
        return 0.0, 1.0
    share, z2 = n_hits / n, Z95**2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z95 * math.sqrt(share * (1 - share) / n + z2 / (4 * n**2)) / (1 + z2 / n)
    return max(0.0, middle - half), min(1.0, middle + half)


def _vote(name: str, rows: NDArray[np.int64], predictions: PredictionTable) -> GroupVote:
    n_classes = len(predictions.class_names)
    predicted = predictions.predicted[rows]
    is_known = predicted != UNKNOWN
    votes = np.bincount(predicted[is_known], minlength=n_classes)
    winner, means = UNKNOWN, np.full(n_classes, np.nan)
    if is_known.any():
        means = predictions.probabilities[rows[is_known]].astype(np.float64).mean(axis=0)
        winner = int(np.lexsort((means, votes))[-1])
    labels = predictions.truth[rows]
    counts = np.bincount(labels[labels != UNKNOWN], minlength=n_classes)
    is_clear = counts.max() > 0 and int((counts == counts.max()).sum()) == 1
    return GroupVote(
        name,
        tuple(rows.tolist()),
        tuple(votes.tolist()),
        tuple(means.tolist()),
        winner,
        int(counts.argmax()) if is_clear else UNKNOWN,
        wilson(int(votes[winner]) if winner != UNKNOWN else 0, int(votes.sum())),
    )
