"""Smallest share, difference and effect that a study of a given size detects."""

from __future__ import annotations

import math

import numpy as np
from scipy.optimize import brentq
from scipy.stats import binom, binomtest, hypergeom, nct, t

from napari_quac.errors import DataError
from napari_quac.study.statistics.estimate import Numbers


def effective_number(n: int, n_clusters: int, correlation: float) -> float:
    """Return the number of independent observations that n clustered ones are worth.

    Parameters
    ----------
    n, n_clusters : int
        Observations, and neurons or sections, of about equal size.
    correlation : float in [0, 1]
        Intra-class correlation.

    References
    ----------
    .. [1] Kish, "Survey sampling", 1965.

    Examples
    --------
    >>> round(effective_number(100, 20, 0.2), 1)
    55.6
    """
    return n / (1 + (n / n_clusters - 1) * correlation)


def smallest_prevalence(n: int, power: float = 0.8) -> float:
    """Return the prevalence of a feature that n images show at least once with probability power.

    Examples
    --------
    >>> round(smallest_prevalence(100, 0.95), 3)
    0.03
    """
    _check(n, power)
    return float(1 - (1 - power) ** (1 / n))


def detectable_share(n: int, chance: float = 0.5, power: float = 0.8, alpha: float = 0.05) -> float:
    """Return the smallest share above chance that an exact test detects.

    Parameters
    ----------
    n : int
        Number of answers; of answers with a sign, for a sign test.
    chance : float
        Share under the null hypothesis.
    power : float
        Probability to detect it.
    alpha : float
        Level of the two-sided test.

    Returns
    -------
    float
        NaN if n answers cannot be significant at all.
    """
    _check(n, power)
    counts = np.arange(n + 1)
    if chance == 0.5:
        tails = np.minimum(binom.cdf(counts, n, 0.5), binom.sf(counts - 1, n, 0.5))
        p_values = np.minimum(1, 2 * tails)
    else:
        p_values = np.array([binomtest(int(k), n, chance).pvalue for k in counts])
    rejected = (p_values <= alpha) & (counts > n * chance)
    if not rejected.any():
        return float("nan")
    critical = int(counts[rejected][0])

    def excess(share: float) -> float:
        return float(binom.sf(critical - 1, n, share)) - power

    return float(brentq(excess, chance, 1 - 1e-12)) if excess(chance) < 0 else chance


def detectable_second_share(
    n_a: int, n_b: int, share_a: float, power: float = 0.8, alpha: float = 0.05
) -> float:
    """Return the smallest share of group B, above that of A, that Fisher's test detects.

    Parameters
    ----------
    n_a, n_b : int
        Items of both groups.
    share_a : float
        Share of group A.
    power : float
        Probability to detect the difference, computed exactly.
    alpha : float
        Level of the two-sided test.

    Returns
    -------
    float
        NaN if no share is large enough.
    """
    _check(min(n_a, n_b), power)
    rejected = _fisher_rejections(n_a, n_b, alpha)
    left = binom.pmf(np.arange(n_a + 1), n_a, share_a) @ rejected

    def excess(share: float) -> float:
        return float(left @ binom.pmf(np.arange(n_b + 1), n_b, share)) - power

    if excess(1.0) < 0:
        return float("nan")
    return float(brentq(excess, share_a, 1.0)) if excess(share_a) < 0 else share_a


def detectable_effect(
    n_a: float, n_b: float | None = None, power: float = 0.8, alpha: float = 0.05
) -> float:
    """Return the smallest standardized difference that a two-sided t-test detects.

    Parameters
    ----------
    n_a, n_b : float
        Observations of both groups; ``n_b`` is None for pairs, whose effect is that of the
        differences. Use :func:`effective_number` for clustered ones.
    power : float
        Probability to detect it.
    alpha : float
        Level of the test.

    Returns
    -------
    float
        In standard deviations.

    Raises
    ------
    DataError
        If a group has fewer than two observations.

    Examples
    --------
    >>> round(detectable_effect(30, 30), 2)
    0.74
    """
    _check(min(n_a, n_b if n_b is not None else n_a), power)
    n = n_a if n_b is None else n_a * n_b / (n_a + n_b)
    freedom = n_a - 1 if n_b is None else n_a + n_b - 2
    if freedom <= 0:
        raise DataError("A single observation detects no effect. Use at least two per group.")
    critical = t.ppf(1 - alpha / 2, freedom)

    def excess(effect: float) -> float:
        shift = effect * math.sqrt(n)
        upper = nct.sf(critical, freedom, shift)
        return float(upper + nct.cdf(-critical, freedom, shift)) - power

    high = 1.0
    while excess(high) < 0:
        high *= 2
    return float(brentq(excess, 0, high))


def _fisher_rejections(n_a: int, n_b: int, alpha: float) -> Numbers:
    """Return 1 where Fisher's two-sided test rejects; (n_a + 1, n_b + 1)."""
    rejected = np.zeros((n_a + 1, n_b + 1))
    for total in range(n_a + n_b + 1):
        counts = np.arange(max(0, total - n_b), min(n_a, total) + 1)
        chances = hypergeom.pmf(counts, n_a + n_b, n_a, total)
        # relative tolerance of equal probabilities, as in scipy's fisher_exact
        extreme = chances[None, :] <= chances[:, None] * (1 + 1e-7)
        rejected[counts, total - counts] = (extreme * chances).sum(axis=1) <= alpha
    return rejected


def _check(n: float, power: float) -> None:
    if n < 1 or not 0 < power < 1:
        raise DataError(
            f"n is {n:g} and the power {power:g}. Use at least one observation, and a power such "
            "as 0.8."
        )
