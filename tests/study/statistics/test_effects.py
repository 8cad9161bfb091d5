"""Effect sizes and tests against scipy, statsmodels and their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.meta_analysis import effectsize_smd

from napari_quac.errors import DataError, UnknownNameError
from napari_quac.study.statistics.effects import (
    EFFECTS,
    effect_of_groups,
    effect_of_pairs,
    group_statistic,
    mann_whitney,
    paired_wilcoxon,
    permutation_test,
)

RNG = np.random.default_rng(7)
A, B = RNG.gamma(3, 2, 30), RNG.gamma(3, 2, 25) + 2


def test_hedges_g_equals_statsmodels() -> None:
    expected, _ = effectsize_smd(B.mean(), B.std(ddof=1), 25, A.mean(), A.std(ddof=1), 30)
    g = effect_of_groups(A, B, "hedges g", n_resamples=100).estimate
    # statsmodels approximates the factor of Hedges by 1 − 3 / (4 df − 1)
    assert g == pytest.approx(expected, rel=1e-4)


def test_cliff_delta_is_the_rescaled_statistic_of_mann_and_whitney() -> None:
    a, b = A.round(), B.round()  # with ties
    u = stats.mannwhitneyu(b, a).statistic
    assert effect_of_groups(a, b, "cliff delta", n_resamples=100).estimate == pytest.approx(
        2 * u / (len(a) * len(b)) - 1
    )


@pytest.mark.parametrize("effect", EFFECTS)
def test_interval_equals_that_of_scipy(effect: str) -> None:
    def statistic(x: np.ndarray, y: np.ndarray) -> float:
        ones = np.ones((1, len(x))), np.ones((1, len(y)))
        return float(group_statistic(x, y, effect)(*ones)[0])

    ours = effect_of_groups(A, B, effect, n_resamples=20_000)
    theirs = stats.bootstrap(
        (A, B), statistic, n_resamples=3000, method="BCa", vectorized=False, random_state=1
    )
    width = ours.high - ours.low
    interval = theirs.confidence_interval
    # two bootstraps with different random numbers; ours is wider by Student's t
    assert ours.low == pytest.approx(interval.low, abs=0.08 * width)
    assert ours.high == pytest.approx(interval.high, abs=0.08 * width)


@pytest.mark.parametrize("n", [5, 6])
def test_medians_of_weights_are_those_of_the_multiset(n: int) -> None:
    a, b = A[:n], B[:7]
    rng = np.random.default_rng(0)
    weights = rng.multinomial(n, np.full(n, 1 / n), size=20).astype(float)
    statistic = group_statistic(a, b, "median difference")
    expected = [np.median(b) - np.median(np.repeat(a, row.astype(int))) for row in weights]
    assert statistic(weights, np.ones((1, 7))) == pytest.approx(expected)


def test_groups_that_do_not_overlap_have_an_interval() -> None:
    delta = effect_of_groups(np.arange(10), np.arange(10) + 20, "cliff delta")
    assert delta.estimate == delta.high == 1
    assert 0.5 < delta.low < 0.9
    mirrored = effect_of_groups(np.arange(10) + 20, np.arange(10), "cliff delta")
    assert (mirrored.low, mirrored.high) == (-1, -delta.low)
    assert delta.warning


def test_effects_are_positive_if_b_is_larger() -> None:
    for effect in EFFECTS:
        assert effect_of_groups(A, B, effect, n_resamples=200).estimate > 0
        assert effect_of_pairs(A[:25], A[:25] + B, effect, n_resamples=200).estimate > 0


def test_paired_effects_by_their_definitions() -> None:
    first, second = A[:25], A[:25] + RNG.normal(0.5, 1, 25)
    d = second - first
    spread = math.sqrt((first.var(ddof=1) + second.var(ddof=1)) / 2)
    g = effect_of_pairs(first, second, "hedges g", n_resamples=100).estimate
    assert g == pytest.approx(d.mean() / spread * (1 - 3 / (4 * 24 - 1)), rel=1e-4)
    median = effect_of_pairs(first, second, "median difference", n_resamples=100).estimate
    assert median == pytest.approx(np.median(d))
    delta = effect_of_pairs(first, second, "cliff delta", n_resamples=100).estimate
    assert delta == pytest.approx((d > 0).mean() - (d < 0).mean())
    always = effect_of_pairs(first, first + 1, "cliff delta")
    assert always.estimate == 1
    assert always.low < 1


def test_tests_equal_scipy() -> None:
    assert mann_whitney(A, B).p_value == stats.mannwhitneyu(A, B).pvalue
    assert paired_wilcoxon(A[:25], B).p_value == stats.wilcoxon(A[:25] - B).pvalue
    assert paired_wilcoxon(A, A).p_value == 1


def test_wilcoxons_exact_p_value_of_darwins_plants() -> None:
    # Zea mays, crossed and self-fertilized, eighths of an inch: Fisher, "The design of
    # experiments", 1935; two-sided exact p = 0.0413
    differences = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]
    test = paired_wilcoxon(np.zeros(15), differences)
    assert test.p_value == pytest.approx(0.0413, abs=5e-5)


def test_permutations_of_darwins_plants_and_of_all_splits() -> None:
    a, b = A[:5], B[:5]
    exact = stats.permutation_test(
        (a, b), lambda x, y: y.mean() - x.mean(), permutation_type="independent", n_resamples=300
    )
    ours = permutation_test(a, b, n_permutations=40_000)
    assert ours.p_value == pytest.approx(exact.pvalue, abs=0.01)
    assert permutation_test(a, a + 100, n_permutations=99).p_value <= 0.06


def test_missing_numbers_are_left_out() -> None:
    effect = effect_of_groups([*A, math.nan], B, n_resamples=100)
    assert effect.n == (30, 25)
    assert effect == effect_of_groups(A, B, n_resamples=100)


def test_single_number_is_refused() -> None:
    with pytest.raises(DataError, match="at least two"):
        effect_of_groups([1.0], B)
    with pytest.raises(DataError, match="pairs"):
        effect_of_pairs([1.0, 2.0], [1.0, math.nan])
    with pytest.raises(UnknownNameError, match="cliff delta"):
        effect_of_groups(A, B, "cliffs delta")  # type: ignore[arg-type]
