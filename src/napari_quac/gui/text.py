"""Labels that never push the dock wider, and numbers for people."""

from __future__ import annotations

import math

from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import (
    QAbstractTextDocumentLayout,
    QPainter,
    QPaintEvent,
    QPalette,
    QResizeEvent,
    QTextDocument,
    QTextOption,
)
from qtpy.QtWidgets import QLabel, QSizePolicy, QStyle, QWidget


class ElidedLabel(QLabel):
    """One line of text that is cut with an ellipsis where it does not fit; the tip has it all."""

    def __init__(
        self, text: str = "", mode: Qt.TextElideMode = Qt.TextElideMode.ElideRight
    ) -> None:
        super().__init__(text)
        self._mode = mode
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.setToolTip(text)

    def setText(self, text: str) -> None:
        """Set the whole text."""
        if text != self.text():
            super().setText(text)
            self.setToolTip(text)

    def minimumSizeHint(self) -> QSize:
        """Return a width that always fits."""
        return QSize(20, super().minimumSizeHint().height())

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw as much as there is room for."""
        painter = QPainter(self)
        painter.setPen(self.palette().color(self.foregroundRole()))
        rect = self.contentsRect()
        text = self.fontMetrics().elidedText(self.text(), self._mode, rect.width())
        painter.drawText(rect, int(self.alignment()), text)
        painter.end()


class WrappedLabel(QLabel):
    """Text in as many lines as it takes, broken inside of long names where it must be."""

    def __init__(self, text: str = "", name: str = "", role: str = "") -> None:
        super().__init__(text)
        policy = QSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        self.setMinimumWidth(40)
        if name:
            self.setObjectName(name)
        if role:
            self.setProperty("role", role)

    def setText(self, text: str) -> None:
        """Set the text."""
        if text != self.text():
            super().setText(text)
            self.updateGeometry()

    def hasHeightForWidth(self) -> bool:
        """Tell layouts that the height follows from the width."""
        return True

    def heightForWidth(self, width: int) -> int:
        """Return the height of the text when it is broken at ``width``."""
        document = self._document(width)
        height: float = document.size().height()
        return math.ceil(height)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Ask for another height at another width."""
        super().resizeEvent(event)
        if event.oldSize().width() != event.size().width():
            self.updateGeometry()

    def sizeHint(self) -> QSize:
        """Return the size at the present width."""
        width = max(self.width(), 120)
        return QSize(width, self.heightForWidth(width))

    def minimumSizeHint(self) -> QSize:
        """Return a width that always fits."""
        return QSize(40, self.fontMetrics().height())

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the lines."""
        painter = QPainter(self)
        document = self._document(self.width())
        context = QAbstractTextDocumentLayout.PaintContext()
        context.palette.setColor(
            QPalette.ColorRole.Text, self.palette().color(self.foregroundRole())
        )
        document.documentLayout().draw(painter, context)
        painter.end()

    def _document(self, width: int) -> QTextDocument:
        document = QTextDocument()
        document.setDocumentMargin(0)
        document.setDefaultFont(self.font())
        option = QTextOption(self.alignment())
        option.setWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        document.setDefaultTextOption(option)
        document.setPlainText(self.text())
        document.setTextWidth(max(40, width))
        return document


def set_tone(widget: QWidget, tone: str) -> None:
    """Set the tone (good, bad, note or nothing) that the style sheet looks at."""
    if widget.property("tone") != tone:
        widget.setProperty("tone", tone)
        style: QStyle = widget.style()
        style.unpolish(widget)
        style.polish(widget)


def signed(number: float, digits: int = 2) -> str:
    """Return a difference with its sign; what rounds to nothing has none."""
    text = f"{number:+.{digits}f}"
    return text[1:] if float(text) == 0 else text.replace("-", "−")


def grouped(number: float) -> str:
    """Return a whole number in groups of three digits."""
    return f"{number:,.0f}".replace(",", " ")


def measured(size: float) -> str:
    """Return an area or a volume: in groups of digits, or with three that count if it is small.

    Examples
    --------
    >>> measured(8128.4), measured(0.0081284)
    ('8 128', '0.00813')
    """
    return grouped(size) if size >= 100 or size == 0 else f"{size:.3g}"


def duration(seconds: float) -> str:
    """Return a duration in words, roundly."""
    if seconds < 1:
        return "less than 1 s"
    if seconds < 90:
        return f"about {seconds:.0f} s"
    return f"about {seconds / 60:.0f} min"
