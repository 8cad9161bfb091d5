"""Voxel and pixel sizes that the user enters, and the scale bar that follows from them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_quac.gui.dock import QuacDock
from napari_quac.gui.input_layers import volume_of_layer
from napari_quac.gui.voxel_size import set_voxel_size
from napari_quac.testing import (
    CLASSES,
    ReadyNetwork,
    corner_classifier,
    corner_generator,
    corner_image,
)

from .conftest import explain, wait
from .test_points import SIZE, add_layers, made_volume, settle

NM = (45.0, 4.6, 4.6)


def enter(field: Any, number: float) -> None:
    """Type a number into a field, and leave it."""
    field.setFocus()
    field.selectAll()
    QTest.keyClicks(field, f"{number:g}")
    QTest.keyClick(field, Qt.Key.Key_Return)
    QApplication.processEvents()


def use_points(dock: QuacDock) -> None:
    QTest.keyClick(dock.points_panel.use_button, Qt.Key.Key_Space)
    settle(dock)


def units(layer: Any) -> set[str]:
    return {str(unit) for unit in layer.units}


@pytest.fixture
def networks(dock: QuacDock) -> QuacDock:
    dock.choices.classifier = ReadyNetwork(corner_classifier(SIZE))
    dock.choices.generator = ReadyNetwork(corner_generator(SIZE))
    wait(lambda: dock.results.loaded_classifier and dock.results.loaded_generator)
    dock.points_panel.set_open(True)
    return dock


def write_table(folder: Path, points: Any, header: str = "z,y,x") -> Path:
    path = folder / "points.csv"
    rows = "\n".join(",".join(f"{c:g}" for c in point) for point in points)
    path.write_text(f"{header}\n{rows}\n")
    return path


@pytest.mark.parametrize("unit", ["voxel", "nm"])
def test_typed_voxel_size_is_that_of_layers_samples_and_areas(
    networks: QuacDock, tmp_path: Path, unit: str
) -> None:
    panel = networks.points_panel
    volume, points = made_volume()
    image = networks.viewer.add_image(volume, name="em")
    written = points if unit == "voxel" else points * NM
    panel.open_table(write_table(tmp_path, written))
    wait(lambda: panel.table is not None)
    assert not panel.voxel_row.isHidden()
    assert [field.text() for field in panel.voxel_row.fields] == ["?"] * 3
    for field, size in zip(panel.voxel_row.fields, NM, strict=True):
        enter(field, size)
    assert panel.table_box.reading.unit == unit
    assert "6 of 6" in panel.table_box.preview.text()
    use_points(networks)
    marks = networks.points.layer
    for layer in (image, marks):
        np.testing.assert_allclose(layer.scale, NM)
        assert units(layer) == {"nanometer"}
    np.testing.assert_allclose(marks.data, points, atol=1e-4)
    assert networks.points.is_stale is False
    sample = networks.results.sample
    assert sample is not None and sample.unit == "nm"
    np.testing.assert_allclose(sample.scale, NM[1:])
    assert not panel.voxel_row.isHidden(), "a typing error can be corrected"
    explain(networks)
    assert "nm²" in networks.threshold.line.text()
    for layer in networks.layers.layers.values():
        np.testing.assert_allclose(layer.scale, NM)
    assert networks.viewer.canvas.overlays.scale_bar.visible


def test_voxel_size_can_be_corrected_and_points_of_a_layer_follow(networks: QuacDock) -> None:
    panel = networks.points_panel
    image, marks = add_layers(networks, scale=(1, 1, 1), translate=(2, 3, 4))
    use_points(networks)
    assert networks.results.sample is not None and networks.results.sample.unit is None
    assert not networks.viewer.canvas.overlays.scale_bar.visible
    for sizes in (NM, (40.0, 4.0, 4.0)):
        for field, size in zip(panel.voxel_row.fields, sizes, strict=True):
            enter(field, size)
        use_points(networks)
        for layer in (image, marks):
            np.testing.assert_allclose(layer.scale, sizes)
            np.testing.assert_allclose(layer.translate, np.multiply(sizes, (2, 3, 4)))
        np.testing.assert_allclose(networks.results.sample.scale, sizes[1:])
    assert panel.message.text() == "6 of 6 points used."


def test_incomplete_voxel_size_is_refused(networks: QuacDock) -> None:
    image, _ = add_layers(networks, scale=(1, 1, 1))
    enter(networks.points_panel.voxel_row.fields[0], 45)
    QTest.keyClick(networks.points_panel.use_button, Qt.Key.Key_Space)
    assert "incomplete" in networks.points_panel.message.text()
    np.testing.assert_array_equal(image.scale, 1)
    assert networks.results.loaded_samples is None


def test_rotated_layers_keep_their_shape(networks: QuacDock) -> None:
    volume, _ = made_volume()
    turn = np.array([[1, 0, 0], [0, 0.8, -0.6], [0, 0.6, 0.8]])
    image = networks.viewer.add_image(volume, name="em", rotate=turn)
    before = image.data_to_world((1, 20, 30))
    set_voxel_size(image, (40, 4, 4))
    np.testing.assert_allclose(image.data_to_world((1, 20, 30)), np.multiply(before, (40, 4, 4)))
    sizes = volume_of_layer(image).finest.transform.voxel_size()
    np.testing.assert_allclose(sizes, (40, 4, 4), rtol=1e-6)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(6):
        path = tmp_path / "patches" / CLASSES[number % 3] / f"{number}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = (corner_image(number % 3, SIZE, number)[0].numpy() * 255).round()
        tifffile.imwrite(path, pixels.astype(np.uint8))
    return tmp_path / "patches"


def test_pixel_size_of_a_folder_gives_areas_scale_bar_and_no_assumption(
    networks: QuacDock, folder: Path
) -> None:
    samples = networks.samples
    samples.open_folder(folder)
    wait(lambda: networks.results.previews and not networks.controller.running)
    row = samples.pixel_row
    assert [field.isHidden() for field in row.fields] == [True, True, False]
    assert "voxel size" in samples.assumed_button.text()
    bar = networks.viewer.canvas.overlays.scale_bar
    assert not bar.visible
    enter(row.fields[2], 4)
    wait(lambda: networks.results.sample is not None and networks.results.sample.unit == "nm")
    wait(lambda: not networks.controller.running and not networks.layers.has_pending_update)
    assert networks.results.sample.scale == (4, 4)  # type: ignore[union-attr]
    assert "voxel size" not in samples.assumed_button.text()
    assert bar.visible
    explain(networks)
    assert "nm²" in networks.threshold.line.text()
    assert row.fields[2].value() == 4
    enter(row.fields[2], 0)
    wait(lambda: networks.results.sample is not None and networks.results.sample.unit is None)
    assert not bar.visible
    assert row.fields[2].text() == "?"


def test_pixel_size_of_a_stack_layer_is_given_to_the_layer(networks: QuacDock) -> None:
    images = np.stack([(corner_image(n % 3, SIZE, n)[0].numpy() * 255) for n in range(4)])
    layer = networks.viewer.add_image(images.astype(np.uint8), name="stack")
    samples = networks.samples
    samples.layer_menu.choose("stack")
    QTest.keyClick(samples.use_layer_button, Qt.Key.Key_Space)
    wait(lambda: networks.results.previews and not networks.controller.running)
    assert not samples.pixel_row.isHidden()
    enter(samples.pixel_row.fields[2], 4)
    wait(lambda: networks.results.sample is not None and networks.results.sample.unit == "nm")
    np.testing.assert_allclose(layer.scale, (1, 4, 4))
    assert [str(unit) for unit in layer.units] == ["pixel", "nanometer", "nanometer"]
    assert networks.results.sample.scale == (4, 4)  # type: ignore[union-attr]
    assert samples.problem.isHidden()
    enter(samples.pixel_row.fields[2], 8)
    wait(lambda: networks.results.sample is not None and networks.results.sample.scale == (8, 8))
    np.testing.assert_allclose(layer.scale, (1, 8, 8))


def test_scale_bar_is_restored_and_the_user_decides(networks: QuacDock) -> None:
    bar = networks.viewer.canvas.overlays.scale_bar
    add_layers(networks)
    use_points(networks)
    assert bar.visible
    bar.visible = False  # by napari's menu
    networks.choices.sample_index = 2
    settle(networks)
    assert not bar.visible
    networks.shut_down()
    assert not bar.visible


def test_scale_bar_is_hidden_again_when_the_dock_closes(networks: QuacDock) -> None:
    add_layers(networks)
    use_points(networks)
    bar = networks.viewer.canvas.overlays.scale_bar
    assert bar.visible
    networks.shut_down()
    assert not bar.visible
