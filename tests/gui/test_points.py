"""Points over a volume, in a real viewer, by real mouse and keyboard."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_quac.data.volume import SpatialView
from napari_quac.data.volume_points import VolumePoints
from napari_quac.gui.dock import QuacDock
from napari_quac.gui.input_layers import transform_of, volume_of_layer
from napari_quac.testing import (
    CLASSES,
    ReadyNetwork,
    corner_classifier,
    corner_generator,
    corner_image,
)
from point_tables import write_point_table
from shared_data import shared_data

from .conftest import explain, wait

SIZE = 32
ROOM = 48


def made_volume(n: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Return sections with one corner image each, and the voxel in the middle of each."""
    volume = np.full((n, 200, 220), 60, np.uint8)
    points = []
    for number in range(n):
        y, x = ROOM + 15 * number, ROOM + 20 * number
        image = (corner_image(number % 3, SIZE, number)[0].numpy() * 255).round()
        volume[number, y - 16 : y + 16, x - 16 : x + 16] = image
        points.append((number, y, x))
    return volume, np.array(points, float)


def add_layers(dock: QuacDock, **place: Any) -> tuple[Any, Any]:
    volume, points = made_volume()
    place = place or {"scale": (40, 4, 4), "units": ("nm",) * 3}
    image = dock.viewer.add_image(volume, name="em", **place)
    marks = dock.viewer.add_points(
        points, name="marks", size=10, features={"class": [CLASSES[i % 3] for i in range(6)]},
        **place,
    )  # fmt: skip
    return image, marks


def settle(dock: QuacDock) -> None:
    wait(lambda: dock.results.prediction is not None and len(dock.layers.layers) == 5)
    wait(lambda: dock.results.predictions is not None and dock.results.predictions.is_complete)
    wait(lambda: not dock.controller.running and not dock.points.has_pending_update)
    wait(lambda: not dock.layers.has_pending_update)


@pytest.fixture
def placed(dock: QuacDock) -> QuacDock:
    dock.choices.classifier = ReadyNetwork(corner_classifier(SIZE))
    dock.choices.generator = ReadyNetwork(corner_generator(SIZE))
    wait(lambda: dock.results.loaded_classifier and dock.results.loaded_generator)
    add_layers(dock)
    dock.points_panel.set_open(True)
    dock.points_panel.use_button.click()
    settle(dock)
    return dock


def samples(dock: QuacDock) -> VolumePoints:
    dataset = dock.results.loaded_samples
    assert isinstance(dataset, VolumePoints)
    return dataset


