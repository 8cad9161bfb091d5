"""Menus, buttons and fields that show their whole text in a tooltip where it does not fit."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QEvent, QObject, QSize, Qt
from qtpy.QtGui import QEnterEvent, QKeyEvent, QPaintEvent
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QComboBox,
    QDoubleSpinBox,
    QLineEdit,
    QSizePolicy,
    QStyle,
    QStyleOptionComboBox,
    QStyleOptionToolButton,
    QStylePainter,
    QToolButton,
)

from napari_quac.gui.control_names import prepare
from napari_quac.gui.slots import slots
from napari_quac.gui.text import plain

LIST_MARGIN = 24  # pixels for the mark of the chosen entry and a scroll bar
NUMBER_CHARACTERS = 6
NUMBER_MARGIN = 16  # pixels of padding and border
SHORTEST_BUTTON = 60  # pixels
LINE_EDIT_MARGIN = 2  # pixels that Qt leaves beside the text of a field
_MODIFIER = Qt.KeyboardModifier
COMMAND_KEYS = _MODIFIER.ControlModifier | _MODIFIER.AltModifier | _MODIFIER.MetaModifier


@slots
class WholeTip:
    """Mixin: a tooltip begins with the text of the widget if it does not fit.

    The tooltip is completed while the mouse is over the widget. Overriding ``event`` instead would
    run Python for each of the thousand events of a change of the theme.
    """

    _completed = _tip = ""

    @property
    def whole_tip(self) -> str:
        """The tooltip that is displayed."""
        widget: Any = self
        text, tip = self.whole_text(), widget.toolTip()
        if tip and tip == self._completed:
            tip = self._tip
        fits = widget.fontMetrics().horizontalAdvance(text) <= self.room()
        return tip if fits or text in tip else f"{text}\n{tip}".strip()

    def whole_text(self) -> str:
        """Return the text of the widget."""
        raise NotImplementedError

    def room(self) -> int:
        """Return the pixels for the text."""
        raise NotImplementedError

    def enterEvent(self, event: QEnterEvent) -> None:
        """Complete the tooltip."""
        self._complete_tip()
        super().enterEvent(event)  # type: ignore[misc]

    def leaveEvent(self, event: QEvent) -> None:
        """Return to the tooltip without the text, unless it was changed meanwhile."""
        widget: Any = self
        if widget.toolTip() == self._completed:
            widget.setToolTip(self._tip)
        self._completed = ""
        super().leaveEvent(event)  # type: ignore[misc]

    def _complete_tip(self, *_: Any) -> None:
        widget: Any = self
        whole = self.whole_tip
        if not self._completed or widget.toolTip() != self._completed:
            self._tip = widget.toolTip()
        self._completed = plain(whole)
        widget.setToolTip(self._completed)

    def _on_text_changed(self, *_: Any) -> None:
        if self._completed:
            self._complete_tip()


class Menu(WholeTip, QComboBox):
    """Combo box whose list is as wide as its entries."""

    def __init__(self) -> None:
        super().__init__()
        self.currentTextChanged.connect(self._on_text_changed)

    def whole_text(self) -> str:
        """Return the chosen entry."""
        text: str = self.currentText()
        return text

    def room(self) -> int:
        """Return the pixels for the chosen entry."""
        option = QStyleOptionComboBox()
        self.initStyleOption(option)
        field = QStyle.SubControl.SC_ComboBoxEditField
        rectangle = self.style().subControlRect(
            QStyle.ComplexControl.CC_ComboBox, option, field, self
        )
        width: int = rectangle.width()
        return width

    def showPopup(self) -> None:
        """Widen the list before it opens."""
        view = self.view()
        view.setMinimumWidth(view.sizeHintForColumn(0) + 2 * view.frameWidth() + LIST_MARGIN)
        super().showPopup()


@slots
class ElidedButton(WholeTip, QToolButton):
    """Button without a frame whose text is elided where it does not fit."""

    def __init__(self) -> None:
        super().__init__()
        self.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)

    def setText(self, text: str) -> None:
        """Set the text."""
        super().setText(text)
        self._on_text_changed()

    def whole_text(self) -> str:
        """Return the text."""
        text: str = self.text()
        return text

    def room(self) -> int:
        """Return the pixels for the text."""
        padding = self.sizeHint().width() - self.fontMetrics().horizontalAdvance(self.text())
        width: int = self.width() - padding
        return width

    def minimumSizeHint(self) -> QSize:
        """Return a width that fits any dock."""
        hint: QSize = self.sizeHint()
        return QSize(min(hint.width(), SHORTEST_BUTTON), hint.height())

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the text as far as it fits."""
        option = QStyleOptionToolButton()
        self.initStyleOption(option)
        end = Qt.TextElideMode.ElideRight
        option.text = self.fontMetrics().elidedText(self.text(), end, self.room())
        painter = QStylePainter(self)
        painter.drawComplexControl(QStyle.ComplexControl.CC_ToolButton, option)
        painter.end()


@slots
class TextField(WholeTip, QLineEdit):
    """Field for a line of text."""

    def __init__(self) -> None:
        super().__init__()
        self.textChanged.connect(self._on_text_changed)

    def whole_text(self) -> str:
        """Return the text, or the placeholder of an empty field."""
        text: str = self.text() or self.placeholderText()
        return text

    def room(self) -> int:
        """Return the pixels for the text."""
        width: int = self.contentsRect().width() - 2 * LINE_EDIT_MARGIN
        return width

    def setReadOnly(self, is_read_only: bool) -> None:
        """Refuse text, or take it; only a field that refuses text looks at each event."""
        super().setReadOnly(is_read_only)
        self.removeEventFilter(self)
        if is_read_only:
            self.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Keep refused text from shortcuts and from the keys of napari, to which Qt passes it."""
        if not isinstance(event, QKeyEvent) or event.type() == QEvent.Type.KeyRelease:
            return False
        is_command = bool(event.modifiers() & COMMAND_KEYS)
        if is_command or not event.text() or not event.text().isprintable():
            return False
        event.accept()
        return True


class NumberField(QDoubleSpinBox):
    """Field for a number, without arrows and without zeros at the end: 255, not 255.000.

    superqt's range slider does not serve for the pairs of limits in this window: their range is
    that of the data, which is unknown or too wide to be set with a handle.

    Parameters
    ----------
    name : str
    lowest, highest : float
    value : float, optional
    tooltip : str, optional
    """

    def __init__(
        self, name: str, lowest: float = -1e9, highest: float = 1e9, value: float | None = None,
        tooltip: str = "",
    ) -> None:  # fmt: skip
        super().__init__()
        prepare(self, name, tooltip)
        self.setButtonSymbols(QAbstractSpinBox.ButtonSymbols.NoButtons)
        self.setDecimals(3)
        self.setRange(lowest, highest)
        if value is not None:
            self.setValue(value)

    def sizeHint(self) -> QSize:
        """Return the width of a number of usual length; Qt measures the limits of the range."""
        hint: QSize = super().sizeHint()
        width = NUMBER_CHARACTERS * self.fontMetrics().averageCharWidth()
        return QSize(width + NUMBER_MARGIN, hint.height())

    def minimumSizeHint(self) -> QSize:
        """Return the same size, since a shorter number would be cut."""
        return self.sizeHint()

    def textFromValue(self, value: float) -> str:
        """Return a value without trailing zeros."""
        text = str(super().textFromValue(value))
        point = self.locale().decimalPoint()
        return text.rstrip("0").rstrip(point) if point in text else text
