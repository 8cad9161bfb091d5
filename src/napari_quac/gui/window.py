"""The window around the dock: docks below the canvas, closing, and calls from other threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QEvent, QObject, Qt, QTimer, Signal
from qtpy.QtOpenGLWidgets import QOpenGLWidget
from qtpy.QtWidgets import QApplication, QDockWidget, QMainWindow, QWidget

from napari_quac.gui.slots import slot, slots

SAMPLES_NAME = "QuAC samples"
CURVE_NAME = "QuAC curve"
COMPARISON_NAME = "QuAC comparison"


@slots
class BottomDocks(QObject):
    """Adds three widgets below the canvas, raises them, and removes them.

    Samples and curve are added at the start, the comparison on request.
    """

    changed = Signal()
    """The samples or the curve were closed or restored."""

    def __init__(
        self, viewer: Any, samples: QWidget, curve: QWidget, comparison: QWidget, parent: QObject
    ) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._samples, self._curve, self._comparison = samples, curve, comparison
        self._is_closed = False
        for widget in (curve, samples):
            widget.installEventFilter(self)

    @property
    def is_one_missing(self) -> bool:
        """True if the samples or the curve were closed."""
        return self._curve.parent() is None or self._samples.parent() is None

    def show(self) -> None:
        """Add samples and curve below the canvas if they were closed."""
        for widget, name in ((self._samples, SAMPLES_NAME), (self._curve, CURVE_NAME)):
            self._add(widget, name)
        raise_dock(self._curve, behind=self._samples)

    def raise_samples(self) -> None:
        """Raise the samples."""
        raise_dock(self._samples)

    def type_filter(self) -> None:
        """Raise the samples with the cursor in the filter."""
        self.show()
        self.raise_samples()
        self._samples.field.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self._samples.field.selectAll()

    def raise_curve(self) -> None:
        """Raise the curve."""
        raise_dock(self._curve)

    def show_comparison(self) -> None:
        """Add the comparison in front of the curve."""
        self._add(self._comparison, COMPARISON_NAME)
        self._comparison.show()
        raise_dock(self._comparison, behind=self._curve)
        # a new tab can be raised only after the window has laid it out
        QTimer.singleShot(0, self._raise_comparison)

    def close(self, window_closes: bool) -> None:
        """Remove all docks, unless the whole window closes."""
        self._is_closed = True
        if window_closes:
            return
        for widget in (self._curve, self._samples, self._comparison):
            widget.removeEventFilter(self)
            if widget.parent() is not None:  # napari would search all docks for a bare widget
                self._viewer.window.remove_dock_widget(dock_of(widget) or widget)
            widget.deleteLater()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Emit ``changed`` after a dock was closed or restored."""
        if event.type() == QEvent.Type.ParentChange:
            QTimer.singleShot(0, self._emit_changed)
        return False

    def _add(self, widget: QWidget, name: str) -> None:
        if widget.parent() is None:
            self._viewer.window.add_dock_widget(
                widget, name=name, area="bottom", add_vertical_stretch=False
            )
            widget.show()

    @slot
    def _raise_comparison(self) -> None:
        if not self._is_closed:
            raise_dock(self._comparison)

    @slot
    def _emit_changed(self) -> None:
        if not self._is_closed:
            self.changed.emit()


def dock_of(widget: QWidget) -> QDockWidget | None:
    """Return the dock widget that contains a widget."""
    parent = widget.parent()
    while parent is not None and not isinstance(parent, QDockWidget):
        parent = parent.parent()
    return parent


def canvas_of(widget: QWidget) -> QOpenGLWidget | None:
    """Return the canvas of the window in which a widget is docked, or None."""
    dock = dock_of(widget)
    window = dock.parent() if dock is not None else None
    center = window.centralWidget() if isinstance(window, QMainWindow) else None
    canvas = center.findChild(QOpenGLWidget) if center is not None else None
    return canvas if canvas is not None and canvas.isValid() else None


def raise_dock(widget: QWidget, behind: QWidget | None = None) -> None:
    """Raise the dock of a widget; one that was just added becomes a tab beside ``behind``."""
    dock = dock_of(widget)
    if dock is None:
        return
    other = dock_of(behind) if behind is not None else None
    window = dock.parent()
    if other is not None and isinstance(window, QMainWindow):
        area = window.dockWidgetArea(dock)
        together = other in window.tabifiedDockWidgets(dock)
        if not together and not other.isFloating() and window.dockWidgetArea(other) == area:
            window.tabifyDockWidget(other, dock)
    dock.raise_()


CORNERS = (
    (Qt.Corner.BottomRightCorner, Qt.DockWidgetArea.RightDockWidgetArea),
    (Qt.Corner.BottomLeftCorner, Qt.DockWidgetArea.LeftDockWidgetArea),
)


@slots
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
    docked = Signal()
    """The widget was added to the window."""
    removed = Signal()
    """The widget was taken out of the window, which is how napari closes a dock."""

    def __init__(self, widget: QWidget, width: int) -> None:
        super().__init__(widget)
        self._widget, self._width = widget, width
        self._window: QWidget | None = None
        self._corners: dict[Any, Any] = {}
        self._has_ended = self._was_docked = False
        widget.installEventFilter(self)
        # the application may quit before the next turn of its event loop, and by a signal
        self._quitting = getattr(QApplication.instance(), "aboutToQuit", None)
        if self._quitting is not None:
            self._quitting.connect(self._on_quit)

    @property
    def is_docked(self) -> bool:
        """True while the widget is in a dock widget."""
        return self._was_docked and dock_of(self._widget) is not None

    @slot
    def watch(self) -> None:
        """Watch the current window of the widget."""
        window = self._widget.window()
        if self._has_ended or window is self._widget:
            return
        self.docked.emit()
        if window is self._window:
            return
        self._window = window
        window.installEventFilter(self)
        self._take_corners(window)

    def end(self, window_closes: bool) -> None:
        """Release the window, and restore its corners unless it closes."""
        self._has_ended = True
        self._widget.removeEventFilter(self)
        if self._quitting is not None:
            self._quitting.disconnect(self._on_quit)
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

    def _on_quit(self) -> None:
        if not self._has_ended:
            self.closed.emit()

    @slot
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


class MainThread(QObject):
    """Executes calls in the thread that created it, in their order.

    superqt's ``ensure_main_thread`` runs calls from the main thread itself immediately, before
    earlier ones of other threads, and cannot drop pending calls when the dock closes.
    """

    _called = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._closed = False
        self._called.connect(self._run, Qt.ConnectionType.QueuedConnection)

    def call(self, function: Callable[[], None]) -> None:
        """Queue ``function`` for the event loop of the GUI thread."""
        if not self._closed:
            self._called.emit(function)

    def close(self) -> None:
        """Drop all pending and later calls."""
        self._closed = True

    @slot
    def _run(self, function: Callable[[], None]) -> None:
        if not self._closed:
            function()
