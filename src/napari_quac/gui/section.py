"""A part of the dock with a title that can be folded."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFrame, QHBoxLayout, QLabel, QToolButton, QVBoxLayout, QWidget

from napari_quac.gui.text import ElidedLabel

CAPTION_WIDTH = 74


class Section(QWidget):
    """A title line that folds its body, and a summary beside the title.

    Parameters
    ----------
    title : str
    name : str
        Its button is called ``section_<name>``.
    """

    def __init__(self, title: str, name: str) -> None:
        super().__init__()
        self.button = QToolButton()
        self.button.setObjectName(f"section_{name}")
        self.button.setProperty("role", "section")
        self.button.setText(title)
        self.button.setCheckable(True)
        self.button.setChecked(True)
        self.button.setArrowType(Qt.ArrowType.DownArrow)
        self.button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        self.button.setToolTip("Fold or unfold this section")
        self.button.toggled.connect(self._on_toggled)
        self._summary = ElidedLabel()
        self._summary.setObjectName(f"summary_{name}")
        self._summary.setProperty("role", "muted")
        self._summary.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        title_line = QHBoxLayout()
        title_line.setContentsMargins(0, 0, 2, 0)
        title_line.setSpacing(8)
        title_line.addWidget(self.button)
        title_line.addWidget(self._summary, 1)
        rule = QFrame()
        rule.setProperty("role", "rule")
        rule.setFixedHeight(1)
        self.body = QWidget()
        self.body_layout = QVBoxLayout(self.body)
        self.body_layout.setContentsMargins(2, 2, 2, 8)
        self.body_layout.setSpacing(6)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(rule)
        layout.addLayout(title_line)
        layout.addWidget(self.body)

    @property
    def is_open(self) -> bool:
        """Whether the body shows."""
        return bool(self.button.isChecked())

    def set_open(self, is_open: bool) -> None:
        """Fold or unfold."""
        self.button.setChecked(is_open)

    def set_summary(self, text: str) -> None:
        """Show a few words beside the title."""
        self._summary.setText(text)

    def _on_toggled(self, is_open: bool) -> None:
        self.body.setVisible(is_open)
        arrow = Qt.ArrowType.DownArrow if is_open else Qt.ArrowType.RightArrow
        self.button.setArrowType(arrow)


def caption(text: str) -> QLabel:
    """Return a label for the left of a row; all have one width, so that fields line up."""
    label = QLabel(text)
    label.setProperty("role", "muted")
    label.setFixedWidth(CAPTION_WIDTH)
    return label


def labelled_row(text: str, *widgets: QWidget) -> QHBoxLayout:
    """Return a row of a caption and its fields."""
    row = QHBoxLayout()
    row.setContentsMargins(0, 0, 0, 0)
    row.setSpacing(6)
    row.addWidget(caption(text))
    for index, widget in enumerate(widgets):
        row.addWidget(widget, 1 if index == 0 else 0)
    return row
