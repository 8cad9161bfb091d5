"""Agreement against statsmodels and published examples."""

from __future__ import annotations

import math

import numpy as np
import pytest
from statsmodels.stats.inter_rater import aggregate_raters, cohens_kappa
from statsmodels.stats.inter_rater import fleiss_kappa as statsmodels_fleiss

from napari_quac.errors import DataError
from napari_quac.study.statistics.agreement import (
    Resampling,
    cohen_kappa,
    fleiss_kappa,
    gwet_ac,
    krippendorff_alpha,
    percent_agreement,
)

X = math.nan
# Krippendorff, "Computing Krippendorff's alpha-reliability", 2011, example C; the same ratings as
# the 12 subjects of 4 raters in Gwet, "Handbook of inter-rater reliability", 2014, table 2.10
FOUR_RATERS = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, X, X, X],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, X, 3],
    [X, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, X],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, X],
]
QUICK = Resampling(n_resamples=200)


def from_table(table: list[list[int]]) -> np.ndarray:
    """Return the ratings of two raters from the counts of their pairs."""
    pairs = [(i, j) for i, row in enumerate(table) for j, n in enumerate(row) for _ in range(n)]
    return np.array(pairs, dtype=float).T


@pytest.mark.parametrize(
    ("scale", "alpha"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)]
)
def test_alpha_of_krippendorffs_example(scale: str, alpha: float) -> None:
    assert krippendorff_alpha(FOUR_RATERS, scale, QUICK).estimate == pytest.approx(alpha, abs=5e-4)


def test_coefficients_of_gwets_example() -> None:
    # printed by his package irrCAC for the same ratings
    assert percent_agreement(FOUR_RATERS, QUICK).estimate == pytest.approx(0.81818, abs=5e-6)
    assert gwet_ac(FOUR_RATERS, resampling=QUICK).estimate == pytest.approx(0.77544, abs=5e-6)
    assert fleiss_kappa(FOUR_RATERS, QUICK).estimate == pytest.approx(0.76117, abs=5e-6)


def test_rare_feature_makes_kappa_collapse_but_not_ac1() -> None:
    # Gwet, "Kappa statistic is not satisfactory", 2002: 118, 5, 2 and 0 of 125
    ratings = from_table([[118, 5], [2, 0]])
    assert percent_agreement(ratings, QUICK).estimate == pytest.approx(0.944)
    assert cohen_kappa(ratings, resampling=QUICK).estimate == pytest.approx(-0.0234, abs=5e-5)
    assert gwet_ac(ratings, resampling=QUICK).estimate == pytest.approx(0.9408, abs=5e-5)


@pytest.mark.parametrize(
    ("weights", "wt"), [("none", None), ("linear", "linear"), ("quadratic", "quadratic")]
)
def test_cohen_equals_statsmodels(weights: str, wt: str | None) -> None:
    table = [[20, 5, 1], [4, 30, 6], [0, 7, 27]]
    ratings = from_table(table) - 1
    expected = cohens_kappa(table, wt=wt).kappa
    assert cohen_kappa(ratings, weights, resampling=QUICK).estimate == pytest.approx(expected)


def test_fleiss_equals_statsmodels() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 4, 40)
    ratings = np.where(rng.random((5, 40)) < 0.6, truth, rng.integers(0, 4, (5, 40)))
    expected = statsmodels_fleiss(aggregate_raters(ratings.T)[0])
    assert fleiss_kappa(ratings, QUICK).estimate == pytest.approx(expected)


