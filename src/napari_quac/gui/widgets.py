"""Buttons, menus, fields and rows, each built in one call.

Every widget that a user or a script reaches has an object name; ``docs/controls.md`` lists them.
A widget without an argument ``tooltip`` has that of its name in ``tooltips.toml``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from qtpy.QtCore import QObject, Qt
from qtpy.QtGui import QFont, QFontMetrics
from qtpy.QtWidgets import (
    QAbstractItemView,
    QAbstractSpinBox,
    QBoxLayout,
    QCheckBox,
    QComboBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QLayout,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QSpinBox,
    QTableView,
    QToolButton,
    QVBoxLayout,
    QWidget,
)
from superqt import QFlowLayout
from superqt.utils import QSignalDebouncer, QSignalThrottler, signals_blocked

from napari_quac.gui.control_names import prepare
from napari_quac.gui.fields import ElidedButton, Menu, TextField
from napari_quac.gui.mnemonic import MnemonicButton
from napari_quac.gui.slots import guarded, slot

L = TypeVar("L", bound=QBoxLayout)
Slot = Callable[..., Any] | Any
"""A function, or a signal that is emitted in turn."""
LOWEST_ROW, ROW_MARGIN = 21, 4
"""Smallest height of the rows of a table, and pixels above and below its text."""


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
        widget.clicked.connect(guarded(clicked))
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
    elided: bool = False,
) -> QToolButton:
    """Return a button without a frame; the style sheet knows its role.

    An elided one has its whole text in its tooltip where it does not fit.
    """
    widget = ElidedButton() if elided else QToolButton()
    prepare(widget, name, tooltip)
    widget.setText(text)
    widget.setProperty("role", role)
    widget.setCheckable(checkable)
    if clicked is not None:
        widget.clicked.connect(guarded(clicked))
    if hidden:
        widget.hide()
    return widget


def disclosure_button(
    text: str, name: str, body: QWidget, tooltip: str = "", *, role: str = "link",
    elided: bool = False,
) -> QToolButton:  # fmt: skip
    """Return a button with an arrow that unfolds ``body``, which is folded at first."""
    widget = link_button(text, name, tooltip, role=role, checkable=True, elided=elided)
    widget.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)

    def show_body(is_open: bool) -> None:
        body.setVisible(is_open)
        widget.setArrowType(Qt.ArrowType.DownArrow if is_open else Qt.ArrowType.RightArrow)

    widget.toggled.connect(slot(show_body))
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
        widget.currentIndexChanged.connect(guarded(picked))
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
        widget.toggled.connect(guarded(toggled))
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


def fit_rows(table: QTableView, points: float) -> None:
    """Give the rows of a table the height of text of ``points``, the size of napari's font."""
    font = QFont(table.font())
    font.setPointSizeF(points)
    height = max(LOWEST_ROW, QFontMetrics(font).height() + ROW_MARGIN)
    table.verticalHeader().setMinimumSectionSize(height)
    table.verticalHeader().setDefaultSectionSize(height)


def connect(slot: Slot, *signals: Any) -> None:
    """Connect several signals of Qt or psygnal with one slot."""
    for signal in signals:
        signal.connect(guarded(slot))


def debouncer(parent: QObject, milliseconds: int, slot: Slot) -> QSignalDebouncer:
    """Return an object that calls ``slot`` once, after the last of its ``throttle()`` calls."""
    timer = QSignalDebouncer(parent=parent)
    timer.setTimeout(milliseconds)
    timer.triggered.connect(guarded(slot))
    return timer


def throttler(parent: QObject, milliseconds: int, slot: Slot) -> QSignalThrottler:
    """Return an object that calls ``slot`` after ``throttle()``, at most once in that time."""
    timer = QSignalThrottler(policy=QSignalThrottler.EmissionPolicy.Trailing, parent=parent)
    timer.setTimeout(milliseconds)
    timer.triggered.connect(guarded(slot))
    return timer


def discard(layout: QLayout, widgets: Iterable[QWidget]) -> None:
    """Take widgets out of a layout for good."""
    for widget in widgets:
        layout.removeWidget(widget)
        widget.setParent(None)
        widget.deleteLater()


def _filled(layout: L, parts: tuple[Any, ...], spacing: int) -> L:
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(spacing)
    return fill(layout, parts)
