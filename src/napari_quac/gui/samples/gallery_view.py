"""A grid of pictures for any number of samples: only visible cells have any."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

import numpy as np
from qtpy.QtCore import (
    QAbstractTableModel,
    QItemSelectionModel,
    QModelIndex,
    QRect,
    QSize,
    Qt,
    Signal,
)
from qtpy.QtGui import QColor, QKeyEvent, QPainter, QPen, QPixmap, QResizeEvent
from qtpy.QtWidgets import (
    QAbstractItemView,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QWidget,
)

from napari_quac.gui.palette import Palette
from napari_quac.gui.pictures import pixmap_of
from napari_quac.gui.samples.sample_table import SampleModel
from napari_quac.gui.slots import slot, slots
from napari_quac.gui.text import plain
from napari_quac.gui.widgets import prepare_table
from napari_quac.live.sample_order import SampleOrder
from napari_quac.live.thumbnails import Thumbnails

SIDE, GAP, MARGIN = 72, 2, 4
"""Pixels of a picture, about, so that cells fill the width; between pictures; around a cell."""
MAX_PICTURES = 500
"""Cells whose pictures are held, 37 kB for each picture; the others are read again."""
Index = Qt.ItemDataRole.UserRole
"""Role of the position in the dataset."""


class GalleryModel(QAbstractTableModel):
    """The samples of an order in rows of several cells, without copies."""

    def __init__(self, parent: Any = None) -> None:
        super().__init__(parent)
        self.order: SampleOrder | None = None
        self.n_columns = 1
        self._cells = SampleModel(self)  # writes the texts of a table

    def __len__(self) -> int:
        return 0 if self.order is None else len(self.order)

    def set_order(self, order: SampleOrder | None, n_columns: int) -> bool:
        """Set samples and columns; return False if only texts have changed."""
        before = self.order
        self._cells.set_order(order)
        if (
            before is not None and order is not None and n_columns == self.n_columns
            and np.array_equal(before.indices, order.indices)
        ):  # fmt: skip
            self.order = order
            return False
        self.beginResetModel()
        self.order, self.n_columns = order, n_columns
        self.endResetModel()
        return True

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        """Return the number of rows of the grid."""
        if parent is not None and parent.isValid():
            return 0
        return -(-len(self) // self.n_columns)

    def columnCount(self, parent: QModelIndex | None = None) -> int:
        """Return the number of cells in a row."""
        return 0 if parent is not None and parent.isValid() else self.n_columns

    def flags(self, index: QModelIndex) -> Qt.ItemFlag:
        """Return no flags for cells behind the last sample."""
        if self.position(index) is None:
            return Qt.ItemFlag.NoItemFlags
        return Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable

    def position(self, index: QModelIndex) -> int | None:
        """Return the row of the order that a cell shows."""
        position = index.row() * self.n_columns + index.column()
        return position if index.isValid() and position < len(self) else None

    def cell(self, position: int) -> QModelIndex:
        """Return the cell of a row of the order."""
        return self.index(*divmod(position, self.n_columns))

    def data(self, index: QModelIndex, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Return caption, tooltip or position in the dataset of a cell."""
        position = self.position(index)
        if position is None or self.order is None:
            return None
        at, columns = int(self.order.indices[position]), self.order.columns
        if role == Index:
            return at
        if role == Qt.ItemDataRole.DisplayRole:
            return self._caption(position, at)
        if role == Qt.ItemDataRole.ForegroundRole:
            return bool(columns.mispredicted[at])
        if role == Qt.ItemDataRole.ToolTipRole:
            return plain(columns.failure(at) or str(columns.sample_list.ids[at]))
        return None

    def _caption(self, position: int, at: int) -> str:
        names = self._cells.names
        texts = {
            name: self._cells.data(self._cells.index(position, names.index(name)))
            for name in ("label", "predicted", "wrong", "target", "score") if name in names
        }  # fmt: skip
        name = texts.get("predicted") or texts.get("label") or ""
        parts = [f"#{at + 1}", f"{name} {texts.get('wrong', '')}".strip()]
        if texts.get("target"):
            parts.append(f"→ {texts['target']} {texts['score'][:4]}".strip())
        return " ".join(filter(None, parts))


