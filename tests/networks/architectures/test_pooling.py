"""How a network was pooled follows from the size of its input, as far as it can."""

from __future__ import annotations

import pytest

from napari_quac.networks.architectures.pooling import downsampling, pooled


@pytest.mark.parametrize(
    ("size", "pools"),
    [
        ((16, 160, 160), ((1, 2, 2), (1, 2, 2), (1, 2, 2), (2, 2, 2))),
        ((32, 128, 128), ((2, 2, 2), (2, 2, 2), (2, 2, 2), (2, 2, 2))),
        ((16, 160, 160), ((1, 2, 2), (1, 2, 2), (2, 2, 2), (2, 2, 2))),
        ((9, 30, 30), ((1, 2, 2), (2, 2, 2), (1, 1, 1))),
        ((28, 28), ((2, 2), (2, 2), (1, 1), (1, 1))),
        ((28, 28), ((1, 1), (2, 2))),
    ],
)
def test_factors_leave_what_the_head_sees(
    size: tuple[int, ...], pools: tuple[tuple[int, ...], ...]
) -> None:
    left = pooled(size, pools)
    n_positions = 1
    for length in left:
        n_positions *= length
    found = downsampling(n_positions, len(pools), len(size), size)
    assert not found.problem
    assert found.image_size == size
    assert sorted(map(sum, found.pools)) == sorted(map(sum, pools))


def test_order_of_the_published_networks_comes_first_and_others_are_told() -> None:
    found = downsampling(800, 4, 3, (16, 160, 160))
    assert found.pools == ((1, 2, 2), (1, 2, 2), (1, 2, 2), (2, 2, 2))
    assert "7 other choices would fit as well" in found.note


def test_factors_that_are_given_are_taken_or_refused() -> None:
    given = ((2, 2, 2), (1, 2, 2), (1, 2, 2), (1, 2, 2))
    found = downsampling(800, 4, 3, (16, 160, 160), given)
    assert (found.pools, found.note, found.problem) == (given, "", "")
    wrong = downsampling(800, 4, 3, (16, 160, 160), ((2, 2, 2),) * 4)
    assert "do not leave the 800 positions" in wrong.problem
    few = downsampling(800, 4, 3, (16, 160, 160), ((2, 2, 2),))
    assert "4 levels" in few.problem
    assert "size" in downsampling(800, 4, 3, None, given).problem


def test_size_with_another_number_of_axes_is_refused() -> None:
    assert "takes volumes" in downsampling(800, 4, 3, (160, 160)).problem


def test_cube_is_assumed_where_nothing_is_known() -> None:
    assert downsampling(125, 4, 3).image_size == (80, 80, 80)
    assert "cannot be known" in downsampling(7, 4, 3).problem
