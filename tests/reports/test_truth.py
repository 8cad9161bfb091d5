"""Values of the worked example with eight by eight pixels (methods H.1), and edge cases."""

import numpy as np
import pytest

from napari_quac.errors import DataError, ShapeError
from napari_quac.reports.truth import (
    area_share,
    auroc,
    average_precision,
    default_tolerance,
    dice,
    energy_inside,
    iou,
    pointing_chance,
    pointing_game,
    rank_accuracy,
    ranking_auroc,
)

TRUTH = np.zeros((8, 8), dtype=bool)
TRUTH[2:4, 2:4] = True
D_IG = np.zeros((8, 8))
D_IG[2, 2], D_IG[2, 3], D_IG[3, 2], D_IG[3, 3] = 1, 0.75, 0.5, 0.25
RESIDUAL = TRUTH.astype(float)
RESIDUAL[6, 5:8] = 1


def test_discriminative_map_of_worked_example():
    assert pointing_game(D_IG, TRUTH, tolerance=0) == 1
    assert energy_inside(D_IG, TRUTH) == 1
    assert average_precision(D_IG, TRUTH) == 1
    assert iou(D_IG > 0, TRUTH) == 1
    assert dice(D_IG > 0, TRUTH) == 1


def test_residual_of_worked_example():
    assert average_precision(RESIDUAL, TRUTH) == pytest.approx(4 / 7)
    assert energy_inside(RESIDUAL, TRUTH) == pytest.approx(4 / 7)
    assert iou(RESIDUAL > 0, TRUTH) == pytest.approx(4 / 7)
    assert dice(RESIDUAL > 0, TRUTH) == pytest.approx(8 / 11)


def test_tied_maxima_share_the_hit():
    assert pointing_game(RESIDUAL, TRUTH, tolerance=0) == pytest.approx(4 / 7)


def test_tolerance_is_strict():
    shifted = np.zeros((8, 8))
    shifted[2, 6] = 1  # 3 pixels from the truth
    assert pointing_game(shifted, TRUTH, tolerance=3) == 0
    assert pointing_game(shifted, TRUTH, tolerance=3.1) == 1


def test_default_tolerance_scales_with_the_image():
    assert default_tolerance(224) == 15
    assert default_tolerance(128) == 9


def test_average_precision_equals_scikit_learns_definition():
    random = np.random.default_rng(0)
    values = random.integers(0, 5, (20, 20)) / 4
    truth = random.random((20, 20)) < 0.2
    expected, recall_before = 0.0, 0.0
    for value in np.unique(values)[::-1]:
        chosen = values >= value
        recall = (chosen & truth).sum() / truth.sum()
        expected += (recall - recall_before) * (chosen & truth).sum() / chosen.sum()
        recall_before = recall
    assert average_precision(values, truth) == pytest.approx(expected)


def test_constant_map_is_at_chance():
    flat = np.ones((8, 8))
    assert average_precision(flat, TRUTH) == area_share(TRUTH) == energy_inside(flat, TRUTH)
    assert pointing_game(flat, TRUTH, tolerance=0) == area_share(TRUTH)


def test_empty_map_has_no_energy_and_empty_mask_no_overlap():
    assert energy_inside(np.zeros((8, 8)), TRUTH) == 0
    assert iou(np.zeros((8, 8)), TRUTH) == 0
    assert dice(np.zeros((8, 8)), TRUTH) == 0


def test_soft_masks_are_cut_at_one_half():
    assert iou(TRUTH * 0.6 + 0.4 * RESIDUAL, TRUTH) == 1


@pytest.mark.parametrize("judge", [pointing_game, energy_inside, iou, dice, average_precision])
def test_bad_input_is_refused(judge):
    with pytest.raises(ShapeError, match=r"\(1, 8, 8\)"):
        judge(D_IG[None], TRUTH)
    with pytest.raises(DataError, match="No pixel"):
        judge(D_IG, np.zeros((8, 8), dtype=bool))
    with pytest.raises(DataError, match="lowest value"):
        judge(D_IG - 1, TRUTH)
    with pytest.raises(DataError):
        judge(np.full((8, 8), np.nan), TRUTH)


def test_auroc_counts_pairs_and_ties_as_half():
    random = np.random.default_rng(0)
    values = random.integers(0, 4, (9, 9)) / 4
    truth = random.random((9, 9)) < 0.3
    true, other = values[truth][:, None], values[~truth][None]
    expected = ((true > other) + 0.5 * (true == other)).mean()
    assert auroc(values, truth) == pytest.approx(expected)
    assert auroc(D_IG, TRUTH) == 1
    assert auroc(1 - TRUTH, TRUTH) == 0
    assert auroc(np.ones((8, 8)), TRUTH) == 0.5
    assert np.isnan(auroc(D_IG, np.ones((8, 8))))


def test_rank_accuracy_looks_at_as_many_pixels_as_are_true():
    assert rank_accuracy(D_IG, TRUTH) == 1
    assert rank_accuracy(RESIDUAL, TRUTH) == pytest.approx(4 / 7)  # 4 of 7 equal pixels
    half = D_IG.copy()
    half[2] = 0
    half[6, 5:7] = 2
    # two of four are certain to be wrong, two are right
    assert rank_accuracy(half, TRUTH) == 0.5
    assert rank_accuracy(np.ones((8, 8)), TRUTH) == pytest.approx(4 / 64)
    assert rank_accuracy(np.ones((8, 8)), np.ones((8, 8))) == 1


def test_chance_of_pointing_is_the_share_of_pixels_that_hit():
    assert pointing_chance(TRUTH, tolerance=0) == 4 / 64
    # nearer than 1.2: the square and its neighbours to the four sides
    assert pointing_chance(TRUTH, tolerance=1.2) == 12 / 64
    each = np.zeros((64, 8, 8))
    each.reshape(64, 64)[range(64), range(64)] = 1
    hits = [pointing_game(one, TRUTH, tolerance=1.2) for one in each]
    assert pointing_chance(TRUTH, tolerance=1.2) == np.mean(hits)


@pytest.mark.parametrize(
    ("scores", "labels", "expected"),
    [([3, 2, 1], [1, 1, 0], 1.0), ([1, 2, 3], [1, 0, 0], 0.0), ([-1, -1], [1, 0], 0.5)],
)
def test_ranking_auroc_is_the_share_of_pairs_in_the_right_order(scores, labels, expected):
    assert ranking_auroc(scores, labels) == expected
    assert np.isnan(ranking_auroc(scores, [1] * len(scores)))
