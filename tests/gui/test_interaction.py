from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_quac.gui.dock import QuacDock
from napari_quac.gui.layers import NAMES
from napari_quac.networks.classifier import Classifier
from rounding import F32

from .conftest import explain, load, open_dock, wait


def assert_agrees(dock: QuacDock) -> None:
    """Mask, hybrid, bars, marker, slider and text tell the same."""
    shown = dock.results.displayed_hybrid
    assert shown is not None
    hybrid, pair = shown.hybrid, shown.explanation.pair
    layers = dock.layers.layers
    mask = np.asarray(layers["mask"].data)
    np.testing.assert_array_equal(mask, hybrid.mask.numpy()[0])
    query, generated = np.asarray(layers["query"].data), np.asarray(layers["generated"].data)
    blended = np.clip(mask * generated + (1 - mask) * query, 0, 1)
    np.testing.assert_allclose(np.asarray(layers["hybrid"].data), blended, atol=F32)
    assert dock.curve_dock.plot.marker == (hybrid.mask_size, hybrid.score_change)
    for index, probability in enumerate(hybrid.prediction.tolist()):
        assert dock.predictions.bars["hybrid", index].property("probability") == probability
    text = dock.threshold.line.text()
    assert f"mask {hybrid.mask_size:.1%}" in text
    assert f"→ {float(hybrid.prediction[pair.target]):.2f}" in text
    position = dock.threshold.slider.value()
    assert shown.explanation.curve.distinct()[position] == shown.index


def test_explaining_shows_everything(explained: QuacDock) -> None:
    assert explained.status.failure is None
    assert sorted(explained.layers.layers) == sorted(NAMES)
    assert_agrees(explained)
    shown = explained.results.displayed_hybrid
    assert shown is not None and shown.index == shown.explanation.curve.best
    assert explained.curve_dock.plot.property("curveNames") == ["residual", "random"]
    assert sorted(explained.curve_dock.legend.buttons) == ["random", "residual"]
    wait(lambda: explained.verdict.sentences[0].text())
    assert explained.verdict.sentences[0].text().startswith("The generated image switches")
    assert "nm²" in explained.threshold.line.text()
    assert "switches to" in explained.search.badge.text()


@pytest.mark.long
def test_every_move_of_the_slider_ends_in_agreement_without_a_network(
    explained: QuacDock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(Classifier, "predict", never)
    slider = explained.threshold.slider
    slider.setValue(0)
    seen = set()
    for _ in range(slider.maximum()):
        QTest.keyClick(slider, Qt.Key.Key_Right)
        assert_agrees(explained)
        seen.add(explained.results.displayed_hybrid.hybrid.mask_size)  # type: ignore[union-attr]
    assert len(seen) == slider.maximum(), "every position has a mask of its own"
    assert explained.status.failure is None


def test_optimum_button_goes_to_the_optimum(explained: QuacDock) -> None:
    explained.threshold.slider.setValue(0)
    QTest.mouseClick(explained.threshold.optimum_button, Qt.MouseButton.LeftButton)
    shown = explained.results.displayed_hybrid
    assert shown is not None and shown.index == shown.explanation.curve.best
    plot = explained.curve_dock.plot
    assert plot.marker is not None
    assert plot.marker[0] == plot.property("optimumMaskSize")
    assert_agrees(explained)


@pytest.mark.long
def test_marker_is_dragged_and_clicked(make_napari_viewer: Any) -> None:
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1366, 768)
    dock = open_dock(viewer)
    load(dock)
    explain(dock)
    plot = dock.curve_dock.plot
    box = plot.getPlotItem().getViewBox()

    def pixel(mask_size: float) -> QPoint:
        return plot.mapFromScene(box.mapViewToScene(QPointF(float(plot.places(mask_size)), 0.4)))

    viewport = plot.viewport()
    QApplication.processEvents()
    assert plot.marker is not None
    start, end = pixel(plot.marker[0]), pixel(0.8)
    QTest.mouseMove(viewport, start)
    QTest.mousePress(viewport, Qt.MouseButton.LeftButton, pos=start)
    for share in np.linspace(0, 1, 12):
        between = QPoint(int(start.x() + share * (end.x() - start.x())), start.y())
        QTest.mouseMove(viewport, between, 5)
    QTest.mouseRelease(viewport, Qt.MouseButton.LeftButton, pos=end)
    wait(lambda: abs(plot.marker[0] - 0.8) < 0.06)  # type: ignore[index]
    assert_agrees(dock)
    QTest.qWait(500)  # longer than a double click takes
    QTest.mouseClick(viewport, Qt.MouseButton.LeftButton, pos=pixel(0.3))
    wait(lambda: abs(plot.marker[0] - 0.3) < 0.06)  # type: ignore[index]
    assert_agrees(dock)
    dock.shut_down()


def test_shown_method_changes_curve_marker_and_layers(explained: QuacDock) -> None:
    before = np.array(explained.layers.layers["attribution"].data)
    QTest.mouseClick(explained.curve_dock.legend.buttons["residual"], Qt.MouseButton.LeftButton)
    assert explained.choices.shown_method == "residual"
    assert explained.methods.shown_menu.currentData() == "residual"
    assert not np.array_equal(before, explained.layers.layers["attribution"].data)
    assert_agrees(explained)
    explained.methods.shown_menu.setCurrentIndex(explained.methods.shown_menu.findData("random"))
    np.testing.assert_array_equal(before, explained.layers.layers["attribution"].data)
    assert_agrees(explained)