def test_alpha_on_ordered_pairs_by_its_definition() -> None:
    rng = np.random.default_rng(3)
    ratings = rng.integers(-1, 2, (3, 25)).astype(float)
    ratings[rng.random((3, 25)) < 0.2] = X
    units = [column[np.isfinite(column)] for column in ratings.T]
    units = [unit for unit in units if len(unit) > 1]
    pooled = np.concatenate(units)

    def mean_square(numbers: np.ndarray) -> float:
        return float(((numbers[:, None] - numbers[None, :]) ** 2).sum())

    observed = sum(mean_square(unit) / (len(unit) - 1) for unit in units) / len(pooled)
    expected = mean_square(pooled) / (len(pooled) * (len(pooled) - 1))
    alpha = krippendorff_alpha(ratings, "interval", QUICK).estimate
    assert alpha == pytest.approx(1 - observed / expected)


def test_weights_credit_near_misses() -> None:
    near = [[-1, 0, 1, -1, 0, 1] * 4, [-1, 0, 1, 0, 1, 1] * 4]
    far = [[-1, 0, 1, -1, 1, 1] * 4, [-1, 0, 1, 1, -1, 1] * 4]
    for coefficient in (cohen_kappa, gwet_ac):
        scores = [coefficient(r, "quadratic", resampling=QUICK).estimate for r in (near, far)]
        assert scores[0] > scores[1] + 0.5


def test_missing_categories_are_part_of_chance() -> None:
    ratings = [[0, 0, 0, 0], [0, 0, 0, 0]]
    assert gwet_ac(ratings, categories=(0, 1), resampling=QUICK).estimate == 1
    with pytest.raises(DataError, match="none of the categories"):
        gwet_ac([[0, 2], [0, 2]], categories=(0, 1))


def test_equal_ratings_leave_kappa_undefined_with_a_warning() -> None:
    alpha = krippendorff_alpha([[1, 1, 1], [1, 1, 1]], resampling=QUICK)
    assert math.isnan(alpha.estimate)
    assert "undefined" in alpha.warning


def test_repeats_of_one_rater_are_two_rows() -> None:
    first, again = [1, 0, 1, X, 0], [1, 0, 1, 1, 0]
    agreement = percent_agreement([first, again], QUICK)
    assert agreement.estimate == 1
    assert agreement.n == (4,)


def test_items_of_one_cluster_widen_the_interval() -> None:
    rng = np.random.default_rng(5)
    agrees = np.repeat(rng.random(25) < 0.7, 8)  # alike within a neuron
    first = rng.integers(0, 2, 200)
    ratings = [first, np.where(agrees, first, 1 - first)]
    clusters = [f"neuron {n}" for n in np.repeat(np.arange(25), 8)]
    alone = krippendorff_alpha(ratings)
    clustered = krippendorff_alpha(ratings, resampling=Resampling(clusters=clusters))
    assert clustered.n_clusters == (25,)
    assert clustered.estimate == alone.estimate
    assert clustered.high - clustered.low > 1.8 * (alone.high - alone.low)
    assert not clustered.warning
    few = krippendorff_alpha(ratings, resampling=Resampling(clusters=np.arange(200) // 20))
    assert "10 clusters" in few.warning


def test_single_rater_is_refused() -> None:
    with pytest.raises(DataError, match="second rater"):
        percent_agreement([[1, 0, 1]])


def test_same_seed_gives_the_same_interval() -> None:
    first, again = (krippendorff_alpha(FOUR_RATERS, "ordinal", QUICK) for _ in range(2))
    assert first == again


def test_perfect_agreement_has_a_warning() -> None:
    ac1 = gwet_ac([[0, 1, 0, 0], [0, 1, 0, 0]], resampling=QUICK)
    assert (ac1.low, ac1.estimate, ac1.high) == (1, 1, 1)
    assert "no width" in ac1.warning


def test_interval_contains_the_coefficient_and_stays_below_one() -> None:
    rng = np.random.default_rng(2)
    first = rng.integers(0, 2, 60)
    ratings = [first, np.where(rng.random(60) < 0.05, 1 - first, first)]
    for coefficient in (percent_agreement, fleiss_kappa, gwet_ac, krippendorff_alpha):
        estimate = coefficient(ratings)
        assert 0.6 < estimate.low < estimate.estimate < estimate.high <= 1
