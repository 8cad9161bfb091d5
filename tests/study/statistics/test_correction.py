"""Corrections against statsmodels and scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import false_discovery_control
from statsmodels.stats.multitest import multipletests

from napari_quac.errors import DataError
from napari_quac.study.statistics.correction import benjamini_hochberg, correct_features, holm

# Benjamini and Hochberg, "Controlling the false discovery rate", 1995, section 3.2
TRIAL = [
    0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719,
    0.6528, 0.7590, 1.0,
]  # fmt: skip


def test_trial_of_benjamini_and_hochberg() -> None:
    assert (benjamini_hochberg(TRIAL) <= 0.05).sum() == 4
    assert (holm(TRIAL) <= 0.05).sum() == 3


def test_corrections_equal_statsmodels_and_scipy() -> None:
    p = np.random.default_rng(0).random(20) ** 3
    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1])
    assert benjamini_hochberg(p) == pytest.approx(false_discovery_control(p))


def test_missing_tests_do_not_count() -> None:
    assert holm([0.02, math.nan, 0.03])[[0, 2]].tolist() == [0.04, 0.04]
    assert np.isnan(benjamini_hochberg([math.nan])).all()
    assert holm([]).shape == (0,)


def test_primary_features_are_corrected_among_themselves() -> None:
    tests = correct_features({"a": 0.01, "b": 0.02, "c": 0.03, "d": 0.04}, primary=("b", "d"))
    assert [test.p_holm for test in tests if test.primary] == [0.04, 0.04]
    assert [test.p_fdr for test in tests if not test.primary] == [0.02, 0.03]
    assert math.isnan(tests[0].p_holm)


def test_declared_test_may_not_be_dropped() -> None:
    with pytest.raises(DataError, match="'size'"):
        correct_features({"a": 0.01}, primary=("size",))
    with pytest.raises(DataError, match="outside of 0 to 1"):
        holm([1.2])