def test_methods_can_be_added_and_removed(explained: QuacDock) -> None:
    explained.methods.checks["ig"].click()
    wait(lambda: "ig" in explained.results.explanations.by_method)  # type: ignore[union-attr]
    assert explained.methods.scores["ig"].text()
    wait(lambda: explained.curve_dock.plot.property("curveNames") == ["ig", "residual", "random"])
    explained.methods.checks["random"].click()
    wait(lambda: not explained.controller.running)
    assert explained.choices.shown_method == "ig"
    assert_agrees(explained)


def test_last_method_cannot_be_removed(explained: QuacDock) -> None:
    for name in ("residual", "random"):
        explained.methods.checks[name].click()
    assert len(explained.choices.settings.methods) == 1


def test_other_sample_blanks_the_explanation_and_keeps_the_layers(explained: QuacDock) -> None:
    layers = dict(explained.layers.layers)
    QTest.mouseClick(explained.navigator.next_button, Qt.MouseButton.LeftButton)
    wait(lambda: explained.results.prediction.sample.id == "corner/1")  # type: ignore[union-attr]
    wait(lambda: not np.asarray(layers["mask"].data).any())
    np.testing.assert_array_equal(layers["hybrid"].data, layers["query"].data)
    assert all(explained.layers.layers[name] is layer for name, layer in layers.items())
    assert explained.curve_dock.plot.marker is None
    assert not explained.threshold.slider.isEnabled()
    assert explained.predictions.bars["hybrid", 0].property("probability") is None
    explain(explained)
    assert_agrees(explained)
    assert all(explained.layers.layers[name] is layer for name, layer in layers.items())


def test_next_misprediction_and_its_target(explained: QuacDock) -> None:
    QTest.mouseClick(explained.navigator.misprediction_button, Qt.MouseButton.LeftButton)
    wait(lambda: explained.results.prediction.sample.id == "corner/4")  # type: ignore[union-attr]
    assert "✗" in explained.navigator.line.text()
    assert "both (label)" in explained.search.target_menu.currentText()
    explain(explained)
    pair = explained.results.pair
    assert pair is not None and (pair.source, pair.target) == (1, 2)


def test_target_tries_and_seed_are_taken(explained: QuacDock) -> None:
    explained.search.target_menu.setCurrentIndex(explained.search.target_menu.findText("right"))
    explained.search.tries.setValue(3)
    explained.search.seed.setValue(7)
    explain(explained)
    pair = explained.results.pair
    assert pair is not None and pair.target == 1 and pair.n_tried <= 3
    assert explained.choices.settings.seed == 7


def test_keys_act_only_while_the_dock_is_open(explained: QuacDock) -> None:
    from napari_quac.gui.keys import KEYS

    viewer = explained.viewer
    bound = {str(key) for key in viewer.keymap}
    assert all(key.key in bound for key in KEYS if key.key.isalpha())
    explained.shut_down()
    assert not {key.key for key in KEYS} & {str(key) for key in viewer.keymap}


def test_blink_shows_the_query_while_held(explained: QuacDock) -> None:
    layers = explained.layers.layers
    before = {name: layer.visible for name, layer in layers.items()}
    QTest.mousePress(explained.threshold.blink_button, Qt.MouseButton.LeftButton)
    assert {name for name, layer in layers.items() if layer.visible} == {"query"}
    QTest.mouseRelease(explained.threshold.blink_button, Qt.MouseButton.LeftButton)
    assert {name: layer.visible for name, layer in layers.items()} == before


@pytest.mark.long
def test_side_by_side_and_back(explained: QuacDock) -> None:
    layers = explained.layers.layers
    before = {name: layer.visible for name, layer in layers.items()}
    explained.threshold.side_by_side_button.click()
    grid = explained.viewer.canvas.grid
    assert grid.enabled
    panels = explained.comparison.panels
    assert list(panels) == list(NAMES)
    assert all(panel.visible and panel.name_overlay.visible for panel in panels.values())
    assert not any(layer.visible for layer in layers.values())
    shown = explained.results.displayed_hybrid
    assert shown is not None
    prediction = shown.hybrid.prediction
    name = shown.explanation.pair.class_names or ("corner", "plain")
    best = int(prediction.argmax())
    assert panels["hybrid"].name == f"hybrid · {name[best]} {float(prediction[best]):.2f}"
    explained.threshold.side_by_side_button.click()
    assert not grid.enabled and not explained.comparison.panels
    assert {name: layer.visible for name, layer in layers.items()} == before


@pytest.mark.long
def test_the_grid_is_not_laid_out_while_all_layers_are_removed(
    explained: QuacDock, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer, canvas = explained.viewer, explained.viewer.window._qt_viewer.canvas
    grid = viewer.canvas.grid
    explained.threshold.side_by_side_button.click()
    viewer.layers.selection = {explained.comparison.panels["query"]}
    viewer.layers.remove_selected()
    assert grid.enabled
    wait(lambda: len(explained.comparison.panels) == len(NAMES))
    panels = explained.comparison.panels
    layouts: list[int] = []
    selected: list[Any] = []
    lay_out = canvas._init_or_update_grid
    monkeypatch.setattr(canvas, "_init_or_update_grid", lambda: (layouts.append(1), lay_out()))
    viewer.layers.selection = {panels["mask"]}
    viewer.layers.selection.events.active.connect(lambda event: selected.append(event.value))
    viewer.layers.clear()
    assert not layouts and selected == [None]
    QTest.qWait(100)
    assert not viewer.layers and not explained.comparison.panels
    explained.show_layers()
    wait(lambda: len(explained.comparison.panels) == len(NAMES))
    assert grid.enabled and layouts
    explained.threshold.side_by_side_button.click()
    assert not grid.enabled and not explained.comparison.panels
