from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from napari_quac.explain.score import ABSCISSAE, best_point, interpolate_curve, quac_score
from strategies import quick

CURVES = st.integers(1, 40).flatmap(
    lambda n: st.tuples(
        arrays.arrays(np.float64, n, elements=st.sampled_from([0, 0.1, 0.25, 0.5, 0.755, 1])).map(
            lambda sizes: np.sort(sizes)[::-1]
        ),
        arrays.arrays(np.float64, n, elements=st.floats(-1, 1, width=16)),
    )
)


def test_abscissae_end_exactly_at_1() -> None:
    assert len(ABSCISSAE) == 101
    assert (ABSCISSAE[0], ABSCISSAE[-1]) == (0.0, 1.0)


def test_straight_curve_has_half_of_the_square_below_it() -> None:
    sizes = np.linspace(1, 0, 50)
    assert quac_score(sizes, sizes) == pytest.approx(0.5, abs=1e-12)


def test_curve_is_led_to_0_and_to_the_full_mask() -> None:
    curve = interpolate_curve(np.array([0.5]), np.array([0.8]))
    assert curve[0] == 0
    assert curve[25] == pytest.approx(0.4)
    assert curve[50] == pytest.approx(0.8)
    assert curve[-1] == pytest.approx(0.8)
    assert quac_score(np.array([0.5]), np.array([0.8])) == pytest.approx(0.25 * 0.8 + 0.5 * 0.8)


def test_score_can_be_negative() -> None:
    assert quac_score(np.array([1.0, 0.5]), np.array([-0.5, -0.2])) < 0


def test_at_a_shared_mask_size_the_highest_threshold_counts() -> None:
    sizes = np.array([1.0, 0.5, 0.5, 0.5, 0.2])
    changes = np.array([0.9, 0.6, 0.7, 0.4, 0.1])
    curve = interpolate_curve(sizes, changes)
    assert curve[50] == 0.4
    # just below, the line ends at the lowest threshold; just above, it starts at the highest
    assert curve[49] == pytest.approx(0.1 + (0.6 - 0.1) * (0.49 - 0.2) / 0.3)
    assert curve[51] == pytest.approx(0.4 + (0.9 - 0.4) * 0.01 / 0.5)


@quick
@given(CURVES)
def test_interpolation_equals_the_piecewise_rule(curve: tuple[np.ndarray, np.ndarray]) -> None:
    sizes, changes = curve
    points: dict[float, list[float]] = {}
    for size, change in [(1.0, changes[0]), *zip(sizes, changes, strict=True), (0.0, 0.0)]:
        points.setdefault(float(size), []).append(float(change))
    known = sorted(points)
    found = interpolate_curve(sizes, changes)
    for at, value in zip(ABSCISSAE, found, strict=True):
        if float(at) in points:
            expected = points[float(at)][-1]
        else:
            below = max(size for size in known if size < at)
            above = min(size for size in known if size > at)
            share = (at - below) / (above - below)
            expected = points[below][-1] * (1 - share) + points[above][0] * share
        assert value == pytest.approx(expected, abs=1e-12)


@quick
@given(CURVES)
def test_score_lies_between_the_extremes_of_the_curve(
    curve: tuple[np.ndarray, np.ndarray],
) -> None:
    sizes, changes = curve
    score = quac_score(sizes, changes)
    assert min(0, changes.min()) - 1e-12 <= score <= max(0, changes.max()) + 1e-12


def test_optimum_is_the_first_of_equal_points() -> None:
    sizes = np.array([1.0, 0.5, 0.25, 0.0])
    changes = np.array([0.9, 0.75, 0.5, 0.0])
    assert best_point(sizes, changes) == 1


def test_optimum_has_the_largest_change_minus_size() -> None:
    sizes = np.array([1.0, 0.5, 0.1, 0.0])
    changes = np.array([0.9, 0.8, 0.6, 0.0])
    assert best_point(sizes, changes) == 2
