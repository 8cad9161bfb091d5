"""Accuracy and d′ against published examples."""

from __future__ import annotations

import math

import pytest
from scipy.stats import binomtest

from napari_quac.errors import DataError
from napari_quac.study.statistics.discrimination import (
    accuracy,
    choice_sensitivity,
    detection_sensitivity,
)


def test_accuracy_is_tested_against_chance() -> None:
    outcome = accuracy([1] * 14 + [0] * 6 + [math.nan], chance=0.5)
    assert outcome.accuracy.n == (20,)
    assert outcome.p_value == pytest.approx(binomtest(14, 20, 0.5).pvalue)
    with pytest.raises(DataError, match="chance"):
        accuracy([1, 0], chance=1)


def test_sensitivity_of_a_choice() -> None:
    # √2 · Φ⁻¹(0.75) = 0.9539; half an answer is added, which hardly matters here
    d = choice_sensitivity(75_000, 100_000)
    assert d.estimate == pytest.approx(0.9539, abs=1e-3)
    assert choice_sensitivity(50, 100).estimate == 0
    assert math.isfinite(choice_sensitivity(20, 20).estimate)


def test_sensitivity_of_detection_of_hautus() -> None:
    # Φ⁻¹(20.5 / 26) − Φ⁻¹(10.5 / 26), the face experiment of Macmillan and Creelman (20 and 10 of
    # 25) with the correction of Hautus
    d = detection_sensitivity(20, 25, 10, 25)
    assert d.estimate == pytest.approx(0.8006 + 0.2434, abs=2e-3)
    assert d.low < d.estimate < d.high


def test_guessing_has_no_sensitivity() -> None:
    d = detection_sensitivity(12, 40, 12, 40)
    assert d.estimate == 0
    assert d.low == -d.high
