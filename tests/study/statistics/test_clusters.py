"""Clustered observations against statsmodels and their limits."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from napari_quac.errors import DataError
from napari_quac.study.statistics.clusters import cluster_effect, cluster_mean, cluster_share
from napari_quac.study.statistics.proportions import wilson_interval

RNG = np.random.default_rng(11)
CLUSTERS = np.repeat(np.arange(24), 5)
AMOUNTS = RNG.normal(0, 1, 24)[CLUSTERS] + RNG.normal(0, 1, 120)


def test_mean_of_clusters_of_equal_size_equals_the_t_test_of_their_means() -> None:
    mean = cluster_mean(AMOUNTS, CLUSTERS)
    means = AMOUNTS.reshape(24, 5).mean(axis=1)
    expected = stats.ttest_1samp(means, 0)
    interval = expected.confidence_interval()
    assert (mean.low, mean.high) == pytest.approx((interval.low, interval.high))
    assert mean.p_value == pytest.approx(expected.pvalue)
    assert (mean.n, mean.n_clusters, mean.warning) == ((120,), (24,), "")


def test_mean_of_unequal_clusters_is_near_the_cluster_robust_fit() -> None:
    unequal = np.minimum(CLUSTERS, RNG.integers(0, 24, 120))
    mean = cluster_mean(AMOUNTS, unequal)
    robust = sm.OLS(AMOUNTS, np.ones(120)).fit(cov_type="cluster", cov_kwds={"groups": unequal})
    error = (mean.high - mean.low) / 2 / stats.t.ppf(0.975, mean.n_clusters[0] - 1)
    # the jackknife is never smaller than the sandwich
    assert robust.bse[0] <= error < 1.5 * robust.bse[0]


def test_difference_of_nested_clusters_equals_welchs_test_of_their_means() -> None:
    effect = cluster_effect(AMOUNTS, AMOUNTS[:60] + 1, CLUSTERS, CLUSTERS[:60] + 100)
    means = AMOUNTS.reshape(24, 5).mean(axis=1)
    expected = stats.ttest_ind(means[:12] + 1, means, equal_var=False)
    assert effect.p_value == pytest.approx(expected.pvalue)
    interval = expected.confidence_interval()
    assert (effect.low, effect.high) == pytest.approx((interval.low, interval.high))
    assert effect.n_clusters == (24, 12)
    assert "12 clusters" in effect.warning


def test_crossed_clusters_use_the_pairing() -> None:
    # both classes occur in each section, and sections differ more than classes
    level = RNG.normal(0, 5, 24)[CLUSTERS]
    a, b = level + RNG.normal(0, 1, 120), level + RNG.normal(0.5, 1, 120)
    crossed = cluster_effect(a, b, CLUSTERS, CLUSTERS)
    nested = cluster_effect(a, b, CLUSTERS, CLUSTERS + 100)
    assert crossed.high - crossed.low < 0.3 * (nested.high - nested.low)
    paired = stats.ttest_rel(b.reshape(24, 5).mean(axis=1), a.reshape(24, 5).mean(axis=1))
    assert crossed.p_value == pytest.approx(paired.pvalue)


def test_share_of_equal_answers_counts_clusters() -> None:
    share = cluster_share(np.ones(100), np.arange(100) // 5)
    assert share.high == 1
    assert 0.8 < share.low < wilson_interval(20, 20).low + 0.001
    assert share.p_value is None


def test_share_of_independent_observations_is_nearly_wilson() -> None:
    flags = RNG.random(400) < 0.3
    share = cluster_share(flags, np.arange(400), null=0.5)
    expected = wilson_interval(int(flags.sum()), 400)
    assert (share.low, share.high) == pytest.approx((expected.low, expected.high), abs=2e-3)
    assert share.p_value is not None
    assert share.p_value < 1e-10


def test_median_of_clusters_has_an_interval() -> None:
    effect = cluster_effect(AMOUNTS, AMOUNTS + 3, CLUSTERS, CLUSTERS + 100, "median difference")
    assert effect.low < 3 < effect.high
    assert effect.estimate == pytest.approx(3)


def test_groups_that_do_not_overlap_count_clusters() -> None:
    few = cluster_effect(
        np.arange(20), np.arange(20) + 50, [1] * 10 + [2] * 10, [3] * 10 + [4] * 10, "cliff delta"
    )
    assert few.p_value == pytest.approx(2 / 6)
    assert few.low < 0.7


def test_single_cluster_is_refused() -> None:
    with pytest.raises(DataError, match="at least two"):
        cluster_mean([1.0, 2.0], ["a", "a"])
    with pytest.raises(DataError, match="missing"):
        cluster_mean([1.0, 2.0], ["a", None])
    with pytest.raises(DataError, match="do not fit"):
        cluster_mean([1.0, 2.0], ["a"])
