"""The tabbed docks below the canvas: samples, curve and comparison."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QEvent, QObject, QTimer, Signal
from qtpy.QtWidgets import QDockWidget, QMainWindow, QWidget

SAMPLES_NAME = "QuAC samples"
CURVE_NAME = "QuAC curve"
COMPARISON_NAME = "QuAC comparison"


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
        """Whether the samples or the curve were closed."""
        return self._curve.parent() is None or self._samples.parent() is None

    def show(self) -> None:
        """Add samples and curve below the canvas if they were closed."""
        for widget, name in ((self._samples, SAMPLES_NAME), (self._curve, CURVE_NAME)):
            self._add(widget, name)
        raise_dock(self._curve, behind=self._samples)

    def raise_samples(self) -> None:
        """Raise the samples."""
        raise_dock(self._samples)

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
            if widget.parent() is not None:
                self._viewer.window.remove_dock_widget(widget)
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

    def _raise_comparison(self) -> None:
        if not self._is_closed:
            raise_dock(self._comparison)

    def _emit_changed(self) -> None:
        if not self._is_closed:
            self.changed.emit()


def dock_of(widget: QWidget) -> QDockWidget | None:
    """Return the dock widget that contains a widget."""
    parent = widget.parent()
    while parent is not None and not isinstance(parent, QDockWidget):
        parent = parent.parent()
    return parent


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
