"""The table of all samples; its selected row is the selected sample."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QModelIndex, QSize, Qt, Signal
from qtpy.QtGui import QKeyEvent, QPainter, QPaintEvent
from qtpy.QtWidgets import QAbstractItemView, QTableView
from superqt.utils import signals_blocked

from napari_quac.gui.palette import Palette
from napari_quac.gui.samples.sample_model import SampleModel
from napari_quac.live.choices import Choices
from napari_quac.live.results import Results

ROW_HEIGHT = 21
WIDEST_COLUMN = 210


class SampleTable(QTableView):
    """Displays ``results.order``; a click on a title sorts, a click on a row selects the sample."""

    letter_pressed = Signal(str)
    """A letter key; napari does not receive it while the table has the focus."""

    def __init__(self, choices: Choices, results: Results) -> None:
        super().__init__()
        self.setObjectName("sample_table")
        self._choices, self._results = choices, results
        self._hint = ""
        self.rows = SampleModel(self)
        self.setModel(self.rows)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setShowGrid(False)
        self.setAlternatingRowColors(True)
        self.setWordWrap(False)
        self.setTabKeyNavigation(False)
        rows, titles = self.verticalHeader(), self.horizontalHeader()
        rows.hide()
        rows.setSectionResizeMode(rows.ResizeMode.Fixed)
        rows.setMinimumSectionSize(ROW_HEIGHT)
        rows.setDefaultSectionSize(ROW_HEIGHT)
        titles.setHighlightSections(False)
        titles.setSortIndicatorShown(True)
        titles.setSectionsClickable(True)
        titles.setMinimumSectionSize(24)
        titles.sectionClicked.connect(self._on_title)
        self.selectionModel().currentRowChanged.connect(self._on_row)
        results.events.order.connect(self._show_order)
        choices.events.sample_index.connect(self._show_selected)
        self._show_order()

    def sizeHint(self) -> QSize:
        """Return a low and wide size."""
        return QSize(600, 150)

    def minimumSizeHint(self) -> QSize:
        """Return the size of a few rows."""
        return QSize(240, 80)

    def set_palette_of(self, colors: Palette) -> None:
        """Follow napari's theme."""
        self.rows.set_palette_of(colors)
        self.viewport().update()

    def set_hint(self, text: str) -> None:
        """Set the text that replaces missing rows."""
        if text != self._hint:
            self._hint = text
            self.viewport().update()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Emit letters; arrows and page keys move the selection."""
        letter = event.text().upper()
        if letter and letter.isprintable() and not event.modifiers() and letter != " ":
            self.letter_pressed.emit(letter)
            event.accept()
            return
        super().keyPressEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the rows, or the hint."""
        super().paintEvent(event)
        if self._hint and not self.rows.rowCount():
            painter = QPainter(self.viewport())
            painter.setPen(self.rows.muted_color)
            rect = self.viewport().rect().adjusted(16, 4, -16, -4)
            flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
            painter.drawText(rect, int(flags), self._hint)
            painter.end()

    def _show_order(self) -> None:
        before = self.rows.names
        with signals_blocked(self.selectionModel()):
            renewed = self.rows.set_order(self._results.order)
        if self.rows.names != before:
            for section, name in enumerate(self.rows.names):
                width = self.fontMetrics().horizontalAdvance(self.rows.widest(name)) + 18
                self.setColumnWidth(section, min(width, WIDEST_COLUMN))
        names = self.rows.names
        if self._choices.sort_by in names:
            direction = Qt.SortOrder.AscendingOrder
            if not self._choices.sort_ascending:
                direction = Qt.SortOrder.DescendingOrder
            self.horizontalHeader().setSortIndicator(names.index(self._choices.sort_by), direction)
        if renewed:
            self._show_selected()

    def _show_selected(self) -> None:
        order = self._results.order
        row = order.row_of(self._choices.sample_index) if order is not None else None
        if row is None:
            with signals_blocked(self.selectionModel()):
                self.selectionModel().clear()
            self.viewport().update()
            return
        if self.currentIndex().row() != row or not self.selectionModel().hasSelection():
            with signals_blocked(self.selectionModel()):
                self.selectRow(row)
            self.viewport().update()
        self.scrollTo(self.rows.index(row, 0), QAbstractItemView.ScrollHint.EnsureVisible)

    def _on_row(self, current: QModelIndex, previous: Any = None) -> None:
        order = self._results.order
        if order is not None and current.isValid() and current.row() < len(order):
            index = int(order.indices[current.row()])
            if index != self._choices.sample_index:
                self._choices.sample_index = index

    def _on_title(self, section: int) -> None:
        name = self.rows.names[section]
        if name == self._choices.sort_by:
            self._choices.sort_ascending = not self._choices.sort_ascending
            return
        # the interesting samples come first: large values, but low confidences
        ascending = name not in ("wrong", "score", "switched") and not name.startswith("p:")
        with self._choices.events.sort_ascending.blocked():
            self._choices.sort_ascending = ascending
        self._choices.sort_by = name
