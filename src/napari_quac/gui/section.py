"""A part of the dock with a title that can be folded."""

from __future__ import annotations

from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import QFrame, QLabel, QLayout, QSizePolicy, QWidget

from napari_quac.gui.control_names import name_after
from napari_quac.gui.slots import slot
from napari_quac.gui.text import ElidedLabel, WrappedLabel
from napari_quac.gui.widgets import column, disclosure_button, fill, row
from napari_quac.gui.wrapping_row import WrappingRow

CAPTION_CHARACTERS = 11


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
        self.body_layout.setContentsMargins(2, 1, 2, 5)
        tooltip = "Fold or unfold this section."
        self.button = disclosure_button(
            title, f"section_{name}", self.body, tooltip, role="section"
        )
        self.button.setChecked(True)
        self._is_for_folded = False
        self._summary = ElidedLabel("", f"summary_{name}", "muted")
        self._summary.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self.button.toggled.connect(slot(lambda _: self._fit_summary()))
        self.title_line = row(self.button, self._summary, 1000, None, spacing=8)
        self.title_line.setContentsMargins(0, 0, 2, 0)
        rule = QFrame()
        rule.setProperty("role", "rule")
        rule.setFixedHeight(1)
        column(rule, self.title_line, self.body, spacing=0, parent=self)

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

    def set_summary(self, text: str, folded_only: bool = False) -> None:
        """Show a few words beside the title, always or only while the body is folded."""
        self._summary.setText(text)
        self._is_for_folded = folded_only
        self._fit_summary()

    def _fit_summary(self) -> None:
        self._summary.setVisible(not (self._is_for_folded and self.is_open))


class Caption(QLabel):
    """Label for the left of a row; short ones have one width, so that fields line up."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.setProperty("role", "muted")
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Preferred)

    def sizeHint(self) -> QSize:
        """Return the width of the text, or that of a short one."""
        hint: QSize = super().sizeHint()
        shortest = CAPTION_CHARACTERS * self.fontMetrics().averageCharWidth()
        return QSize(max(hint.width(), shortest), hint.height())

    def minimumSizeHint(self) -> QSize:
        """Return the whole width, since a shorter label would be cut."""
        return self.sizeHint()


class WrappedCaption(WrappedLabel):
    """Label for the left of fields, in several lines where there is no room for one."""

    def __init__(self, text: str, name: str = "", role: str = "muted") -> None:
        super().__init__(text, name, role)
        policy = self.sizePolicy()
        policy.setHorizontalPolicy(QSizePolicy.Policy.Maximum)
        self.setSizePolicy(policy)

    def sizeHint(self) -> QSize:
        """Return the size of the text in one line."""
        metrics = self.fontMetrics()
        return QSize(metrics.horizontalAdvance(self.text()) + 2, metrics.height())

    def minimumSizeHint(self) -> QSize:
        """Return the width of the longest word."""
        metrics = self.fontMetrics()
        widest = max(map(metrics.horizontalAdvance, self.text().split()), default=0)
        return QSize(widest + 2, metrics.height())


def caption(text: str) -> QLabel:
    """Return a label for the left of a row."""
    return Caption(text)


def labeled_row(text: str, *widgets: QWidget) -> QLayout:
    """Return a row of a caption and its fields; the first field takes the free width."""
    name_after(text, *widgets)
    first, *others = widgets
    return WrappingRow(caption(text), first, 1, *others)


def fields_row(text: str, *widgets: QWidget) -> QLayout:
    """Return a row of a caption and fields of equal width."""
    name_after(text, *widgets)
    return WrappingRow(caption(text), *(part for widget in widgets for part in (widget, 1)))
