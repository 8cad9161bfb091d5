"""Effect sizes of two groups or of pairs with bootstrap intervals; rank and permutation tests."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import gammaln
from scipy.stats import mannwhitneyu, norm, wilcoxon

from napari_quac.errors import DataError
from napari_quac.registry import unknown_name
from napari_quac.study.statistics.estimate import (
    Estimate,
    HypothesisTest,
    Numbers,
    check_level,
    finite_numbers,
)
from napari_quac.study.statistics.proportions import wilson_interval
from napari_quac.study.statistics.resampling import (
    BLOCK,
    N_RESAMPLES,
    bca_interval,
    bootstrap_statistic,
    bootstrap_weights,
    jackknife_statistic,
)

Effect = Literal["mean difference", "median difference", "hedges g", "cliff delta"]
EFFECTS: tuple[Effect, ...] = get_args(Effect)
Amounts = Sequence[float] | NDArray[Any]
# of weights (B, n_a) and (B, n_b) to effects (B,)
TwoGroups = Callable[[Numbers, Numbers], Numbers]
FEW = 10  # per group: coverage of BCa falls below 0.93, see docs/how-to/study-statistics.md


def effect_of_groups(
    a: Amounts,
    b: Amounts,
    effect: Effect = "hedges g",
    level: float = 0.95,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> Estimate:
    """Return an effect size of two independent groups with its BCa bootstrap interval.

    Parameters
    ----------
    a, b : (n,) array_like
        Measurements; NaN is left out. For clustered ones use ``clusters.cluster_effect``.
    effect : "mean difference", "median difference", "hedges g" or "cliff delta"
        Positive if B is larger. Hedges g is in pooled standard deviations with the exact
        correction for small samples; Cliff δ is P(b > a) − P(b < a).
    level : float
        Confidence level.
    n_resamples : int
        Of the bootstrap.
    seed : int
        Of the bootstrap.

    Raises
    ------
    DataError
        If a group has fewer than two numbers.

    References
    ----------
    .. [1] Hedges, "Distribution theory for Glass's estimator of effect size", 1981.
    .. [2] Cliff, "Dominance statistics", 1993.
    .. [3] Newcombe, "Confidence intervals for an effect size measure based on the Mann-Whitney
       statistic", 2006, method 5; used for δ = ±1, where the bootstrap has no width.
    """
    check_level(level)
    x, y = finite_numbers(a, "group A"), finite_numbers(b, "group B")
    n = (len(x), len(y))
    if min(n) < 2:
        raise DataError(f"The groups have {n[0]} and {n[1]} numbers. Measure at least two of each.")
    statistic = group_statistic(x, y, effect)
    estimate = float(statistic(np.ones((1, n[0])), np.ones((1, n[1])))[0])
    if effect == "cliff delta" and abs(estimate) == 1:
        low, high = separated_delta_interval(estimate, *n, level)
        warning = "The groups do not overlap."
        return Estimate(effect, estimate, low, high, level, n, "Newcombe interval", warning=warning)
    rng = np.random.default_rng(seed)
    size = max(1, BLOCK // (sum(n) if effect != "cliff delta" else n[0] * n[1]))
    blocks = []
    for first in range(0, n_resamples, size):
        count = min(size, n_resamples - first)
        blocks.append(
            statistic(bootstrap_weights(n[0], count, rng), bootstrap_weights(n[1], count, rng))
        )
    jackknives = [
        jackknife_statistic(lambda v: statistic(v, np.ones((1, n[1]))), n[0]),
        jackknife_statistic(lambda w: statistic(np.ones((1, n[0])), w), n[1]),
    ]
    low, high = bca_interval(estimate, np.concatenate(blocks), jackknives, level)
    warning = "" if min(n) >= FEW else f"Fewer than {FEW} numbers in a group."
    procedure = f"BCa bootstrap, {n_resamples} resamples"
    return Estimate(effect, estimate, low, high, level, n, procedure, warning=warning)


def effect_of_pairs(
    first: Amounts,
    second: Amounts,
    effect: Effect = "mean difference",
    level: float = 0.95,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> Estimate:
    """Return an effect size of paired measurements with its BCa bootstrap interval.

    Parameters
    ----------
    first, second : (n,) array_like
        Measured before and after a change; pairs with NaN are left out.
    effect : "mean difference", "median difference", "hedges g" or "cliff delta"
        Of second minus first. The median is that of the differences; Hedges g is in averages of
        both standard deviations (g of Lakens' d_av); Cliff δ is the share of increases minus that
        of decreases.
    level : float
        Confidence level.
    n_resamples : int
        Of the bootstrap.
    seed : int
        Of the bootstrap.

    Raises
    ------
    DataError
        If fewer than two pairs are complete, or the lengths differ.

    References
    ----------
    .. [1] Lakens, "Calculating and reporting effect sizes to facilitate cumulative science", 2013.
    """
    check_level(level)
    x, y = complete_pairs(first, second)
    statistic = pair_statistic(x, y, effect)
    estimate = float(statistic(np.ones((1, len(x))))[0])
    if effect == "cliff delta" and abs(estimate) == 1:
        share = wilson_interval(len(x), len(x), level)
        low, high = sorted((estimate, estimate * (2 * share.low - 1)))
        warning = "All pairs change in the same direction."
        return Estimate(
            effect, estimate, low, high, level, (len(x),), "Wilson interval", warning=warning
        )
    rng = np.random.default_rng(seed)
    replicates = bootstrap_statistic(statistic, len(x), n_resamples, rng)
    jackknife = jackknife_statistic(statistic, len(x))
    low, high = bca_interval(estimate, replicates, [jackknife], level)
    warning = "" if len(x) >= FEW else f"Fewer than {FEW} pairs."
    procedure = f"BCa bootstrap of pairs, {n_resamples} resamples"
    return Estimate(effect, estimate, low, high, level, (len(x),), procedure, warning=warning)


def mann_whitney(a: Amounts, b: Amounts) -> HypothesisTest:
    """Test if one of two groups tends to larger numbers; exact for small groups without ties.

    References
    ----------
    .. [1] Mann and Whitney, "On a test of whether one of two random variables is stochastically
       larger than the other", 1947.
    """
    x, y = finite_numbers(a, "group A"), finite_numbers(b, "group B")
    outcome = mannwhitneyu(y, x, alternative="two-sided")
    n = (len(x), len(y))
    return HypothesisTest("Mann-Whitney test", float(outcome.statistic), float(outcome.pvalue), n)


def paired_wilcoxon(first: Amounts, second: Amounts) -> HypothesisTest:
    """Test if the differences of pairs are symmetric around 0; pairs without a change are left out.

    References
    ----------
    .. [1] Wilcoxon, "Individual comparisons by ranking methods", 1945.
    """
    x, y = complete_pairs(first, second)
    differences = y - x
    name, n = "Wilcoxon signed-rank test", (len(x),)
    if not differences.any():
        return HypothesisTest(name, 0.0, 1.0, n, "No pair differs.")
    outcome = wilcoxon(differences)
    return HypothesisTest(name, float(outcome.statistic), float(outcome.pvalue), n)


def permutation_test(
    a: Amounts, b: Amounts, n_permutations: int = 9999, seed: int = 0
) -> HypothesisTest:
    """Test the difference of means of two groups by random permutations of their members.

    Parameters
    ----------
    a, b : (n,) array_like
        Measurements; NaN is left out.
    n_permutations : int
        The smallest possible p-value is 1 / (n_permutations + 1).
    seed : int
        Of the permutations.

    References
    ----------
    .. [1] Phipson and Smyth, "Permutation p-values should never be zero", 2010.
    """
    x, y = finite_numbers(a, "group A"), finite_numbers(b, "group B")
    pooled, rng = np.concatenate([x, y]), np.random.default_rng(seed)
    observed = float(y.mean() - x.mean())
    size, extreme = max(1, BLOCK // len(pooled)), 0
    # relative tolerance: the same sum in another order may differ in the last digit
    bound = abs(observed) * (1 - 1e-12)
    for first in range(0, n_permutations, size):
        count = min(size, n_permutations - first)
        mixed = rng.permuted(np.tile(pooled, (count, 1)), axis=1)
        differences = mixed[:, len(x) :].mean(axis=1) - mixed[:, : len(x)].mean(axis=1)
        extreme += int((np.abs(differences) >= bound).sum())
    p_value = (extreme + 1) / (n_permutations + 1)
    return HypothesisTest(
        f"permutation test of means, {n_permutations} permutations",
        observed,
        p_value,
        (len(x), len(y)),
    )


def group_statistic(a: Numbers, b: Numbers, effect: Effect) -> TwoGroups:
    """Return an effect of two groups as a function of weights (B, n_a) and (B, n_b).

    Raises
    ------
    UnknownNameError
        If there is no such effect.
    """
    if effect == "cliff delta":
        # ± 1 above or below, 0 for ties
        signs = np.sign(b[None, :] - a[:, None])
        return lambda v, w: np.asarray(
            ((v @ signs) * w).sum(axis=1) / (v.sum(axis=1) * w.sum(axis=1))
        )
    if effect == "mean difference":
        return lambda v, w: _means(b, w) - _means(a, v)
    if effect == "median difference":
        return lambda v, w: _medians(b, w) - _medians(a, v)
    if effect == "hedges g":
        return lambda v, w: _hedges(a, b, v, w)
    raise unknown_name("effect", effect, list(EFFECTS))


def pair_statistic(first: Numbers, second: Numbers, effect: Effect) -> Callable[[Numbers], Numbers]:
    """Return an effect of pairs as a function of weights (B, n).

    Raises
    ------
    UnknownNameError
        If there is no such effect.
    """
    differences = second - first
    if effect == "mean difference":
        return lambda w: _means(differences, w)
    if effect == "median difference":
        return lambda w: _medians(differences, w)
    if effect == "cliff delta":
        return lambda w: _means(np.sign(differences), w)
    if effect == "hedges g":

        def standardized(w: Numbers) -> Numbers:
            spread = np.sqrt((_variances(first, w) + _variances(second, w)) / 2)
            scale = small_sample_factor(w.sum(axis=1) - 1)
            with np.errstate(divide="ignore", invalid="ignore"):
                return np.asarray(scale * _means(differences, w) / spread)

        return standardized
    raise unknown_name("effect", effect, list(EFFECTS))


def small_sample_factor(freedom: Numbers) -> Numbers:
    """Return Hedges' exact factor that removes the bias of a standardized difference."""
    freedom = np.maximum(freedom, 1.5)
    return np.asarray(
        np.exp(gammaln(freedom / 2) - gammaln((freedom - 1) / 2)) / np.sqrt(freedom / 2)
    )


def separated_delta_interval(delta: float, n_a: int, n_b: int, level: float) -> tuple[float, float]:
    """Return Newcombe's interval of Cliff's δ for groups that do not overlap (δ = ±1)."""
    z = float(norm.ppf((1 + level) / 2))
    half = (n_a + n_b) / 2 - 1

    def excess(share: float) -> float:
        spread = 1 + half * ((1 - share) / (2 - share) + share / (1 + share))
        return 1 - share - z * math.sqrt(share * (1 - share) * spread / (n_a * n_b))

    bound = 2 * float(brentq(excess, 0, 1 - 1e-12)) - 1
    return (bound, 1.0) if delta > 0 else (-1.0, -bound)


def complete_pairs(first: Amounts, second: Amounts) -> tuple[Numbers, Numbers]:
    """Return the pairs without NaN.

    Raises
    ------
    DataError
        If fewer than two pairs are complete, or the lengths differ.
    """
    x, y = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if x.shape != y.shape or x.ndim != 1:
        raise DataError(f"{x.size} first and {y.size} second numbers are no pairs. Measure both.")
    complete = np.isfinite(x) & np.isfinite(y)
    if complete.sum() < 2:
        raise DataError(f"{int(complete.sum())} pairs are complete. Measure at least two.")
    return x[complete], y[complete]


def _means(amounts: Numbers, weights: Numbers) -> Numbers:
    return np.asarray(weights @ amounts / weights.sum(axis=1))


def _variances(amounts: Numbers, weights: Numbers) -> Numbers:
    centered = amounts - amounts.mean()
    n = weights.sum(axis=1)
    squares = weights @ centered**2 - (weights @ centered) ** 2 / n
    return np.asarray(np.maximum(squares, 0) / np.maximum(n - 1, 1))


def _hedges(a: Numbers, b: Numbers, v: Numbers, w: Numbers) -> Numbers:
    n, m = v.sum(axis=1) - 1, w.sum(axis=1) - 1
    pooled = np.sqrt((n * _variances(a, v) + m * _variances(b, w)) / (n + m))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(small_sample_factor(n + m) * (_means(b, w) - _means(a, v)) / pooled)


def _medians(amounts: Numbers, weights: Numbers) -> Numbers:
    """Return the medians of multisets in which each number occurs ``weights`` times."""
    order = np.argsort(amounts, kind="stable")
    ranked, reached = amounts[order], np.cumsum(weights[:, order], axis=1)
    n = reached[:, -1:]
    lower = (reached > np.floor((n - 1) / 2)).argmax(axis=1)
    upper = (reached > np.floor(n / 2)).argmax(axis=1)
    return np.asarray((ranked[lower] + ranked[upper]) / 2)
