"""Evenly spaced positions include both ends and never repeat."""

from __future__ import annotations

import pytest

from napari_quac.data.dataset import evenly_spaced


@pytest.mark.parametrize(
    ("total", "n", "positions"),
    [
        (10, 4, [0, 3, 6, 9]),
        (10, 1, [0]),
        (3, 6, [0, 1, 2]),
        (3, None, [0, 1, 2]),
        (0, 6, []),
        (5, 0, []),
        (7, 3, [0, 3, 6]),
    ],
)
def test_positions(total: int, n: int | None, positions: list[int]) -> None:
    assert evenly_spaced(total, n) == positions
