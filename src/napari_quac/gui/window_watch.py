"""Detection of a closing window, and the corners that the window gives to the dock."""

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
    """Watches the window of a widget.

    Parameters
    ----------
    widget : QWidget
        A widget in the window, or one that will be added to it.
    width : int
        Preferred width in pixels.
    """

    closing = Signal(bool)
    """True if the window is about to close; False if closing was canceled."""
    closed = Signal()
    """The window was closed."""
    removed = Signal()
    """The widget was taken out of the window, which is how napari closes a dock."""

    def __init__(self, widget: QWidget, width: int) -> None:
        super().__init__(widget)
        self._widget, self._width = widget, width
        self._window: QWidget | None = None
        self._corners: dict[Any, Any] = {}
        self._has_ended = self._was_docked = False
        widget.installEventFilter(self)

    def watch(self) -> None:
        """Watch the current window of the widget."""
        window = self._widget.window()
        if self._has_ended or window is self._widget or window is self._window:
            return
        self._window = window
        window.installEventFilter(self)
        self._take_corners(window)

    def end(self, window_closes: bool) -> None:
        """Release the window, and restore its corners unless it closes."""
        self._has_ended = True
        self._widget.removeEventFilter(self)
        if self._window is None:
            return
        self._window.removeEventFilter(self)
        if not window_closes and isinstance(self._window, QMainWindow):
            for corner, area in self._corners.items():
                self._window.setCorner(corner, area)
        self._window = None

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Emit ``closing`` and ``removed``, and check later whether the window was closed."""
        if watched is self._widget and event.type() == QEvent.Type.Show:
            self.watch()
        elif watched is self._widget and event.type() == QEvent.Type.ParentChange:
            if self._widget.parent() is not None:
                self._was_docked = True
                QTimer.singleShot(0, self.watch)
            elif self._was_docked:
                self.removed.emit()
        elif watched is self._window and event.type() == QEvent.Type.Close:
            self.closing.emit(True)
            QTimer.singleShot(0, self._check_closed)
        return False

    def _check_closed(self) -> None:
        if self._has_ended:
            return
        if self._window is not None and not self._window.isVisible():
            self.closed.emit()
        else:
            self.closing.emit(False)

    def _take_corners(self, window: QWidget) -> None:
        """Extend the side docks to the bottom of the window, so that the dock has more room."""
        if isinstance(window, QMainWindow):
            self._corners = {corner: window.corner(corner) for corner, _ in CORNERS}
            for corner, area in CORNERS:
                window.setCorner(corner, area)
            window.resizeDocks([dock_of(self._widget)], [self._width], Qt.Orientation.Horizontal)
