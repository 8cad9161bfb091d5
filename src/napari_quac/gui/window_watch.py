"""Notices that the window of the dock closes, and makes room for the dock in it."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QEvent, QObject, Qt, QTimer, Signal
from qtpy.QtWidgets import QMainWindow, QWidget

from napari_quac.gui.bottom_docks import dock_of

CORNERS = (
    (Qt.Corner.BottomRightCorner, Qt.DockWidgetArea.RightDockWidgetArea),
    (Qt.Corner.BottomLeftCorner, Qt.DockWidgetArea.LeftDockWidgetArea),
)


class WindowWatch(QObject):
    """Watches the window that a widget is in.

    Parameters
    ----------
    widget : QWidget
        What lies in the window, or will.
    width : int
        Pixels that it wants.
    """

    closing = Signal(bool)
    """The window was asked to close; False when somebody thought better of it."""
    closed = Signal()
    """It did close."""

    def __init__(self, widget: QWidget, width: int) -> None:
        super().__init__(widget)
        self._widget, self._width = widget, width
        self._window: QWidget | None = None
        self._corners: dict[Any, Any] = {}
        self._has_ended = False

    def look(self) -> None:
        """Take the window that the widget is in now."""
        window = self._widget.window()
        if self._has_ended or window is self._widget or window is self._window:
            return
        self._window = window
        window.installEventFilter(self)
        self._take_corners(window)

    def end(self, window_closes: bool) -> None:
        """Let go of the window, and give it its corners back if it stays."""
        self._has_ended = True
        if self._window is None:
            return
        self._window.removeEventFilter(self)
        if not window_closes and isinstance(self._window, QMainWindow):
            for corner, area in self._corners.items():
                self._window.setCorner(corner, area)
        self._window = None

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Tell that the window is asked to close, and see later whether it did."""
        if watched is self._window and event.type() == QEvent.Type.Close:
            self.closing.emit(True)
            QTimer.singleShot(0, self._see_whether_it_closed)
        return False

    def _see_whether_it_closed(self) -> None:
        if self._has_ended:
            return
        if self._window is not None and not self._window.isVisible():
            self.closed.emit()
        else:
            self.closing.emit(False)

    def _take_corners(self, window: QWidget) -> None:
        """Let the side docks reach down to the bottom, so that this one has room."""
        if isinstance(window, QMainWindow):
            self._corners = {corner: window.corner(corner) for corner, _ in CORNERS}
            for corner, area in CORNERS:
                window.setCorner(corner, area)
            window.resizeDocks([dock_of(self._widget)], [self._width], Qt.Orientation.Horizontal)
