"""Measures every visible text of a window, and lists those that are cut."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from qtpy.QtCore import QPoint, QRect, Qt
from qtpy.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractScrollArea,
    QAbstractSpinBox,
    QCheckBox,
    QComboBox,
    QHeaderView,
    QLabel,
    QLineEdit,
    QScrollArea,
    QStyle,
    QStyleOptionButton,
    QStyleOptionComboBox,
    QTabBar,
    QTableView,
    QWidget,
)
from superqt import QElidingLabel

from napari_quac.gui.fields import WholeTip
from napari_quac.gui.text import WrappedLabel

SLACK = 2  # pixels by which a text may be measured wider than it is drawn
MAIN_LOOP = ("stage_explore", "curve_")  # what must not scroll sideways, in no font and no window


def cut_texts(*roots: QWidget) -> list[str]:
    """Return a line for each visible text that is cut and has no tooltip with the whole text.

    Parameters
    ----------
    *roots : QWidget
        Docks, which must be visible.
    """
    found = []
    for root in roots:
        for widget in (root, *root.findChildren(QWidget)):
            if widget.isVisible() and not widget.visibleRegion().isEmpty():
                for problem in problems_of(widget):
                    found.append(f"{name_of(widget)}: {problem}")
        found += sideways(root)
    return found


def name_of(widget: QWidget) -> str:
    """Return the names of a widget and of what contains it."""
    names = [type(widget).__name__]
    part: Any = widget
    while part is not None and len(names) < 4:
        if part.objectName():
            names.append(part.objectName())
        part = part.parentWidget()
    return " < ".join(names)


def problems_of(widget: QWidget) -> Iterator[str]:
    """Yield what is cut of a widget's own text."""
    if isinstance(widget, QElidingLabel):
        yield from of_elided(widget)
    elif isinstance(widget, QLabel):
        yield from of_label(widget)
    elif isinstance(widget, QComboBox):
        yield from of_menu(widget)
    elif isinstance(widget, QAbstractSpinBox):
        yield from of_spin_box(widget)
    elif isinstance(widget, QLineEdit):
        yield from of_line_edit(widget)
    elif isinstance(widget, QTabBar):
        yield from of_tabs(widget)
    elif isinstance(widget, QTableView):
        yield from of_rows(widget)
    elif isinstance(widget, QHeaderView):
        yield from of_header(widget)
    elif isinstance(widget, QAbstractButton):
        yield from of_button(widget)


def of_elided(label: QElidingLabel) -> Iterator[str]:
    text = label.text()
    width = label.fontMetrics().horizontalAdvance(text)
    if width > label.contentsRect().width() + SLACK and text not in label.toolTip():
        yield f"'{text}' is elided without a tooltip"
    if text and label.height() + SLACK < label.fontMetrics().height():
        yield f"'{text}' is {label.height()} px high"


def of_label(label: QLabel) -> Iterator[str]:
    text = label.text()
    if not text or (label.pixmap() is not None and not label.pixmap().isNull()):
        return
    if isinstance(label, WrappedLabel) or label.wordWrap():
        needed = label.heightForWidth(label.width())
        if needed > label.height() + SLACK:
            yield f"'{text}' needs {needed} px of height and has {label.height()}"
        return
    needed_width, needed_height = label.sizeHint().width(), label.fontMetrics().height()
    if needed_width > label.width() + SLACK and text not in label.toolTip():
        yield f"'{text}' needs {needed_width} px and has {label.width()}"
    if needed_height > label.height() + SLACK:
        yield f"'{text}' needs {needed_height} px of height and has {label.height()}"


def of_rows(table: QTableView) -> Iterator[str]:
    if table.model().rowCount() and table.rowHeight(0) < table.fontMetrics().height():
        yield f"rows have {table.rowHeight(0)} px for {table.fontMetrics().height()}"


def of_button(button: QAbstractButton) -> Iterator[str]:
    text = button.text()
    if not text:
        return
    needed = button.fontMetrics().size(Qt.TextFlag.TextShowMnemonic, text)
    if isinstance(button, QCheckBox):
        option = QStyleOptionButton()
        button.initStyleOption(option)
        room = button.style().subElementRect(
            QStyle.SubElement.SE_CheckBoxContents, option, button
        ).width()  # fmt: skip
    else:
        padding = button.sizeHint().width() - needed.width()
        room = button.width() - min(max(padding, 0), 8)
    if needed.width() > room + SLACK and text not in shown_tip(button):
        yield f"'{text}' needs {needed.width()} px and has {room}"
    if needed.height() > button.height() + SLACK:
        yield f"'{text}' needs {needed.height()} px of height and has {button.height()}"


