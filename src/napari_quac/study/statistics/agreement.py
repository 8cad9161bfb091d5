"""Agreement between raters, or of a rater with her own repeats, with bootstrap intervals.

All coefficients are functions of sums over items, such as a table of pairs of categories. A
bootstrap of items, or of clusters of items, is then one product of weights and terms.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t

from napari_quac.errors import DataError
from napari_quac.study.statistics.estimate import Estimate, Numbers, check_level
from napari_quac.study.statistics.resampling import (
    N_RESAMPLES,
    bca_interval,
    bootstrap_statistic,
    cluster_codes,
)

Ratings = Sequence[Sequence[float]] | NDArray[Any]
Weights = Literal["none", "linear", "quadratic"]
Scale = Literal["nominal", "ordinal", "interval"]

FEW_ITEMS = 20
FEW_CLUSTERS = 20
MANY_CATEGORIES = 50


@dataclass(frozen=True)
class Resampling:
    """Settings of a bootstrap interval.

    Attributes
    ----------
    level : float
        Confidence level.
    clusters : sequence of hashable labels, optional
        Cluster of each item, such as its neuron; clusters are then resampled as a whole.
    n_resamples : int
    seed : int
    """

    level: float = 0.95
    clusters: Sequence[Any] | None = None
    n_resamples: int = N_RESAMPLES
    seed: int = 0


ITEMS = Resampling()


def percent_agreement(ratings: Ratings, resampling: Resampling = ITEMS) -> Estimate:
    """Return the share of pairs of ratings of the same item that agree.

    Parameters
    ----------
    ratings : (R, N) array_like
        One row per rater, one column per item; NaN for missing ratings. Items with fewer than two
        ratings do not count. For the agreement of a rater with her repeats, the rows are the first
        and the second time.
    resampling : Resampling
        Settings of the interval.

    Returns
    -------
    Estimate
        In [0, 1]; no correction for chance.

    Raises
    ------
    DataError
        If no item has two ratings.
    """
    counts, _ = _counts(ratings)
    pairs = _pair_terms(counts, np.eye(counts.shape[1]))
    return _estimate("percent agreement", counts, pairs, _share_of_pairs, resampling, True)


def cohen_kappa(
    ratings: Ratings,
    weights: Weights = "none",
    categories: Sequence[float] | None = None,
    resampling: Resampling = ITEMS,
) -> Estimate:
    """Return Cohen's κ of two raters.

    Parameters
    ----------
    ratings : (2, N) array_like
        NaN for missing ratings; items without both do not count.
    weights : "none", "linear" or "quadratic"
        Credit of a near miss, for ordered categories such as −1, 0, +1.
    categories : sequence of float, optional
        All possible ratings; by default those that occur. It matters for weights only.
    resampling : Resampling
        Settings of the interval.

    Returns
    -------
    Estimate
        In [−1, 1]. It collapses where one category prevails; report :func:`gwet_ac` beside it.

    Raises
    ------
    DataError
        If there are more raters than two, or no item has both ratings.

    References
    ----------
    .. [1] Cohen, "A coefficient of agreement for nominal scales", 1960; "Weighted kappa", 1968.
    """
    table = np.asarray(ratings, dtype=np.float64)
    if table.ndim != 2 or len(table) != 2:
        raise DataError(
            f"Cohen's κ compares two raters; the ratings have shape {table.shape}. Use Fleiss' κ "
            "or Krippendorff's α for more."
        )
    counts, names = _counts(ratings, categories)
    q, credit = len(names), _credit(names, weights)
    complete = np.isfinite(table).all(axis=0)
    terms = np.zeros((table.shape[1], q * q))
    first, second = (np.searchsorted(names, row[complete]) for row in table)
    terms[complete, first * q + second] = 1

    def kappa(sums: Numbers) -> Numbers:
        shares = sums.reshape(*sums.shape[:-1], q, q)
        # without the only item there is no table
        shares = shares / np.maximum(shares.sum(axis=(-2, -1), keepdims=True), 1e-300)
        observed = (credit * shares).sum(axis=(-2, -1))
        rows, columns = shares.sum(axis=-1), shares.sum(axis=-2)
        chance = np.einsum("...i,ij,...j->...", rows, credit, columns)
        return _above_chance(observed, chance)

    name = "Cohen κ" if weights == "none" else f"Cohen κ, {weights} weights"
    return _estimate(name, counts, terms, kappa, resampling)


def fleiss_kappa(ratings: Ratings, resampling: Resampling = ITEMS) -> Estimate:
    """Return Fleiss' κ of any number of raters, who need not rate all items.

    Parameters
    ----------
    ratings : (R, N) array_like
        NaN for missing ratings.
    resampling : Resampling
        Settings of the interval.

    Raises
    ------
    DataError
        If no item has two ratings.

    References
    ----------
    .. [1] Fleiss, "Measuring nominal scale agreement among many raters", 1971. With missing
       ratings as in Gwet, "Handbook of inter-rater reliability", 2014, chapter 2.
    """
    counts, _ = _counts(ratings)
    q = counts.shape[1]

    def kappa(sums: Numbers) -> Numbers:
        observed, shares = _observed_and_shares(sums, q)
        return _above_chance(observed, (shares**2).sum(axis=-1))

    return _estimate("Fleiss κ", counts, _prevalence_terms(counts, np.eye(q)), kappa, resampling)


def gwet_ac(
    ratings: Ratings,
    weights: Weights = "none",
    categories: Sequence[float] | None = None,
    resampling: Resampling = ITEMS,
) -> Estimate:
    """Return Gwet's AC1, or AC2 with weights, which stays stable for rare features.

    Parameters
    ----------
    ratings : (R, N) array_like
        NaN for missing ratings.
    weights : "none", "linear" or "quadratic"
        Credit of a near miss; none for AC1.
    categories : sequence of float, optional
        All possible ratings, such as 0 and 1; by default those that occur. Their number is part
        of the agreement by chance.
    resampling : Resampling
        Settings of the interval.

    Raises
    ------
    DataError
        If no item has two ratings.

    References
    ----------
    .. [1] Gwet, "Computing inter-rater reliability and its variance in the presence of high
       agreement", 2008; "Handbook of inter-rater reliability", 2014, chapters 2 and 3.
    """
    counts, names = _counts(ratings, categories)
    q, credit = len(names), _credit(names, weights)

    def coefficient(sums: Numbers) -> Numbers:
        observed, shares = _observed_and_shares(sums, q)
        spread = (shares * (1 - shares)).sum(axis=-1)
        chance = credit.sum() / max(q * (q - 1), 1) * spread
        return _above_chance(observed, chance)

    name = "Gwet AC1" if weights == "none" else f"Gwet AC2, {weights} weights"
    terms = _prevalence_terms(counts, credit)
    return _estimate(name, counts, terms, coefficient, resampling, stable_chance=True)


def krippendorff_alpha(
    ratings: Ratings, scale: Scale = "nominal", resampling: Resampling = ITEMS
) -> Estimate:
    """Return Krippendorff's α of any number of raters, who need not rate all items.

    Parameters
    ----------
    ratings : (R, N) array_like
        NaN for missing ratings.
    scale : "nominal", "ordinal" or "interval"
        Categories without an order, with one, or numbers.
    resampling : Resampling
        Settings of the interval.

    Returns
    -------
    Estimate
        NaN, with a warning, if all ratings are the same.

    Raises
    ------
    DataError
        If no item has two ratings, or there are more than 50 categories without a scale of
        numbers.

    References
    ----------
    .. [1] Krippendorff, "Computing Krippendorff's alpha-reliability", 2011.
    .. [2] Zapf et al., "Measuring inter-rater reliability for nominal data – which coefficients
       and confidence intervals are appropriate?", 2016; the bootstrap interval.
    """
    name = f"Krippendorff α, {scale}"
    counts, names = _counts(ratings, limit=None if scale == "interval" else MANY_CATEGORIES)
    if scale == "interval":
        return _estimate(name, counts, _moment_terms(counts, names), _interval_alpha, resampling)
    q = len(names)
    raters = counts.sum(axis=1)
    paired = raters > 1
    scaled = counts[paired] / (raters[paired] - 1)[:, None]
    coincidences = np.zeros((len(counts), q, q))
    coincidences[paired] = scaled[:, :, None] * counts[paired][:, None, :]
    coincidences[:, np.arange(q), np.arange(q)] -= np.where(
        paired[:, None], counts / np.maximum(raters - 1, 1)[:, None], 0
    )

    def alpha(sums: Numbers) -> Numbers:
        table = sums.reshape(*sums.shape[:-1], q, q)
        totals = table.sum(axis=-1)
        if scale == "nominal":
            distance = 1 - np.eye(q)
        else:
            ranks = np.cumsum(totals, axis=-1) - totals / 2
            distance = (ranks[..., :, None] - ranks[..., None, :]) ** 2
        observed = (table * distance).sum(axis=(-2, -1))
        products = totals[..., :, None] * totals[..., None, :]
        expected = (products * distance).sum(axis=(-2, -1)) / (totals.sum(axis=-1) - 1)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray(1 - observed / expected)

    return _estimate(name, counts, coincidences.reshape(len(counts), q * q), alpha, resampling)


def _interval_alpha(sums: Numbers) -> Numbers:
    disagreement, n, total, squares = np.moveaxis(sums, -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(1 - (n - 1) * disagreement / (2 * (n * squares - total**2)))


def _moment_terms(counts: Numbers, names: Numbers) -> Numbers:
    """Return disagreement, number, sum and sum of squares of the paired ratings of each item."""
    centered = names - np.average(names, weights=counts.sum(axis=0))
    n = counts.sum(axis=1)
    total, squares = counts @ centered, counts @ centered**2
    disagreement = 2 * (n * squares - total**2) / np.maximum(n - 1, 1)
    return np.asarray(np.stack([disagreement, n, total, squares], axis=1) * (n > 1)[:, None])


def _counts(
    ratings: Ratings,
    categories: Sequence[float] | None = None,
    limit: int | None = MANY_CATEGORIES,
) -> tuple[Numbers, Numbers]:
    """Return how often each item (N) got each category (q), and the sorted categories (q)."""
    table = np.asarray(ratings, dtype=np.float64)
    if table.ndim != 2:
        raise DataError(f"The ratings have shape {table.shape}. Use raters × items.")
    finite = table[np.isfinite(table)]
    names = np.unique(finite if categories is None else np.asarray(categories, dtype=np.float64))
    unknown = np.setdiff1d(finite, names)
    if len(unknown):
        listed = ", ".join(f"{name:g}" for name in names)
        raise DataError(f"The rating {unknown[0]:g} is none of the categories {listed}.")
    if limit is not None and len(names) > limit:
        raise DataError(
            f"The ratings have {len(names)} categories, more than {limit}. Use Krippendorff's α "
            "for numbers (scale 'interval')."
        )
    counts = (
        np.stack([(table == name).sum(axis=0) for name in names], axis=1, dtype=np.float64)
        if len(names)
        else np.zeros((table.shape[1], 0))
    )
    if not (counts.sum(axis=1) > 1).any():
        raise DataError(
            "No item has two ratings. Let a second rater rate the same images, or repeat some."
        )
    return counts, names


def _credit(names: Numbers, weights: Weights) -> Numbers:
    """Return the credit of each pair of categories, 1 for equal ones; (q, q)."""
    if weights == "none" or len(names) < 2:
        return np.eye(len(names))
    distance = np.abs(names[:, None] - names[None, :]) / (names[-1] - names[0])
    return np.asarray(1 - (distance if weights == "linear" else distance**2))


def _pair_terms(counts: Numbers, credit: Numbers) -> Numbers:
    """Return the agreement within each item, and 1 where it has two ratings; (N, 2)."""
    raters = counts.sum(axis=1)
    paired = raters > 1
    agreeing = (counts * (counts @ credit - 1)).sum(axis=1)
    return np.stack([agreeing / np.maximum(raters * (raters - 1), 1) * paired, paired], axis=1)


def _prevalence_terms(counts: Numbers, credit: Numbers) -> Numbers:
    raters = counts.sum(axis=1, keepdims=True)
    shares = counts / np.maximum(raters, 1)
    return np.concatenate([_pair_terms(counts, credit), shares, raters > 0], axis=1)


def _observed_and_shares(sums: Numbers, q: int) -> tuple[Numbers, Numbers]:
    with np.errstate(invalid="ignore"):
        return _share_of_pairs(sums), np.asarray(sums[..., 2 : 2 + q] / sums[..., 2 + q :])


def _share_of_pairs(sums: Numbers) -> Numbers:
    with np.errstate(invalid="ignore"):
        return np.asarray(sums[..., 0] / sums[..., 1])


def _above_chance(observed: Numbers, chance: Numbers) -> Numbers:
    with np.errstate(divide="ignore", invalid="ignore"):
        kappa = (observed - chance) / (1 - chance)
    return np.where(1 - chance > 1e-12, kappa, np.nan)


def _estimate(
    name: str,
    counts: Numbers,
    terms: Numbers,
    coefficient: Callable[[Numbers], Numbers],
    resampling: Resampling,
    stable_chance: bool = False,
) -> Estimate:
    """Return a coefficient of sums of terms (N, M) with its bootstrap interval.

    ``stable_chance`` marks coefficients whose agreement by chance hardly varies between samples.
    """
    level = resampling.level
    check_level(level)
    n = int((counts.sum(axis=1) > 1).sum())
    # items that enter no sum would only dilute the resamples
    used = np.asarray(terms.any(axis=1))
    terms = terms[used]
    n_clusters: tuple[int, ...] = ()
    warnings = [f"Fewer than {FEW_ITEMS} items."] if n < FEW_ITEMS else []
    if resampling.clusters is not None:
        labels = np.asarray(list(resampling.clusters), dtype=object)
        if len(labels) != len(used):
            raise DataError(f"{len(labels)} clusters do not fit {len(used)} items.")
        (codes,), n_groups = cluster_codes(labels[used])
        sums = np.zeros((n_groups, terms.shape[1]))
        np.add.at(sums, codes, terms)
        terms, n_clusters = sums, (n_groups,)
        if n_groups < FEW_CLUSTERS:
            warnings.append(f"Only {n_groups} clusters; the interval may be too narrow.")
    estimate = float(coefficient(terms.sum(axis=0)))
    if not np.isfinite(estimate):
        warnings.insert(0, "All ratings are the same; the coefficient is undefined.")
    rng = np.random.default_rng(resampling.seed)
    replicates = bootstrap_statistic(
        lambda weights: coefficient(weights @ terms), len(terms), resampling.n_resamples, rng
    )
    if not np.isfinite(replicates).all() and np.isfinite(estimate):
        share = 100 * float((~np.isfinite(replicates)).mean())
        warnings.append(f"Undefined in {share:.1f} % of the resamples, which were left out.")
    if estimate == 1:
        warnings.append("All ratings agree; the interval has no width.")
    # Chosen by benchmarks/study_coverage.py, with 40 items: the BCa interval of AC2 covered 92.6 %,
    # that on the scale of z of Fleiss' κ of a rare feature 92.4 %; each holds for the others.
    if stable_chance:
        low, high = _z_interval(estimate, replicates, len(terms), level)
        procedure = "Fisher's z, Student's t"
    else:
        left_out = coefficient(terms.sum(axis=0) - terms)
        left_out = left_out[np.isfinite(left_out)]
        low, high = bca_interval(estimate, replicates, [left_out], level)
        procedure = "BCa"
    unit = "clusters" if n_clusters else "items"
    return Estimate(
        name,
        estimate,
        low,
        high,
        level,
        (n,),
        f"{procedure} bootstrap of {unit}, {resampling.n_resamples} resamples",
        n_clusters,
        warning=" ".join(warnings),
    )


def _z_interval(estimate: float, replicates: Numbers, n: int, level: float) -> tuple[float, float]:
    """Return the interval with the standard error of the replicates, on the scale of Fisher's z.

    On that scale the error hardly depends on the coefficient, and the ends stay below 1.
    """
    replicates = replicates[np.isfinite(replicates)]
    if n < 2 or len(replicates) < 2 or not np.isfinite(estimate):
        return float("nan"), float("nan")
    if abs(estimate) == 1:
        return estimate, estimate
    # resamples of n items vary like n − 1
    error = float(replicates.std()) * math.sqrt(n / (n - 1))
    half = float(t.ppf((1 + level) / 2, n - 1)) * error / (1 - estimate**2)
    center = math.atanh(estimate)
    return math.tanh(center - half), math.tanh(center + half)
