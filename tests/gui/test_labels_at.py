"""Labels are read where the pixels of the sample lie in the world."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Image, Labels

from napari_quac.gui.world_units import labels_at


def numbered(shape: tuple[int, ...]) -> np.ndarray:
    return np.arange(1, np.prod(shape) + 1).reshape(shape)


def read(labels: Labels, image: Image, point: tuple[float, ...] = ()) -> np.ndarray:
    return labels_at(labels, image, image.data.shape, point)()


def test_same_grid_is_the_same_labels() -> None:
    place = {"scale": (4, 2), "translate": (100, -3)}
    values = numbered((6, 5))
    found = read(Labels(values, **place), Image(np.zeros((6, 5)), **place))
    np.testing.assert_array_equal(found, values)


def test_labels_in_another_unit_lie_where_they_are_shown() -> None:
    values = numbered((6, 5))
    labels = Labels(values, scale=(0.004, 0.002), translate=(0.1, 0), units=("um",) * 2)
    image = Image(np.zeros((6, 5)), scale=(4, 2), translate=(100, 0), units=("nm",) * 2)
    np.testing.assert_array_equal(read(labels, image), values)
    without = Labels(values, scale=(4, 2), translate=(100, 0))
    np.testing.assert_array_equal(read(without, image), values)


def test_larger_labels_are_cut_and_where_there_are_none_is_0() -> None:
    values = numbered((10, 12))
    image = Image(np.zeros((4, 4)), scale=(4, 4), translate=(28, 36))
    found = read(Labels(values, scale=(4, 4)), image)
    expected = np.zeros((4, 4))
    expected[:3, :3] = values[7:, 9:]
    np.testing.assert_array_equal(found, expected)


def test_coarser_labels_and_turned_ones_are_looked_up() -> None:
    coarse = numbered((4, 4))
    found = read(Labels(coarse, scale=(2, 2), translate=(0.5, 0.5)), Image(np.zeros((8, 8))))
    np.testing.assert_array_equal(found, coarse.repeat(2, axis=0).repeat(2, axis=1))
    turned = Labels(coarse, rotate=90)
    image = Image(np.zeros((4, 4)), rotate=90)
    np.testing.assert_array_equal(read(turned, image), coarse)
    upright = read(turned, Image(np.zeros((4, 4)), translate=(0, -3)))
    by_hand = [[coarse[tuple(np.rint(turned.world_to_data((y, x - 3))).astype(int))]
                if (np.rint(turned.world_to_data((y, x - 3))) >= 0).all() else 0
                for x in range(4)] for y in range(4)]  # fmt: skip
    np.testing.assert_array_equal(upright, by_hand)


def test_image_in_a_volume_of_labels_takes_the_slice_of_the_viewer() -> None:
    values = numbered((3, 5, 5))
    labels = Labels(values, scale=(40, 1, 1))
    found = read(labels, Image(np.zeros((5, 5))), (80.0, 2.0, 2.0))
    np.testing.assert_array_equal(found, values[2])


@pytest.mark.parametrize("depth", [1, 3])
def test_volumes_and_several_levels(depth: int) -> None:
    values = numbered((depth, 8, 8))
    labels = Labels([values, values[:, ::2, ::2]], multiscale=True, scale=(10, 1, 1))
    image = Image(np.zeros((depth, 8, 8)), scale=(10, 1, 1))
    found = labels_at(labels, image, (depth, 8, 8), ())()
    np.testing.assert_array_equal(found, values)
