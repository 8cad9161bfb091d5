"""Means, shares and effects of observations in clusters, such as the synapses of a neuron.

Synapses of one neuron resemble each other. Intervals that ignore it are too narrow, and so is the
percentile interval of a plain cluster bootstrap: its standard error is too small by about
√((G − 1) / G), and 20 clusters are too few for normal quantiles. The procedures below use Student's
t with the degrees of freedom of the clusters. They were chosen by ``benchmarks/study_coverage.py``,
which compares them with the alternatives.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t

from napari_quac.errors import DataError
from napari_quac.study.statistics.effects import (
    Amounts,
    Effect,
    group_statistic,
    separated_delta_interval,
)
from napari_quac.study.statistics.estimate import Estimate, Numbers, check_level
from napari_quac.study.statistics.proportions import score_interval
from napari_quac.study.statistics.resampling import Codes, bootstrap_weights, cluster_codes

Clusters = Sequence[Any] | NDArray[Any]
FEW_CLUSTERS = 20
# With the rarer answer in fewer clusters, nothing tells how similar answers within a cluster are.
# At a prevalence of 5 % and an intra-class correlation of 0.6, intervals of 40 clusters covered
# 91 % without this limit, 96 % with a limit of 3, and 97 % with 5.
FEW_WITH_ANSWER = 5
N_RESAMPLES = 2000  # a standard error needs fewer than the tails of a percentile interval


def cluster_mean(
    amounts: Amounts, clusters: Clusters, null: float = 0.0, level: float = 0.95
) -> Estimate:
    """Return a mean with an interval for clustered observations, and test it.

    Parameters
    ----------
    amounts : (n,) array_like
        Measurements, signs (−1, 0, +1) or differences of pairs; NaN is left out.
    clusters : (n,) sequence of labels
        Neuron or section of each observation.
    null : float
        Mean under the null hypothesis.
    level : float
        Confidence level.

    Returns
    -------
    Estimate
        With the numbers of observations and clusters, and a warning below 20 clusters.

    Raises
    ------
    DataError
        If there are fewer than two clusters.

    Notes
    -----
    Jackknife over clusters (the variance CV3) with t(G − 1).

    References
    ----------
    .. [1] MacKinnon, Nielsen and Webb, "Fast and reliable jackknife and bootstrap methods for
       cluster-robust inference", 2023.
    """
    check_level(level)
    x, codes, n_clusters = _clustered(amounts, clusters)
    estimate, error = _jackknife_mean(x, codes, n_clusters)
    interval = _t_interval(estimate, error, n_clusters - 1, level)
    p_value = _t_test(estimate - null, error, n_clusters - 1)
    return Estimate(
        "mean",
        estimate,
        *interval,
        level,
        (len(x),),
        "jackknife over clusters, Student's t",
        (n_clusters,),
        p_value,
        _few(n_clusters),
    )


def cluster_share(
    flags: Amounts, clusters: Clusters, null: float | None = None, level: float = 0.95
) -> Estimate:
    """Return a share with an interval for clustered observations, and test it.

    Parameters
    ----------
    flags : (n,) array_like
        1 or True with the feature, 0 without, NaN if missing.
    clusters : (n,) sequence of labels
        Neuron or section of each observation.
    null : float, optional
        Share under the null hypothesis, such as 0.5; no test without it.
    level : float
        Confidence level.

    Returns
    -------
    Estimate
        With the numbers of observations and clusters, and a warning below 20 clusters.

    Raises
    ------
    DataError
        If there are fewer than two clusters.

    Notes
    -----
    Wilson's interval with the number of independent observations that have the same standard error,
    and Student's t. The jackknife over clusters estimates that error. At most as many observations
    count as there are, and at most as many as clusters if fewer than five of them contain the rarer
    answer.

    References
    ----------
    .. [1] Dean and Pagano, "Evaluating confidence interval methods for binomial proportions in
       clustered surveys", 2015.
    """
    check_level(level)
    x, codes, n_clusters = _clustered(flags, clusters)
    x = (x > 0).astype(np.float64)
    share, error = _jackknife_mean(x, codes, n_clusters)
    effective = float(len(x))
    if error > 0:
        effective = min(effective, share * (1 - share) / error**2)
    rarer = x > 0 if share < 0.5 else x == 0
    if len(np.unique(codes[rarer])) < FEW_WITH_ANSWER:
        effective = min(effective, float(n_clusters))
    quantile = float(t.ppf((1 + level) / 2, n_clusters - 1))
    low, high = score_interval(share, effective, quantile)
    p_value = None
    if null is not None:
        score = (share - null) / math.sqrt(null * (1 - null) / effective)
        p_value = float(2 * t.sf(abs(score), n_clusters - 1))
    return Estimate(
        "share",
        share,
        low,
        high,
        level,
        (len(x),),
        f"Wilson interval, effective n = {effective:.1f}, Student's t",
        (n_clusters,),
        p_value,
        _few(n_clusters),
    )


def cluster_effect(
    a: Amounts,
    b: Amounts,
    clusters_a: Clusters,
    clusters_b: Clusters,
    effect: Effect = "mean difference",
    level: float = 0.95,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> Estimate:
    """Return an effect of two groups with an interval for clustered observations, and test it.

    Parameters
    ----------
    a, b : (n,) array_like
        Measurements, or flags (0 and 1) for a difference of shares; NaN is left out.
    clusters_a, clusters_b : (n,) sequences of labels
        Neuron or section of each observation. A label that occurs in both groups is the same
        cluster, such as a section with synapses of both classes.
    effect : "mean difference", "median difference", "hedges g" or "cliff delta"
        See ``effects.effect_of_groups``.
    level : float
        Confidence level.
    n_resamples, seed : int
        Of the bootstrap, for the median.

    Returns
    -------
    Estimate
        With the numbers of observations and clusters, and a warning if a group has fewer than 20
        clusters.

    Raises
    ------
    DataError
        If a group has fewer than two clusters.

    Notes
    -----
    Jackknife over clusters with Student's t; its degrees of freedom are Welch's where no cluster
    has observations of both groups, else those of the group with fewer clusters. A median is not
    smooth enough for a jackknife: its standard error comes from a cluster bootstrap.

    References
    ----------
    .. [1] MacKinnon, Nielsen and Webb, "Fast and reliable jackknife and bootstrap methods for
       cluster-robust inference", 2023.
    """
    check_level(level)
    x, y, codes = _two_groups(a, b, clusters_a, clusters_b)
    members = [np.unique(group) for group in codes]
    n, n_clusters = (len(x), len(y)), (len(members[0]), len(members[1]))
    statistic = group_statistic(x, y, effect)
    estimate = float(statistic(np.ones((1, n[0])), np.ones((1, n[1])))[0])
    nested = not np.intersect1d(members[0], members[1]).size
    warning = _few(min(n_clusters))
    if effect == "cliff delta" and abs(estimate) == 1:
        low, high = separated_delta_interval(estimate, *n_clusters, level)
        p_value = 2 / math.comb(sum(n_clusters), n_clusters[0])
        if not nested:
            p_value = 2 * 0.5 ** min(n_clusters)
        procedure = "Newcombe interval of clusters"
        warning = f"The groups do not overlap. {warning}".strip()
    else:
        if effect == "median difference":
            weights = _bootstrap_weights(codes, members, nested, n_resamples, seed)
            freedom, error = _bootstrap_error(statistic, codes, weights, n_clusters)
            procedure = f"cluster bootstrap, {n_resamples} resamples, Student's t"
        else:
            freedom, error = _jackknife_error(statistic, codes, members, estimate, nested)
            procedure = "jackknife over clusters, Student's t"
        low, high = _t_interval(estimate, error, freedom, level)
        p_value = _t_test(estimate, error, freedom)
    if effect == "cliff delta":
        low, high = max(-1.0, low), min(1.0, high)
    return Estimate(effect, estimate, low, high, level, n, procedure, n_clusters, p_value, warning)


def _clustered(amounts: Amounts, clusters: Clusters) -> tuple[Numbers, Codes, int]:
    """Return the finite numbers with the codes of their clusters, and the number of clusters."""
    x = np.asarray(amounts, dtype=np.float64)
    labels = np.asarray(list(clusters), dtype=object)
    if x.ndim != 1 or len(x) != len(labels):
        raise DataError(f"{len(labels)} clusters do not fit {x.size} observations. Name one each.")
    finite = np.isfinite(x)
    (codes,), n_clusters = cluster_codes(labels[finite])
    _check_number(n_clusters)
    return x[finite], codes, n_clusters


def _two_groups(
    a: Amounts, b: Amounts, clusters_a: Clusters, clusters_b: Clusters
) -> tuple[Numbers, Numbers, list[Codes]]:
    numbers, labels = [], []
    for amounts, clusters in ((a, clusters_a), (b, clusters_b)):
        x = np.asarray(amounts, dtype=np.float64)
        names = np.asarray(list(clusters), dtype=object)
        if x.ndim != 1 or len(x) != len(names):
            raise DataError(
                f"{len(names)} clusters do not fit {x.size} observations. Name one each."
            )
        numbers.append(x[np.isfinite(x)])
        labels.append(names[np.isfinite(x)])
    codes, _ = cluster_codes(*labels)
    for group in codes:
        _check_number(len(np.unique(group)))
    return numbers[0], numbers[1], codes


def _check_number(n_clusters: int) -> None:
    if n_clusters < 2:
        raise DataError(
            f"There is {n_clusters} cluster. Rate or measure at least two, better 20, neurons or "
            "sections."
        )


def _few(n_clusters: int) -> str:
    if n_clusters >= FEW_CLUSTERS:
        return ""
    return f"Only {n_clusters} clusters, fewer than {FEW_CLUSTERS}: the interval may be too narrow."


def _jackknife_mean(x: Numbers, codes: Codes, n_clusters: int) -> tuple[float, float]:
    """Return the mean and its standard error by leaving out each cluster."""
    sums = np.bincount(codes, x, n_clusters)
    sizes = np.bincount(codes, minlength=n_clusters).astype(np.float64)
    estimate = sums.sum() / sizes.sum()
    left_out = (sums.sum() - sums) / (sizes.sum() - sizes)
    # around the estimate, not the mean of the jackknife: never smaller, and closer in coverage
    squares = ((left_out - estimate) ** 2).sum()
    return float(estimate), float(math.sqrt((n_clusters - 1) / n_clusters * squares))


def _jackknife_error(
    statistic: Callable[[Numbers, Numbers], Numbers],
    codes: list[Codes],
    members: list[Codes],
    estimate: float,
    nested: bool,
) -> tuple[float, float]:
    """Return degrees of freedom and standard error."""
    variances, counts = [], []
    groups = members if nested else [np.unique(np.concatenate(members))]
    for clusters in groups:
        weights = [(group[None, :] != clusters[:, None]).astype(np.float64) for group in codes]
        squares = (statistic(weights[0], weights[1]) - estimate) ** 2
        count = len(clusters)
        variances.append(float((count - 1) / count * squares.sum()))
        counts.append(count)
    total = sum(variances)
    if not nested:
        return min(len(clusters) for clusters in members) - 1, math.sqrt(total)
    parts = sum(v**2 / (count - 1) for v, count in zip(variances, counts, strict=True))
    freedom = total**2 / parts if parts > 0 else sum(counts) - 2
    return freedom, math.sqrt(total)


def _bootstrap_weights(
    codes: list[Codes], members: list[Codes], nested: bool, n_resamples: int, seed: int
) -> list[Numbers]:
    """Return weights of observations from resampled clusters, within groups if nested."""
    rng = np.random.default_rng(seed)
    n_codes = 1 + max(int(group.max()) for group in codes)
    weights = np.zeros((n_resamples, n_codes))
    for clusters in members if nested else [np.unique(np.concatenate(members))]:
        weights[:, clusters] = bootstrap_weights(len(clusters), n_resamples, rng)
    return [weights[:, group] for group in codes]


def _bootstrap_error(
    statistic: Callable[[Numbers, Numbers], Numbers],
    codes: list[Codes],
    weights: list[Numbers],
    n_clusters: tuple[int, int],
) -> tuple[float, float]:
    """Return degrees of freedom and standard error."""
    filled = (weights[0].sum(axis=1) > 0) & (weights[1].sum(axis=1) > 0)
    replicates = statistic(weights[0][filled], weights[1][filled])
    fewest = min(n_clusters)
    # a resample of G clusters varies like one of G − 1
    return fewest - 1, float(replicates.std() * math.sqrt(fewest / (fewest - 1)))


def _t_interval(estimate: float, error: float, freedom: float, level: float) -> tuple[float, float]:
    half = float(t.ppf((1 + level) / 2, freedom)) * error
    return estimate - half, estimate + half


def _t_test(difference: float, error: float, freedom: float) -> float:
    if error == 0:
        return 1.0 if difference == 0 else float("nan")
    return float(2 * t.sf(abs(difference) / error, freedom))
