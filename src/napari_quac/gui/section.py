"""A part of the dock with a title that can be folded."""

from __future__ import annotations

from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import (
    QApplication,
    QFrame,
    QHBoxLayout,
    QLabel,
    QLayout,
    QScrollArea,
    QSizePolicy,
    QWidget,
)

from napari_quac.gui.text import ElidedLabel
from napari_quac.gui.widgets import column, disclosure_button, fill, muted, name_after, row

CAPTION_WIDTH = 74  # pixels, at least


class Section(QWidget):
    """A title line that folds its body, and a summary beside the title.

    superqt's ``QCollapsible`` has no place for the summary beside its title.

    Parameters
    ----------
    title : str
    name : str
        Its button is named ``section_<name>``, its summary ``summary_<name>``.
    """

    def __init__(self, title: str, name: str) -> None:
        super().__init__()
        self.body = QWidget()
        self.body_layout = column(parent=self.body)
        self.body_layout.setContentsMargins(2, 2, 2, 8)
        tooltip = "Fold or unfold this section."
        self.button = disclosure_button(
            title, f"section_{name}", self.body, tooltip, role="section"
        )
        self.button.setChecked(True)
        self._summary = ElidedLabel("", f"summary_{name}", "muted")
        self._summary.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        title_line = row(self.button, self._summary, 1, spacing=8)
        title_line.setContentsMargins(0, 0, 2, 0)
        rule = QFrame()
        rule.setProperty("role", "rule")
        rule.setFixedHeight(1)
        column(rule, title_line, self.body, spacing=0, parent=self)

    @property
    def is_open(self) -> bool:
        """True if the body shows."""
        return bool(self.button.isChecked())

    def set_open(self, is_open: bool) -> None:
        """Fold or unfold the body."""
        self.button.setChecked(is_open)

    def add(self, *parts: QWidget | QLayout | int | None) -> None:
        """Add parts below the others; see :func:`~napari_quac.gui.widgets.row`."""
        fill(self.body_layout, parts)

    def set_summary(self, text: str) -> None:
        """Show a few words beside the title."""
        self._summary.setText(text)


def caption(text: str) -> QLabel:
    """Return a label for the left of a row; short ones have one width, so that fields line up."""
    label = muted(text)
    label.setMinimumWidth(CAPTION_WIDTH)
    label.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Preferred)
    return label


def labeled_row(text: str, *widgets: QWidget) -> QHBoxLayout:
    """Return a row of a caption and its fields; the first field takes the free width."""
    name_after(text, *widgets)
    first, *others = widgets
    return row(caption(text), first, 1, *others)


def fields_row(text: str, *widgets: QWidget) -> QHBoxLayout:
    """Return a row of a caption and fields of equal width."""
    name_after(text, *widgets)
    fields = row(caption(text))
    for widget in widgets:
        fields.addWidget(widget, 1)
    return fields


def step_section(area: QScrollArea, by: int) -> None:
    """Move the focus to the title of the next section in a scroll area, or of one before it."""
    sections = [s for s in area.findChildren(Section) if s.isVisible()]
    if not sections:
        return
    sections.sort(key=lambda section: section.mapTo(area, QPoint(0, 0)).y())
    focus = area.focusWidget() if area.isAncestorOf(QApplication.focusWidget() or area) else None
    current = next((i for i, s in enumerate(sections) if focus and s.isAncestorOf(focus)), None)
    start = (-1 if by > 0 else 0) if current is None else current
    section = sections[(start + by) % len(sections)]
    section.button.setFocus(Qt.FocusReason.ShortcutFocusReason)
    area.ensureWidgetVisible(section.button)
