from __future__ import annotations

import numpy as np
import pytest

from napari_quac.explain.group_votes import vote, wilson
from napari_quac.explain.prediction_table import PredictionTable


def table(rows: list[tuple[float, ...] | None], truth: list[int]) -> PredictionTable:
    probabilities = np.array([row or (np.nan, np.nan) for row in rows], dtype=np.float32)
    return PredictionTable(("a", "b"), probabilities, np.array(truth))


def test_majorities_with_confidence_and_wrong_groups_first() -> None:
    predictions = table(
        [(0.9, 0.1), (0.8, 0.2), (0.3, 0.7), (0.4, 0.6), (0.1, 0.9), None, (0.9, 0.1)],
        [0, 0, 0, 0, 0, 1, 1],
    )
    found = vote(predictions, ["n", "n", "n", "m", "m", "empty", ""])
    assert [group.name for group in found] == ["m", "n", "empty"]
    wrong, correct, empty = found
    assert wrong.is_wrong and wrong.winner == 1 and wrong.votes == (0, 2)
    assert wrong.confidence == 1 and wrong.indices == (3, 4)
    assert correct.winner == 0 and correct.votes == (2, 1) and not correct.is_wrong
    assert correct.confidence == pytest.approx(2 / 3)
    assert correct.probabilities == pytest.approx((2 / 3, 1 / 3))
    assert correct.interval == wilson(2, 3)
    assert empty.winner == -1 and np.isnan(empty.confidence) and empty.truth == 1
    assert not empty.is_wrong


def test_ties_are_broken_by_probabilities_and_leave_labels_open() -> None:
    (group,) = vote(table([(0.9, 0.1), (0.4, 0.6)], [0, 1]), ["n", "n"])
    assert group.winner == 0 and group.truth == -1 and group.confidence == 0.5


@pytest.mark.parametrize(("n_hits", "n", "low", "high"), [(0, 10, 0, 0.2775), (10, 10, 0.7225, 1),
                                                          (81, 263, 0.2553, 0.3662)])  # fmt: skip
def test_interval_of_wilson(n_hits: int, n: int, low: float, high: float) -> None:
    assert wilson(n_hits, n) == pytest.approx((low, high), abs=1e-4)  # Newcombe 1998, table I
