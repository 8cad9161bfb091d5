"""Labels that never widen the dock, and numbers formatted for reading."""

from __future__ import annotations

import math
from html import escape

from qtpy.QtCore import QEvent, QSize, Qt, Signal
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
from superqt import QElidingLabel

from napari_quac.gui.option_names import with_controls
from napari_quac.gui.slots import slots

LONG_SECONDS = 5.0
"""Work that takes longer states its time before it is started."""

MOST_HEIGHTS = 8
"""Heights of a text that a label remembers."""


def plain(text: str) -> str:
    """Return a tooltip that Qt shows as it is, also where it would take it for markup."""
    if not Qt.mightBeRichText(text):
        return text
    return f"<qt>{escape(text, quote=False).replace(chr(10), '<br>')}</qt>"


class ElidedLabel(QElidingLabel):
    """One line of plain text, elided where it does not fit; the tooltip has the whole text."""

    def __init__(
        self,
        text: str = "",
        name: str = "",
        role: str = "",
        mode: Qt.TextElideMode = Qt.TextElideMode.ElideRight,
    ) -> None:
        super().__init__()
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setElideMode(mode)
        self.setEllipsesWidth(6)  # else the first letter of text aligned to the right is cut
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        _mark(self, name, role)
        self.setText(text)

    def setText(self, text: str) -> None:
        """Set the whole text, and the tooltip."""
        text = with_controls(text)
        if text != self.text():
            super().setText(text)
            self.setToolTip(plain(text))

    def minimumSizeHint(self) -> QSize:
        """Return a width that fits any dock."""
        return QSize(20, self.sizeHint().height())


