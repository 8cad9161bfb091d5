"""Shares and signs against statsmodels, scipy and published examples."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import barnard_exact, binomtest
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import binom_tost, confint_proportions_2indep, proportion_confint

from napari_quac.errors import DataError
from napari_quac.study.statistics.proportions import (
    compare_paired_shares,
    compare_shares,
    equivalence_test,
    sign_test,
    wilson_interval,
)


@pytest.mark.parametrize(
    ("count", "n", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_interval_of_newcombes_examples(count: int, n: int, low: float, high: float) -> None:
    # Newcombe, Statistics in Medicine 17:857 (1998), table I, method 3
    share = wilson_interval(count, n)
    assert (share.low, share.high) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
def test_wilson_interval_equals_statsmodels(level: float) -> None:
    for count in range(31):
        share = wilson_interval(count, 30, level)
        expected = proportion_confint(count, 30, 1 - level, "wilson")
        assert (share.low, share.high) == pytest.approx(expected, abs=1e-12)


def test_impossible_count_is_refused() -> None:
    with pytest.raises(DataError, match="31 of 30"):
        wilson_interval(31, 30)


def test_sign_test_counts_zeros_and_leaves_them_out() -> None:
    signs = [1] * 12 + [-1] * 3 + [0] * 7 + [math.nan] * 2
    test = sign_test(signs)
    assert (test.n_positive, test.n_negative, test.n_zero, test.n_missing) == (12, 3, 7, 2)
    # the sum of the two tails, 2 · Σ C(15, k) / 2¹⁵ for k ≤ 3
    assert test.p_value == pytest.approx(2 * (1 + 15 + 105 + 455) / 2**15)
    assert test.share.estimate == 0.8


def test_sign_test_without_a_sign_rejects_nothing() -> None:
    test = sign_test([0, 0, math.nan])
    assert test.p_value == 1
    assert test.share.warning


def test_tea_tasting_lady() -> None:
    # Fisher, "The design of experiments", 1935: 3 of 4 cups in both classes, p = 0.486
    comparison = compare_shares(1, 4, 3, 4)
    assert comparison.p_fisher == pytest.approx(0.4857, abs=5e-5)
    # conditional estimate and lower end of R's fisher.test
    odds = comparison.odds_ratio
    assert (odds.estimate, odds.low) == pytest.approx((6.4083, 0.2117), abs=5e-5)
    # at the upper end, three or fewer correct cups have a probability of 2.5 %
    chances = np.array([1, 16, 36, 16, 1]) * odds.high ** np.arange(5)
    assert chances[:4].sum() / chances.sum() == pytest.approx(0.025)


def test_barnards_vaccine_trial() -> None:
    # Mehta and Senchaudhuri, "Conditional versus unconditional exact tests", 2003: 7 of 15 and
    # 12 of 15 infected, one-sided p = 0.034
    comparison = compare_shares(12, 15, 7, 15, barnard_test=True)
    one_sided = barnard_exact([[7, 12], [8, 3]], alternative="less").pvalue
    assert one_sided == pytest.approx(0.034, abs=5e-4)
    assert comparison.p_barnard == pytest.approx(barnard_exact([[7, 12], [8, 3]]).pvalue)
    assert comparison.p_barnard < comparison.p_fisher


def test_difference_of_shares_equals_newcombe() -> None:
    # Newcombe, Statistics in Medicine 17:873 (1998), table II, method 10: 56 of 70 − 48 of 80
    difference = compare_shares(48, 80, 56, 70).difference
    assert (difference.low, difference.high) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    expected = confint_proportions_2indep(56, 70, 48, 80, method="newcomb")
    assert (difference.low, difference.high) == pytest.approx(expected, abs=1e-9)


def test_odds_ratio_of_an_absent_feature_is_undefined() -> None:
    odds = compare_shares(0, 10, 0, 12).odds_ratio
    assert math.isnan(odds.estimate)
    assert odds.warning


def test_mcnemar_equals_statsmodels() -> None:
    # the ratings of Agresti, "Categorical data analysis", 2002, table 10.1
    first = [1] * 794 + [1] * 150 + [0] * 86 + [0] * 570
    second = [1] * 794 + [0] * 150 + [1] * 86 + [0] * 570
    pairs = compare_paired_shares(first, second)
    assert (pairs.n_both, pairs.n_first, pairs.n_second, pairs.n_neither) == (794, 150, 86, 570)
    expected = mcnemar([[794, 150], [86, 570]], exact=True).pvalue
    assert pairs.p_value == pytest.approx(expected)
    # Agresti's interval of the difference, −0.06 to −0.02
    interval = (pairs.difference.low, pairs.difference.high)
    assert interval == pytest.approx((-0.0587, -0.0213), abs=5e-4)


def test_pairs_without_an_answer_do_not_count() -> None:
    pairs = compare_paired_shares([1, 0, math.nan, 1], [1, 1, 1, math.nan])
    assert (pairs.n_both, pairs.n_second, pairs.n_missing) == (1, 1, 2)
    with pytest.raises(DataError, match="both answers"):
        compare_paired_shares([1, math.nan], [math.nan, 1])


@pytest.mark.parametrize(("count", "n"), [(100, 200), (90, 200), (52, 100), (3, 10)])
def test_equivalence_equals_statsmodels(count: int, n: int) -> None:
    test = equivalence_test(count, n, margin=0.1)
    assert test.p_value == pytest.approx(binom_tost(count, n, 0.4, 0.6)[0])
    assert test.equivalent == (test.p_value < 0.05)


def test_equivalence_agrees_with_its_interval_on_large_samples() -> None:
    rng = np.random.default_rng(0)
    for count in rng.binomial(2000, 0.56, 50):
        test = equivalence_test(int(count), 2000, margin=0.08)
        inside = 0.42 < test.share.low and test.share.high < 0.58
        near = abs(test.p_value - 0.05) < 0.005
        assert test.equivalent == inside or near


def test_impossible_margin_is_refused() -> None:
    with pytest.raises(DataError, match="margin"):
        equivalence_test(5, 10, margin=0.5)


def test_sign_test_equals_scipy() -> None:
    rng = np.random.default_rng(1)
    signs = rng.choice([-1, 0, 1], 60, p=[0.2, 0.4, 0.4])
    positive, negative = int((signs > 0).sum()), int((signs < 0).sum())
    expected = binomtest(positive, positive + negative).pvalue
    assert sign_test(signs).p_value == pytest.approx(expected)
