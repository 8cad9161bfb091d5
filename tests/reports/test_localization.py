"""Several measures of one map at once, and their means."""

import numpy as np
import pytest

from napari_quac.errors import ShapeError
from napari_quac.reports.localization import localize_maps, summarize_localizations
from reports.test_truth import RESIDUAL, TRUTH

MASK = RESIDUAL[None] * 1.0000001  # softening leaves such


def test_residual_of_worked_example():
    one = localize_maps(RESIDUAL[None], TRUTH, MASK, 0.4)
    assert (one.energy, one.average_precision) == pytest.approx((4 / 7, 4 / 7))
    assert (one.mask_energy, one.iou, one.dice) == pytest.approx((4 / 7, 4 / 7, 8 / 11))
    assert (one.area, one.quac_score) == (4 / 64, 0.4)


def test_channels_are_reduced_by_their_maximum():
    channels = np.stack([RESIDUAL * 0.1, TRUTH * 1.0])
    assert localize_maps(channels, TRUTH).average_precision == 1


def test_without_a_mask_there_are_no_numbers_of_it():
    one = localize_maps(RESIDUAL[None], TRUTH)
    assert (one.mask_energy, one.iou, one.dice, one.quac_score) == (None,) * 4
    summary = summarize_localizations({"m": [one]})["m"]
    assert (summary.mask_energy_ratio, summary.iou, summary.quac_score) == (None,) * 3


def test_summary_holds_means_and_the_median_score():
    good = localize_maps(TRUTH[None] * 1.0, TRUTH, TRUTH[None], 0.9)
    bad = localize_maps(1.0 - TRUTH[None], TRUTH, TRUTH[None], 0.1)
    rest = localize_maps(TRUTH[None] * 1.0, TRUTH, None, 0.2)
    summary = summarize_localizations({"m": [good, bad, rest], "none": []})
    assert set(summary) == {"m"}
    one = summary["m"]
    assert (one.n, one.quac_score, one.iou) == (3, 0.2, 1)
    assert one.energy == pytest.approx(2 / 3)
    assert one.energy_ratio == pytest.approx(2 / 3 / (4 / 64))


def test_another_size_is_refused():
    with pytest.raises(ShapeError, match="same pixels"):
        localize_maps(np.zeros((1, 4, 4)), TRUTH)
