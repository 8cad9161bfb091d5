"""How a network was pooled follows from the size of its input, as far as it can."""

from __future__ import annotations

import math

import pytest

from napari_quac.networks.architectures.vgg import downsampling, pooled


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
def test_factors_match_the_positions_of_the_head(
    size: tuple[int, ...], pools: tuple[tuple[int, ...], ...]
) -> None:
    n_positions = math.prod(pooled(size, pools))
    pooling = downsampling(n_positions, len(pools), len(size), size)
    assert not pooling.problem
    assert pooling.image_size == size
    assert sorted(map(sum, pooling.pools)) == sorted(map(sum, pools))


def test_order_of_the_published_networks_comes_first_and_others_are_noted() -> None:
    pooling = downsampling(800, 4, 3, (16, 160, 160))
    assert pooling.pools == ((1, 2, 2), (1, 2, 2), (1, 2, 2), (2, 2, 2))
    assert "7 other choices would fit as well" in pooling.note


def test_factors_of_the_user_are_taken_or_refused() -> None:
    factors = ((2, 2, 2), (1, 2, 2), (1, 2, 2), (1, 2, 2))
    pooling = downsampling(800, 4, 3, (16, 160, 160), factors)
    assert (pooling.pools, pooling.note, pooling.problem) == (factors, "", "")
    wrong = downsampling(800, 4, 3, (16, 160, 160), ((2, 2, 2),) * 4)
    assert "do not yield the 800 positions" in wrong.problem
    few = downsampling(800, 4, 3, (16, 160, 160), ((2, 2, 2),))
    assert "4 levels" in few.problem
    assert "size" in downsampling(800, 4, 3, None, factors).problem


def test_size_with_another_number_of_axes_is_refused() -> None:
    assert "takes volumes" in downsampling(800, 4, 3, (160, 160)).problem


def test_cube_is_assumed_where_nothing_is_known() -> None:
    assert downsampling(125, 4, 3).image_size == (80, 80, 80)
    assert "cannot be determined" in downsampling(7, 4, 3).problem
