"""Short versions of ``benchmarks/study_coverage.py`` and ``benchmarks/measuring_session.py``."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
STUDIES = 200  # a coverage of 0.95 has a standard error of 0.015 then
LEAST, MOST = 0.95 - 3 * 0.0154, 0.05 + 3 * 0.0154
CONDITIONS = [
    ("sign test", "n = 40, 40 % zeros"),
    ("Krippendorff α, ordinal", "40 items, 3 raters, −1/0/+1, 10 % missing"),
    ("mean difference, BCa", "20 + 20, skewed, difference 0.8 SD"),
    ("mean of clusters", "20 clusters, ICC 0.6"),
    ("share of clusters", "20 clusters, ICC 0.3, prevalence 0.1"),
    ("hedges g of clusters", "20 clusters, ICC 0.3, crossed"),
    ("cliff delta of clusters", "20 clusters, ICC 0.3, nested"),
    ("Krippendorff α, clusters", "20 clusters, 3 raters, prevalence 0.4"),
]


@pytest.fixture
def coverage(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARKS)
    return import_module("study_coverage")


@pytest.mark.long
@pytest.mark.parametrize(("procedure", "condition"), CONDITIONS)
def test_intervals_cover_and_tests_do_not_reject_too_often(
    coverage: ModuleType, procedure: str, condition: str
) -> None:
    cases = [c for c in coverage.CASES if (c.procedure, c.condition) == (procedure, condition)]
    row = coverage.run_case(cases[0], STUDIES, STUDIES, (1, 0))
    assert row["coverage"] >= LEAST
    assert row["rejected"] is None or row["rejected"] <= MOST


@pytest.mark.long
def test_ignored_clusters_do_not_cover(coverage: ModuleType) -> None:
    # the simulation would notice a bad procedure
    cases = [
        c
        for c in coverage.CASES
        if c.procedure == "share, clusters ignored" and "20 clusters, ICC 0.3" in c.condition
    ]
    assert cases
    for case in cases:
        assert coverage.run_case(case, STUDIES, STUDIES, (1, 0))["coverage"] < LEAST


@pytest.mark.long
def test_measuring_session_finds_the_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    session = import_module("measuring_session")
    truth = session.true_differences(600)
    covers = 0
    for seed in range(3):
        comparisons = session.run_session(seed)
        for quantity, comparison in comparisons.items():
            effect = comparison.effect("mean difference")
            assert effect.low > 0
            assert effect.estimate == pytest.approx(truth[quantity], rel=0.2)
            covers += effect.low <= truth[quantity] <= effect.high
            assert comparison.test.p_value < 1e-6
    assert covers >= 4