@slots
class WrappedLabel(QLabel):
    """Text in as many lines as needed, or allowed, with long names broken.

    ``QLabel`` and superqt's ``QElidingLabel`` wrap between words only, so that a long path would
    widen the dock.

    Parameters
    ----------
    text, name, role : str
        Text, object name, and role in the style sheet.
    n_lines : int
        Lines for which there is always room, so that what is below does not move.
    max_lines : int
        Number of lines after which the text is elided, with the whole text as tooltip; 0 for all.
    """

    cut_changed = Signal(bool)
    """The text is elided, or no longer."""

    def __init__(
        self, text: str = "", name: str = "", role: str = "", n_lines: int = 0, max_lines: int = 0
    ) -> None:
        super().__init__()
        self.setTextFormat(Qt.TextFormat.PlainText)
        super().setText(text)
        self._n_lines, self._max_lines, self._is_cut = n_lines, max_lines, False
        self._elided: tuple[tuple[str, int, str], str] | None = None
        self._heights: dict[tuple[str, str, int, str], int] = {}
        policy = QSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        policy.setHeightForWidth(True)
        self.setSizePolicy(policy)
        self.setMinimumWidth(40)
        _mark(self, name, role)

    @property
    def is_cut(self) -> bool:
        """True if the text is elided at the present width."""
        return self._is_cut

    def show_message(self, text: str, tone: str = "") -> None:
        """Show a text in a tone (see :func:`set_tone`), or hide the label if there is none."""
        self.setText(text, tone)
        self.setVisible(bool(text))

    def setText(self, text: str, tone: str | None = None) -> None:
        """Set the text, and the tone if it is not None."""
        text = with_controls(text)
        if text != self.text():
            super().setText(text)
            self._update_cut()
            self.updateGeometry()
        if tone is not None:
            set_tone(self, tone)

    def hasHeightForWidth(self) -> bool:
        """Return True: the height depends on the width."""
        return True

    def heightForWidth(self, width: int) -> int:
        """Return the height of the text when it is broken at ``width``."""
        # a layout asks again and again for the same few widths
        key = (self.text(), self._tone, width, self.font().key())
        if key not in self._heights:
            if len(self._heights) >= MOST_HEIGHTS:
                self._heights.clear()
            reserved: int = self._n_lines * self.fontMetrics().lineSpacing()
            self._heights[key] = max(math.ceil(self._document(width).size().height()), reserved)
        return self._heights[key]

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Update the height for the new width."""
        super().resizeEvent(event)
        if event.oldSize().width() != event.size().width():
            self._update_cut()
            self.updateGeometry()

    def changeEvent(self, event: QEvent) -> None:
        """Update the lines for another font."""
        super().changeEvent(event)
        if event.type() in (QEvent.Type.FontChange, QEvent.Type.StyleChange):
            self._update_cut()
            self.updateGeometry()

    def sizeHint(self) -> QSize:
        """Return the size at the current width."""
        width = max(self.width(), 120)
        return QSize(width, self.heightForWidth(width))

    def minimumSizeHint(self) -> QSize:
        """Return a width that fits any dock."""
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

    def _update_cut(self) -> None:
        if not self._max_lines:
            return
        is_cut = self._shown_text(max(self.width(), 40)) != marked(self.text(), self._tone)
        self.setToolTip(plain(self.text()) if is_cut else "")
        if is_cut != self._is_cut:
            self._is_cut = is_cut
            self.cut_changed.emit(is_cut)

    @property
    def _tone(self) -> str:
        return self.property("tone") or ""

    def _document(self, width: int) -> QTextDocument:
        return self._laid_out(self._shown_text(width), width)

    def _shown_text(self, width: int) -> str:
        """Return the text, elided so that it has no more lines than allowed."""
        text = marked(self.text(), self._tone)
        if not self._max_lines:
            return text
        key = (text, width, self.font().key())
        if self._elided is None or self._elided[0] != key:
            self._elided = key, self._elide(text, width)
        return self._elided[1]

    def _elide(self, text: str, width: int) -> str:
        ends = _line_ends(self._laid_out(text, width))
        if len(ends) <= self._max_lines:
            return text
        # Qt counts in units of UTF-16
        units = text.encode("utf-16-le")[: 2 * ends[self._max_lines - 1]]
        words = units.decode("utf-16-le", "ignore").split(" ")
        while len(words) > 1:
            shortened = " ".join(words).rstrip(" .,;:") + " …"
            if len(_line_ends(self._laid_out(shortened, width))) <= self._max_lines:
                return shortened
            words.pop()
        return words[0][: max(1, len(words[0]) - 3)] + "…"

    def _laid_out(self, text: str, width: int) -> QTextDocument:
        document = QTextDocument()
        document.setDocumentMargin(0)
        document.setDefaultFont(self.font())
        option = QTextOption(self.alignment())
        option.setWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        document.setDefaultTextOption(option)
        document.setPlainText(text)
        document.setTextWidth(max(40, width))
        return document


def _line_ends(document: QTextDocument) -> list[int]:
    """Return the position after each line of a text that is laid out."""
    document.size()  # lays it out
    ends: list[int] = []
    block = document.begin()
    while block.isValid():
        layout = block.layout()
        for number in range(layout.lineCount() if layout is not None else 0):
            line = layout.lineAt(number)
            ends.append(block.position() + line.textStart() + line.textLength())
        block = block.next()
    return ends


def _mark(label: QLabel, name: str, role: str) -> None:
    if name:
        label.setObjectName(name)
    if role:
        label.setProperty("role", role)


MARKS = {"good": "✓", "bad": "✗", "warning": "!"}


def marked(text: str, tone: str) -> str:
    """Return a text with the mark of its tone, which color-blind users need."""
    has_mark = any(mark in text for mark in "✓✗★") or text.startswith("!")
    return f"{MARKS[tone]} {text}" if tone in MARKS and text and not has_mark else text


def set_tone(widget: QWidget, tone: str) -> None:
    """Set the tone of a widget in the style sheet: good, bad, warning, note or none."""
    if widget.property("tone") != tone:
        widget.setProperty("tone", tone)
        style: QStyle = widget.style()
        style.unpolish(widget)
        style.polish(widget)


def signed(number: float, digits: int = 2) -> str:
    """Return a difference with its sign, and zero without one."""
    text = f"{number:+.{digits}f}"
    return text[1:] if float(text) == 0 else text.replace("-", "−")


def grouped(number: float) -> str:
    """Return a whole number in groups of three digits."""
    return f"{number:,.0f}".replace(",", " ")


def measured(size: float) -> str:
    """Return an area or a volume: in groups of digits, or with three significant ones.

    Examples
    --------
    >>> measured(8128.4), measured(0.0081284)
    ('8 128', '0.00813')
    """
    return grouped(size) if size >= 100 or size == 0 else f"{size:.3g}"


def threshold_name(threshold: float) -> str:
    """Return a threshold, or words for the one below all values, which selects every pixel.

    Examples
    --------
    >>> threshold_name(0.314), threshold_name(-1.0)
    ('threshold 0.31', 'no threshold (all pixels)')
    """
    return f"threshold {threshold:.2f}" if threshold >= 0 else "no threshold (all pixels)"


def duration(seconds: float) -> str:
    """Return a rounded duration in words."""
    if seconds < 1:
        return "less than 1 s"
    if seconds < 90:
        return f"about {seconds:.0f} s"
    if seconds < 100 * 60:
        return f"about {seconds / 60:.0f} min"
    return f"about {seconds / 3600:.0f} h"


def estimated(text: str, seconds: float | None) -> str:
    """Return the text of a button with the time that it takes, if that is long.

    Examples
    --------
    >>> estimated("Explain", 3.2), estimated("Explain", 42.0), estimated("Explain", None)
    ('Explain', 'Explain · about 42 s', 'Explain')
    """
    is_long = seconds is not None and seconds > LONG_SECONDS
    return f"{text} · {duration(seconds)}" if seconds is not None and is_long else text
