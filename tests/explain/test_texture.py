"""Measures of a place against scikit-image, and on pictures whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.feature import graycomatrix, graycoprops

from napari_quac.explain.morphometry import (
    LEVELS,
    MEASURES,
    co_occurrence,
    edge_cut,
    measure_place,
    texture_maps,
)


def noise(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(shape, dtype=np.float32)


def test_co_occurrence_equals_that_of_scikit_image() -> None:
    levels = np.random.default_rng(0).integers(0, LEVELS, (23, 31))
    angles = [0, np.pi / 4, np.pi / 2, 3 * np.pi / 4]
    counts = graycomatrix(levels.astype(np.uint8), [1], angles, LEVELS, symmetric=True)
    matrix = counts.sum(axis=(2, 3))[:, :, None, None]
    shares = matrix / matrix.sum()
    found = co_occurrence(levels, np.ones(levels.shape, bool))
    entropy = -(shares[shares > 0] * np.log2(shares[shares > 0])).sum()
    expected = [graycoprops(shares, name)[0, 0] for name in ("contrast", "homogeneity")]
    np.testing.assert_allclose(found, [*expected, entropy], rtol=1e-10)


def test_neighbours_outside_of_the_place_do_not_count() -> None:
    levels = np.full((8, 8), 3)
    levels[:, 4:] = 20
    left = np.zeros((8, 8), bool)
    left[:, :4] = True
    assert co_occurrence(levels, left) == (0, 1, 0)
    assert co_occurrence(levels, np.ones((8, 8), bool))[0] > 0
    alone = np.zeros((8, 8), bool)
    alone[2, 2] = True
    assert np.isnan(co_occurrence(levels, alone)).all()


def test_intensity_of_a_place_is_that_of_its_pixels() -> None:
    image = noise((2, 20, 20))
    place = noise((20, 20), 1) > 0.5
    maps = texture_maps(image)
    found = measure_place(maps, place, 0.1)
    pixels = image.mean(axis=0)[place].astype(np.float64)
    assert found["mean"] == pytest.approx(pixels.mean())
    assert found["sd"] == pytest.approx(pixels.std())
    assert found["p95"] == pytest.approx(np.percentile(pixels, 95))
    assert set(found) == {one.name for one in MEASURES}


def test_local_deviation_and_edges_know_stripes_from_a_flat_picture() -> None:
    image = np.full((1, 16, 32), 0.5, np.float32)
    image[0, :, 16:] = np.arange(16) % 2
    maps = texture_maps(image)
    flat, striped = np.zeros((16, 32), bool), np.zeros((16, 32), bool)
    flat[:, 2:12], striped[:, 20:30] = True, True
    calm, busy = (measure_place(maps, place, 0.01) for place in (flat, striped))
    assert calm["local sd"] == pytest.approx(0, abs=1e-6)
    assert busy["local sd"] == pytest.approx(0.49, abs=0.01)
    assert (calm["edge density"], calm["gradient"], calm["contrast"]) == (0, 0, 0)
    assert busy["contrast"] > 100 * 2


def test_a_tenth_of_the_query_are_edges() -> None:
    maps = texture_maps(noise((1, 40, 40)))
    found = measure_place(maps, np.ones((40, 40), bool), edge_cut(maps))
    assert found["edge density"] == pytest.approx(0.1, abs=0.01)


def test_volumes_are_measured_slice_by_slice() -> None:
    volume = noise((1, 3, 12, 14))
    place = noise((3, 12, 14), 2) > 0.3
    deep = texture_maps(volume)
    for z in range(3):
        flat = texture_maps(volume[:, z])
        np.testing.assert_allclose(deep.local_sd[z], flat.local_sd, atol=1e-6)
        np.testing.assert_allclose(deep.gradient[z], flat.gradient, atol=1e-6)
    one = np.zeros_like(place)
    one[1] = place[1]
    np.testing.assert_allclose(
        co_occurrence(deep.levels, one), co_occurrence(deep.levels[1], place[1])
    )


def test_nothing_to_measure_is_no_number() -> None:
    maps = texture_maps(noise((1, 6, 6)))
    found = measure_place(maps, np.zeros((6, 6), bool), 0.1)
    assert all(np.isnan(value) for value in found.values())
