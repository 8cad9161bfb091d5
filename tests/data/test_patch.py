from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_quac.data.patches import cut_patch, cut_resampled, patch_offset, reaches_out
from napari_quac.data.place import Transform
from strategies import quick

from .volumes import volume_from_array

COUNTING = np.arange(6 * 7 * 8, dtype=np.uint16).reshape(6, 7, 8)


@pytest.mark.parametrize(
    ("center", "size", "first"),
    [
        (100.0, 128, 36),  # 100 − 64
        (100.0, 127, 37),  # the middle of an odd patch is its center
        (100.4, 128, 36),
        (100.5, 128, 37),  # half-way: the higher one
        (99.5, 128, 36),
        (99.4999, 128, 35),
        (100.49, 127, 37),
        (7.0, 1, 7),
        (7.6, 1, 8),
        (-0.4, 2, -1),
        (291 * 4.6 / 4.6, 128, 227),
        (291 * 4.6 / 4.6, 127, 228),  # no rounding error moves an odd patch
    ],
)
def test_patch_begins_at_the_voxel_closest_to_centre_minus_half_the_size(
    center: float, size: int, first: int
) -> None:
    assert patch_offset([center], [size]).tolist() == [first]


@given(st.floats(-1e5, 1e5), st.integers(1, 200))
@quick
def test_centre_voxel_is_at_most_half_a_voxel_away(center: float, size: int) -> None:
    middle = patch_offset([center], [size])[0] + size // 2
    assert abs(middle - center) <= 0.5 + 2e-6


def test_what_lies_outside_is_zero_and_marked() -> None:
    level = volume_from_array(COUNTING).finest
    values, outside = cut_patch(level, (-1, 5, 6), (3, 4, 4))
    assert outside is not None
    expected = np.zeros((3, 4, 4), np.uint16)
    expected[1:, :2, :2] = COUNTING[:2, 5:, 6:]
    np.testing.assert_array_equal(values[0], expected)
    np.testing.assert_array_equal(~outside, np.pad(np.ones((2, 2, 2), bool),
                                                   ((1, 0), (0, 2), (0, 2))))  # fmt: skip


def test_patch_that_is_all_outside_is_zero() -> None:
    values, outside = cut_patch(volume_from_array(COUNTING).finest, (20, -30, 0), (2, 2, 2))
    assert not values.any() and outside is not None and outside.all()


def test_patch_inside_is_the_slice() -> None:
    values, outside = cut_patch(volume_from_array(COUNTING).finest, (1, 2, 3), (2, 3, 4))
    np.testing.assert_array_equal(values[0], COUNTING[1:3, 2:5, 3:7])
    assert outside is None


def test_which_patches_reach_out() -> None:
    firsts = [[0, 0, 0], [-1, 0, 0], [4, 4, 4], [5, 4, 4]]
    assert reaches_out(firsts, (2, 3, 4), COUNTING.shape).tolist() == [False, True, False, True]


def test_resampling_by_one_changes_nothing() -> None:
    level = volume_from_array(COUNTING).finest
    plain, _ = cut_patch(level, patch_offset((3, 3, 4), (2, 4, 4)).tolist(), (2, 4, 4))
    resampled, outside = cut_resampled(level, (3, 3, 4), (2, 4, 4), (1.0, 1.0, 1.0))
    np.testing.assert_allclose(resampled, plain)
    assert outside is None


def test_finer_voxels_interpolate_a_ramp_exactly() -> None:
    ramp = np.broadcast_to(np.arange(20, dtype=np.float32), (3, 20, 20))
    values, _ = cut_resampled(volume_from_array(ramp).finest, (1, 10, 10), (1, 4, 4), (1, 0.5, 0.5))
    np.testing.assert_allclose(values[0, 0, 0], [9.0, 9.5, 10.0, 10.5], atol=1e-12)


def test_coarser_voxels_are_smoothed_first() -> None:
    rng = np.random.default_rng(0)
    noise = rng.random((3, 200, 200)).astype(np.float32)
    values, _ = cut_resampled(
        volume_from_array(noise).finest, (1, 100, 100), (1, 30, 30), (1, 4, 4)
    )
    assert values.std() < 0.4 * noise.std()
    assert abs(values.mean() - 0.5) < 0.02


def test_transform_of_a_cut_out_array_keeps_its_voxels_where_they_were() -> None:
    turned = ((0.0, -1.0), (1.0, 0.0))
    whole = Transform((3.0, -2.0), (5.0, 7.0), rotate=turned, shear=((1.0, 0.3), (0.0, 1.0)))
    part = whole.at((4, 6), (2.0, 1.0))
    np.testing.assert_allclose(part.to_world((1, 1)), whole.to_world((6, 7)))
    np.testing.assert_allclose(whole.to_voxel(whole.to_world((3.5, -2))), (3.5, -2))
