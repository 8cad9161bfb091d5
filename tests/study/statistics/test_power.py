"""Detectable shares and effects against statsmodels and exact powers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binom, binomtest, fisher_exact
from statsmodels.stats.power import TTestIndPower, TTestPower

from napari_quac.study.statistics.power import (
    detectable_effect,
    detectable_second_share,
    detectable_share,
    effective_number,
    smallest_prevalence,
)


@pytest.mark.parametrize(("n_a", "n_b"), [(30, 30), (12, 40)])
def test_effect_of_two_groups_equals_statsmodels(n_a: int, n_b: int) -> None:
    expected = TTestIndPower().solve_power(nobs1=n_a, ratio=n_b / n_a, power=0.8, alpha=0.05)
    assert detectable_effect(n_a, n_b) == pytest.approx(expected, rel=1e-4)


def test_effect_of_pairs_equals_statsmodels() -> None:
    expected = TTestPower().solve_power(nobs=20, power=0.9, alpha=0.05)
    assert detectable_effect(20, power=0.9) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("chance", [0.5, 1 / 3])
def test_detectable_share_has_the_requested_power(chance: float) -> None:
    share = detectable_share(40, chance)
    significant = [
        k for k in range(41) if k > 40 * chance and binomtest(k, 40, chance).pvalue <= 0.05
    ]
    assert binom.pmf(significant, 40, share).sum() == pytest.approx(0.8)


def test_five_answers_cannot_be_significant() -> None:
    assert math.isnan(detectable_share(5))
    assert detectable_share(6) > 0.96


def test_detectable_second_share_has_the_requested_power() -> None:
    share = detectable_second_share(20, 25, 0.2)
    power = sum(
        binom.pmf(i, 20, 0.2) * binom.pmf(j, 25, share)
        for i in range(21)
        for j in range(26)
        if fisher_exact([[i, 20 - i], [j, 25 - j]]).pvalue <= 0.05
    )
    assert power == pytest.approx(0.8, abs=1e-6)


def test_feature_is_seen_at_least_once() -> None:
    share = smallest_prevalence(50, 0.95)
    assert binom.pmf(0, 50, share) == pytest.approx(0.05)


def test_clusters_of_equal_members_count_as_one_each() -> None:
    assert effective_number(100, 20, 1.0) == pytest.approx(20)
    assert effective_number(100, 20, 0.0) == 100
    assert np.isfinite(detectable_effect(effective_number(60, 12, 0.3), 30.0))
