"""Determinants that are known by hand, and what they mean for an image."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates

from napari_quac.errors import ShapeError
from napari_quac.networks.warp.field import (
    determinant,
    divergence,
    folding,
    growth,
    in_voxels,
    limits,
    log_growth,
    warp,
)


def linear(matrix: list[list[float]], size: int = 7) -> np.ndarray:
    axes = np.indices((size,) * len(matrix)).astype(float)
    return np.tensordot(np.array(matrix) - np.eye(len(matrix)), axes, axes=1)


@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        ([[1.2, 0], [0, 1.2]], 1.44),
        ([[1.1, 0.2], [-0.3, 0.9]], 1.05),
        ([[1.1, 0.2, 0], [-0.3, 0.9, 0.1], [0.05, 0, 1.2]], 1.261),
        ([[0.5, 0], [0, 0.5]], 0.25),
    ],
)
def test_determinant_of_a_linear_field_is_that_of_its_matrix(matrix, expected) -> None:
    np.testing.assert_allclose(determinant(linear(matrix)), expected, atol=1e-12)


def test_differences_are_central_inside_and_one_sided_at_the_border() -> None:
    field = np.zeros((2, 6, 4))
    field[0] = 0.1 * np.arange(6)[:, None] ** 2
    np.testing.assert_allclose(determinant(field)[:, 1], [1.1, 1.2, 1.4, 1.6, 1.8, 1.9])


def test_mixed_derivatives_count() -> None:
    field = np.zeros((2, 3, 3))
    field[0] = np.array([0, 0.1, 0.2])[None, :]
    field[1] = np.array([[0, 0.2, 0.4], [0, 0.4, 0.8], [0, 0.6, 1.2]])
    expected = [[1.2, 1.18, 1.16], [1.4, 1.38, 1.36], [1.6, 1.58, 1.56]]
    np.testing.assert_allclose(determinant(field), expected)


def test_a_field_that_folds_is_found_and_has_no_growth() -> None:
    field = np.zeros((2, 5, 5))
    field[1] = -1.5 * (np.arange(5) - 2)[None, :]
    det = determinant(field)
    np.testing.assert_allclose(det, -0.5)
    assert folding(det).all()
    assert np.isnan(growth(det)).all()
    np.testing.assert_allclose(log_growth(det), -np.log(1e-3))


def test_a_determinant_below_one_means_larger_in_the_simulation() -> None:
    centre = 19.5
    positions = np.indices((40, 40)).astype(float)
    field = torch.from_numpy(-(positions - centre) / 2).float()[None]
    square = torch.zeros(1, 1, 40, 40)
    square[..., 17:23, 17:23] = 1
    area = float(warp(square, field).sum())
    assert area == pytest.approx(4 * 36, rel=0.02)
    np.testing.assert_allclose(growth(determinant(field[0].numpy())), 4, rtol=1e-5)


def test_divergence_is_the_small_change_of_the_determinant() -> None:
    field = 0.001 * np.random.default_rng(0).standard_normal((3, 6, 6, 6))
    np.testing.assert_allclose(divergence(field), determinant(field) - 1, atol=2e-5)


def test_limits_lie_symmetric_around_no_change() -> None:
    assert limits(np.ones((4, 4)), 1) == (0.95, 1.05)
    low, high = limits(np.array([0.5, 1.1, np.nan]), 1)
    assert 1 - low == pytest.approx(high - 1)


@pytest.mark.parametrize("shape", [(9, 11), (5, 6, 7)])
def test_warp_equals_scipy_also_at_the_border(shape: tuple[int, ...]) -> None:
    random = np.random.default_rng(1)
    image = random.random(shape)
    field = random.normal(0, 2, (len(shape), *shape))
    places = np.indices(shape) + field
    expected = map_coordinates(image, places, order=1, mode="grid-constant", cval=0)
    warped = warp(torch.from_numpy(image)[None, None], torch.from_numpy(field)[None])
    np.testing.assert_allclose(warped[0, 0].numpy(), expected, atol=1e-10)


def test_other_conventions_are_brought_to_ours() -> None:
    field = torch.zeros(1, 2, 5, 9)
    field[:, 0] = 0.5
    assert in_voxels(field, unit="normalised")[0, :, 0, 0].tolist() == [1, 0]
    assert in_voxels(field, "reversed", "normalised")[0, :, 0, 0].tolist() == [0, 2]


def test_a_pull_field_along_one_axis_moves_the_content_the_other_way() -> None:
    image = torch.zeros(1, 12, 12)
    image[0, 6, 4] = 1
    field = torch.zeros(1, 2, 12, 12)
    field[:, 0] = 2
    moved = warp(image[None], field)
    assert float(moved[0, 0, 4, 4]) == pytest.approx(1, abs=1e-5)


def test_volume_of_one_slice_is_an_image_and_labels_stay_whole() -> None:
    image = torch.zeros(1, 1, 1, 8, 8)
    image[..., 3, 3] = 2
    field = torch.zeros(1, 3, 1, 8, 8)
    field[:, 2] = 0.4
    moved = warp(image, field, nearest=True)
    assert moved.shape == image.shape
    assert set(moved.unique().tolist()) <= {0.0, 2.0}


def test_field_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ShapeError, match="needs 2 channels"):
        warp(torch.zeros(1, 1, 4, 4), torch.zeros(1, 3, 4, 4))
