"""Statistics of classification accuracy on few images: intervals, a paired test, class order."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.stats import binomtest

Z_95 = 1.959963984540054  # of a two-sided interval of 95 %
PROBABILITY_WEIGHT = 1e-2  # breaks ties between assignments with equal counts


def wilson_interval(n_correct: int, n_images: int, z: float = Z_95) -> tuple[float, float]:
    """Return the Wilson score interval of a proportion.

    Parameters
    ----------
    n_correct, n_images : int
        Successes and trials.
    z : float
        Quantile of the normal distribution; the default gives 95 %.

    Returns
    -------
    (low, high) : tuple of float in [0, 1]
        (0, 1) without images.

    References
    ----------
    Wilson 1927, *Probable inference, the law of succession, and statistical inference*.

    Examples
    --------
    >>> [round(limit, 3) for limit in wilson_interval(57, 60)]
    [0.863, 0.983]
    """
    if n_images == 0:
        return 0.0, 1.0
    share, spread = n_correct / n_images, z * z / n_images
    center = share + spread / 2
    half = z * math.sqrt(share * (1 - share) / n_images + spread / (4 * n_images))
    low, high = (center - half) / (1 + spread), (center + half) / (1 + spread)
    return max(0.0, low), min(1.0, high)


def mcnemar_p_value(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    """Return the two-sided p-value of McNemar's exact test.

    Parameters
    ----------
    first, second : (n,) ndarray of bool
        True where each of two classifiers is correct, for the same images.

    Returns
    -------
    float in (0, 1]
        1 if the two are correct for the same images.

    References
    ----------
    McNemar 1947, *Note on the sampling error of the difference between correlated proportions*;
    the binomial form for few discordant pairs.
    """
    only_first = int(np.count_nonzero(first & ~second))
    n_discordant = only_first + int(np.count_nonzero(second & ~first))
    if n_discordant == 0:
        return 1.0
    return float(binomtest(only_first, n_discordant, 0.5).pvalue)


def stratified_halves(labels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return True for the images of the first half: every second image of each label.

    Labels take turns in having the larger half, so that single images do not all fall into one.
    """
    in_first = np.zeros(len(labels), dtype=bool)
    for turn, label in enumerate(np.unique(labels)):
        in_first[np.flatnonzero(labels == label)[turn % 2 :: 2]] = True
    return in_first


def assign_outputs(
    probabilities: NDArray[np.float32],
    labels: NDArray[np.int64],
    n_labels: int,
    current: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Assign an output of the classifier to each label, so that most images are correct.

    Parameters
    ----------
    probabilities : (n, K) ndarray
        Predictions; rows with NaN are ignored.
    labels : (n,) ndarray of int
        Labels of the images.
    n_labels : int
        Number of labels, L.
    current : (L,) ndarray of int
        Present output of each label, -1 for none; preferred among equally good assignments.

    Returns
    -------
    outputs : (L,) ndarray of int
        -1 for labels without an output, if there are fewer outputs than labels.

    Notes
    -----
    Optimal assignment by ``scipy.optimize.linear_sum_assignment`` on the counts of predicted
    classes for each label. Probabilities break ties: a class that is never predicted goes to the
    label for which it is the most probable.
    """
    n_outputs = probabilities.shape[1]
    finite = np.isfinite(probabilities).all(axis=1)
    gain = np.zeros((n_labels, n_outputs))
    np.add.at(gain, (labels[finite], probabilities[finite].argmax(axis=1)), 1)
    np.add.at(gain, labels[finite], PROBABILITY_WEIGHT * probabilities[finite])
    matched = np.flatnonzero(current >= 0)
    gain[matched, current[matched]] += PROBABILITY_WEIGHT**2
    rows, columns = linear_sum_assignment(gain, maximize=True)
    outputs = np.full(n_labels, -1, dtype=np.int64)
    outputs[rows] = columns
    return outputs


def cross_fit_order(
    probabilities: NDArray[np.float32],
    labels: NDArray[np.int64],
    n_labels: int,
    current: NDArray[np.int64],
) -> NDArray[np.bool_]:
    """Return which images are correct under an order of classes fitted to the other half.

    Parameters
    ----------
    probabilities, labels, n_labels, current
        As for :func:`assign_outputs`.

    Returns
    -------
    correct : (n,) ndarray of bool
        No image contributes to the assignment by which it is judged, so that chance stays at
        chance for any number of classes.
    """
    first = stratified_halves(labels)
    predicted = predicted_outputs(probabilities)
    correct = np.zeros(len(labels), dtype=bool)
    for fitted, judged in ((first, ~first), (~first, first)):
        outputs = assign_outputs(probabilities[fitted], labels[fitted], n_labels, current)
        correct[judged] = predicted[judged] == outputs[labels[judged]]
    return correct & (predicted >= 0)


def predicted_outputs(probabilities: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the most probable output of each image; -1 where a probability is not finite."""
    finite: NDArray[np.bool_] = np.asarray(np.isfinite(probabilities).all(axis=1))
    filled = np.where(finite[:, None], probabilities, 0)
    return np.where(finite, filled.argmax(axis=1), -1)