def click_at(dock: QuacDock, world: Any, move: int = 0) -> None:
    """Press and release the left button in the canvas where a world position is seen."""
    viewer = dock.viewer
    QApplication.processEvents()
    height, width = viewer.canvas.size
    camera = viewer.scene.camera
    y = height / 2 + (world[-2] - camera.center[-2]) * camera.zoom
    x = width / 2 + (world[-1] - camera.center[-1]) * camera.zoom
    native = viewer_canvas(dock)
    at = QPoint(round(x), round(y))
    QTest.mouseMove(native, at)
    QTest.mousePress(native, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, at)
    if move:
        for step in range(1, 5):
            QTest.mouseMove(native, at + QPoint(move * step // 4, 0))
    at += QPoint(move, 0)
    QTest.mouseRelease(native, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, at)
    QApplication.processEvents()


def viewer_canvas(dock: QuacDock) -> Any:
    """Return the widget that napari draws in."""
    from vispy.app.backends._qt import CanvasBackendDesktop

    return next(w for w in dock.window().centralWidget().findChildren(CanvasBackendDesktop))


@pytest.mark.long
def test_points_and_image_become_samples_with_classes(placed: QuacDock) -> None:
    dataset = samples(placed)
    assert (len(dataset), dataset.classes) == (6, ("both", "left", "right"))
    volume, points = made_volume()
    y, x = points[0, 1:].astype(int)
    np.testing.assert_array_equal(
        dataset[0].image[0].numpy(), volume[0, y - 16 : y + 16, x - 16 : x + 16] / np.float32(255)
    )
    assert placed.points_panel.message.text() == "6 of 6 points used."


def test_result_layers_lie_on_the_point_and_carry_the_source(placed: QuacDock) -> None:
    explain(placed)
    placed.choices.sample_index = 2
    settle(placed)
    world = placed.points.layer.data_to_world(placed.points.layer.data[2])
    for layer in placed.layers.layers.values():
        assert layer.ndim == 3 and layer.data.shape == (1, 32, 32)
        np.testing.assert_array_equal(layer.scale, (40, 4, 4))
        assert [str(unit) for unit in layer.units] == ["nanometer"] * 3
        np.testing.assert_allclose(layer.data_to_world((0, 16, 16)), world)
    names = [layer.name for layer in placed.viewer.layers]
    assert names == ["em", "query", "generated", "hybrid", "attribution", "mask", "frame", "marks"]


def test_click_in_the_canvas_selects_and_flies_and_a_drag_does_not(placed: QuacDock) -> None:
    viewer, marks = placed.viewer, placed.points.layer
    world = marks.data_to_world(marks.data[3])
    viewer.dims.set_point(0, world[0])
    click_at(placed, world)
    assert placed.choices.sample_index == 3
    assert set(marks.selected_data) == {3}
    np.testing.assert_allclose(viewer.scene.camera.center[-2:], world[-2:])
    assert viewer.dims.point[0] == world[0]
    settle(placed)
    placed.choices.sample_index = 5  # a row
    assert set(marks.selected_data) == {5} and viewer.dims.point[0] == 5 * 40
    marks.selected_data = {1}  # in napari's own select mode
    assert placed.choices.sample_index == 1 and viewer.dims.point[0] == 40
    settle(placed)
    click_at(placed, marks.data_to_world(marks.data[1]) + np.array([0, 90, 90]))
    assert placed.choices.sample_index == 1, "a click beside a point"
    world = marks.data_to_world(marks.data[2])
    placed.viewer.dims.set_point(0, world[0])
    click_at(placed, world, move=60)
    assert placed.choices.sample_index == 1, "a drag"


@pytest.mark.long
def test_explain_on_click(placed: QuacDock) -> None:
    explained: list[str] = []
    placed.explained.connect(lambda: explained.append(placed.results.pair.query.id))  # type: ignore[union-attr]
    marks = placed.points.layer
    for row in (1, 3):
        placed.points_panel.explain_check.setChecked(row == 3)
        world = marks.data_to_world(marks.data[row])
        placed.viewer.dims.set_point(0, world[0])
        click_at(placed, world)
        settle(placed)
    wait(lambda: explained and not placed.controller.running)
    assert explained == ["point 3"]


def test_predictions_become_features_and_colours_wrong_ones_outlined(
    placed: QuacDock,
) -> None:
    marks, table = placed.points.layer, placed.results.predictions
    assert table is not None
    features = marks.features
    assert list(features["class"]) == [CLASSES[i % 3] for i in range(6)]
    assert list(features["predicted"]) == [table.class_names[i] for i in table.predicted]
    np.testing.assert_allclose(features["confidence"], table.confidence)
    assert set(features["as labelled"]) <= {"yes", "no"}
    same = table.predicted[1] == table.predicted[4]
    assert np.array_equal(marks.face_color[1], marks.face_color[4]) == same
    assert marks.face_color[0, 3] == 0, "the selected one is a ring"
    np.testing.assert_array_equal(marks.scale, (40, 4, 4))
    np.testing.assert_array_equal(marks.data, made_volume()[1])
    changed = marks.features.copy()
    changed["class"] = [CLASSES[(i + (i == 4)) % 3] for i in range(6)]
    marks.features = changed
    placed.points_panel.use_button.click()
    settle(placed)
    red = [bool(color[0] > 0.9 and color[1] < 0.4) for color in marks.border_color]
    assert red == [False, False, False, False, True, False]


def table_file(tmp_path: Path, factor: Any = 1.0, shift: Any = 0.0, reverse: bool = False) -> Path:
    points = made_volume()[1] * factor + shift
    points = points[:, ::-1] if reverse else points
    path = tmp_path / "synapses.csv"
    write_point_table(path, points, more={"id": [2**60 + i for i in range(6)],
                                          "class": [CLASSES[i % 3] for i in range(6)]})  # fmt: skip
    return path


def open_table(dock: QuacDock, path: Path) -> Any:
    panel = dock.points_panel
    panel.table_field.edit.setText(str(path))
    QTest.keyClick(panel.table_field.edit, Qt.Key.Key_Return)
    wait(lambda: panel.table is not None and panel.points_menu.currentData() == "table")
    return panel


@pytest.mark.long
def test_table_is_read_in_the_reading_that_fits(placed: QuacDock, tmp_path: Path) -> None:
    panel = open_table(placed, table_file(tmp_path, (40, 4, 4), reverse=True))
    box = panel.table_box
    assert box.preview.text() == "6 of 6 inside"
    assert (box.order_menu.currentData(), box.unit_menu.currentData()) == ("x-y-z", "nm")
    panel.use_button.click()
    settle(placed)
    added = placed.viewer.layers["synapses"]
    np.testing.assert_allclose(added.data, made_volume()[1])
    assert samples(placed).sample_id(1) == str(2**60 + 1)
    assert placed.viewer.layers["marks"] is not None
    assert samples(placed).classes == ("both", "left", "right")


def test_wrong_unit_and_order_are_told_before_and_refused(placed: QuacDock, tmp_path: Path) -> None:
    before = placed.choices.samples
    for factor, reverse, unit, sentence in (
        ((40, 4, 4), False, "µm", "0 of 6 inside. Read as nm (40, 4, 4): 6 inside."),
        ((1, 1, 1), True, "voxel", "0 of 6 inside. Read as voxels, x-y-z: 6 inside."),
        ((1e7, 1e7, 1e7), False, "voxel", "0 of 6 inside for every axis order and unit"),
    ):
        placed.points_panel.table = None
        panel = open_table(placed, table_file(tmp_path, factor, reverse=reverse))
        box = panel.table_box
        box.order_menu.setCurrentIndex(0)
        box.unit_menu.setCurrentIndex(box.unit_menu.findData(unit))
        assert sentence in box.preview.text() and box.preview.tone == "bad"
        panel.use_button.click()
        assert sentence in panel.message.text() and panel.message.tone == "bad"
        assert placed.choices.samples is before


def test_points_outside_are_counted_and_say_so_when_clicked(placed: QuacDock) -> None:
    marks = placed.points.layer
    marks.add([[2, 30, 900]])
    assert "1 point changed in 'marks' and has no prediction" in placed.points_panel.message.text()
    placed.points_panel.use_button.click()
    settle(placed)
    assert "6 of 7 points used. 1 point lies outside" in placed.points_panel.message.text()
    marks.selected_data = {6}
    assert "Point 7 is not a sample" in placed.points_panel.message.text()


@pytest.mark.long
def test_mirrored_and_turned_layers_keep_results_on_the_point(placed: QuacDock) -> None:
    viewer = placed.viewer
    viewer.layers.remove("em")
    viewer.layers.remove("marks")
    turn = np.array([[1, 0, 0], [0, 0.8, -0.6], [0, 0.6, 0.8]])
    _, marks = add_layers(placed, scale=(40, -4, 5), rotate=turn, translate=(100, 7, -30),
                          units=("nm",) * 3)  # fmt: skip
    placed.points_panel.choose("em", "marks")
    placed.points_panel.use_button.click()
    dataset = placed.choices.samples.dataset  # type: ignore[union-attr]
    wait(lambda: placed.results.loaded_samples is dataset)
    placed.choices.sample_index = 4
    settle(placed)
    world = marks.data_to_world(marks.data[4])
    for layer in placed.layers.layers.values():
        np.testing.assert_allclose(layer.data_to_world((0, 16, 16)), world, atol=1e-9)
        np.testing.assert_allclose(layer.rotate, turn)
        assert tuple(layer.scale) == (40, -4, 5)
    np.testing.assert_allclose(viewer.scene.camera.center[-2:], world[-2:])


@pytest.mark.long
def test_outline_of_a_region_lies_on_a_mirrored_and_turned_layer(placed: QuacDock) -> None:
    for name in ("em", "marks"):
        placed.viewer.layers.remove(name)
    turn = np.array([[1, 0, 0], [0, 0.8, -0.6], [0, 0.6, 0.8]])
    add_layers(placed, scale=(40, -4, 5), rotate=turn, translate=(100, 7, -30),
               units=("nm",) * 3)  # fmt: skip
    placed.points_panel.choose("em", "marks")
    placed.points_panel.use_button.click()
    dataset = placed.choices.samples.dataset  # type: ignore[union-attr]
    wait(lambda: placed.results.loaded_samples is dataset)
    settle(placed)
    placed.choices.shown_method = "residual"
    explain(placed)
    placed.threshold.slider.setValue(placed.threshold.slider.maximum() // 4)
    placed.regions.button.click()
    wait(lambda: placed.regions.displayed_regions is not None)
    placed.regions.table.setCurrentItem(placed.regions.table.topLevelItem(0))
    outline, query = placed.region_view.layer, placed.layers.layers["query"]
    assert outline.data.shape == query.data.shape == (1, 32, 32)
    for voxel in ((0, 0, 0), (0, 31, 5)):
        np.testing.assert_allclose(outline.data_to_world(voxel), query.data_to_world(voxel))
    first = placed.regions.displayed_regions.regions[0]  # type: ignore[union-attr]
    center = query.data_to_world((0, *first.centroid))
    np.testing.assert_allclose(placed.viewer.scene.camera.center[-2:], center[-2:])
    assert placed.viewer.scene.camera.zoom > 0


@pytest.mark.parametrize(("of_volume", "of_points"), [("um", "nm"), ("nm", "um")])
@pytest.mark.long
def test_clicks_and_flights_where_layers_differ_in_unit(
    dock: QuacDock, of_volume: str, of_points: str
) -> None:
    dock.choices.classifier = ReadyNetwork(corner_classifier(SIZE))
    dock.choices.generator = ReadyNetwork(corner_generator(SIZE))
    wait(lambda: dock.results.loaded_classifier and dock.results.loaded_generator)
    volume, points = made_volume()
    nm = np.array([40.0, 4.0, 4.0])
    per = {"nm": 1.0, "um": 1e-3}
    dock.viewer.add_image(volume, name="em", scale=nm * per[of_volume], units=(of_volume,) * 3)
    marks = dock.viewer.add_points(points * nm * per[of_points], name="marks",
                                    units=(of_points,) * 3, size=40 * per[of_points])  # fmt: skip
    dock.points_panel.set_open(True)
    dock.points_panel.use_button.click()
    settle(dock)
    assert {str(unit) for unit in dock.viewer.dims.units} == {"nanometer"}
    for row in (3, 1):
        dock.viewer.dims.set_point(0, points[row, 0] * 40)
        dock.viewer.scene.camera.center = (0, 400, 400)
        dock.viewer.scene.camera.zoom = 0.5
        click_at(dock, points[row] * nm)
        assert dock.choices.sample_index == row and set(marks.selected_data) == {row}
        settle(dock)
        assert dock.viewer.dims.point[0] == pytest.approx(points[row, 0] * 40)
        center = dock.viewer.scene.camera.center[-2:]
        np.testing.assert_allclose(center, points[row, 1:] * 4)
    explain(dock)
    dock.regions.button.click()
    wait(lambda: dock.regions.displayed_regions is not None)
    dock.regions.table.setCurrentItem(dock.regions.table.topLevelItem(0))
    inside = np.argwhere(dock.regions.displayed_regions.labels == 1)[0]  # type: ignore[union-attr]
    place = (points[1] + (0, *(inside - 16))) * nm
    assert dock.region_view.number_at(place) == 1
    center = dock.viewer.scene.camera.center[-2:]
    assert np.abs(center - points[1, 1:] * 4).max() < 16 * 4


@pytest.mark.long
def test_volume_in_micrometres_with_points_in_nanometres(dock: QuacDock) -> None:
    dock.choices.classifier = ReadyNetwork(corner_classifier(SIZE))
    dock.choices.generator = ReadyNetwork(corner_generator(SIZE))
    wait(lambda: dock.results.loaded_classifier and dock.results.loaded_generator)
    volume, points = made_volume()
    dock.viewer.add_image(volume, name="em", scale=(0.04, 0.004, 0.004), units=("um",) * 3)
    dock.viewer.add_points(points * (40, 4, 4), name="marks", units=("nm",) * 3)
    dock.points_panel.set_open(True)
    dock.points_panel.use_button.click()
    settle(dock)
    dock.choices.shown_method = "residual"
    dock.choices.sample_index = 2
    settle(dock)
    y, x = points[2, 1:].astype(int)
    np.testing.assert_array_equal(
        samples(dock)[2].image[0].numpy(),
        volume[2, y - 16 : y + 16, x - 16 : x + 16] / np.float32(255),
    )
    np.testing.assert_allclose(dock.layers.layers["query"].data_to_world((0, 16, 16)),
                               points[2] * (0.04, 0.004, 0.004))  # fmt: skip
    explain(dock)
    dock.threshold.slider.setValue(dock.threshold.slider.maximum() // 4)
    dock.regions.button.click()
    wait(lambda: dock.regions.displayed_regions is not None)
    first, item = dock.regions.displayed_regions.regions[0], dock.regions.table.topLevelItem(0)  # type: ignore[union-attr]
    assert dock.regions.table.headerItem().text(1) == "area, µm²"
    assert float(item.text(1)) == pytest.approx(first.n_pixels * 0.004**2, rel=0.005) != 0
    assert (
        f"{dock.results.displayed_hybrid.hybrid.n_pixels * 0.004**2:.3g} µm²"
        in dock.threshold.line.text()
    )  # type: ignore[union-attr]


def test_layers_that_are_renamed_and_moved_stay_chosen(placed: QuacDock) -> None:
    viewer, panel = placed.viewer, placed.points_panel
    viewer.layers["em"].name = "tissue"
    viewer.layers["marks"].name = "mine"
    viewer.layers.move(viewer.layers.index("tissue"), len(viewer.layers))
    assert (panel.volume_menu.currentText(), panel.points_menu.currentText()) == ("tissue", "mine")
    assert placed.samples.layer_menu.currentData() == "tissue"
    panel.use_button.click()
    settle(placed)
    assert panel.message.text() == "6 of 6 points used."


@pytest.mark.long
def test_how_stored_numbers_and_places_were_read_is_said(placed: QuacDock) -> None:
    viewer, panel = placed.viewer, placed.points_panel
    volume, points = made_volume()
    viewer.add_image(volume.astype(np.uint16) * 10, name="deep", contrast_limits=(0, 2550),
                     scale=(40, 4, 4), units=("nm",) * 3)  # fmt: skip
    viewer.add_points(points * (0, 1, 1), name="bare")
    panel.choose("deep", "marks")
    panel.use_button.click()
    assert "Stored values: 0 is black, 2550 is white" in panel.message.text()
    panel.choose("em", "bare")
    panel.use_button.click()
    assert "its coordinates are interpreted as nm" in panel.message.text()
    assert panel.message.tone == "bad"
    wait(lambda: not placed.controller.running)


def test_coarse_level_on_screen_has_no_say(placed: QuacDock) -> None:
    volume, points = made_volume()
    viewer = placed.viewer
    levels = [volume, volume[:, ::2, ::2], volume[:, ::4, ::4]]
    image = viewer.add_image(levels, multiscale=True, name="pyramid", scale=(40, 4, 4),
                             units=("nm",) * 3)  # fmt: skip
    image.locked_data_level = 2
    assert image.data_level == 2
    panel = placed.points_panel
    panel.choose("pyramid", "marks")
    panel.use_button.click()
    wait(lambda: placed.results.loaded_samples.volume.name == "pyramid")  # type: ignore[union-attr]
    settle(placed)
    y, x = points[0, 1:].astype(int)
    expected = volume[0, y - 16 : y + 16, x - 16 : x + 16] / np.float32(255)
    np.testing.assert_array_equal(samples(placed)[0].image[0].numpy(), expected)
    panel.patch.network_spin.setValue(8)
    panel.use_button.click()
    assert placed.choices.samples.dataset.level.shape == (6, 100, 110)  # type: ignore[union-attr]
    panel.patch.network_spin.setValue(6)
    panel.use_button.click()
    assert "trained with 6 × 6 nm. Turn on Resample" in panel.message.text()


@pytest.mark.parametrize("name", ["em", "marks", "query"])
@pytest.mark.long
def test_layer_deleted_during_the_run_leaves_the_results(placed: QuacDock, name: str) -> None:
    placed.choices.update_settings(max_tries=3)
    done: list[bool] = []
    placed.explained.connect(lambda: done.append(True))
    placed.search.explain_button.click()
    placed.viewer.layers.remove(name)
    wait(lambda: done)
    assert placed.results.displayed_hybrid is not None and not placed.status.failure
    if name != "query":
        assert f"The layer '{name}' was removed" in placed.points_panel.message.text()
    placed.choices.sample_index = 3
    settle(placed)
    assert placed.results.sample.id == "point 3"  # type: ignore[union-attr]
    if name == "marks":
        assert not placed.points_panel.points_menu.currentData()


def test_volume_file_opens_lazily_as_a_layer(dock: QuacDock, tmp_path: Path) -> None:
    import zarr

    volume, _ = made_volume()
    made = zarr.create_array(tmp_path / "em.zarr", shape=volume.shape, chunks=(1, 64, 64),
                             dtype="u1")  # fmt: skip
    made[:] = volume
    made.attrs.update({"resolution": [40, 4, 4]})
    panel = dock.points_panel
    panel.use_button.click()
    assert "Choose an image layer" in panel.message.text()
    panel.volume_field.edit.setText(str(tmp_path / "em.zarr"))
    QTest.keyClick(panel.volume_field.edit, Qt.Key.Key_Return)
    wait(lambda: "em" in dock.viewer.layers)
    layer = dock.viewer.layers["em"]
    assert isinstance(layer.data, SpatialView) and panel.volume_menu.currentData() == "em"
    assert panel.voxel_line.text() == "6 × 200 × 220 voxels of 40 × 4 × 4 nm"
    panel.use_button.click()
    assert "Choose a Points layer" in panel.message.text()
    panel.volume_field.edit.setText(str(tmp_path / "other.zarr"))
    QTest.keyClick(panel.volume_field.edit, Qt.Key.Key_Return)
    wait(lambda: "does not exist" in panel.message.text())


def test_part_of_a_volume_that_is_damaged_is_told_and_the_rest_goes_on(
    placed: QuacDock, tmp_path: Path
) -> None:
    import zarr
    from napari.utils.notifications import notification_manager

    volume, _ = made_volume()
    made = zarr.create_array(tmp_path / "z.zarr", shape=volume.shape, chunks=(1, 64, 64),
                             dtype="u1", attributes={"resolution": [40, 4, 4]})  # fmt: skip
    made[:] = volume
    for chunk in (tmp_path / "z.zarr" / "c" / "3").rglob("*"):
        if chunk.is_file():
            chunk.write_bytes(b"junk")
    panel = placed.points_panel
    panel.volume_field.edit.setText(str(tmp_path / "z.zarr"))
    QTest.keyClick(panel.volume_field.edit, Qt.Key.Key_Return)
    wait(lambda: "z" in placed.viewer.layers)
    panel.use_button.click()
    wait(lambda: placed.results.loaded_samples.volume.name == "z")  # type: ignore[union-attr]
    wait(lambda: placed.results.predictions and placed.results.predictions.failures)
    settle(placed)
    table = placed.results.predictions
    assert table is not None and table.is_predicted.tolist() == [True] * 3 + [False] + [True] * 2
    placed.choices.sample_index = 3
    wait(lambda: placed.status.failure is not None)
    assert "cannot be read" in placed.status.failure.sentence  # type: ignore[union-attr]
    told = [r.message for r in notification_manager.records if "displayed in black" in r.message]
    assert len(told) == 1
    placed.choices.sample_index = 2
    settle(placed)
    placed.status.forget_failure()
    explain(placed)
    assert placed.results.pair.query.id == "point 2"  # type: ignore[union-attr]


def test_file_with_several_images_asks_which_one(dock: QuacDock, tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    volume, _ = made_volume()
    with h5py.File(tmp_path / "em.h5", "w") as file:
        file["labels"], file["volumes/raw"] = volume // 2, np.stack([volume // 3, volume])
    panel, menu = dock.points_panel, dock.points_panel.array_row.menu
    panel.set_open(True)
    assert panel.array_row.isHidden()
    panel.volume_field.edit.setText(str(tmp_path / "em.h5"))
    QTest.keyClick(panel.volume_field.edit, Qt.Key.Key_Return)
    wait(lambda: not panel.array_row.isHidden())
    assert panel.message.text() == "'em.h5' holds 2 images. Choose one above."
    assert [menu.itemText(i) for i in range(menu.count())] == ["labels", "volumes/raw"]
    assert menu.currentIndex() == -1 and not len(dock.viewer.layers)
    menu.setFocus()
    QTest.keyClick(menu, Qt.Key.Key_Down)
    wait(lambda: "labels" in dock.viewer.layers)
    np.testing.assert_array_equal(np.asarray(dock.viewer.layers["labels"].data), volume // 2)
    QTest.keyClick(menu, Qt.Key.Key_Down)
    wait(lambda: "raw" in dock.viewer.layers and "channel 1 of 2" in menu.currentText())
    QTest.keyClick(menu, Qt.Key.Key_Down)
    wait(lambda: "raw [1]" in dock.viewer.layers)
    np.testing.assert_array_equal(np.asarray(dock.viewer.layers["raw [1]"].data), volume)
    assert panel.volume_menu.currentData() == "raw [1]"
    for layer in list(dock.viewer.layers):
        layer.data._level.array.file.close()


@pytest.mark.long
def test_rows_without_a_position_keep_the_numbers_of_the_others(
    placed: QuacDock, tmp_path: Path
) -> None:
    lines = ["z;y;x;class", *(f"{z:g},0;{y:g};{x:g};left" for z, y, x in made_volume()[1])]
    lines.insert(3, ";;;right")
    (tmp_path / "s.csv").write_text("\n".join(lines))
    panel = open_table(placed, tmp_path / "s.csv")
    assert panel.table_box.preview.text() == (
        "6 of 6 inside. 1 row has no position and will be skipped. "
        "Commas are interpreted as decimal commas."
    )
    panel.use_button.click()
    settle(placed)
    dataset = samples(placed)
    assert [dataset.sample_id(i) for i in (1, 2)] == ["point 1", "point 3"]
    np.testing.assert_allclose(placed.viewer.layers["s"].data, made_volume()[1])


@pytest.mark.long
def test_selected_point_is_a_ring_of_its_own_colour(placed: QuacDock) -> None:
    marks = placed.points.layer
    blue = marks.border_color[0].copy()
    assert marks.face_color[0, 3] == 0 and blue[2] > 0.9 > blue[0] + 0.5
    placed.choices.sample_index = 4
    np.testing.assert_array_equal(marks.border_color[4], blue)
    np.testing.assert_array_equal(marks.border_color[0], marks.border_color[2])
    assert marks.face_color[0, 3] == marks.face_color[2, 3] > 0
    placed.points_panel.use_button.click()
    settle(placed)
    np.testing.assert_array_equal(marks.border_color[0], blue)
    np.testing.assert_array_equal(marks.border_color[4], marks.border_color[2])


@pytest.mark.filterwarnings("ignore:Non-orthogonal slicing")
@pytest.mark.parametrize("ndim", [2, 3])
def test_transform_of_a_layer_is_napari_s(ndim: int) -> None:
    from napari.layers import Image

    rng = np.random.default_rng(ndim)
    layer = Image(
        np.zeros((4,) * ndim), scale=rng.uniform(-5, 5, ndim), translate=rng.normal(size=ndim),
        rotate=np.linalg.qr(rng.normal(size=(ndim, ndim)))[0],
        shear=rng.normal(size=ndim * (ndim - 1) // 2),
        affine=np.vstack([rng.normal(size=(ndim, ndim + 1)), np.eye(ndim + 1)[-1]]),
    )  # fmt: skip
    for voxel in rng.normal(size=(3, ndim)):
        np.testing.assert_allclose(transform_of(layer).to_world(voxel), layer.data_to_world(voxel))
    assert volume_of_layer(layer).unit is None


@pytest.mark.long
def test_example_opens_as_a_volume(dock: QuacDock) -> None:
    QTest.mouseClick(dock.start.volume_button, Qt.MouseButton.LeftButton)
    wait(lambda: dock.results.prediction is not None)
    assert dock.viewer.layers[0].name == "synapse volume"
    assert samples(dock).classes == ("PSD", "T-bar", "plain")
    assert dock.results.prediction.sample.scale == (4, 4)  # type: ignore[union-attr]


def test_real_sections_come_from_local_files_with_their_licence(
    make_napari_viewer: Callable[[], Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from napari_quac.errors import DataError
    from napari_quac.gui.sample_data import drosophila_vnc

    viewer = make_napari_viewer()
    folder = shared_data("vnc_volume", "stack1_sections00-13.tif").parent
    monkeypatch.setenv("NAPARI_QUAC_VNC_FOLDER", str(folder))
    ((data, look, kind),) = drosophila_vnc()
    assert data.shape == (14, 1024, 1024) and kind == "image"
    layer = viewer.add_image(data, **look)
    assert "CC BY-NC-SA 3.0" in layer.name and "856713" in layer.metadata["citation"]
    monkeypatch.setenv("NAPARI_QUAC_VNC_FOLDER", str(tmp_path))
    monkeypatch.setattr("napari_quac.data.vnc_sample.BASE_URL", "http://127.0.0.1:1/")
    with pytest.raises(DataError, match="Check the network"):
        drosophila_vnc()
