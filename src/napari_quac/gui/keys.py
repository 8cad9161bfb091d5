"""Table of all keys, and their binding to the docks and the canvas while the dock is open."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtGui import QKeyEvent, QKeySequence, QShortcut
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QApplication,
    QDockWidget,
    QLineEdit,
    QMainWindow,
    QWidget,
)

from napari_quac.gui.slots import slot, slots


@dataclass(frozen=True)
class Key:
    """A key and its action.

    Attributes
    ----------
    key : str
        In the notation of napari.
    action : str
        Name of a method of the dock.
    text : str
        Description for the documentation and the overlay.
    group : str
        Heading in the overlay.
    held : bool
        The action receives True when the key is pressed, and False when it is released.
    """

    key: str
    action: str
    text: str
    group: str
    held: bool = False

    @property
    def sequence(self) -> str:
        """The key in the notation of Qt."""
        return self.key.replace("Control", "Ctrl").replace("-", "+")


SAMPLES, MASK, WINDOW = "Samples", "Mask and display", "Window"
KEYS = (
    Key("J", "next_sample", "Select the next sample in the table", SAMPLES),
    Key("K", "previous_sample", "Select the previous sample in the table", SAMPLES),
    Key("N", "next_misprediction", "Select the next misprediction in the table", SAMPLES),
    Key("U", "explain", "Explain the selected sample", SAMPLES),
    Key("/", "type_filter", "Type a filter for the table", SAMPLES),
    Key("W", "go_to_optimum", "Set the threshold to the optimum", MASK),
    Key(",", "larger_mask", "Select the next larger mask", MASK),
    Key(".", "smaller_mask", "Select the next smaller mask", MASK),
    Key("G", "blink", "Hold to show the query instead of the hybrid", MASK, held=True),
    Key("H", "toggle_side_by_side", "Show images side by side, each in its own panel", MASK),
    Key("Shift-G", "next_mode", "Compare by curtain, difference or morph, one after another", MASK),
    Key("Shift-H", "back_to_patch", "Show the whole patch again", MASK),
    Key("Control-1", "show_setup", "Go to the stage Set up", WINDOW),
    Key("Control-2", "show_explore", "Go to the stage Explore, to the threshold", WINDOW),
    Key("Control-3", "show_study", "Go to the stage Study", WINDOW),
    Key("Q", "next_section", "Go to the next section of the stage", WINDOW),
    Key("Shift-Q", "previous_section", "Go to the previous section of the stage", WINDOW),
    Key("Control-Z", "undo", "Undo an edit of names, values, filter or threshold", WINDOW),
    Key("Control-Shift-Z", "redo", "Redo the edit that was undone last", WINDOW),
    Key("?", "show_keys", "Show these keys; Esc closes them", WINDOW),
)
BOUND_BY_QT = "?"
"""napari has no name for this key, so that no layer can bind it either."""
UNDO_FIELDS = (
    "class_names", "value_low", "value_high", "normalization_mean", "normalization_std",
    "classifier_resize", "classifier_crop", "filter_edit",
)  # fmt: skip
"""Fields whose edits are recorded in the history; see :class:`EditHistory`."""


@slots
class KeyBindings(QObject):
    """Keys of the docks and the canvas.

    In the docks they are shortcuts of Qt, which act before those of napari, but not while text is
    typed. In the canvas they are keys of the viewer, which act after those of the active layer.
    Other docks of the window are left alone.

    Parameters
    ----------
    viewer : napari viewer
    dock : QWidget
        Has the actions as methods.
    widgets : sequence of QWidget
        Contents of the docks.
    """

    def __init__(self, viewer: Any, dock: QWidget, widgets: Sequence[QWidget]) -> None:
        super().__init__(dock)
        self._viewer, self._dock, self._widgets = viewer, dock, tuple(widgets)
        self._held: tuple[QWidget, Key] | None = None
        self._canvas_shortcut: QShortcut | None = None
        self._bound: dict[Any, tuple[Any, Any]] = {}
        self._watched: list[QWidget] = [dock]
        for key in KEYS:
            for widget in self._widgets:
                self._add_shortcut(key, widget)
            if key.key != BOUND_BY_QT:
                self._bind(key)
        fields = {child.objectName(): child for w in widgets for child in w.findChildren(QWidget)}
        for name in UNDO_FIELDS:
            self._give_undo(fields[name])
        dock.installEventFilter(self)

    def close(self, window_closes: bool) -> None:
        """Unbind the keys of the canvas, and bind again what was bound to them before."""
        self._release()
        for widget in self._watched:
            widget.removeEventFilter(self)
        self._watched.clear()
        if self._canvas_shortcut is not None and not window_closes:
            self._canvas_shortcut.setParent(None)
            self._canvas_shortcut.deleteLater()
        self._canvas_shortcut = None
        keymap = self._viewer.keymap
        for binding, (before, ours) in self._bound.items():
            if keymap.get(binding) is ours:  # else another plugin has bound it since
                del keymap[binding]
                if before is not None:
                    keymap[binding] = before
        self._bound.clear()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Follow the dock into its window, release held keys, and give undo to edited fields."""
        kind = event.type()
        if watched is self._dock:
            if kind == QEvent.Type.Show:
                self._add_canvas_shortcut()
        elif kind == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent):
            if _is_undo(event) and not _has_text_edit(watched):
                event.ignore()
                return True
        if self._held is not None and watched is self._held[0]:
            if kind == QEvent.Type.FocusOut or (
                kind == QEvent.Type.KeyRelease
                and isinstance(event, QKeyEvent)
                and not event.isAutoRepeat()
            ):
                self._release()
        return False

    def _add_shortcut(self, key: Key, widget: QWidget) -> QShortcut:
        context = Qt.ShortcutContext.WidgetWithChildrenShortcut
        shortcut = QShortcut(QKeySequence(key.sequence), widget)
        shortcut.setContext(context)
        if key.key == BOUND_BY_QT:  # keyboards on which it is typed with Shift
            shortcut.setKeys([QKeySequence(key.sequence), QKeySequence(f"Shift+{key.sequence}")])
        press = partial(self._press, key)
        shortcut.activated.connect(slot(press))
        shortcut.activatedAmbiguously.connect(slot(press))
        shortcut.setAutoRepeat(not key.held)
        return shortcut

    def _add_canvas_shortcut(self) -> None:
        window = self._dock.window()
        canvas = window.centralWidget() if isinstance(window, QMainWindow) else None
        if self._canvas_shortcut is None and canvas is not None:
            key = next(key for key in KEYS if key.key == BOUND_BY_QT)
            self._canvas_shortcut = self._add_shortcut(key, canvas)

    def _bind(self, key: Key) -> None:
        keymap, before = self._viewer.keymap, dict(self._viewer.keymap)
        self._viewer.bind_key(key.key, self._canvas_action(key), overwrite=True)
        for binding, action in keymap.items():
            if before.get(binding) is not action:
                self._bound[binding] = (before.get(binding), action)

    def _give_undo(self, field: QWidget) -> None:
        """Leave undo to the field while its text differs from what was entered, then take it."""
        edit = field.lineEdit() if isinstance(field, QAbstractSpinBox) else field
        edit.editingFinished.connect(slot(partial(edit.setModified, False)))
        field.installEventFilter(self)
        self._watched.append(field)

    def _canvas_action(self, key: Key) -> Callable[[Any], Any]:
        action = getattr(self._dock, key.action)

        def press(viewer: Any) -> None:
            if self._has_focus():
                action()

        def hold(viewer: Any) -> Iterator[None]:
            if not self._has_focus():
                return
            action(True)
            yield
            action(False)

        return slot(hold if key.held else press)

    @slot
    def _press(self, key: Key) -> None:
        action = getattr(self._dock, key.action)
        if not key.held:
            action()
            return
        focus = QApplication.focusWidget()
        if self._held is None and focus is not None:
            self._held = (focus, key)
            focus.installEventFilter(self)
            action(True)

    def _release(self) -> None:
        if self._held is not None:
            (_, key), self._held = self._held, None
            getattr(self._dock, key.action)(False)

    def _has_focus(self) -> bool:
        """Return False if the focus is in the dock of another plugin or in a dock of napari."""
        widget: QObject | None = QApplication.focusWidget()
        while widget is not None and not isinstance(widget, QDockWidget):
            widget = widget.parent()
        return widget is None or any(widget.isAncestorOf(ours) for ours in self._widgets)


def _is_undo(event: QKeyEvent) -> bool:
    standard = QKeySequence.StandardKey
    return bool(event.matches(standard.Undo)) or bool(event.matches(standard.Redo))


def _has_text_edit(field: QObject) -> bool:
    """Return True if the text of a field differs from what was entered last."""
    edit = field.lineEdit() if isinstance(field, QAbstractSpinBox) else field
    return isinstance(edit, QLineEdit) and edit.isModified()
