"""Dock widgets that lie one behind the other below the canvas."""

from __future__ import annotations

from qtpy.QtWidgets import QDockWidget, QMainWindow, QWidget


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
