"""A sample that is selected again shows its explanation at once, as it was left."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_quac.gui.dock import QuacDock

from .conftest import explain, load, wait


def click_row(dock: QuacDock, row: int) -> None:
    table = dock.all_samples.table
    dock.bottom_docks.raise_samples()
    QApplication.processEvents()
    index = table.model().index(row, 0)
    table.scrollTo(index)
    place = table.visualRect(index).center()
    QTest.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=place)
    wait(lambda: not dock.controller.running)


@pytest.mark.long
def test_a_click_on_an_explained_row_shows_its_explanation(
    dock: QuacDock, monkeypatch: Any
) -> None:
    load(dock)
    wait(lambda: dock.results.order is not None and len(dock.results.order) > 3)
    shown = []
    for row in (0, 2):
        click_row(dock, row)
        explain(dock)
        dock.threshold.slider.setValue(3 + row)
        QTest.qWait(100)
        layers = {name: dock.layers.layers[name].data.copy() for name in ("mask", "hybrid")}
        shown.append((dock.threshold.slider.value(), dock.choices.threshold, layers))
    click_row(dock, 1)
    assert dock.results.pair is None

    def fail(*_: Any, **__: Any) -> Any:
        raise AssertionError("computed again")

    monkeypatch.setattr("napari_quac.explain.pipeline._explain_by", fail)
    monkeypatch.setattr("napari_quac.explain.search.ask_generator", fail)
    for row, (value, threshold, layers) in zip((0, 2), shown, strict=True):
        begun = time.perf_counter()
        click_row(dock, row)
        assert dock.results.displayed_hybrid is not None
        assert time.perf_counter() - begun < 5
        QTest.qWait(200)
        assert dock.choices.sample_index == row and dock.choices.threshold == threshold
        assert dock.threshold.slider.value() == value
        for name, data in layers.items():
            np.testing.assert_array_equal(dock.layers.layers[name].data, data)
        assert dock.status.failure is None


@pytest.mark.long
def test_legend_that_comes_back_has_the_width_of_its_texts(dock: QuacDock) -> None:
    load(dock)
    explain(dock)
    click_row(dock, 1)
    click_row(dock, 0)
    wait(lambda: dock.curve_dock.legend.buttons)
    dock.curve_dock.legend.set_explanations({}, "random")
    dock.curve_dock.show_curves()
    texts = max(entry.sizeHint().width() for entry in dock.curve_dock.legend.buttons.values())
    assert dock.curve_dock._legend_area.width() >= texts
