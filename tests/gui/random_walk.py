"""Random mouse, key and wheel events on all controls of the docks, recorded for a replay."""

from __future__ import annotations

import json
import logging
import random
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from qtpy.QtCore import QPoint, QPointF, QRect, Qt, QTimer, qInstallMessageHandler
from qtpy.QtGui import QWheelEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractScrollArea,
    QAbstractSlider,
    QAbstractSpinBox,
    QApplication,
    QComboBox,
    QDialog,
    QDockWidget,
    QFileDialog,
    QLineEdit,
    QMenu,
    QScrollArea,
    QScrollBar,
    QTabBar,
    QWidget,
)

from napari_quac.gui.dock import QuacDock
from napari_quac.gui.keys import KEYS

LEFT = Qt.MouseButton.LeftButton
CONTROLS = (
    QAbstractButton, QAbstractSlider, QAbstractSpinBox, QComboBox, QLineEdit, QTabBar,
    QAbstractItemView,
)  # fmt: skip
DRAWN = ("curve_plot", "confusion_matrix")
"""Pictures that take clicks."""
SLOW = ("train_button",)
"""Controls whose work takes minutes."""
QUIET = ("QSocketNotifier", "propagateSizeHints")
"""Messages of Qt about the virtual display."""
Event = dict[str, Any]


class Faults:
    """Exceptions, warnings of Qt and unexpected failures, as they happen."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def note(self, text: str) -> None:
        self.texts.append(text)

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Take exceptions of slots and threads, and messages of Qt."""
        import traceback

        def on_exception(kind: Any, error: BaseException, trace: Any) -> None:
            self.note("".join(traceback.format_exception(kind, error, trace)))

        def on_thread(arguments: Any) -> None:
            on_exception(arguments.exc_type, arguments.exc_value, arguments.exc_traceback)

        def on_message(kind: Any, context: Any, text: str) -> None:
            if not any(word in text for word in QUIET):
                self.note(f"Qt: {text}")

        note = self.note

        class InSlots(logging.Handler):
            def emit(self, record: logging.LogRecord) -> None:
                note(record.getMessage())

        in_slots, log = InSlots(), logging.getLogger("napari_quac.gui.slots")
        log.addHandler(in_slots)
        hooks = sys.excepthook, threading.excepthook
        before = qInstallMessageHandler(on_message)
        sys.excepthook, threading.excepthook = on_exception, on_thread
        try:
            yield
        finally:
            log.removeHandler(in_slots)
            sys.excepthook, threading.excepthook = hooks
            qInstallMessageHandler(before)


