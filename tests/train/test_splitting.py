"""Held-out images by class and by group."""

from __future__ import annotations

import numpy as np
import pytest

from napari_quac.errors import DataError
from napari_quac.train.splitting import split_by_class, split_by_group


@pytest.mark.parametrize("seed", range(20))
def test_no_group_is_divided_and_both_parts_have_all_classes(seed: int) -> None:
    random = np.random.default_rng(seed)
    groups = [f"section {number}" for number in random.integers(0, 12, 300)]
    labels = random.integers(0, 3, 300)
    first, second = split_by_group(labels, groups, 0.15, random, ("a", "b", "c"))
    assert sorted([*first, *second]) == list(range(300))
    assert not {groups[i] for i in first} & {groups[i] for i in second}
    for part in (first, second):
        assert set(labels[part]) == {0, 1, 2}
    assert 0.05 < len(second) / 300 < 0.4


def test_groups_of_one_class_each_are_held_out_class_by_class() -> None:
    labels = np.repeat([0, 1], 40)
    groups = [f"{label}{number}" for label in "ab" for number in range(10) for _ in range(4)]
    _, second = split_by_group(labels, groups, 0.2, np.random.default_rng(0), ("a", "b"))
    assert np.bincount(labels[second]).tolist() == [8, 8]


def test_class_of_one_group_cannot_be_held_out() -> None:
    groups = ["1", "1", "2", "3"]
    with pytest.raises(DataError, match=r"class 'a' are of one group \(1\)"):
        split_by_group(np.array([0, 0, 1, 1]), groups, 0.5, np.random.default_rng(0), ("a", "b"))


def test_division_by_class_is_that_of_before() -> None:
    labels = np.array([0] * 10 + [1] * 20)
    first, second = split_by_class(labels, 0.2, np.random.default_rng(0))
    assert np.bincount(labels[second]).tolist() == [2, 4]
    assert sorted([*first, *second]) == list(range(30))
