"""The main loop with keys only: four keystrokes for each sample, and nothing scrolls."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from qtpy.QtCore import QRect, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QAbstractItemView, QAbstractScrollArea, QApplication, QWidget

from napari_quac.gui.dock import QuacDock
from napari_quac.live.choices import ReadySamples
from napari_quac.testing import CornerSamples

from .conftest import load, open_dock, wait

N_SAMPLES = 20
MOST_KEYSTROKES = 4


@pytest.fixture
def opened(make_napari_viewer: Any) -> Iterator[QuacDock]:
    viewer = make_napari_viewer(show=True)
    viewer.window.resize(1366, 768)
    made = open_dock(viewer)
    load(made)
    made.choices.samples = ReadySamples(CornerSamples(n=N_SAMPLES + 1, size=32))
    wait(lambda: made.results.order is not None and len(made.results.order) == N_SAMPLES + 1)
    wait(lambda: made.results.prediction and not made.controller.running)
    made.window().activateWindow()
    wait(made.window().isActiveWindow)
    yield made
    made.shut_down()
    QApplication.processEvents()


class Keyboard:
    """Presses keys in the widget with the focus, and counts them."""

    def __init__(self) -> None:
        self.n_pressed = 0

    def press(self, key: Qt.Key, modifiers: Any = Qt.KeyboardModifier.NoModifier) -> None:
        focus = QApplication.focusWidget()
        assert focus is not None
        QTest.keyClick(focus, key, modifiers)
        QApplication.processEvents()
        self.n_pressed += 1


def scroll_positions(dock: QuacDock) -> dict[str, tuple[int, int]]:
    """Return the positions of all areas that the user would have to scroll.

    Tables are no such areas: they follow the selected sample by themselves.
    """
    window = dock.window()
    areas = [a for a in window.findChildren(QAbstractScrollArea) if a.isVisible()]
    return {
        f"{area.objectName()} {id(area)}": (
            area.horizontalScrollBar().value(), area.verticalScrollBar().value()
        )
        for area in areas if not isinstance(area, QAbstractItemView)
    }  # fmt: skip


def hidden_parts(dock: QuacDock) -> list[str]:
    """Return what the loop needs and the stage does not show without scrolling."""
    viewport = dock.scroll.viewport()
    needed: dict[str, QWidget] = {
        "sample": dock.navigator, "explain": dock.search.explain_button,
        "slider": dock.threshold.slider, "numbers": dock.threshold.line,
        **{f"{role} of class {index}": bar
           for (role, index), bar in dock.predictions.bars.items()},
    }  # fmt: skip
    return [
        name for name, widget in needed.items()
        if not viewport.rect().contains(
            QRect(widget.mapTo(viewport, widget.rect().topLeft()), widget.size())
        )
    ]  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize("place", ["canvas", "slider", "table"])
def test_20_samples_with_four_keystrokes_each(opened: QuacDock, place: str) -> None:
    dock, keyboard = opened, Keyboard()
    dock.stages.show_stage("explore")
    places = {
        "canvas": dock.viewer.window._qt_viewer.canvas.native,  # napari has no public access
        "slider": dock.search.explain_button,
        "table": dock.all_samples.table,
    }
    if place == "table":
        dock.bottom_docks.raise_samples()
    places[place].setFocus()
    wait(places[place].hasFocus)
    finished: list[bool] = []
    dock.explained.connect(lambda: finished.append(True))
    keyboard.press(Qt.Key.Key_U)  # the first result raises the curve and unfolds its parts
    wait(lambda: finished and not dock.controller.running)
    wait(lambda: not dock.curve_dock.visibleRegion().isEmpty() or place == "table")
    positions = scroll_positions(dock)
    assert positions and not hidden_parts(dock)
    explained = [dock.choices.sample_index]
    for _ in range(N_SAMPLES):
        n_before, start = keyboard.n_pressed, dock.choices.sample_index
        keyboard.press(Qt.Key.Key_J)
        assert dock.choices.sample_index == start + 1
        finished.clear()
        keyboard.press(Qt.Key.Key_U)
        wait(lambda: finished and not dock.controller.running)
        assert dock.results.displayed_hybrid is not None
        optimum = dock.results.displayed_hybrid.index
        keyboard.press(Qt.Key.Key_Comma if dock.threshold.slider.value() else Qt.Key.Key_Period)
        assert dock.results.displayed_hybrid.index != optimum
        keyboard.press(Qt.Key.Key_W)
        assert dock.results.displayed_hybrid.index == optimum
        assert keyboard.n_pressed - n_before <= MOST_KEYSTROKES
        assert scroll_positions(dock) == positions
        hidden = hidden_parts(dock)
        if dock.results.prediction.is_mispredicted:  # whose question and neighbors take space
            hidden = [name for name in hidden if "of class" not in name]
        assert not hidden
        explained.append(dock.choices.sample_index)
    assert len(set(explained)) == N_SAMPLES + 1


@pytest.mark.long
def test_from_the_classifier_to_the_slider_in_one_keystroke(opened: QuacDock) -> None:
    dock, keyboard = opened, Keyboard()
    dock.stages.show_stage("explore")
    finished: list[bool] = []
    dock.explained.connect(lambda: finished.append(True))
    dock.search.explain_button.setFocus()
    keyboard.press(Qt.Key.Key_U)
    wait(lambda: finished and not dock.controller.running)
    dock.stages.show_stage("setup")
    edit = dock.networks.fields["classifier"].edit
    edit.setFocus()
    wait(edit.hasFocus)
    keyboard.press(Qt.Key.Key_2, Qt.KeyboardModifier.ControlModifier)
    assert dock.stages.current == "explore" and dock.threshold.slider.hasFocus()
    index = dock.results.displayed_hybrid.index
    keyboard.press(Qt.Key.Key_Left if dock.threshold.slider.value() else Qt.Key.Key_Right)
    assert dock.results.displayed_hybrid.index != index
