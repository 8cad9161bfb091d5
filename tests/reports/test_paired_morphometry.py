"""Medians and a paired test over samples."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import wilcoxon

from napari_quac.explain.morphometry import MEASURES, PlaceChange
from napari_quac.reports.paired_morphometry import PairedChange, paired_changes


def sample(query: float, counterfactual: float, other: float = 0.0) -> tuple[PlaceChange, ...]:
    """Return a sample whose mean changes, and nothing else."""

    def values(mean: float) -> dict[str, float]:
        return {one.name: other for one in MEASURES} | {"mean": mean}

    return (PlaceChange("inside the mask", 5, None, 1.0, values(query), values(counterfactual)),)


def of_mean(found: tuple[PairedChange, ...]) -> PairedChange:
    return next(change for change in found if change.measure == "mean")


def test_medians_and_test_are_those_of_the_samples() -> None:
    random = np.random.default_rng(0)
    query = random.random(20)
    after = query - 0.1 + 0.15 * random.random(20)
    found = paired_changes(sample(q, a) for q, a in zip(query, after, strict=True))
    change = of_mean(found)
    assert change.n == 20
    assert change.query == pytest.approx(np.median(query))
    assert change.difference == pytest.approx(np.median(after - query))
    assert change.difference_low < change.difference < change.difference_high
    assert change.p == pytest.approx(wilcoxon(after - query).pvalue)
    assert change.p_holm == pytest.approx(min(1, change.p * len(MEASURES)))  # type: ignore[operator]
    others = [one for one in found if one.measure != "mean"]
    assert {(one.p, one.p_holm) for one in others} == {(1.0, 1.0)}


def test_few_samples_have_no_p_value() -> None:
    change = of_mean(paired_changes(sample(0.1 * k, 0.1 * k + 0.2) for k in range(5)))
    assert (change.n, change.p, change.p_holm) == (5, None, None)
    assert change.difference == pytest.approx(0.2)


def test_samples_without_a_number_are_left_out_and_counted() -> None:
    found = paired_changes([*(sample(0.1, 0.3) for _ in range(7)), sample(float("nan"), 0.3)])
    assert of_mean(found).n == 7
    assert of_mean(found).p < 0.05  # type: ignore[operator]
    assert paired_changes([]) == ()
