"""In place: the camera goes to the patch, which a frame shows, and finds the way back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_quac.data.preprocessing import Preprocessing
from napari_quac.gui.camera import LARGEST_SHARE, SMALLEST_SHARE
from napari_quac.gui.dock import QuacDock
from napari_quac.gui.region_view import FEWEST_PIXELS
from napari_quac.testing import ReadyNetwork, corner_classifier

from .conftest import explain, load, wait
from .test_points import SIZE, click_at, placed, settle

__all__ = ["placed"]
SIDE = SIZE * 4.0  # nm


def rest(dock: QuacDock) -> None:
    wait(lambda: not dock.patch_view.has_pending_update and not dock.points._ring_later.isActive())


def share(dock: QuacDock) -> float:
    """Return the share of the canvas that the patch fills."""
    camera = dock.viewer.scene.camera
    return float(SIDE * camera.zoom / min(dock.viewer.canvas.size))


def edges(dock: QuacDock) -> tuple[Any, Any]:
    """Return the first and the last edge of the frame in the world, of each axis."""
    (corners,) = dock.patch_view.layer.data
    world = [dock.patch_view.layer.data_to_world(corner) for corner in corners]
    return np.min(world, axis=0), np.max(world, axis=0)


def test_selecting_a_point_zooms_to_its_patch_and_keeps_a_fitting_zoom(placed: QuacDock) -> None:
    camera = placed.viewer.scene.camera
    for zoom in (0.01, 50.0):
        camera.zoom = zoom
        placed.choices.sample_index = 2 if zoom < 1 else 3
        settle(placed)
        assert SMALLEST_SHARE <= share(placed) <= LARGEST_SHARE
        center = placed.points.layer.data_to_world(placed.points.layer.data[2 if zoom < 1 else 3])
        np.testing.assert_allclose(camera.center[-2:], center[-2:])
    camera.zoom = 0.6 * min(placed.viewer.canvas.size) / SIDE
    placed.choices.sample_index = 4
    settle(placed)
    assert share(placed) == pytest.approx(0.6)


def test_frame_lies_on_the_border_of_the_patch_and_below_the_points(placed: QuacDock) -> None:
    for index in (0, 3):
        placed.choices.sample_index = index
        settle(placed)
        rest(placed)
        query = placed.layers.layers["query"]
        low, high = edges(placed)
        np.testing.assert_allclose(low[1:], query.data_to_world((0, -0.5, -0.5))[1:])
        np.testing.assert_allclose(high[1:], query.data_to_world((0, 31.5, 31.5))[1:])
        assert low[0] == high[0] == 40 * index
    names = [layer.name for layer in placed.viewer.layers]
    assert names[-3:] == ["mask", "frame", "marks"]


def test_frame_shows_what_the_preprocessing_of_the_classifier_crops(placed: QuacDock) -> None:
    preprocessing = Preprocessing(resize=64, crop=SIZE)
    placed.choices.classifier = ReadyNetwork(
        corner_classifier(SIZE).with_preprocessing(preprocessing)
    )
    wait(lambda: placed.results.loaded_classifier is not None)
    settle(placed)
    rest(placed)
    low, high = edges(placed)
    center = placed.points.layer.data_to_world(placed.points.layer.data[0])
    np.testing.assert_allclose(high[1:] - low[1:], SIDE / 2)
    np.testing.assert_allclose((high + low)[1:] / 2, np.subtract(center[1:], 2))


def test_frame_of_images_is_drawn_only_where_they_are_cropped(dock: QuacDock) -> None:
    load(dock)
    rest(dock)
    assert dock.patch_view.layer is None
    cropped = corner_classifier(SIZE).with_preprocessing(Preprocessing(resize=64, crop=SIZE))
    dock.choices.classifier = ReadyNetwork(cropped)
    wait(lambda: dock.results.loaded_classifier is not None and dock.patch_view.layer is not None)
    (corners,) = dock.patch_view.layer.data
    np.testing.assert_allclose([corners.min(), corners.max()], [7.5, 23.5])


def test_ring_is_hidden_in_a_close_up_only(placed: QuacDock) -> None:
    marks, camera = placed.points.layer, placed.viewer.scene.camera
    placed.choices.sample_index = 2
    settle(placed)
    rest(placed)
    assert marks.shown.tolist() == [True, True, False, True, True, True]
    camera.zoom /= 10
    rest(placed)
    assert marks.shown.all(), "the overview shows the selected point"
    camera.zoom *= 10
    rest(placed)
    assert not marks.shown[2]
    marks.mode = "select"
    rest(placed)
    assert marks.shown.all(), "a point can be moved"
    marks.mode = "pan_zoom"
    rest(placed)
    placed.choices.sample_index = 3
    settle(placed)
    assert marks.shown.tolist() == [True, True, True, False, True, True]
    placed.shut_down()
    assert marks.shown.all()


def test_hidden_ring_comes_back_when_points_are_removed(placed: QuacDock) -> None:
    marks = placed.points.layer
    placed.choices.sample_index = 4
    settle(placed)
    rest(placed)
    marks.remove([0])
    QApplication.processEvents()
    assert marks.shown.all() and len(marks.shown) == 5


def test_removed_frame_stays_away_until_it_is_requested(placed: QuacDock) -> None:
    rest(placed)
    placed.viewer.layers.remove("frame")
    placed.choices.sample_index = 2
    settle(placed)
    rest(placed)
    assert placed.patch_view.layer is None
    placed.show_layers()
    wait(lambda: placed.patch_view.layer is not None)


def test_line_has_the_same_width_on_the_screen(placed: QuacDock) -> None:
    rest(placed)
    camera = placed.viewer.scene.camera
    for factor in (0.1, 5, 5):
        camera.zoom *= factor
        rest(placed)
        (width,) = placed.patch_view.layer.edge_width
        assert width * camera.zoom * 4 == pytest.approx(2, rel=0.06)


@pytest.fixture
def regions(placed: QuacDock) -> Iterator[QuacDock]:
    placed.choices.shown_method = "residual"
    explain(placed)
    placed.threshold.slider.setValue(placed.threshold.slider.maximum() // 4)
    placed.regions.set_open(True)
    wait(lambda: placed.regions.displayed_regions is not None)
    yield placed


@pytest.mark.parametrize("way", ["button", "key"])
def test_region_never_loses_the_way_back(regions: QuacDock, way: str) -> None:
    camera = regions.viewer.scene.camera
    center = regions.points.layer.data_to_world(regions.points.layer.data[0])
    regions.regions.table.setCurrentItem(regions.regions.table.topLevelItem(0))
    pixels = np.array(regions.viewer.canvas.size) / (camera.zoom * 4)
    assert pixels.min() >= FEWEST_PIXELS - 1e-6 or share(regions) <= LARGEST_SHARE
    regions.viewer.dims.set_point(0, 200.0)
    camera.center, camera.zoom = (0.0, 9.0, 9.0), 40.0
    if way == "button":
        QTest.keyClick(regions.regions.back_button, Qt.Key.Key_Space)
    else:
        regions.activateWindow()
        regions.back_to_patch()
    rest(regions)
    assert SMALLEST_SHARE <= share(regions) <= LARGEST_SHARE
    np.testing.assert_allclose(camera.center[-2:], np.subtract(center[-2:], 2))
    assert regions.viewer.dims.point[0] == 0


@pytest.mark.long
def test_click_on_a_region_does_not_move_the_view(regions: QuacDock) -> None:
    camera = regions.viewer.scene.camera
    first = regions.regions.displayed_regions.regions[0]  # type: ignore[union-attr]
    place = regions.layers.layers["query"].data_to_world((0, *np.round(first.centroid)))
    before = (tuple(camera.center), camera.zoom)
    click_at(regions, place)
    assert (tuple(camera.center), camera.zoom) == before