class Walker:
    """Performs events on a dock; the same events can be performed again.

    Parameters
    ----------
    dock : QuacDock
    seed : int
    texts : mapping of str to sequence of str
        Part of a control's name to what is typed into it.
    paths : sequence of Path
        Answers of file dialogs.
    reopen : callable
        Closes the dock, and returns the next one.
    recorded : sequence of Event
        A walk to perform again; its answers take the place of random ones.
    """

    def __init__(
        self, dock: QuacDock, seed: int, texts: dict[str, Sequence[str]], paths: Sequence[Path],
        reopen: Callable[[], QuacDock], recorded: Sequence[Event] = (),
    ) -> None:  # fmt: skip
        self.dock, self.viewer = dock, dock.viewer
        self.random = random.Random(seed)
        self.texts, self.paths = texts, [str(path) for path in paths]
        self.log: list[Event] = []
        self._answers = deque(event for event in recorded if event["kind"] == "answer")
        self.events = [event for event in recorded if event["kind"] != "answer"]
        self._reopen = reopen
        self._n_answers, self._is_closed = 0, False
        self._answer()

    def close(self) -> None:
        self._is_closed = True

    # choice

    def choose(self) -> Event:
        """Return a random event that is possible now."""
        kinds = {
            "control": 60, "key": 9, "tab": 4, "wheel": 5, "layer": 4, "theme": 1, "docks": 3,
            "dims": 2, "wait": 8, "reopen": 0.5,
        }  # fmt: skip
        kind = self.random.choices(list(kinds), list(kinds.values()))[0]
        event: Event = {"kind": kind, "roll": self.random.random()}
        if kind in ("control", "wheel"):
            names = self._available()
            event["name"] = self.random.choice(names) if names else "stage_bar"
            event["text"] = self._text_for(event["name"])
        elif kind == "key":
            event["key"] = self.random.choice([key.key for key in KEYS])
        elif kind == "layer":
            event["action"] = self.random.choice(["hide", "show", "rename", "remove", "select"])
        return event

    def _roots(self) -> list[QWidget]:
        dock = self.dock
        return [dock, dock.all_samples, dock.curve_dock, dock.methods_compared]

    def _available(self) -> list[str]:
        names = []
        for root in self._roots():
            if not root.isVisible():
                continue
            for widget in root.findChildren(QWidget):
                name = widget.objectName()
                is_control = isinstance(widget, CONTROLS) or name in DRAWN
                if not name or not is_control or isinstance(widget, QScrollBar):
                    continue
                if name.startswith("qt_") or not widget.isVisible() or not widget.isEnabled():
                    continue
                if name in SLOW and self.random.random() > 0.02:
                    continue
                names.append(name)
        return sorted(names)

    def _text_for(self, name: str) -> str:
        for part, texts in self.texts.items():
            if part in name:
                return self.random.choice(list(texts))
        return str(self.random.choice([0, 1, 2, 3, 5, 8]))

    # performance

    def go_on(self) -> None:
        """Perform the next recorded event, else a random one, and record it."""
        event = self.events.pop(0) if self.events else self.choose()
        self.log.append(event)
        getattr(self, f"_do_{event['kind']}")(event)
        QApplication.processEvents()

    def _widget(self, name: str) -> QWidget | None:
        for root in self._roots():
            widget = root.findChild(QWidget, name)
            if widget is not None and widget.isVisible():
                return widget
        return None

    def _do_control(self, event: Event) -> None:
        widget = self._widget(event["name"])
        if widget is None or not widget.isEnabled():
            return
        _reveal(widget)
        roll = event["roll"]
        if isinstance(widget, QAbstractSpinBox):
            self._type(widget, event["text"], roll)
        elif isinstance(widget, QLineEdit):
            self._type(widget, event["text"], roll)
        elif isinstance(widget, QComboBox):
            self._pick(widget, roll)
        elif isinstance(widget, QAbstractSlider):
            keys = [Qt.Key.Key_Right, Qt.Key.Key_Left, Qt.Key.Key_PageUp, Qt.Key.Key_Home,
                    Qt.Key.Key_End]  # fmt: skip
            if roll < 0.5:
                QTest.mouseClick(widget, LEFT, pos=_place(widget.rect(), roll * 2, 0.5))
            else:
                widget.setFocus()
                QTest.keyClick(widget, keys[int(roll * 100) % len(keys)])
        elif isinstance(widget, QTabBar):
            index = int(roll * widget.count())
            QTest.mouseClick(widget, LEFT, pos=widget.tabRect(index).center())
        elif isinstance(widget, QAbstractItemView):
            self._click_item(widget, roll)
        elif isinstance(widget, QAbstractScrollArea):
            area = widget.viewport()
            QTest.mouseClick(area, LEFT, pos=_place(area.rect(), roll, 0.5))
        elif isinstance(widget, QAbstractButton):
            QTest.mouseClick(widget, LEFT)
        else:
            QTest.mouseClick(widget, LEFT, pos=_place(widget.rect(), roll, (roll * 7) % 1))

    def _type(self, widget: Any, text: str, roll: float) -> None:
        widget.setFocus()
        widget.selectAll()
        QTest.keyClicks(widget, text)
        if roll < 0.85:
            QTest.keyClick(widget, Qt.Key.Key_Return)
        else:
            QTest.keyClick(widget, Qt.Key.Key_Tab)

    def _pick(self, menu: QComboBox, roll: float) -> None:
        menu.setFocus()
        if roll < 0.5:
            QTest.mouseClick(menu, LEFT)  # the popup is answered
        else:
            key = Qt.Key.Key_Down if int(roll * 1000) % 2 else Qt.Key.Key_Up
            QTest.keyClick(menu, key)

    def _click_item(self, view: QAbstractItemView, roll: float) -> None:
        header = getattr(view, "horizontalHeader", None)
        if header is not None and roll < 0.2 and header().count():
            section = int(roll * 5 * header().count())
            x = header().sectionViewportPosition(section) + header().sectionSize(section) // 2
            QTest.mouseClick(header().viewport(), LEFT, pos=QPoint(x, header().height() // 2))
        elif roll < 0.6:
            area = view.viewport()
            QTest.mouseClick(area, LEFT, pos=_place(area.rect(), 0.3, roll))
        else:
            view.setFocus()
            key = Qt.Key.Key_Down if int(roll * 1000) % 3 else Qt.Key.Key_Up
            QTest.keyClick(view, key)

    def _do_wheel(self, event: Event) -> None:
        widget = self._widget(event["name"])
        if widget is None:
            return
        _reveal(widget)
        target = widget.viewport() if isinstance(widget, QAbstractScrollArea) else widget
        place = QPointF(target.rect().center())
        turn = 120 if event["roll"] < 0.5 else -120
        wheel = QWheelEvent(
            place, QPointF(target.mapToGlobal(place.toPoint())), QPoint(), QPoint(0, turn),
            Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase,
            False,
        )  # fmt: skip
        QApplication.sendEvent(target, wheel)

    def _do_key(self, event: Event) -> None:
        canvas = self.viewer.window._qt_viewer.canvas.native
        canvas.setFocus()
        codes = {",": Qt.Key.Key_Comma, ".": Qt.Key.Key_Period}
        key = codes.get(event["key"]) or getattr(Qt.Key, f"Key_{event['key']}", None)
        if key is not None:
            QTest.keyClick(canvas, key)

    def _do_tab(self, event: Event) -> None:
        bars = [bar for bar in self._tab_bars() if bar.isVisible() and bar.count()]
        if bars:
            bar = bars[int(event["roll"] * len(bars))]
            index = int(event["roll"] * 97) % bar.count()
            QTest.mouseClick(bar, LEFT, pos=bar.tabRect(index).center())

    def _tab_bars(self) -> list[QTabBar]:
        window = self.viewer.window._qt_window
        return [self.dock.stages.bar, *window.findChildren(QTabBar)]

    def _do_layer(self, event: Event) -> None:
        layers = list(self.viewer.layers)
        if not layers:
            return
        layer, action = layers[int(event["roll"] * len(layers))], event["action"]
        if action in ("hide", "show"):
            layer.visible = action == "show"
        elif action == "rename":
            layer.name = f"{layer.name} renamed"[:24]
        elif action == "select":
            self.viewer.layers.selection.active = layer
        else:
            self.viewer.layers.remove(layer)

    def _do_theme(self, event: Event) -> None:
        self.viewer.theme = "light" if event["roll"] < 0.5 else "dark"

    def _do_docks(self, event: Event) -> None:
        """Close a dock below the canvas, or bring all of them back."""
        window = self.viewer.window._qt_window
        docks = [d for d in window.findChildren(QDockWidget) if d.isVisible()]
        ours = [d for d in docks if any(root is not self.dock and d.isAncestorOf(root)
                                        for root in self._roots())]  # fmt: skip
        if event["roll"] < 0.5 and ours:
            dock = ours[int(event["roll"] * 2 * len(ours))]
            root = next(root for root in self._roots() if dock.isAncestorOf(root))
            self.viewer.window.remove_dock_widget(root)
        else:
            self.dock.show_layers()

    def _do_dims(self, event: Event) -> None:
        dims = self.viewer.dims
        if dims.ndim > 2:
            sizes = dims.nsteps
            dims.set_current_step(0, int(event["roll"] * sizes[0]))
        elif event["roll"] < 0.1:
            dims.ndisplay = 5 - dims.ndisplay

    def _do_wait(self, event: Event) -> None:
        end = time.monotonic() + 1.0
        while self.dock.controller.running and time.monotonic() < end:
            QApplication.processEvents()
            time.sleep(0.002)

    def _do_reopen(self, event: Event) -> None:
        self.dock = self._reopen()

    # dialogs and menus

    def _answer(self) -> None:
        """Answer the menu or the dialog that is open, as a user would."""
        if self._is_closed:
            return
        # another timer each time: one whose slot has opened a dialog does not fire again
        QTimer.singleShot(30, self._answer)
        popup, modal = QApplication.activePopupWidget(), QApplication.activeModalWidget()
        self._n_answers = self._n_answers + 1 if popup or modal else 0
        if self._n_answers > 20:  # an answer that was refused
            for widget in filter(None, (popup, modal)):
                QTest.keyClick(widget, Qt.Key.Key_Escape)
                widget.close()
        elif isinstance(popup, QMenu):
            self._answer_menu(popup)
        elif popup is not None:
            view = popup.findChild(QAbstractItemView)
            answer = self._take_answer(
                rows=self.random.randrange(4), accept=self.random.random() < 0.8
            )
            for _ in range(answer.get("rows", 0)):
                QTest.keyClick(view or popup, Qt.Key.Key_Down)
            last = Qt.Key.Key_Return if answer.get("accept") else Qt.Key.Key_Escape
            QTest.keyClick(view or popup, last)
        elif isinstance(modal, QFileDialog):
            self._answer_file_dialog(modal)
        elif isinstance(modal, QDialog):
            buttons = [b for b in modal.findChildren(QAbstractButton) if b.isVisible()]
            texts = [button.text() for button in buttons]
            text = self._take_answer(button=self.random.choice(texts or [""])).get("button")
            if text in texts:
                QTest.mouseClick(buttons[texts.index(text)], LEFT)
            else:
                QTest.keyClick(modal, Qt.Key.Key_Escape)

    def _take_answer(self, **answer: Any) -> Event:
        """Return the next answer of a recorded walk, else the given one, and record it."""
        event = self._answers.popleft() if self._answers else {"kind": "answer", **answer}
        self.log.append(event)
        return event

    def _answer_menu(self, menu: QMenu) -> None:
        actions = {a.text(): a for a in menu.actions() if a.isEnabled() and not a.isSeparator()}
        text = self.random.choice(list(actions) or [""]) if self.random.random() > 0.3 else ""
        action = actions.get(self._take_answer(menu=menu.objectName(), action=text).get("action"))
        if action is None:
            QTest.keyClick(menu, Qt.Key.Key_Escape)
        else:
            QTest.mouseClick(menu, LEFT, pos=menu.actionGeometry(action).center())

    def _answer_file_dialog(self, dialog: QFileDialog) -> None:
        field = dialog.findChild(QLineEdit, "fileNameEdit")
        path = self.random.choice(self.paths) if self.random.random() > 0.4 else ""
        path = self._take_answer(dialog=dialog.windowTitle(), path=path).get("path")
        if field is None or not path:
            QTest.keyClick(dialog, Qt.Key.Key_Escape)
            return
        field.setFocus()
        field.selectAll()
        QTest.keyClicks(field, path)
        QTest.keyClick(field, Qt.Key.Key_Return)

    def write(self, path: Path) -> None:
        """Write the events, one a line."""
        path.write_text("\n".join(json.dumps(event) for event in self.log))


def _place(rect: QRect, x: float, y: float) -> QPoint:
    return QPoint(
        rect.left() + min(rect.width() - 1, int(x * rect.width())),
        rect.top() + min(rect.height() - 1, int(y * rect.height())),
    )


def _reveal(widget: QWidget) -> None:
    """Scroll to a control, as one has to before one clicks it."""
    parent = widget.parentWidget()
    while parent is not None:
        if isinstance(parent, QScrollArea):
            parent.ensureWidgetVisible(widget)
        parent = parent.parentWidget()
    QApplication.processEvents()
