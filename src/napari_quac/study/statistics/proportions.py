"""Shares of a feature, signs and pairs: exact tests, and intervals that hold at small n."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import barnard_exact as barnard
from scipy.stats import binom, binomtest, fisher_exact, norm
from scipy.stats.contingency import odds_ratio

from napari_quac.errors import DataError
from napari_quac.study.statistics.estimate import Estimate, check_counts, check_level


@dataclass(frozen=True)
class SignTest:
    """An exact sign test of directions.

    Attributes
    ----------
    n_positive, n_negative, n_zero, n_missing : int
        Zeros ("no difference") and missing answers are counted, but no part of the test.
    share : Estimate
        Share of positive signs among those that are not zero.
    p_value : float
        Two-sided, against equal shares; 1 without any sign.
    """

    n_positive: int
    n_negative: int
    n_zero: int
    n_missing: int
    share: Estimate
    p_value: float


@dataclass(frozen=True)
class ShareComparison:
    """Two independent shares.

    Attributes
    ----------
    share_a, share_b : Estimate
        With Wilson intervals.
    difference : Estimate
        Share of B minus share of A, with Newcombe's interval.
    odds_ratio : Estimate
        Of B over A: the conditional maximum likelihood estimate with its exact interval; 0 or
        infinite where a cell of the table is empty.
    p_fisher : float
        Two-sided, conditional on both margins; conservative.
    p_barnard : float or None
        Two-sided, unconditional, usually with more power; None if it was not requested. Decide
        for one of the two tests before the study is sealed.
    """

    share_a: Estimate
    share_b: Estimate
    difference: Estimate
    odds_ratio: Estimate
    p_fisher: float
    p_barnard: float | None


@dataclass(frozen=True)
class PairedShares:
    """Two shares of the same items.

    Attributes
    ----------
    n_both, n_first, n_second, n_neither, n_missing : int
        Items with the feature in both, in the first only, in the second only, in neither; items
        that lack an answer are counted, but no part of the test.
    difference : Estimate
        Share of the second minus share of the first.
    p_value : float
        Of McNemar's exact test, two-sided; 1 if no item differs.
    """

    n_both: int
    n_first: int
    n_second: int
    n_neither: int
    n_missing: int
    difference: Estimate
    p_value: float


@dataclass(frozen=True)
class EquivalenceTest:
    """Two one-sided exact tests of a share against both ends of a margin.

    Attributes
    ----------
    share : Estimate
        With the Wilson interval of level 1 − 2α, which belongs to the test.
    center, margin, alpha : float
        The share counts as equivalent if it lies within ``center ± margin``.
    p_value : float
        The larger one of both tests.
    equivalent : bool
        True if ``p_value`` is below ``alpha``. False means that equivalence was not shown, not
        that there is a difference.
    """

    share: Estimate
    center: float
    margin: float
    alpha: float
    p_value: float
    equivalent: bool


def wilson_interval(count: int, n: int, level: float = 0.95) -> Estimate:
    r"""Return a share with Wilson's score interval.

    .. math:: \frac{p + z^2/2n \pm z\sqrt{p(1-p)/n + z^2/4n^2}}{1 + z^2/n}

    Parameters
    ----------
    count, n : int
        ``count`` of ``n`` items have the feature.
    level : float
        Confidence level.

    Raises
    ------
    DataError
        If the count is not between 0 and n, or n is 0.

    References
    ----------
    .. [1] Wilson, "Probable inference, the law of succession, and statistical inference", 1927.

    Examples
    --------
    >>> wilson_interval(81, 263).text(4)
    '0.3080 (95 % interval 0.2553 to 0.3662, n = 263)'
    """
    check_counts(count, n)
    check_level(level)
    low, high = score_interval(count / n, n, float(norm.ppf((1 + level) / 2)))
    return Estimate("share", count / n, low, high, level, (n,), "Wilson interval")


def score_interval(share: float, n: float, quantile: float) -> tuple[float, float]:
    """Return the ends of the score interval of a share.

    Parameters
    ----------
    share : float in [0, 1]
        Estimated share.
    n : float
        Number of observations; the effective number, not always an integer, with clusters.
    quantile : float
        Of the normal distribution, or of Student's t.
    """
    z2 = quantile**2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = quantile / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n**2))
    low = 0.0 if share == 0 else max(0.0, middle - half)
    return low, 1.0 if share == 1 else min(1.0, middle + half)


def sign_test(signs: Sequence[float] | NDArray[Any], level: float = 0.95) -> SignTest:
    """Test if positive and negative answers are equally frequent.

    Parameters
    ----------
    signs : (n,) array_like
        Answers such as −1, 0, +1 with the direction resolved; NaN for missing ones.
    level : float
        Confidence level of the share.

    Returns
    -------
    SignTest
        Its share is NaN, with a warning, if all answers are zero or missing.

    References
    ----------
    .. [1] Conover, "Practical nonparametric statistics", 1999, section 3.4.
    """
    numbers = np.asarray(signs, dtype=np.float64).ravel()
    missing = int(np.isnan(numbers).sum())
    positive, negative = int((numbers > 0).sum()), int((numbers < 0).sum())
    zero, n = int((numbers == 0).sum()), positive + negative
    if not n:
        nan = float("nan")
        warning = "No answer has a direction."
        share = Estimate("share", nan, nan, nan, level, (0,), "none", warning=warning)
        return SignTest(0, 0, zero, missing, share, 1.0)
    p = float(binomtest(positive, n).pvalue)
    return SignTest(positive, negative, zero, missing, wilson_interval(positive, n, level), p)


def compare_shares(
    count_a: int,
    n_a: int,
    count_b: int,
    n_b: int,
    level: float = 0.95,
    barnard_test: bool = False,
) -> ShareComparison:
    """Compare the shares of two independent groups.

    Parameters
    ----------
    count_a, n_a, count_b, n_b : int
        ``count_a`` of ``n_a`` items of group A have the feature, and so for B.
    level : float
        Confidence level.
    barnard_test : bool
        Also compute Barnard's test, which takes longer.

    Raises
    ------
    DataError
        If a count is not between 0 and its n.

    References
    ----------
    .. [1] Newcombe, "Interval estimation for the difference between independent proportions",
       1998, method 10.
    .. [2] Barnard, "Significance tests for 2 × 2 tables", 1947.
    """
    a, b = wilson_interval(count_a, n_a, level), wilson_interval(count_b, n_b, level)
    difference = b.estimate - a.estimate
    low = difference - math.hypot(b.estimate - b.low, a.high - a.estimate)
    high = difference + math.hypot(b.high - b.estimate, a.estimate - a.low)
    n = (n_a, n_b)
    # rows: feature present, absent; columns: B, A, so that the odds ratio is that of B over A
    table = np.array([[count_b, count_a], [n_b - count_b, n_a - count_a]])
    name, warning = "odds ratio", ""
    if 0 in table.sum(axis=1):
        ratio, ends = float("nan"), (0.0, float("inf"))
        warning = "The feature is present in all items or in none; there is no odds ratio."
    else:
        conditional = odds_ratio(table, kind="conditional")
        ratio, ends = float(conditional.statistic), conditional.confidence_interval(level)
    odds = Estimate(
        name, ratio, float(ends[0]), float(ends[1]), level, n, "exact interval", warning=warning
    )
    return ShareComparison(
        a,
        b,
        Estimate("difference of shares", difference, low, high, level, n, "Newcombe interval"),
        odds,
        float(fisher_exact(table).pvalue),
        float(barnard(table).pvalue) if barnard_test else None,
    )


def compare_paired_shares(
    first: Sequence[float] | NDArray[Any],
    second: Sequence[float] | NDArray[Any],
    level: float = 0.95,
) -> PairedShares:
    """Compare two answers to the same items by McNemar's exact test.

    Parameters
    ----------
    first, second : (n,) array_like
        1 or True with the feature (or with a correct answer), 0 without, NaN if missing.
    level : float
        Confidence level.

    Raises
    ------
    DataError
        If the lengths differ, or no item has both answers.

    References
    ----------
    .. [1] McNemar, "Note on the sampling error of the difference between correlated proportions
       or percentages", 1947.
    .. [2] Bonett and Price, "Adjusted Wald confidence interval for a difference of binomial
       proportions based on paired data", 2012.
    """
    check_level(level)
    x, y = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if x.shape != y.shape or x.ndim != 1:
        raise DataError(
            f"The pairs have {x.size} first and {y.size} second answers. Use one pair per item."
        )
    complete = np.isfinite(x) & np.isfinite(y)
    n = int(complete.sum())
    if not n:
        raise DataError("No item has both answers. Compare answers to the same items.")
    p, q = x[complete] > 0, y[complete] > 0
    both, only_first = int((p & q).sum()), int((p & ~q).sum())
    only_second, neither = int((~p & q).sum()), int((~p & ~q).sum())
    discordant = only_first + only_second
    p_value = float(binomtest(only_second, discordant).pvalue) if discordant else 1.0
    f, s = (only_first + 1) / (n + 2), (only_second + 1) / (n + 2)
    half = norm.ppf((1 + level) / 2) * math.sqrt((f + s - (s - f) ** 2) / (n + 2))
    difference = Estimate(
        "difference of paired shares",
        (only_second - only_first) / n,
        max(-1.0, s - f - half),
        min(1.0, s - f + half),
        level,
        (n,),
        "Bonett-Price interval",
    )
    missing = int((~complete).sum())
    return PairedShares(both, only_first, only_second, neither, missing, difference, p_value)


def equivalence_test(
    count: int, n: int, margin: float, center: float = 0.5, alpha: float = 0.05
) -> EquivalenceTest:
    """Test if a share is close enough to another, such as 50 % in a choice of real or generated.

    Parameters
    ----------
    count, n : int
        ``count`` of ``n`` answers, such as generated images that were chosen as real.
    margin : float
        Largest difference that counts as none. State it, with its reason, before sealing.
    center : float
        Share without any difference.
    alpha : float
        Level of both one-sided tests.

    Raises
    ------
    DataError
        If the count is not between 0 and n, or the margin leaves (0, 1).

    References
    ----------
    .. [1] Schuirmann, "A comparison of the two one-sided tests procedure and the power approach",
       1987.
    """
    check_counts(count, n)
    low, high = center - margin, center + margin
    if not (margin > 0 and 0 < low and high < 1):
        raise DataError(
            f"The margin {margin:g} around {center:g} reaches from {low:g} to {high:g}. Use a "
            "margin that stays within 0 and 1, such as 0.1."
        )
    above = float(binom.sf(count - 1, n, low))
    below = float(binom.cdf(count, n, high))
    p = max(above, below)
    share = wilson_interval(count, n, 1 - 2 * alpha)
    return EquivalenceTest(share, center, margin, alpha, p, p < alpha)
