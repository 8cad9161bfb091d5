"""Measurements of marks and labels whose size is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from skimage.draw import ellipse
from skimage.measure import label, regionprops

from napari_quac.errors import DataError, ShapeError, UnknownNameError
from napari_quac.study.measure import (
    Mark,
    amount_per_image,
    measure_labels,
    measure_marks,
    nearest_distances,
    path_length,
    polygon_area,
    quantity_unit,
)

SCALE = (40.0, 4.0)  # sections are ten times thicker than pixels


def amounts(table: object, quantity: str) -> list[float]:
    return list(table[table["quantity"] == quantity]["amount"])  # type: ignore[index]


def test_length_along_each_axis_has_its_own_scale() -> None:
    assert path_length(np.array([[0, 0], [0, 10]]), SCALE) == 40
    assert path_length(np.array([[0, 0], [10, 0]]), SCALE) == 400
    assert path_length(np.array([[0, 0], [3, 40], [3, 50]]), SCALE) == pytest.approx(
        math.hypot(120, 160) + 40
    )


def test_area_of_a_polygon_in_a_plane_of_any_direction() -> None:
    square = np.array([[0, 0, 0], [0, 10, 0], [0, 10, 10], [0, 0, 10]], dtype=float)
    assert polygon_area(square, (40, 4, 4)) == 1600
    # standing across the sections: 10 sections × 10 pixels
    assert polygon_area(square[:, [1, 0, 2]], (40, 4, 4)) == 400 * 40
    # reversed, and with a concave corner
    concave = np.array([[0, 0], [4, 0], [4, 4], [2, 2], [0, 4]], dtype=float)
    assert polygon_area(concave[::-1] + 100, (1, 1)) == pytest.approx(12)


def test_area_of_an_ellipse_of_napari() -> None:
    corners = np.array([[10, 10], [10, 30], [20, 30], [20, 10]], dtype=float)
    table = measure_marks("1", [Mark("ellipse", corners)], scale=SCALE)
    assert amounts(table, "area") == [pytest.approx(math.pi * (5 * 40) * (10 * 4))]
    assert quantity_unit(table, "area") == "nm²"


def test_points_are_counted_and_their_nearest_neighbors_measured() -> None:
    points = Mark("points", np.array([[0, 0], [0, 10], [1, 10]], dtype=float))
    image = np.arange(40.0).reshape(2, 20)
    table = measure_marks("a", [points], image, SCALE)
    assert amounts(table, "count") == [3]
    assert amounts(table, "distance") == [pytest.approx((40 + 40 + 40) / 3)]
    assert amounts(table, "intensity") == [pytest.approx((0 + 10 + 30) / 3)]
    others = nearest_distances(np.array([[0.0, 0.0]]), SCALE, np.array([[1.0, 0.0], [0.0, 7.0]]))
    assert others.tolist() == [28]
    assert np.isnan(nearest_distances(np.zeros((1, 2)), SCALE)).all()


def test_image_without_marks_has_a_count_of_zero() -> None:
    table = measure_marks("a", [], np.zeros((4, 4)), SCALE)
    assert amounts(table, "count") == [0]
    assert amount_per_image(table, "count") == {"a": 0}
    assert math.isnan(amount_per_image(table, "area")["a"])


def test_intensity_along_a_line_and_inside_of_shapes() -> None:
    image = np.zeros((30, 40))
    image[:, 20:] = 1
    line = Mark("path", np.array([[5, 10], [5, 29]]))
    box = Mark("polygon", np.array([[5, 25], [5, 35], [15, 35], [15, 25]]))
    disk = Mark("ellipse", np.array([[5, 2], [5, 12], [15, 12], [15, 2]]))
    table = measure_marks("a", [line, box, disk], np.stack([image, image]), SCALE)
    assert amounts(table, "intensity") == pytest.approx([0.5, 1, 0])
    outside = measure_marks("a", [Mark("path", np.array([[50, 50], [60, 60]]))], image)
    assert math.isnan(amounts(outside, "intensity")[0])


def test_marks_in_a_volume_are_measured_in_their_slice() -> None:
    volume = np.zeros((4, 20, 20))
    volume[2] = 0.5
    square = np.array([[2, 3, 3], [2, 3, 13], [2, 13, 13], [2, 13, 3]], dtype=float)
    across = np.array([[0, 3, 3], [3, 3, 3]], dtype=float)
    marks = [Mark("polygon", square), Mark("path", across)]
    table = measure_marks("v", marks, volume, (40, 4, 4))
    assert amounts(table, "area") == [1600]
    assert amounts(table, "length") == [120]
    assert amounts(table, "intensity")[0] == 0.5
    assert math.isnan(amounts(table, "intensity")[1])


def test_labels_in_nanometers_of_both_axes() -> None:
    labels = np.zeros((40, 60), dtype=int)
    labels[10:20, 10:50], labels[30:34, 10:20] = 1, 5
    image = np.where(labels == 1, 0.25, 0.75)
    table = measure_labels("a", labels, image, SCALE)
    assert amounts(table, "count") == [2]
    assert amounts(table, "area") == [400 * 160, 40 * 160]
    assert amounts(table, "intensity") == [0.25, 0.75]
    centers = np.array([[14.5 * 40, 29.5 * 4], [31.5 * 40, 14.5 * 4]])
    distance = np.linalg.norm(centers[0] - centers[1])
    assert amounts(table, "distance") == pytest.approx([distance, distance])
    assert sorted(set(table["mark"])) == [0, 1, 5]


def test_length_of_labels_equals_scikit_images_feret_diameter() -> None:
    labels = np.zeros((80, 80), dtype=int)
    rows, columns = ellipse(40, 40, 12, 30, rotation=0.5)
    labels[rows, columns] = 1
    region = regionprops(labels, spacing=(3.0, 4.0))[0]
    assert amounts(measure_labels("a", labels, scale=(3, 4)), "length") == [
        pytest.approx(region.feret_diameter_max, rel=1e-6)
    ]


def test_flat_and_single_voxel_labels_have_a_length() -> None:
    labels = np.zeros((5, 20, 20), dtype=int)
    labels[0, 0, 0], labels[4, 15, 3:9] = 1, 2
    table = measure_labels("v", labels, scale=(40, 4, 4))
    # from the upper side of the first voxel to the lower side of the last one
    assert amounts(table, "length") == [40, pytest.approx(math.hypot(5 * 4, 40))]
    assert amounts(table, "area") == [640, 6 * 640]
    assert quantity_unit(table, "area") == "nm³"


def test_several_marks_become_one_number_per_image() -> None:
    lines = [Mark("path", np.array([[0, 0], [0, n]])) for n in (2, 4, 9)]
    table = measure_marks("a", lines)
    assert amount_per_image(table, "length", "mean")["a"] == 5
    assert amount_per_image(table, "length", "median")["a"] == 4
    assert amount_per_image(table, "length", "sum")["a"] == 15
    assert amount_per_image(table, "length", "largest")["a"] == 9
    assert quantity_unit(table, "length") == "px"
    with pytest.raises(UnknownNameError, match="largest"):
        amount_per_image(table, "length", "larges")  # type: ignore[arg-type]


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(DataError, match="at least 3"):
        Mark("polygon", np.zeros((2, 2)))
    with pytest.raises(UnknownNameError, match="path"):
        Mark("line", np.zeros((2, 2)))  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match="3 numbers"):
        measure_marks("a", [Mark("path", np.zeros((2, 2)))], scale=(1, 1, 1))
    with pytest.raises(ShapeError, match="Use labels of the same image"):
        measure_labels("a", np.zeros((4, 4), int), np.zeros((5, 5)))
    with pytest.raises(DataError, match="float64"):
        measure_labels("a", np.zeros((4, 4)))
    with pytest.raises(DataError, match="not positive"):
        measure_labels("a", label(np.eye(4)), scale=(0, 1))