class GalleryDelegate(QStyledItemDelegate):
    """Paints pictures and caption of a cell."""

    def __init__(self, view: GalleryView) -> None:
        super().__init__(view)
        self._view = view
        self.colors: Palette | None = None

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: QModelIndex) -> None:
        """Paint a cell; one without pictures is an empty frame until they are read."""
        view, colors = self._view, self.colors
        at = index.data(Index)
        if at is None or colors is None:
            return
        side = view.side
        area: QRect = option.rect.adjusted(MARGIN, MARGIN, -MARGIN, -MARGIN)
        is_current = bool(option.state & QStyle.StateFlag.State_Selected)
        if is_current:
            painter.fillRect(option.rect.adjusted(1, 1, -1, -1), QColor(colors.surface))
            painter.setPen(QPen(QColor(colors.accent), 2))
            painter.drawRect(option.rect.adjusted(1, 1, -2, -2))
        pictures = view.pictures.get(at)
        for number in range(view.n_pictures):
            place = QRect(area.x() + number * (side + GAP), area.y(), side, side)
            if pictures is not None and number < len(pictures):
                size = (
                    pictures[number].size().scaled(place.size(), Qt.AspectRatioMode.KeepAspectRatio)
                )
                inner = QRect(place.topLeft(), size)
                inner.moveCenter(place.center())
                painter.drawPixmap(inner, pictures[number])
            elif number == 0:
                painter.setPen(QColor(colors.line))
                painter.drawRect(place.adjusted(0, 0, -1, -1))
                if pictures is not None:
                    painter.setPen(QColor(colors.bad))
                    painter.drawText(place, Qt.AlignmentFlag.AlignCenter, "not readable")
        is_wrong = bool(index.data(Qt.ItemDataRole.ForegroundRole))
        painter.setPen(QColor(colors.bad if is_wrong else colors.text))
        below = area.adjusted(0, side + 1, 0, 0)
        text = painter.fontMetrics().elidedText(
            index.data(), Qt.TextElideMode.ElideRight, below.width()
        )
        painter.drawText(below, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop, text)


