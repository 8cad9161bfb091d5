"""Accuracy and sensitivity of raters who classify images, or choose one of two."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, norm

from napari_quac.errors import DataError
from napari_quac.study.statistics.estimate import Estimate, check_counts, finite_numbers
from napari_quac.study.statistics.proportions import wilson_interval


@dataclass(frozen=True)
class Accuracy:
    """Accuracy of a rater.

    Attributes
    ----------
    accuracy : Estimate
        Share of correct answers.
    chance : float
        Share of correct answers that guessing yields.
    p_value : float
        Exact and two-sided, against chance.
    """

    accuracy: Estimate
    chance: float
    p_value: float


def accuracy(
    correct: Sequence[float] | NDArray[Any], chance: float, level: float = 0.95
) -> Accuracy:
    """Return the share of correct answers, and test it against chance.

    Parameters
    ----------
    correct : (n,) array_like
        1 or True for correct answers, 0 for others, NaN if missing. To compare with a network or
        with another rater, use ``proportions.compare_paired_shares`` on the same items.
    chance : float
        Such as 0.5 for a choice of two, 1 / K for K classes.
    level : float
        Confidence level.

    Raises
    ------
    DataError
        If there is no answer, or ``chance`` lies outside of (0, 1).
    """
    if not 0 < chance < 1:
        raise DataError(f"The chance level is {chance}. Use 0.5 for two choices, 1 / K for K.")
    answers = finite_numbers(correct, "list of answers") > 0
    count, n = int(answers.sum()), len(answers)
    p_value = float(binomtest(count, n, chance).pvalue)
    return Accuracy(wilson_interval(count, n, level), chance, p_value)


def choice_sensitivity(count: int, n: int, level: float = 0.95) -> Estimate:
    r"""Return d′ of a choice between two images (2AFC).

    .. math:: d' = \sqrt 2\, \Phi^{-1}(p)

    Parameters
    ----------
    count, n : int
        ``count`` of ``n`` choices are correct.
    level : float
        Confidence level.

    Returns
    -------
    Estimate
        With half an answer added to correct and false ones each, so that it stays finite; the
        interval is Wilson's on the scale of d′, and may be infinite at one end.

    Raises
    ------
    DataError
        If the count is not between 0 and n.

    References
    ----------
    .. [1] Macmillan and Creelman, "Detection theory", 2005, chapter 7.
    """
    check_counts(count, n)
    share = wilson_interval(count, n, level)
    estimate, low, high = (
        math.sqrt(2) * float(norm.ppf(p)) for p in ((count + 0.5) / (n + 1), share.low, share.high)
    )
    return Estimate("d′", estimate, low, high, level, (n,), "Wilson interval, transformed")


def detection_sensitivity(
    hits: int, n_signal: int, false_alarms: int, n_noise: int, level: float = 0.95
) -> Estimate:
    r"""Return d′ of answers to single images, such as real or generated.

    .. math:: d' = \Phi^{-1}(H) - \Phi^{-1}(F)

    Parameters
    ----------
    hits, n_signal : int
        "Generated" answered to ``hits`` of ``n_signal`` generated images.
    false_alarms, n_noise : int
        "Generated" answered to ``false_alarms`` of ``n_noise`` real images.
    level : float
        Confidence level.

    Returns
    -------
    Estimate
        With the log-linear correction, so that it stays finite.

    Raises
    ------
    DataError
        If a count is not between 0 and its n.

    References
    ----------
    .. [1] Hautus, "Corrections for extreme proportions and their biasing effects on estimated
       values of d′", 1995.
    .. [2] Gourevitch and Galanter, "A significance test for one parameter isosensitivity
       functions", 1967; the variance.
    """
    check_counts(hits, n_signal)
    check_counts(false_alarms, n_noise)
    rates = np.array([(hits + 0.5) / (n_signal + 1), (false_alarms + 0.5) / (n_noise + 1)])
    quantiles = norm.ppf(rates)
    numbers = np.array([n_signal + 1, n_noise + 1])
    variance = (rates * (1 - rates) / (numbers * norm.pdf(quantiles) ** 2)).sum()
    estimate = float(quantiles[0] - quantiles[1])
    half = float(norm.ppf((1 + level) / 2) * math.sqrt(variance))
    n = (n_signal, n_noise)
    procedure = "Gourevitch-Galanter interval, log-linear correction"
    return Estimate("d′", estimate, estimate - half, estimate + half, level, n, procedure)
