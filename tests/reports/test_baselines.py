"""The sign test of methods against the baselines, with results that can be worked out by hand."""

from __future__ import annotations

import pytest

from napari_quac.commands.report_tables import as_table, report_record
from napari_quac.reports.baselines import BaselineTest, compare_with_baselines
from reports.reports_for_tests import entry, report


def scored(scores: list[float | None], method: str, **more: object) -> list:
    return [entry(f"s{number}", score, method, **more) for number, score in enumerate(scores)]


def test_equal_pairs_are_counted_apart_and_excluded_from_the_test() -> None:
    entries = [
        *scored([0.9, 0.9, 0.9, 0.5, 0.7], "d-ig"),
        *scored([0.5, 0.5, 0.895, 0.9, 0.5], "residual"),
    ]
    (test,) = compare_with_baselines(entries)
    assert (test.n, test.n_better, test.n_worse, test.n_equal) == (5, 3, 1, 1)
    # 2 · (C(4, 3) + C(4, 4)) / 2⁴
    assert test.p_value == pytest.approx(0.625)
    assert test.sentence == (
        "d-ig is better than residual in 3 of 5 pairs, worse in 1, equal within 0.01 in 1; sign "
        "test p = 0.62."
    )
    assert test.tone == "note"


def test_only_pairs_with_both_scores_count() -> None:
    entries = [
        *scored([0.9, 0.9, None, 0.9], "d-ig"),
        *scored([0.5, None, 0.5], "residual"),
        *scored([0.9] * 4, "random", degenerate=True),
    ]
    residual, random = compare_with_baselines(entries)
    assert (residual.n, residual.n_better, residual.n_excluded) == (1, 1, 3)
    assert (random.n, random.n_excluded, random.p_value) == (0, 4, 1.0)


@pytest.mark.parametrize(
    ("better", "worse", "tone"), [(9, 0, "good"), (0, 9, "bad"), (5, 4, "note")]
)
def test_only_a_significant_advantage_is_good(better: int, worse: int, tone: str) -> None:
    assert BaselineTest("d-ig", "residual", better, worse, 30).tone == tone


def test_the_same_pair_means_the_same_sample_and_classes() -> None:
    entries = [entry("a", 0.9, "d-ig", target=1), entry("a", 0.5, "residual", target=2)]
    (test,) = compare_with_baselines(entries)
    assert (test.n, test.n_excluded) == (0, 2)


def test_baselines_alone_are_not_compared() -> None:
    assert compare_with_baselines(scored([0.9], "residual") + scored([0.5], "random")) == ()


def test_command_states_the_test_in_the_table_and_as_json() -> None:
    both = report(*scored([0.9, 0.9, 0.9], "d-ig"), *scored([0.5, 0.895, 0.95], "residual"))
    lines = as_table(both).splitlines()
    (header,) = [line for line in lines if line.split()[:2] == ["method", "baseline"]]
    row = lines[lines.index(header) + 1]
    assert row.split() == ["d-ig", "residual", "3", "1", "1", "1", "1"]
    document = report_record(both, [])
    (record,) = document["baselines"]
    assert record == {
        "method": "d-ig", "baseline": "residual", "n": 3, "n_better": 1, "n_worse": 1,
        "n_equal": 1, "n_excluded": 0, "p_value": 1.0,
    }  # fmt: skip
    assert document["margin"] == 0.01
