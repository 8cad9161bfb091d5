"""The table of regions: filled at rest, picked there and on the canvas, written to a file."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QWidget

from napari_quac.gui.dock import QuacDock
from napari_quac.live.controller import Controller
from napari_quac.networks.classifier import Classifier

from .conftest import explain, wait


@pytest.fixture
def opened(explained: QuacDock) -> QuacDock:
    explained.choices.shown_method = "residual"
    explained.threshold.slider.setValue(explained.threshold.slider.maximum() // 4)
    explained.regions.button.click()
    wait(lambda: explained.regions.displayed_regions is not None)
    return explained


def texts(dock: QuacDock, column: int) -> list[str]:
    table = dock.regions.table
    return [table.topLevelItem(row).text(column) for row in range(table.topLevelItemCount())]


def click_row(dock: QuacDock, row: int) -> None:
    dock.stages.reveal(dock.regions)
    table = dock.regions.table
    table.resize(table.sizeHint())  # the window of the test is not on the screen
    table.viewport().resize(table.sizeHint())
    place = table.visualItemRect(table.topLevelItem(row)).center()
    place.setX(20)  # a row may be wider than the table
    QTest.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=place)


class Click:
    """A press at a place in the world and what follows it, as napari tells it."""

    def __init__(self, position: tuple[float, ...]) -> None:
        self.position, self.button, self.type = position, 1, "mouse_press"
        self.pos = np.zeros(2)


def press_on_canvas(dock: QuacDock, position: tuple[float, ...], moves: int = 0) -> None:
    event = Click(position)
    callback = next(c for c in dock.viewer.mouse_drag_callbacks if c == dock.region_view.on_press)
    steps = callback(dock.viewer, event)
    next(steps, None)
    for _ in range(moves):
        event.type, event.pos = "mouse_move", event.pos + 5
        next(steps, None)
    event.type = "mouse_release"
    next(steps, None)


def test_nothing_is_asked_while_the_section_is_folded(
    explained: QuacDock, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(Controller, "request", lambda self, name: asked.append(name))
    for _ in range(5):
        QTest.keyClick(explained.threshold.slider, Qt.Key.Key_Right)
    QTest.qWait(400)
    assert asked == []
    assert explained.results.regions is None


def test_table_holds_the_regions_of_the_mask_on_show_and_sorts_by_number(opened: QuacDock) -> None:
    regions, shown = opened.results.regions, opened.results.displayed_hybrid
    assert regions is not None and shown is not None
    assert regions.index == shown.index
    assert len(regions.regions) >= 2
    effects = [float(text.replace("−", "-")) for text in texts(opened, 3)]
    np.testing.assert_allclose(effects, [r.effect_alone for r in regions.regions], atol=0.0051)
    assert "-0.00" not in texts(opened, 3)
    assert opened.regions.table.headerItem().text(1) == "area, nm²"
    assert texts(opened, 1)[0] == f"{16 * regions.regions[0].n_pixels:,}".replace(",", " ")
    assert int((regions.labels > 0).sum()) == shown.hybrid.n_pixels
    summary = opened.regions.findChild(QWidget, "summary_regions")
    assert f"{len(regions.regions)} regions" in summary.text()
    opened.regions.table.sortByColumn(1, Qt.SortOrder.DescendingOrder)
    sizes = sorted((r.n_pixels for r in regions.regions), reverse=True)
    by_number = {r.number: r.n_pixels for r in regions.regions}
    assert [by_number[int(number)] for number in texts(opened, 0)] == sizes


def test_table_follows_the_slider_when_it_rests(opened: QuacDock) -> None:
    before = opened.results.regions
    slider = opened.threshold.slider
    for _ in range(3):
        QTest.keyClick(slider, Qt.Key.Key_Left)
        assert opened.results.regions is None
        assert not opened.regions.table.isEnabled()
    wait(lambda: opened.regions.displayed_regions is not None)
    after = opened.results.regions
    assert after is not None and after is not before
    assert after.index == opened.results.displayed_hybrid.index  # type: ignore[union-attr]
    assert opened.regions.table.isEnabled()


@pytest.mark.long
def test_row_outlines_the_region_and_flies_there(opened: QuacDock) -> None:
    regions = opened.results.regions
    assert regions is not None
    active = opened.viewer.layers.selection.active
    click_row(opened, 1)
    layer = opened.region_view.layer
    np.testing.assert_array_equal(np.asarray(layer.data) == 1, regions.labels == 2)
    np.testing.assert_array_equal(layer.scale, opened.layers.layers["query"].scale)
    assert layer.visible
    center = opened.viewer.scene.camera.center[-2:]
    np.testing.assert_allclose(center, regions.regions[1].centroid_world, atol=1e-6)
    assert opened.viewer.layers.selection.active == active
    click_row(opened, 0)
    assert opened.region_view.layer is layer
    np.testing.assert_array_equal(np.asarray(layer.data) == 1, regions.labels == 1)
    QTest.keyClick(opened.threshold.slider, Qt.Key.Key_Left)
    assert not layer.visible


@pytest.mark.long
def test_click_on_a_region_selects_its_row_and_the_view_stays(opened: QuacDock) -> None:
    regions = opened.results.regions
    assert regions is not None
    pixel = np.argwhere(regions.labels == 2)[0]
    place = opened.layers.layers["query"].data_to_world(pixel)
    center = opened.viewer.scene.camera.center
    press_on_canvas(opened, place, moves=2)
    assert not opened.regions.table.selectedItems()
    press_on_canvas(opened, place)
    assert opened.regions.table.selectedItems()[0].text(0) == "2"
    assert opened.viewer.scene.camera.center == center
    assert opened.region_view.layer.visible
    press_on_canvas(opened, (-1e4, 0.0))
    assert opened.regions.table.selectedItems()[0].text(0) == "2"


def test_table_is_written_or_it_is_told_why_not(
    opened: QuacDock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened.regions.export(tmp_path / "regions.csv")
    regions = opened.results.regions
    assert regions is not None
    with (tmp_path / "regions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(regions.regions)
    assert float(rows[0]["effect_alone"]) == regions.regions[0].effect_alone
    assert (rows[0]["size_unit"], rows[0]["sample"]) == ("nm²", "corner/0")
    assert float(rows[0]["y_nm"]) == pytest.approx(4 * float(rows[0]["y_pixel"]))
    (tmp_path / "file").touch()
    wrong = str(tmp_path / "file" / "regions.csv")
    monkeypatch.setattr(
        "napari_quac.gui.panels.on_demand_section.QFileDialog.getSaveFileName",
        lambda *_: (wrong, ""),
    )
    opened.regions.export_button.click()
    assert opened.status.failure is not None
    assert "cannot be written" in opened.status.failure.sentence


@pytest.mark.long
def test_outline_gives_way_to_side_by_side_and_to_removal(opened: QuacDock) -> None:
    viewer: Any = opened.viewer
    click_row(opened, 0)
    opened.threshold.side_by_side_button.click()
    assert opened.region_view.layer is None
    assert "region" not in viewer.layers
    opened.threshold.side_by_side_button.click()
    assert opened.region_view.layer.visible
    viewer.layers.remove("region")
    assert opened.region_view.layer is None
    click_row(opened, 1)
    assert "region" in viewer.layers


def test_other_sample_empties_the_table(opened: QuacDock) -> None:
    opened.navigator.next_button.click()
    wait(lambda: opened.results.displayed_hybrid is None)
    assert opened.regions.table.topLevelItemCount() == 0
    wait(lambda: opened.results.prediction and opened.results.prediction.sample.id == "corner/1")
    explain(opened)
    wait(lambda: opened.regions.displayed_regions is not None)


@pytest.mark.long
def test_classifier_that_fails_is_told_and_the_next_mask_is_asked_about(
    opened: QuacDock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise RuntimeError("shape mismatch")

    with monkeypatch.context() as context:
        context.setattr(Classifier, "predict", fail)
        QTest.keyClick(opened.threshold.slider, Qt.Key.Key_Left)
        wait(lambda: opened.status.failure is not None)
        assert "analyzing regions" in opened.status.failure.sentence  # type: ignore[union-attr]
        assert opened.results.regions is None
        assert not opened.regions.table.isEnabled()
    QTest.keyClick(opened.threshold.slider, Qt.Key.Key_Left)
    wait(lambda: opened.regions.displayed_regions is not None)


def test_cancel_and_closing_while_regions_are_asked_about(opened: QuacDock) -> None:
    QTest.keyClick(opened.threshold.slider, Qt.Key.Key_Left)
    opened.controller.request("regions")
    opened.controller.cancel()
    assert "regions" not in opened.controller.running
    wait(lambda: opened.regions.displayed_regions is not None)  # asked again at rest
    QTest.keyClick(opened.threshold.slider, Qt.Key.Key_Left)
    opened.controller.request("regions")
    viewer: Any = opened.viewer
    assert any(c == opened.region_view.on_press for c in viewer.mouse_drag_callbacks)
    opened.shut_down()
    wait(lambda: not opened.lane.is_alive)
    assert not any(c == opened.region_view.on_press for c in viewer.mouse_drag_callbacks)
    QTest.qWait(400)
    assert opened.results.regions is None
