from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_quac.explain.mask import Masking, ellipse, gaussian_kernel
from strategies import attributions, maskings, quick

THRESHOLDS = st.floats(-0.1, 1.1)


@quick
@given(attributions(), maskings(), THRESHOLDS, THRESHOLDS)
def test_larger_threshold_never_gives_larger_mask(
    values: np.ndarray, masking: Masking, one: float, other: float
) -> None:
    low, high = sorted((one, other))
    closed = masking.close(values)
    assert not (masking.hard(closed, high) & ~masking.hard(closed, low)).any()
    assert masking.mask(values, high)[1] <= masking.mask(values, low)[1]


@quick
@given(attributions(), maskings(), THRESHOLDS)
def test_closing_the_map_equals_closing_each_mask(
    values: np.ndarray, masking: Masking, threshold: float
) -> None:
    hard_first = (values.astype(np.float64) > threshold).astype(np.float32)
    assert np.array_equal(
        masking.hard(masking.close(values), threshold), masking.close(hard_first) > 0.5
    )


@quick
@given(attributions(), maskings(), THRESHOLDS)
def test_masks_lie_in_0_to_1_and_have_the_shape_of_the_map(
    values: np.ndarray, masking: Masking, threshold: float
) -> None:
    mask, size = masking.mask(values, threshold)
    assert mask.shape == values.shape
    assert mask.dtype == np.float32
    assert 0 <= size <= 1
    assert mask.min() >= 0
    assert mask.max() <= 1 + 2e-7


@quick
@given(attributions(), maskings())
def test_below_0_the_mask_is_full_and_from_1_on_empty(values: np.ndarray, masking: Masking) -> None:
    full, full_size = masking.mask(values, -0.01)
    np.testing.assert_allclose(full, 1, atol=2e-7)
    assert full_size == 1
    empty, empty_size = masking.mask(values, 1.0)
    assert not empty.any()
    assert empty_size == 0


def test_threshold_itself_is_not_in_the_mask() -> None:
    values = np.array([[[0.25, 0.5, 0.75]]], dtype=np.float32)
    assert Masking(1, 1).mask(values, 0.5)[0].tolist() == [[[0, 0, 1]]]


def test_threshold_is_compared_in_double_precision() -> None:
    # in float32 both sides would be equal
    values = np.array([[[0.01]]], dtype=np.float32)
    assert float(values[0, 0, 0]) < 0.01
    assert Masking(1, 1).mask(values, 0.01)[1] == 0
    assert Masking(1, 1).mask(values, float(values[0, 0, 0]) - 1e-12)[1] == 1


def test_size_is_measured_before_the_blur() -> None:
    values = np.zeros((1, 32, 32), dtype=np.float32)
    values[0, 12:20, 12:20] = 1
    mask, size = Masking(1, 11).mask(values, 0.5)
    assert size == 64 / 1024
    assert 0 < mask[0, 11, 11] < mask[0, 16, 16] < 1
    assert float(mask.sum()) == pytest.approx(64, abs=1e-3)


def test_closing_fills_gaps_that_are_smaller_than_the_element() -> None:
    values = np.zeros((1, 40, 40), dtype=np.float32)
    values[0, 10:30, 10:30] = 1
    values[0, 18:21, 18:21] = 0
    assert Masking(10, 1, centered=True).mask(values, 0.5)[0][0, 19, 19] == 1


def test_centered_closing_keeps_every_pixel_and_shifts_nothing() -> None:
    values = np.zeros((1, 24, 24), dtype=np.float32)
    values[0, 12, 12] = 1
    values[0, 4, 4] = 1
    mask, _ = Masking(10, 1, centered=True).mask(values, 0.5)
    assert np.argwhere(mask[0]).tolist() == [[4, 4], [12, 12]]


def test_default_closing_deletes_a_single_pixel() -> None:
    values = np.zeros((1, 24, 24), dtype=np.float32)
    values[0, 12, 12] = 1
    assert Masking().mask(values, 0.5)[1] == 0


@quick
@given(attributions())
def test_centered_closing_never_takes_a_pixel_away(values: np.ndarray) -> None:
    assert (Masking(10, centered=True).close(values) >= values).all()


def test_channels_are_masked_one_by_one_or_together() -> None:
    values = np.zeros((3, 4, 4), dtype=np.float32)
    values[0, 1, 1] = 1
    values[2, 2, 2] = 1
    alone, size_alone = Masking(1, 1).mask(values, 0.5)
    together, size_together = Masking(1, 1, channel_wise=False).mask(values, 0.5)
    assert alone.sum(axis=(1, 2)).tolist() == [1, 0, 1]
    assert together.sum(axis=(1, 2)).tolist() == [2, 2, 2]
    assert (size_alone, size_together) == (2 / 48, 6 / 48)


@pytest.mark.parametrize("channel_wise", [True, False])
def test_volumes_are_closed_and_blurred_section_by_section(channel_wise: bool) -> None:
    values = np.random.default_rng(0).random((3, 4, 15, 17)).astype(np.float32)
    masking = Masking(channel_wise=channel_wise)
    whole, _ = masking.mask(values, 0.97)
    for section in range(4):
        one, _ = masking.mask(values[:, section], 0.97)
        assert np.array_equal(whole[:, section], one)


def test_the_map_is_left_as_it_was() -> None:
    values = np.random.default_rng(0).random((1, 9, 9)).astype(np.float32)
    before = values.copy()
    for masking in (Masking(), Masking(1, 1), Masking(channel_wise=False)):
        masking.mask(values, 0.5)
    assert np.array_equal(values, before)


@pytest.mark.parametrize("size", [1, 3, 5, 7, 9, 11, 13, 31])
def test_blur_weights_are_symmetric_and_sum_to_1(size: int) -> None:
    kernel = gaussian_kernel(size)
    assert len(kernel) == size
    assert kernel.sum() == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(kernel, kernel[::-1], atol=1e-15)


@pytest.mark.parametrize("size", [1, 3, 5, 7, 11, 15])
def test_odd_elements_are_symmetric(size: int) -> None:
    element = ellipse(size)
    assert np.array_equal(element, element[::-1])
    assert np.array_equal(element, element[:, ::-1])


@pytest.mark.parametrize(
    ("masking", "name"),
    [
        (Masking(), "default"),
        (Masking(blur=1), "no_blur"),
        (Masking(closing=3), "closing3_blur11"),
        (Masking(channel_wise=False), "closing10_blur11_any_channel"),
        (Masking(centered=True), "closing10_blur11_centered"),
    ],
)
def test_name_tells_how_it_differs_from_the_default(masking: Masking, name: str) -> None:
    assert masking.name == name


@pytest.mark.parametrize("blur", [0, -1, 4, 10])
def test_even_blur_is_refused(blur: int) -> None:
    with pytest.raises(ValueError, match=f"(1 to 101 pixels|odd size), got {blur}"):
        Masking(blur=blur)


@pytest.mark.parametrize("closing", [0, -3])
def test_closing_without_pixels_is_refused(closing: int) -> None:
    with pytest.raises(ValueError, match=f"1 to 101 pixels, got {closing}"):
        Masking(closing=closing)