@slots
class GalleryView(QTableView):
    """Scrolling grid of the samples in view.

    Arrows, page keys, Home and End move; Enter, or a click, opens a sample.

    Attributes
    ----------
    pictures : mapping of int to tuple of QPixmap
        By the position in the dataset; the least recently drawn ones are dropped.
    n_pictures : int
        Pictures for which a cell has room: 3, or 1 before anything is explained.
    side : int
        Width and height of a picture in pixels.
    """

    opened = Signal(int)
    """Position of a sample in the dataset."""
    moved = Signal()
    """Other cells are visible."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.rows = GalleryModel(self)
        self.pictures: OrderedDict[int, tuple[QPixmap, ...]] = OrderedDict()
        self.n_pictures, self.side = 1, SIDE
        self.setModel(self.rows)
        prepare_table(self, "gallery_view")
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectItems)
        self.horizontalHeader().hide()
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setTabKeyNavigation(False)
        self.painter = GalleryDelegate(self)
        self.setItemDelegate(self.painter)
        for header in (self.verticalHeader(), self.horizontalHeader()):
            header.setMinimumSectionSize(8)
            header.setSectionResizeMode(header.ResizeMode.Fixed)
        self.clicked.connect(self._on_clicked)
        self.verticalScrollBar().valueChanged.connect(self.moved)
        self._fit_cells()

    def sizeHint(self) -> QSize:
        """Return a low and wide size."""
        return QSize(600, SIDE + 40)

    def minimumSizeHint(self) -> QSize:
        """Return the size of a cell."""
        return QSize(240, SIDE + 30)

    def set_palette_of(self, colors: Palette) -> None:
        """Follow napari's theme."""
        self.painter.colors = colors
        self._fit_cells()
        self.viewport().update()

    def set_order(self, order: SampleOrder | None) -> None:
        """Show other samples; the current one stays if it is among them."""
        current = self.currentIndex().data(Index)
        n_pictures = 3 if order is not None and order.columns.explained_or_failed else 1
        if n_pictures != self.n_pictures:
            self.n_pictures = n_pictures
            self._fit_cells()
        if self.rows.set_order(order, self._n_columns()) and current is not None:
            self.select(current)
        self.viewport().update()
        self.moved.emit()

    def select(self, index: int | None) -> None:
        """Make a sample the current one, and scroll to it; none if it is not in view."""
        order = self.rows.order
        position = order.row_of(index) if order is not None else None
        if position is None:
            self.clearSelection()
            return
        cell = self.rows.cell(position)
        if cell != self.currentIndex() or not self.selectionModel().isSelected(cell):
            self._go_to(position)

    def visible_indices(self) -> list[int]:
        """Return the samples of the visible cells, then those of the screen below."""
        order, n = self.rows.order, self.rows.n_columns
        if order is None or not len(order):
            return []
        height = max(1, self.verticalHeader().defaultSectionSize())
        first = self.verticalScrollBar().value() // height
        n_rows = self.viewport().height() // height + 2
        return [int(at) for at in order.indices[first * n : (first + 2 * n_rows) * n]]

    def put(self, thumbnails: Thumbnails) -> None:
        """Add the pictures of a sample."""
        self.pictures[thumbnails.index] = tuple(map(pixmap_of, thumbnails.pictures))
        self.pictures.move_to_end(thumbnails.index)
        while len(self.pictures) > MAX_PICTURES:
            self.pictures.popitem(last=False)
        self.viewport().update()

    def drop(self, indices: Iterable[int] | None = None) -> None:
        """Forget the pictures of some samples, or of all."""
        for index in list(self.pictures) if indices is None else indices:
            self.pictures.pop(int(index), None)
        self.moved.emit()

    def keyboardSearch(self, search: str) -> None:
        """Do nothing: letters are keys of the dock, not the beginning of a name."""

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Move to the first or last sample, or open the current one."""
        key, n = event.key(), len(self.rows)
        position = self.rows.position(self.currentIndex())
        if not n:
            super().keyPressEvent(event)
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._on_clicked(self.currentIndex())
        elif key == Qt.Key.Key_Home:
            self._go_to(0)
        elif key == Qt.Key.Key_End:
            self._go_to(n - 1)
        elif (step := self._step(key)) is not None:
            self._go_to(0 if position is None else min(max(0, position + step), n - 1))
        else:
            super().keyPressEvent(event)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Fill the width with whole cells."""
        super().resizeEvent(event)
        if self._n_columns() != self.rows.n_columns:
            self.set_order(self.rows.order)
        self._fit_cells()
        self.moved.emit()

    def _step(self, key: int) -> int | None:
        """Return the samples that a key goes forward; to the neighbors also across rows."""
        n = self.rows.n_columns
        n_rows = max(1, self.viewport().height() // self.verticalHeader().defaultSectionSize())
        steps = {
            Qt.Key.Key_Left: -1, Qt.Key.Key_Right: 1, Qt.Key.Key_Up: -n, Qt.Key.Key_Down: n,
            Qt.Key.Key_PageUp: -n * n_rows, Qt.Key.Key_PageDown: n * n_rows,
        }  # fmt: skip
        return steps.get(Qt.Key(key))

    def _go_to(self, position: int) -> None:
        cell = self.rows.cell(position)
        flag = QItemSelectionModel.SelectionFlag.ClearAndSelect
        self.selectionModel().setCurrentIndex(cell, flag)
        self.scrollTo(cell)

    @slot
    def _on_clicked(self, cell: QModelIndex) -> None:
        at = cell.data(Index)
        if at is not None:
            self.opened.emit(int(at))

    def _n_columns(self) -> int:
        width = self.n_pictures * (SIDE + GAP) + 2 * MARGIN
        return max(1, round(int(self.viewport().width()) / width))

    def _fit_cells(self) -> None:
        """Let the cells fill the width."""
        width = int(self.viewport().width()) // self._n_columns()
        self.side = max(16, (width - 2 * MARGIN + GAP) // self.n_pictures - GAP)
        height = self.side + 2 * MARGIN + 2 + self.fontMetrics().height()
        self.verticalHeader().setDefaultSectionSize(height)
        self.horizontalHeader().setDefaultSectionSize(width)
