from __future__ import annotations

import numpy as np
import pytest

from napari_quac.live.sample_columns import list_samples
from napari_quac.live.sample_order import order_samples
from napari_quac.testing import CornerSamples

from .sample_tables import small_columns


@pytest.mark.parametrize(
    ("column", "ascending", "expected"),
    [
        ("number", True, [0, 1, 2, 3, 4, 5]),
        ("number", False, [5, 4, 3, 2, 1, 0]),
        ("confidence", True, [2, 3, 0, 1, 4, 5]),
        ("confidence", False, [0, 1, 3, 2, 4, 5]),
        ("p:1", False, [1, 2, 3, 0, 4, 5]),
        ("score", False, [0, 1, 2, 3, 4, 5]),
        ("predicted", True, [0, 2, 1, 3, 4, 5]),
        ("id", False, [5, 4, 3, 2, 1, 0]),
        ("wrong", False, [1, 2, 3, 4, 5, 0]),
    ],
)
def test_sorting_puts_the_unknown_last(column: str, ascending: bool, expected: list[int]) -> None:
    order = order_samples(small_columns(), "", column, ascending)
    assert order.indices.tolist() == expected


def test_steps_go_through_what_is_in_view() -> None:
    order = order_samples(small_columns(), "known", "confidence", True)
    assert order.indices.tolist() == [2, 3, 0, 1]
    assert order.step(2, 1) == 3 and order.step(3, -1) == 2
    assert order.step(2, -1) == 2 and order.step(1, 1) == 1
    assert order.step(5, 1) == 2, "from outside to the first row"
    assert order.row_of(0) == 2 and order.row_of(5) is None and order.row_of(None) is None
    assert order_samples(small_columns(), "number > 99").step(0, 1) is None


def test_ids_are_sorted_as_text() -> None:
    listing = list_samples(CornerSamples(n=12))
    assert listing.ids[np.argsort(listing.id_ranks)].tolist() == sorted(listing.ids.tolist())
    assert listing.index_of["corner/11"] == 11
    assert listing.labels.tolist() == [CornerSamples(n=12).label(i) for i in range(12)]
