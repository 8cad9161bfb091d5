"""The table of all samples, and its model; the selected row is the selected sample."""

from __future__ import annotations

from typing import Any

import numpy as np
from qtpy.QtCore import QAbstractTableModel, QModelIndex, QSize, Qt
from qtpy.QtGui import QColor, QPainter, QPaintEvent
from qtpy.QtWidgets import QAbstractItemView, QTableView
from superqt.utils import signals_blocked

from napari_quac.gui.palette import Palette
from napari_quac.gui.slots import slots
from napari_quac.gui.text import plain
from napari_quac.gui.widgets import fit_rows, prepare_table
from napari_quac.live.choices import Choices
from napari_quac.live.explanation_status import UNKNOWN
from napari_quac.live.results import Results
from napari_quac.live.sample_columns import SampleColumns, SampleIndex
from napari_quac.live.sample_order import SampleOrder

TITLES = {
    "number": "#",
    "id": "sample",
    "label": "label",
    "predicted": "predicted",
    "confidence": "confidence",
    "wrong": "",
    "target": "target",
    "score": "score",
    "switched": "status",
}
NUMBERS = ("number", "confidence", "score")
RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter


class SampleModel(QAbstractTableModel):
    """Rows of a :class:`~napari_quac.live.sample_order.SampleOrder`, without copies."""

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self.order: SampleOrder | None = None
        self.names: tuple[str, ...] = ()
        self._bad = QColor("red")
        self._good = QColor("green")
        self.muted_color = QColor("gray")

    def set_palette_of(self, colors: Palette) -> None:
        """Follow napari's theme."""
        self._bad, self._good = QColor(colors.bad), QColor(colors.good)
        self.muted_color = QColor(colors.muted)

    def set_order(self, order: SampleOrder | None) -> bool:
        """Set the rows; return False if only their cells have changed."""
        names = _column_names(order.columns) if order is not None else ()
        before = self.order
        if before is not None and order is not None and names == self.names:
            if np.array_equal(before.indices, order.indices):
                self.order = order
                if len(order):
                    last = self.index(len(order) - 1, len(names) - 1)
                    self.dataChanged.emit(self.index(0, 0), last)
                return False
        self.beginResetModel()
        self.order, self.names = order, names
        self.endResetModel()
        return True

    def widest(self, name: str) -> str:
        """Return the longest text of a column, approximately, for its width."""
        if self.order is None:
            return ""
        columns = self.order.columns
        title = self._title(name) + "  "
        if name == "number":
            texts = [f"0{len(columns)}"]
        elif name == "id":
            texts = [_longest_display_id(columns.sample_list)]
        elif name in ("label", "predicted", "target"):
            texts = list(columns.all_class_names)
        else:
            texts = {"wrong": ["✗"], "switched": ["not switched"]}.get(name, ["0.000"])
        return max([title, *texts], key=len)

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        """Return the number of samples in view."""
        if self.order is None or (parent is not None and parent.isValid()):
            return 0
        return len(self.order)

    def columnCount(self, parent: QModelIndex | None = None) -> int:
        """Return the number of columns."""
        return 0 if parent is not None and parent.isValid() else len(self.names)

    def headerData(
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        """Return the title of a column."""
        if orientation != Qt.Orientation.Horizontal or section >= len(self.names):
            return None
        name = self.names[section]
        if role == Qt.ItemDataRole.DisplayRole:
            return self._title(name)
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return RIGHT if _is_number(name) else LEFT
        if role == Qt.ItemDataRole.ToolTipRole:
            title = self._title(name) or "correctness of the prediction"
            meaning = "Highest QuAC score of all methods, baselines included. "
            meaning = meaning if name == "score" else ""
            return plain(f"{meaning}Click to sort by {title}, and again to reverse the order.")
        return None

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return the content of a cell."""
        order = self.order
        if order is None:
            return None
        name = self.names[index.column()]
        if role == Qt.ItemDataRole.DisplayRole:
            return self._text(order.columns, int(order.indices[index.row()]), name)
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return RIGHT if _is_number(name) else LEFT
        if role == Qt.ItemDataRole.ForegroundRole:
            return self._color(order.columns, int(order.indices[index.row()]), name)
        if role == Qt.ItemDataRole.ToolTipRole:
            position = int(order.indices[index.row()])
            columns = order.columns
            return plain(columns.failure(position) or str(columns.sample_list.ids[position]))
        return None

    def _title(self, name: str) -> str:
        if name.startswith("p:") and self.order is not None:
            return f"p({self.order.columns.class_names[int(name[2:])]})"
        return TITLES[name]

    def _color(self, columns: SampleColumns, at: int, name: str) -> QColor | None:
        if name in ("wrong", "predicted") and columns.mispredicted[at]:
            return self._bad
        if name == "wrong":
            return self._good
        if name == "switched":
            if columns.failure(at):
                return self._bad
            return self._good if columns.switched[at] == 1 else self.muted_color
        return None

    def _text(self, columns: SampleColumns, at: int, name: str) -> str:
        if name == "number":
            return str(at + 1)
        if name == "id":
            return _display_id(columns.sample_list, at)
        if name in ("label", "predicted", "target"):
            code = int(getattr(columns, f"{name}_codes")[at])
            return "" if code == UNKNOWN else columns.all_class_names[code]
        if name == "wrong":
            return "✗" if columns.mispredicted[at] else ("✓" if columns.correct[at] else "")
        if name == "switched":
            return _status(columns, at)
        scores = columns.scores if name == "score" else columns.confidence
        is_class = name.startswith("p:")
        number = float(columns.probabilities[at, int(name[2:])] if is_class else scores[at])
        return "" if np.isnan(number) else f"{number:.3f}"


def _display_id(listing: SampleIndex, at: int) -> str:
    """Return the id of a sample without the folder of its class, which is the next column."""
    label = int(listing.labels[at])
    name = str(listing.ids[at])
    return name if label == UNKNOWN else name.removeprefix(f"{listing.classes[label]}/")


def _longest_display_id(listing: SampleIndex) -> str:
    if not len(listing):
        return ""
    folders = np.array([*(f"{name}/" for name in listing.classes), "/"])[listing.labels]
    lengths = np.strings.str_len(listing.ids)
    lengths -= np.where(np.strings.startswith(listing.ids, folders), np.strings.str_len(folders), 0)
    return _display_id(listing, int(lengths.argmax()))


def _status(columns: SampleColumns, at: int) -> str:
    if columns.failure(at):
        return "failed"
    return {1: "switched", 0: "not switched"}.get(int(columns.switched[at]), "")


def _is_number(name: str) -> bool:
    return name in NUMBERS or name.startswith("p:")


def _column_names(columns: SampleColumns) -> tuple[str, ...]:
    """Return the columns with content."""
    names = ["number", "id"]
    if columns.sample_list.classes:
        names.append("label")
    if columns.class_names:
        names.append("predicted")
        names += ["wrong"] if columns.sample_list.classes else []
        names.append("confidence")
    if columns.class_names or (columns.switched != UNKNOWN).any():
        names += ["score", "switched", "target"]
    names += [f"p:{number}" for number in range(len(columns.class_names))]
    return tuple(names)


WIDEST_COLUMN = 210


@slots
class SampleTable(QTableView):
    """Displays ``results.order``; a click on a title sorts, a click on a row selects the sample."""

    def __init__(self, choices: Choices, results: Results) -> None:
        super().__init__()
        self._choices, self._results = choices, results
        self._hint = ""
        self.rows = SampleModel(self)
        self.setModel(self.rows)
        prepare_table(self, "sample_table")
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setAlternatingRowColors(True)
        self.setTabKeyNavigation(False)
        rows, titles = self.verticalHeader(), self.horizontalHeader()
        rows.setSectionResizeMode(rows.ResizeMode.Fixed)
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
        return QSize(600, 80)

    def minimumSizeHint(self) -> QSize:
        """Return the size of a few rows."""
        return QSize(240, 80)

    def set_palette_of(self, colors: Palette) -> None:
        """Follow napari's theme."""
        self.rows.set_palette_of(colors)
        fit_rows(self, colors.font_points)
        self.viewport().update()

    def set_hint(self, text: str) -> None:
        """Set the text that replaces missing rows."""
        if text != self._hint:
            self._hint = text
            self.viewport().update()

    def keyboardSearch(self, search: str) -> None:
        """Do nothing: letters are keys of the dock, not the beginning of a number."""

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