def of_menu(menu: QComboBox) -> Iterator[str]:
    text = menu.currentText()
    option = QStyleOptionComboBox()
    menu.initStyleOption(option)
    field = menu.style().subControlRect(
        QStyle.ComplexControl.CC_ComboBox, option, QStyle.SubControl.SC_ComboBoxEditField, menu
    )
    needed = menu.fontMetrics().horizontalAdvance(text)
    if needed > field.width() + SLACK and text not in shown_tip(menu):
        yield f"entry '{text}' needs {needed} px and has {field.width()}"
    widest = max(
        (menu.fontMetrics().horizontalAdvance(menu.itemText(i)) for i in range(menu.count())),
        default=0,
    )
    if widest > field.width():
        menu.showPopup()
        room = menu.view().viewport().width()
        menu.hidePopup()
        if widest > room + SLACK:
            yield f"its list is {room} px wide for {widest}"
    if menu.fontMetrics().height() > menu.height() + SLACK:
        yield f"entry '{text}' has {menu.height()} px of height"


def shown_tip(widget: QWidget) -> str:
    """Return the tooltip that a field displays."""
    return widget.whole_tip if isinstance(widget, WholeTip) else widget.toolTip()


def of_spin_box(box: QAbstractSpinBox) -> Iterator[str]:
    edit = box.lineEdit()
    if edit is None or not edit.text():
        return
    needed = box.fontMetrics().horizontalAdvance(edit.text())
    if needed > edit.width() + SLACK:
        yield f"'{edit.text()}' needs {needed} px and has {edit.width()}"


def of_line_edit(edit: QLineEdit) -> Iterator[str]:
    if isinstance(edit.parentWidget(), QAbstractSpinBox):
        return
    text = edit.text() or edit.placeholderText()
    needed = edit.fontMetrics().horizontalAdvance(text)
    if needed > edit.contentsRect().width() - 4 + SLACK and text not in shown_tip(edit):
        yield f"'{text}' needs {needed} px and has {edit.contentsRect().width() - 4}"


def of_tabs(bar: QTabBar) -> Iterator[str]:
    for index in range(bar.count()):
        needed = bar.fontMetrics().horizontalAdvance(bar.tabText(index))
        room = bar.tabRect(index).width()
        is_inside = bar.rect().contains(bar.tabRect(index))
        if needed > room or (not is_inside and not bar.usesScrollButtons()):
            yield f"tab '{bar.tabText(index)}' needs {needed} px and has {room}"


def of_header(header: QHeaderView) -> Iterator[str]:
    model = header.model()
    if model is None or header.orientation() != Qt.Orientation.Horizontal:
        return
    for index in range(header.count()):
        text = str(model.headerData(index, Qt.Orientation.Horizontal) or "")
        tooltip = model.headerData(index, Qt.Orientation.Horizontal, Qt.ItemDataRole.ToolTipRole)
        needed = header.fontMetrics().horizontalAdvance(text)
        room = header.sectionSize(index)
        if not header.isSectionHidden(index) and needed > room and text not in str(tooltip):
            yield f"header '{text}' needs {needed} px and has {room}"


def sideways(root: QWidget) -> list[str]:
    """List what reaches beyond a page or a dock without a scroll bar."""
    found = []
    for area in [root, *root.findChildren(QScrollArea)]:
        if not area.isVisible() or isinstance(area, QAbstractItemView):
            continue
        if isinstance(area, QScrollArea):
            body, view = area.widget(), area.viewport()
            bar = area.horizontalScrollBar()
            if bar.isVisible() and area.objectName().startswith(MAIN_LOOP):
                found.append(f"{name_of(area)}: scrolls sideways by {bar.maximum()} px")
            if body is None or bar.isVisible():
                continue
        else:
            body, view = area, area
        frame = view.rect()
        for widget in body.findChildren(QWidget):
            if not widget.isVisible() or is_scrolled(widget, body):
                continue
            place = QRect(widget.mapTo(view, QPoint(0, 0)), widget.size())
            if place.right() > frame.right() + SLACK or place.left() < frame.left() - SLACK:
                found.append(f"{name_of(widget)}: reaches from {place.left()} to {place.right()}"
                             f" in {frame.width()} px")  # fmt: skip
    return found


def is_scrolled(widget: QWidget, body: QWidget) -> bool:
    """Tell whether a scroll area between a widget and a body shows a part of it."""
    part = widget.parentWidget()
    while part is not None and part is not body:
        if isinstance(part, QAbstractScrollArea):
            return True
        part = part.parentWidget()
    return False
