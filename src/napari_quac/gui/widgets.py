"""Buttons, menus, fields and rows, each built in one call, and their binding to choices.

Every widget that a user or a script reaches has an object name; ``docs/controls.md`` lists them.
A widget without an argument ``tooltip`` has that of its name in ``tooltips.toml``.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial, reduce
from importlib.resources import files
from typing import Any, TypeVar, cast

from qtpy.QtCore import QEvent, QObject, QSize, Qt
from qtpy.QtGui import QHelpEvent
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSpinBox,
    QBoxLayout,
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLayout,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QSpinBox,
    QStyle,
    QStyleOptionComboBox,
    QTableView,
    QToolButton,
    QToolTip,
    QVBoxLayout,
    QWidget,
)
from superqt import QFlowLayout
from superqt.utils import QSignalDebouncer, QSignalThrottler, signals_blocked

from napari_quac.gui.mnemonic import MnemonicButton
from napari_quac.live.choices import Choices

L = TypeVar("L", bound=QBoxLayout)
Slot = Callable[..., Any] | Any
"""A function, or a signal that is emitted in turn."""
LIST_MARGIN = 24  # pixels for the mark of the chosen entry and a scroll bar
NUMBER_CHARACTERS = 6
NUMBER_MARGIN = 16  # pixels of padding and border
LINE_EDIT_MARGIN = 2  # pixels that Qt leaves beside the text of a field
TOOLTIPS: dict[str, Any] = tomllib.loads((files(__package__) / "tooltips.toml").read_text("utf-8"))
"""Tooltips by object name, for controls without a tooltip in the code."""
NAMES: dict[str, str] = TOOLTIPS.pop("names")
"""Names for screen readers by object name, for controls without a text or a caption."""


def button(
    text: str,
    name: str,
    tooltip: str = "",
    clicked: Slot = None,
    *,
    checkable: bool = False,
    primary: bool = False,
    hidden: bool = False,
) -> QPushButton:
    """Return a push button; a primary one has the accent color of the theme."""
    widget = MnemonicButton(text, name)
    prepare(widget, name, tooltip)
    widget.setCheckable(checkable)
    if primary:
        widget.setProperty("primary", "true")
    if clicked is not None:
        widget.clicked.connect(clicked)
    if hidden:
        widget.hide()
    return widget


def link_button(
    text: str,
    name: str,
    tooltip: str = "",
    clicked: Slot = None,
    *,
    role: str = "link",
    checkable: bool = False,
    hidden: bool = False,
) -> QToolButton:
    """Return a button without a frame; the style sheet knows its role."""
    widget = QToolButton()
    prepare(widget, name, tooltip)
    widget.setText(text)
    widget.setProperty("role", role)
    widget.setCheckable(checkable)
    if clicked is not None:
        widget.clicked.connect(clicked)
    if hidden:
        widget.hide()
    return widget


def disclosure_button(
    text: str, name: str, body: QWidget, tooltip: str = "", *, role: str = "link"
) -> QToolButton:
    """Return a button with an arrow that unfolds ``body``, which is folded at first."""
    widget = link_button(text, name, tooltip, role=role, checkable=True)
    widget.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)

    def show_body(is_open: bool) -> None:
        body.setVisible(is_open)
        widget.setArrowType(Qt.ArrowType.DownArrow if is_open else Qt.ArrowType.RightArrow)

    widget.toggled.connect(show_body)
    show_body(False)
    return widget


def menu(
    name: str,
    tooltip: str = "",
    entries: Mapping[Any, str] | None = None,
    picked: Slot = None,
    *,
    n_characters: int = 0,
) -> QComboBox:
    """Return a combo box.

    Parameters
    ----------
    name : str
        Object name.
    tooltip : str, optional
        A sentence.
    entries : mapping, optional
        Data and text of each entry.
    picked : callable, optional
        Connected to ``currentIndexChanged`` after the entries are in.
    n_characters : int
        Smallest width; 0 for the width of the longest entry.
    """
    widget = Menu()
    prepare(widget, name, tooltip)
    if n_characters:
        widget.setMinimumContentsLength(n_characters)
        widget.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    fill_menu(widget, entries or {})
    if picked is not None:
        widget.currentIndexChanged.connect(picked)
    return widget


def fill_menu(widget: QComboBox, entries: Mapping[Any, str], default: Any = None) -> None:
    """Replace the entries of a combo box without a signal; a chosen one stays chosen.

    Parameters
    ----------
    widget : QComboBox
        The menu to fill.
    entries : mapping
        Data and text of each entry.
    default : object
        Data of the entry to choose if the chosen one is gone; otherwise the first is chosen.
    """
    chosen = widget.currentData()
    with signals_blocked(widget):
        widget.clear()
        for data, text in entries.items():
            widget.addItem(text, data)
        available = list(entries)
        data = next((data for data in (chosen, default) if data in available), None)
        widget.setCurrentIndex(available.index(data) if data in available else 0)


def choose_entry(widget: QComboBox, data: Any) -> None:
    """Choose the entry with some data without a signal; none if there is no such entry."""
    available = entry_data(widget)
    with signals_blocked(widget):
        widget.setCurrentIndex(available.index(data) if data in available else -1)


def entry_data(widget: QComboBox) -> list[Any]:
    """Return the data of all entries; tuples, which PySide returns as lists, are tuples."""
    data = (widget.itemData(index) for index in range(widget.count()))
    return [tuple(value) if isinstance(value, list) else value for value in data]


def spin_box(
    name: str, lowest: int, highest: int, value: int | None = None, tooltip: str = ""
) -> QSpinBox:
    """Return a field for a whole number."""
    widget = QSpinBox()
    prepare(widget, name, tooltip)
    widget.setRange(lowest, highest)
    if value is not None:
        widget.setValue(value)
    return widget


class WholeTip:
    """Mixin for fields: a tooltip begins with the text of the field if it does not fit."""

    @property
    def whole_tip(self) -> str:
        """The tooltip that is displayed."""
        widget: Any = self
        text, tip = self.whole_text(), widget.toolTip()
        fits = widget.fontMetrics().horizontalAdvance(text) <= self.room()
        return tip if fits or text in tip else f"{text}\n{tip}".strip()

    def whole_text(self) -> str:
        """Return the text of the field."""
        raise NotImplementedError

    def room(self) -> int:
        """Return the pixels for the text."""
        raise NotImplementedError

    def event(self, event: QEvent) -> bool:
        """Show the tooltip."""
        if event.type() == QEvent.Type.ToolTip:
            QToolTip.showText(cast("QHelpEvent", event).globalPos(), self.whole_tip, self)
            return True
        return bool(super().event(event))  # type: ignore[misc]


class Menu(WholeTip, QComboBox):
    """Combo box whose list is as wide as its entries."""

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


class TextField(WholeTip, QLineEdit):
    """Field for a line of text."""

    def whole_text(self) -> str:
        """Return the text, or the placeholder of an empty field."""
        text: str = self.text() or self.placeholderText()
        return text

    def room(self) -> int:
        """Return the pixels for the text."""
        width: int = self.contentsRect().width() - 2 * LINE_EDIT_MARGIN
        return width


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


def line_edit(name: str, tooltip: str = "", placeholder: str = "") -> QLineEdit:
    """Return a field for a line of text."""
    widget = TextField()
    prepare(widget, name, tooltip)
    widget.setPlaceholderText(placeholder)
    return widget


def check_box(text: str, name: str, tooltip: str = "", toggled: Slot = None) -> QCheckBox:
    """Return a check box."""
    widget = QCheckBox(text)
    prepare(widget, name, tooltip)
    if toggled is not None:
        widget.toggled.connect(toggled)
    return widget


def muted(text: str = "", name: str = "") -> QLabel:
    """Return a label in the color of secondary text."""
    label = QLabel(text)
    label.setProperty("role", "muted")
    if name:
        label.setObjectName(name)
    return label


def narrow(*widgets: QWidget) -> None:
    """Let fields shrink and lose their arrows where several share a row."""
    for widget in widgets:
        widget.setProperty("narrow", "true")
        if isinstance(widget, QAbstractSpinBox):
            widget.setButtonSymbols(QAbstractSpinBox.ButtonSymbols.NoButtons)


def row(
    *parts: QWidget | QLayout | int | None, spacing: int = 6, parent: QWidget | None = None
) -> QHBoxLayout:
    """Return a row without margins.

    Parameters
    ----------
    *parts : widget, layout, int or None
        From left to right; a number gives the part before it that stretch, None is empty space
        that takes what is left over.
    spacing : int
        Pixels between the parts.
    parent : QWidget, optional
        Its layout becomes this row.
    """
    return _filled(QHBoxLayout(parent) if parent is not None else QHBoxLayout(), parts, spacing)


def column(
    *parts: QWidget | QLayout | int | None, spacing: int = 6, parent: QWidget | None = None
) -> QVBoxLayout:
    """Return a column without margins; see :func:`row`."""
    return _filled(QVBoxLayout(parent) if parent is not None else QVBoxLayout(), parts, spacing)


def flow(*parts: QWidget, spacing: int = 4) -> QFlowLayout:
    """Return a row that continues in the next line where there is no room."""
    layout = QFlowLayout()
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setHorizontalSpacing(spacing)
    layout.setVerticalSpacing(spacing)
    for part in parts:
        layout.addWidget(part)
    return layout


def fill(layout: L, parts: Iterable[QWidget | QLayout | int | None]) -> L:
    """Add parts to a row or column; see :func:`row`."""
    for part in parts:
        if part is None:
            layout.addStretch(1)
        elif isinstance(part, int):
            layout.setStretch(layout.count() - 1, part)
        elif isinstance(part, QLayout):
            layout.addLayout(part)
        else:
            layout.addWidget(part)
    return layout


def grid(
    stretched: int, horizontal: int, vertical: int, parent: QWidget | None = None
) -> QGridLayout:
    """Return a grid without margins, with the spacings of its cells and a stretched column."""
    layout = QGridLayout(parent) if parent is not None else QGridLayout()
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setHorizontalSpacing(horizontal)
    layout.setVerticalSpacing(vertical)
    layout.setColumnStretch(stretched, 1)
    return layout


def scroll_area(name: str, widget: QWidget) -> QScrollArea:
    """Return a scroll area without a frame around a widget that takes its size."""
    area = QScrollArea()
    prepare(area, name)
    area.setFocusPolicy(Qt.FocusPolicy.NoFocus)  # its controls take the focus, and scroll it
    area.setWidgetResizable(True)
    area.setFrameShape(QScrollArea.Shape.NoFrame)
    area.setWidget(widget)
    return area


def prepare_table(table: QTableView, name: str) -> None:
    """Let a table select one row at a time, without editing, grid and row titles."""
    prepare(table, name)
    table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
    table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
    table.verticalHeader().hide()
    table.setShowGrid(False)
    table.setWordWrap(False)


def connect(slot: Slot, *signals: Any) -> None:
    """Connect several signals of Qt or psygnal with one slot."""
    for signal in signals:
        signal.connect(slot)


def debouncer(parent: QObject, milliseconds: int, slot: Slot) -> QSignalDebouncer:
    """Return an object that calls ``slot`` once, after the last of its ``throttle()`` calls."""
    timer = QSignalDebouncer(parent=parent)
    timer.setTimeout(milliseconds)
    timer.triggered.connect(slot)
    return timer


def throttler(parent: QObject, milliseconds: int, slot: Slot) -> QSignalThrottler:
    """Return an object that calls ``slot`` after ``throttle()``, at most once in that time."""
    timer = QSignalThrottler(policy=QSignalThrottler.EmissionPolicy.Trailing, parent=parent)
    timer.setTimeout(milliseconds)
    timer.triggered.connect(slot)
    return timer


def discard(layout: QLayout, widgets: Iterable[QWidget]) -> None:
    """Take widgets out of a layout for good."""
    for widget in widgets:
        layout.removeWidget(widget)
        widget.setParent(None)
        widget.deleteLater()


def prepare(widget: QWidget, name: str, tooltip: str = "") -> None:
    """Set the object name, and tooltip and accessible name as listed for it.

    Names that end with a number, such as ``proposal_2``, are listed once, as ``proposal_*``.
    """
    widget.setObjectName(name)
    base, _, number = name.rpartition("_")
    pattern = f"{base}_*" if number.isdecimal() else name
    widget.setToolTip(tooltip or TOOLTIPS.get(name) or TOOLTIPS.get(pattern, ""))
    if name in NAMES:
        widget.setAccessibleName(NAMES[name])
    elif pattern in NAMES:
        widget.setAccessibleName(f"{NAMES[pattern]} {int(number) + 1}")


def name_after(text: str, *widgets: QWidget) -> None:
    """Give fields the caption beside them as accessible name, unless they have another one."""
    unnamed = [
        widget
        for widget in widgets
        if not widget.accessibleName()
        and not (isinstance(widget, QAbstractButton) and widget.text())
    ]
    for number, widget in enumerate(unnamed, start=1):
        widget.setAccessibleName(text if len(unnamed) == 1 else f"{text} {number}")


def _filled(layout: L, parts: tuple[Any, ...], spacing: int) -> L:
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(spacing)
    return fill(layout, parts)


def bind(choices: Choices, field: str, widget: Any) -> None:
    """Synchronize a widget with a choice; neither side reacts to its own change.

    Parameters
    ----------
    choices : Choices
        Choices of the user.
    field : str
        Name of a field, or a path such as ``"settings.search.max_tries"``.
    widget : QComboBox, QCheckBox or QSpinBox
        Its signals are blocked while it is written to.
    """
    if isinstance(widget, QComboBox):
        changed, read = widget.currentIndexChanged, widget.currentData
        write: Callable[[Any], None] = partial(choose_entry, widget)
    elif isinstance(widget, QCheckBox):
        changed, read, write = widget.toggled, widget.isChecked, widget.setChecked
    else:
        changed, read, write = widget.valueChanged, widget.value, widget.setValue

    def to_choices(*_: Any) -> None:
        if get_choice(choices, field) != read():
            set_choice(choices, field, read())

    def to_widget(*_: Any) -> None:
        choice = get_choice(choices, field)
        if read() != choice:
            with signals_blocked(widget):
                write(choice)

    changed.connect(to_choices)
    getattr(choices.events, field.partition(".")[0]).connect(to_widget)
    to_widget()


def get_choice(choices: Choices, path: str) -> Any:
    """Return a choice, or a part of it, by its path."""
    return reduce(getattr, path.split("."), choices)


def set_choice(choices: Choices, path: str, value: Any) -> None:
    """Set a choice, or replace a part of it, by its path."""
    name, _, rest = path.partition(".")
    setattr(choices, name, _replaced(getattr(choices, name), rest, value))


def _replaced(whole: Any, path: str, value: Any) -> Any:
    if not path:
        return value
    name, _, rest = path.partition(".")
    return replace(whole, **{name: _replaced(getattr(whole, name), rest, value)})
