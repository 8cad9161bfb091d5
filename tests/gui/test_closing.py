"""Closing asks once before something is lost, and a dock that opens again shows what was there."""

from __future__ import annotations

import gc
import time
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QEvent, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QPushButton

from napari_quac.gui.dock import QuacDock
from napari_quac.gui.window import dock_of
from napari_quac.reports.store import ExplanationStore
from rounding import F32

from .close_anywhere import timed
from .conftest import explain, load, open_dock, wait


def click_close(dock: QuacDock) -> None:
    parent = dock_of(dock)
    assert parent is not None
    button = parent.titleBarWidget().findChild(QPushButton, "QTitleBarCloseButton")
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)


def click(dock: QuacDock, name: str) -> None:
    assert dock.close_guard.box is not None
    button = dock.close_guard.box.findChild(QPushButton, name)
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    QApplication.processEvents()


def delete(dock: QuacDock) -> None:
    dock.deleteLater()
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    QApplication.processEvents()


def test_closing_an_empty_dock_asks_nothing(make_napari_viewer: Any) -> None:
    dock = open_dock(make_napari_viewer(show=True))
    wait(lambda: dock.isVisible() and not dock.controller.running)
    click_close(dock)
    assert dock.close_guard.box is None and dock.is_closed


def test_a_window_with_nothing_to_lose_asks_the_question_of_napari(make_napari_viewer: Any) -> None:
    viewer = make_napari_viewer(show=True)
    dock = open_dock(viewer)
    viewer.add_image(np.zeros((4, 4), np.float32))
    window = viewer.window._qt_window
    taken = timed(lambda: window.close(quit_app=False, confirm_need=True))
    assert taken["question"] and dock.close_guard.box is None
    wait(lambda: dock.is_closed)
    del viewer.window._qt_window  # as viewer.close() does after closing it


def open_and_close(viewer: Any, index: int) -> list[Any]:
    """Return weak references to parts of a dock that was closed while it showed a sample."""
    dock = open_dock(viewer)
    load(dock)
    dock.choices.sample_index = index
    wait(lambda: not dock.controller.running)
    viewer.window.remove_dock_widget(dock_of(dock))
    delete(dock)
    parts = dock, dock.choices, dock.results, dock.session, dock.curve_dock, dock.all_samples
    return [weakref.ref(part) for part in parts]


@pytest.mark.long
def test_nothing_refers_to_a_closed_dock(make_napari_viewer: Any) -> None:
    viewer = make_napari_viewer(show=True)
    references = open_and_close(viewer, 0)
    references += open_and_close(viewer, 1)  # takes over choices and results
    QTest.qWait(100)
    gc.collect()
    assert [reference() for reference in references] == [None] * len(references)


@pytest.mark.long
def test_the_close_button_asks_once(make_napari_viewer: Any, tmp_path: Path) -> None:
    viewer = make_napari_viewer(show=True)
    dock = open_dock(viewer)
    load(dock)
    explain(dock)
    click_close(dock)
    box = dock.close_guard.box
    assert box is not None and "one sample is not saved" in box.text()
    assert "comes back if you open QuAC again" in box.text()
    click_close(dock)
    assert dock.close_guard.box is box
    click(dock, "close_keep")
    assert dock.close_guard.box is None and not dock.is_closed
    dock.all_samples.many_card.folder.setText(str(tmp_path / "saved"))
    click_close(dock)
    click(dock, "close_save")
    wait(lambda: dock.is_closed)
    store = ExplanationStore.open(tmp_path / "saved")
    assert len(store) == 1
    entries = list(store.entries())
    explanations = dock.results.explanations
    assert explanations is not None
    for entry in entries:
        curve = explanations[entry.method].curve
        np.testing.assert_allclose(entry.score_changes, curve.score_changes, atol=F32)


@pytest.mark.long
def test_closing_the_window_asks_once_with_what_would_be_lost(make_napari_viewer: Any) -> None:
    viewer = make_napari_viewer(show=True)
    dock = open_dock(viewer)
    load(dock)
    explain(dock)
    dock.choices.sample_index = 1
    wait(lambda: not dock.controller.running)
    dock.choices.update_settings(methods=("ig", "residual", "random"), max_tries=100)
    dock.search.explain_button.click()
    window = viewer.window._qt_window
    # as Ctrl+W does in an active window; without a window manager none is active
    window.close(quit_app=False, confirm_need=True)
    box = dock.close_guard.box
    assert box is not None and window.isVisible()
    assert "This stops:" in box.text() and "will be lost" in box.text()
    click(dock, "close_close")
    wait(lambda: dock.is_closed)
    del viewer.window._qt_window  # as viewer.close() does after closing it


@pytest.mark.long
def test_reopened_dock_shows_what_was_there(make_napari_viewer: Any) -> None:
    viewer = make_napari_viewer(show=True)
    first = open_dock(viewer)
    load(first)
    explain(first)
    first.choices.sample_index = 2
    wait(lambda: not first.controller.running)
    explain(first)
    first.choices.shown_method = "residual"
    first.choices.filter_text = "number > 1"
    wait(lambda: not first.controller.running)
    first.threshold.slider.setValue(3)
    QTest.qWait(100)
    first.stages.show_stage("explore")
    hybrid = first.results.displayed_hybrid
    assert hybrid is not None and first.choices.threshold is not None
    layers = [(layer.name, layer.visible, layer.data.copy()) for layer in viewer.layers]
    labels = first.threshold.slider.value(), len(first.results.order)
    viewer.window.remove_dock_widget(first)
    delete(first)
    second = QuacDock(viewer)
    viewer.window.add_dock_widget(second, name="QuAC", area="right", add_vertical_stretch=False)
    QTest.qWait(300)
    wait(lambda: not second.controller.running)
    results, choices = second.results, second.choices
    assert results.displayed_hybrid is not None
    assert results.displayed_hybrid.hybrid is hybrid.hybrid
    assert choices.sample_index == 2 and choices.filter_text == "number > 1"
    assert choices.shown_method == "residual"
    assert (second.threshold.slider.value(), len(results.order)) == labels
    assert results.predictions is not None and results.predictions.is_complete
    assert second.stages.current == "explore"
    assert [(layer.name, layer.visible) for layer in viewer.layers] == [x[:2] for x in layers]
    for layer, (*_, data) in zip(viewer.layers, layers, strict=True):
        np.testing.assert_array_equal(layer.data, data)
    choices.filter_text = ""
    choices.sample_index = 0
    begun = time.perf_counter()
    wait(lambda: results.pair is not None and results.pair.query is results.sample)
    assert results.explanations is not None and results.explanations.is_complete
    assert time.perf_counter() - begun < 5
    assert second.status.failure is None
    explain(second)
    second.shut_down()
