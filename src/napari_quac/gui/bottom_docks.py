"""The docks that lie one behind the other below the canvas: samples, curve and comparison."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QEvent, QObject, QTimer, Signal
from qtpy.QtWidgets import QDockWidget, QMainWindow, QWidget

SAMPLES_NAME = "QuAC samples"
CURVE_NAME = "QuAC curve"
COMPARISON_NAME = "QuAC comparison"


class BottomDocks(QObject):
    """Puts three widgets below the canvas, brings one to the front, and takes them away.

    Samples and curve are there from the start; the comparison comes when it is asked for.
    """

    changed = Signal()
    """The samples or the curve were closed or brought back."""

    def __init__(
        self,
        viewer: Any,
        samples: QWidget,
        curve: QWidget,
        comparison: QWidget,
        parent: QObject,
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
        """Put samples and curve below the canvas, if they are not there."""
        for widget, name in ((self._samples, SAMPLES_NAME), (self._curve, CURVE_NAME)):
            self._add(widget, name)
        raise_dock(self._curve, behind=self._samples)

    def raise_samples(self) -> None:
        """Bring the samples to the front."""
        raise_dock(self._samples)

    def raise_curve(self) -> None:
        """Bring the curve to the front."""
        raise_dock(self._curve)

    def show_comparison(self) -> None:
        """Put the comparison in front of the curve."""
        self._add(self._comparison, COMPARISON_NAME)
        self._comparison.show()
        raise_dock(self._comparison, behind=self._curve)
        # a tab that is new comes to the front only once the window has laid it out
        QTimer.singleShot(0, self._raise_comparison)

    def close(self, window_closes: bool) -> None:
        """Take all away, unless the window that they are in closes."""
        self._is_closed = True
        if window_closes:
            return
        for widget in (self._curve, self._samples, self._comparison):
            widget.removeEventFilter(self)
            if widget.parent() is not None:
                self._viewer.window.remove_dock_widget(widget)
            widget.deleteLater()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Notice that one was closed."""
        if event.type() == QEvent.Type.ParentChange:
            QTimer.singleShot(0, self._tell)
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

    def _tell(self) -> None:
        if not self._is_closed:
            self.changed.emit()


def dock_of(widget: QWidget) -> QDockWidget | None:
    """Return the dock widget that a widget lies in."""
    parent = widget.parent()
    while parent is not None and not isinstance(parent, QDockWidget):
        parent = parent.parent()
    return parent


def raise_dock(widget: QWidget, behind: QWidget | None = None) -> None:
    """Bring a dock to the front; ``behind`` shares its place, if it has none of its own yet."""
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
