"""Clicks and keys of a walk through the whole window, and what it notes on its way."""

from __future__ import annotations

import argparse
import logging
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import napari
from napari.settings import get_settings
from qtpy.QtCore import QPoint, QSettings, Qt, qInstallMessageHandler
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QComboBox, QLineEdit, QWidget

from gui.text_fit import cut_texts
from napari_quac.gui.dock import QuacDock
from napari_quac.gui.window import dock_of

LEFT = Qt.MouseButton.LeftButton
HARMLESS = ("This plugin does not support", "propagateSizeHints", "QStandardPaths")
"""Beginnings of what Qt prints about the display without a window manager."""


class Walk:
    """Clicks, types and measures.

    Parameters
    ----------
    folder : Path
        For the files and the pictures.
    options : argparse.Namespace
        Geometry of the window.
    """

    def __init__(self, folder: Path, options: argparse.Namespace) -> None:
        self.folder, self.options = folder, options
        self.problems: list[str] = []
        self.step_name, self.n_steps = "start", 0
        QSettings.setPath(QSettings.Format.NativeFormat, QSettings.Scope.UserScope, str(folder))
        sys.excepthook = self._on_exception
        logging.getLogger("napari_quac.gui.slots").addFilter(self._on_error_in_slot)
        qInstallMessageHandler(self._on_message)
        if options.font:
            get_settings().appearance.font_size = options.font
        self.viewer = napari.Viewer(show=True)
        self.viewer.theme = options.theme
        self.window = self.viewer.window._qt_window
        self.window.move(0, 0)
        self.window.resize(options.width, options.height)
        self.dock = QuacDock(self.viewer)
        self.viewer.window.add_dock_widget(
            self.dock, name="QuAC", area="right", add_vertical_stretch=False
        )
        self.rest(0.5)
        if options.dock:
            self.window.resizeDocks([dock_of(self.dock)], [options.dock], Qt.Orientation.Horizontal)
            self.rest(0.2)

    def _on_exception(self, kind: Any, error: BaseException, trace: Any) -> None:
        text = "".join(traceback.format_exception(kind, error, trace))
        self.problems.append(f"{self.step_name}: {text}")

    def _on_error_in_slot(self, record: logging.LogRecord) -> bool:
        self.problems.append(f"{self.step_name}: {record.getMessage()}")
        return True

    def _on_message(self, kind: Any, context: Any, message: str) -> None:
        if not message.startswith(HARMLESS):
            self.problems.append(f"{self.step_name}: Qt: {message}")

    def expect(self, condition: object, text: str) -> None:
        """Note a problem unless a condition holds."""
        if not condition:
            self.problems.append(f"{self.step_name}: {text}")

    def rest(self, seconds: float) -> None:
        """Let the event loop run."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            QApplication.processEvents()
            time.sleep(0.002)

    def wait(self, condition: Callable[[], Any], text: str, seconds: float = 120) -> None:
        """Let the event loop run until a condition holds."""
        end = time.monotonic() + seconds
        while not condition():
            QApplication.processEvents()
            time.sleep(0.002)
            if time.monotonic() > end:
                raise TimeoutError(f"{self.step_name}: waited for {text}")

    def quiet(self) -> None:
        """Wait until nothing runs and all layers are drawn."""
        dock = self.dock
        self.wait(
            lambda: not dock.controller.running and not dock.layers.has_pending_update, "rest"
        )
        self.rest(0.15)

    def step(self, name: str) -> None:
        """Measure all texts and take a picture of what the step before has led to."""
        self.rest(0.15)
        parts = (self.dock, self.dock.curve_dock, self.dock.all_samples, self.dock.methods_compared)
        sideways = self.dock.stages.area.horizontalScrollBar().maximum()
        self.expect(sideways == 0, f"the stage scrolls sideways by {sideways} pixels")
        for line in cut_texts(*[part for part in parts if part.isVisible()]):
            self.problems.append(f"{self.step_name}: {line}")
        self.n_steps += 1
        picture = self.window.grab()
        picture.save(str(self.folder / f"{self.n_steps:02d}_{self.step_name}.png"))
        self.step_name = name

    # what a person does

    def show(self, widget: QWidget) -> None:
        """Bring a control into view, by the tab of its stage and the scroll bar."""
        stages = self.dock.stages
        name = stages.stage_of(widget)
        if name is not None:
            if stages.current != name:
                index = list(stages.areas).index(name)
                QTest.mouseClick(stages.bar, LEFT, pos=stages.bar.tabRect(index).center())
            section = widget.parentWidget()
            while section is not None and not hasattr(section, "set_open"):
                section = section.parentWidget()
            if section is not None and not section.is_open:
                stages.area.ensureWidgetVisible(section.button)
                self.rest(0.02)
                QTest.mouseClick(section.button, LEFT)
            self.rest(0.05)
            stages.area.ensureWidgetVisible(widget)
        self.rest(0.05)
        self.expect(widget.isVisible(), f"'{widget.objectName()}' cannot be reached")

    def click(self, widget: QWidget, at: QPoint | None = None) -> None:
        """Click a control."""
        self.show(widget)
        self.expect(widget.isEnabled(), f"'{widget.objectName()}' is disabled")
        QTest.mouseClick(widget, LEFT, pos=at or widget.rect().center())
        self.rest(0.02)

    def type(self, field: QLineEdit, text: str) -> None:
        """Replace the text of a field and press Enter."""
        self.show(field)
        QTest.mouseClick(field, LEFT)
        field.selectAll()
        QTest.keyClicks(field, text)
        QTest.keyClick(field, Qt.Key.Key_Return)
        self.rest(0.02)

    def pick(self, menu: QComboBox, data: Any) -> None:
        """Choose an entry by the keys Home and Down."""
        self.show(menu)
        entries = [menu.itemData(index) for index in range(menu.count())]
        menu.setFocus()
        QTest.keyClick(menu, Qt.Key.Key_Home)
        for _ in range(entries.index(data)):
            QTest.keyClick(menu, Qt.Key.Key_Down)
        self.expect(menu.currentData() == data, f"'{menu.objectName()}' does not reach {data}")
        self.rest(0.02)

    def key(self, key: Any, modifier: Any = Qt.KeyboardModifier.NoModifier) -> None:
        """Press a key while the dock has the focus."""
        if not self.window.isActiveWindow():
            self.window.activateWindow()
            self.wait(self.window.isActiveWindow, "the window to be active", 10)
        self.dock.threshold.slider.setFocus()
        QTest.keyClick(self.dock.threshold.slider, key, modifier)
        self.rest(0.05)
