"""A style sheet that is set part by part, so that no turn of the event loop takes long."""

from __future__ import annotations

from collections.abc import Iterator

from qtpy.QtCore import QEvent, QObject, QTimer
from qtpy.QtWidgets import QWidget

from napari_quac.gui.section import Section
from napari_quac.gui.slots import slot, slots

MOST_WIDGETS = 200
"""That many are polished in 20 to 40 ms; the whole dock has more than a thousand."""


@slots
class GradualStyle(QObject):
    """Sets the style sheet of some widgets, and of later children of the first, such as dialogs.

    A sheet that is set on a container polishes everything in it at once. It is therefore set on the
    sections and on what stands beside them; containers keep the look of napari.

    Parameters
    ----------
    *widgets : QWidget
        The first is the parent of this object.
    """

    def __init__(self, *widgets: QWidget) -> None:
        super().__init__(widgets[0])
        self._sheet = ""
        self._parts = [part for widget in widgets for part in style_parts(widget)]
        self._containers = {above for part in self._parts for above in _containers_of(part)}
        self._pending: list[QWidget] = []
        self._timer = QTimer(self, interval=0)
        self._timer.timeout.connect(self._style_next)
        widgets[0].installEventFilter(self)

    @property
    def is_pending(self) -> bool:
        """True while some parts have the previous sheet."""
        return bool(self._pending)

    def set_sheet(self, sheet: str) -> None:
        """Set a sheet: the first at once, later ones part by part, visible parts first."""
        is_first, self._sheet = not self._sheet, sheet
        self._pending = sorted(self._parts, key=lambda part: not part.isVisible())
        self._timer.start()
        while is_first and self._pending:
            self._style_next()

    def close(self) -> None:
        """Leave pending parts as they are."""
        self._pending.clear()
        self._timer.stop()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Style a child of the first widget that was added later."""
        if event.type() == QEvent.Type.ChildPolished and self._sheet:
            child = event.child()
            is_new = isinstance(child, QWidget) and child not in self._containers
            if is_new and not child.styleSheet() and style_parts(child) == [child]:
                child.setStyleSheet(self._sheet)
        return False

    @slot
    def _style_next(self) -> None:
        if self._pending:
            self._pending.pop(0).setStyleSheet(self._sheet)
        else:
            self._timer.stop()


def style_parts(widget: QWidget) -> list[QWidget]:
    """Return the largest parts of a widget that are quick to polish; sections are not divided."""
    if isinstance(widget, Section) or len(widget.findChildren(QWidget)) <= MOST_WIDGETS:
        return [widget]
    children = [child for child in widget.children() if isinstance(child, QWidget)]
    return [part for child in children for part in style_parts(child)]


def _containers_of(widget: QWidget) -> Iterator[QWidget]:
    while (widget := widget.parentWidget()) is not None:
        yield widget
