"""Combo boxes whose texts are never cut."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtGui import QPaintEvent
from qtpy.QtWidgets import QComboBox, QStyle, QStyleOptionComboBox, QStylePainter


class ElidedMenu(QComboBox):
    """A combo box with a list as wide as its longest entry.

    The chosen entry is elided where it does not fit; the tooltip then begins with all of it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._tip = ""

    def setToolTip(self, text: str) -> None:
        """Set the tooltip, below the chosen entry if that is elided."""
        self._tip = text
        self._show_tip(self._elided_text())

    def showPopup(self) -> None:
        """Show the list, as wide as its longest entry."""
        view = self.view()
        metrics = view.fontMetrics()
        texts = (self.itemText(row) for row in range(self.count()))
        longest = max((metrics.horizontalAdvance(text) for text in texts), default=0)
        margins = 2 * view.frameWidth() + 4 * metrics.averageCharWidth() + self.iconSize().width()
        view.setMinimumWidth(longest + margins)
        super().showPopup()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the box with the elided text."""
        painter, option = QStylePainter(self), QStyleOptionComboBox()
        self.initStyleOption(option)
        painter.drawComplexControl(QStyle.ComplexControl.CC_ComboBox, option)
        if self.count() and self.currentIndex() >= 0:
            option.currentText = self._elided_text()
            self._show_tip(option.currentText)
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)
        painter.end()

    def _show_tip(self, elided: str) -> None:
        is_whole = elided == self.currentText()
        tip = self._tip if is_whole else f"{self.currentText()}\n{self._tip}".strip()
        if tip != self.toolTip():
            super().setToolTip(tip)

    def _elided_text(self) -> str:
        option = QStyleOptionComboBox()
        self.initStyleOption(option)
        part = QStyle.SubControl.SC_ComboBoxEditField
        field = self.style().subControlRect(QStyle.ComplexControl.CC_ComboBox, option, part, self)
        # the style leaves a margin of a pixel on either side of the text
        width = max(0, field.width() - 2)
        text: str = self.fontMetrics().elidedText(
            self.currentText(), Qt.TextElideMode.ElideRight, width
        )
        return text
