"""Resamples as weights, and intervals from them.

A resample is a row of integer weights, one for each observation. Bootstrap, jackknife and their
versions by cluster then differ in nothing but their weights, and a statistic is computed for all
resamples at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, t

from napari_quac.errors import DataError
from napari_quac.study.statistics.estimate import Numbers

Codes = NDArray[np.int64]
N_RESAMPLES = 5000
# Weights of one block: 4 million numbers are 32 MB.
BLOCK = 4_000_000


def cluster_codes(*clusters: Sequence[Any] | NDArray[Any]) -> tuple[list[Codes], int]:
    """Return numbers for the clusters of one or several groups of observations together.

    Parameters
    ----------
    *clusters : sequences of hashable labels
        One sequence for each group, one label for each observation, such as the neuron.

    Returns
    -------
    codes : list of (n,) ndarray, int64
    n_clusters : int

    Raises
    ------
    DataError
        If a label is missing.
    """
    numbers: dict[Any, int] = {}
    codes = []
    for labels in clusters:
        texts = [_plain_label(label) for label in labels]
        codes.append(np.array([numbers.setdefault(t, len(numbers)) for t in texts], dtype=np.int64))
    return codes, len(numbers)


def _plain_label(label: Any) -> Any:
    label = label.item() if isinstance(label, np.generic) else label
    if label is None or label != label:
        raise DataError(
            "The cluster of an observation is missing. Name the neuron or section of each one."
        )
    return label


def bootstrap_weights(n: int, n_resamples: int, rng: np.random.Generator) -> Numbers:
    """Return the weights of resamples with replacement; (n_resamples, n)."""
    draws = rng.integers(n, size=(n_resamples, n))
    draws += n * np.arange(n_resamples)[:, None]
    counts = np.bincount(draws.ravel(), minlength=n * n_resamples)
    return counts.reshape(n_resamples, n).astype(np.float64)


def jackknife_statistic(statistic: Callable[[Numbers], Numbers], n: int) -> Numbers:
    """Compute a statistic of weights (B, n) without each of n observations, in blocks."""
    size = max(1, BLOCK // n)
    observations = np.arange(n)
    blocks = [
        statistic((observations != left_out[:, None]).astype(np.float64))
        for left_out in np.split(observations, range(size, n, size))
    ]
    return np.concatenate(blocks)


def bootstrap_statistic(
    statistic: Callable[[Numbers], Numbers], n: int, n_resamples: int, rng: np.random.Generator
) -> Numbers:
    """Compute a statistic of weights (B, n) for many resamples, in blocks that fit into memory."""
    size = max(1, BLOCK // max(n, 1))
    blocks = []
    for first in range(0, n_resamples, size):
        weights = bootstrap_weights(n, min(size, n_resamples - first), rng)
        blocks.append(statistic(weights))
    return np.concatenate(blocks)


def small_sample_quantile(sizes: Sequence[int], level: float) -> float:
    """Return the normal quantile, widened for resamples of groups of these sizes."""
    freedom = sum(size - 1 for size in sizes)
    fewest = min(sizes, default=2)
    if freedom < 1 or fewest < 2:
        return float(norm.ppf((1 + level) / 2))
    return float(np.sqrt(fewest / (fewest - 1)) * t.ppf((1 + level) / 2, freedom))


def percentile_interval(replicates: Numbers, level: float) -> tuple[float, float]:
    """Return the percentile interval of the finite replicates, NaN without any."""
    replicates = replicates[np.isfinite(replicates)]
    if not len(replicates):
        return float("nan"), float("nan")
    low, high = np.quantile(replicates, ((1 - level) / 2, (1 + level) / 2))
    return float(low), float(high)


def bca_interval(
    estimate: float, replicates: Numbers, jackknives: Sequence[Numbers], level: float
) -> tuple[float, float]:
    """Return the bias-corrected and accelerated bootstrap interval, widened for small samples.

    Parameters
    ----------
    estimate : float
        Of the sample itself.
    replicates : (B,) ndarray
        Estimates of the resamples.
    jackknives : sequence of (n,) ndarray
        Estimates without one observation (or cluster), one array for each group.
    level : float
        Confidence level.

    Returns
    -------
    low, high : float
        The percentile interval where the acceleration is undefined, NaN without a replicate.

    Notes
    -----
    Resamples of n observations vary like n − 1, and normal quantiles ignore that the spread is
    estimated. Without Hesterberg's correction of both, intervals of 95 % for a mean difference of
    20 + 20 or 30 + 30 skewed numbers covered it in 91 to 94 % of simulated studies, those of κ
    and α of items in 20 clusters in 93 to 94 % (``benchmarks/study_coverage.py``).

    References
    ----------
    .. [1] Efron, "Better bootstrap confidence intervals", 1987. The acceleration of several groups
       is that of Efron and Tibshirani, "An introduction to the bootstrap", 1993, eq. 15.36.
    .. [2] Hesterberg, "What teachers should know about the bootstrap", 2015; expanded intervals.
    """
    replicates = replicates[np.isfinite(replicates)]
    if not len(replicates) or not np.isfinite(estimate):
        return float("nan"), float("nan")
    # ties count half: a discrete statistic would otherwise be shifted by their number
    share = ((replicates < estimate).mean() + (replicates <= estimate).mean()) / 2
    cubes = squares = 0.0
    if min((len(estimates) for estimates in jackknives), default=0) < 2:
        return percentile_interval(replicates, level)
    for estimates in jackknives:
        n = len(estimates)
        influence = (n - 1) * (estimates.mean() - estimates)
        cubes += float((influence**3).sum()) / n**3
        squares += float((influence**2).sum()) / n**2
    tails = small_sample_quantile([len(estimates) for estimates in jackknives], level)
    if not 0 < share < 1 or not np.isfinite(cubes) or squares <= 0:
        return percentile_interval(replicates, 2 * float(norm.cdf(tails)) - 1)
    acceleration = cubes / (6 * squares**1.5)
    bias = norm.ppf(share)
    tails = bias + np.array([-tails, tails])
    quantiles = norm.cdf(bias + tails / (1 - acceleration * tails))
    low, high = np.quantile(replicates, quantiles)
    return float(low), float(high)
