"""Confusion matrix; a click on a cell filters the table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QPoint, QPointF, QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent, QPen
from qtpy.QtWidgets import QToolTip, QWidget

from napari_quac.gui.palette import Palette
from napari_quac.gui.slots import slot, slots
from napari_quac.gui.text import grouped, plain
from napari_quac.live.filter_language import cell_filter
from napari_quac.live.results import Results

if TYPE_CHECKING:
    from napari_quac.explain.prediction_table import PredictionTable

LABEL_HEIGHT, CAPTION, WIDEST_LABEL = 18, 16, 110
SMALLEST_CELL, WIDEST_CELL, HIGHEST_CELL = (30, 20), 92, 44


@slots
class ConfusionView(QWidget):
    """Counts by label (rows) and predicted class (columns), or normalized by row.

    The Qt properties ``classNames`` and ``counts`` (rows of numbers) describe the matrix.
    """

    cell_picked = Signal(str, str)
    """Title and filter of a cell."""

    def __init__(self, results: Results) -> None:
        super().__init__()
        self.setObjectName("confusion_matrix")
        self.setAccessibleName("Confusion matrix: label by predicted class")
        self.setMouseTracking(True)
        self._results = results
        self._normalized = False
        self._colors: Palette | None = None
        self._names: tuple[str, ...] = ()
        self._table: PredictionTable | None = None
        self._counts: NDArray[np.int64] = np.zeros((0, 0), dtype=np.int64)
        self._missing = ""
        self._picked: tuple[int, int] | None = None
        self._filter = ""
        results.events.order.connect(self._show)
        self._show()

    def sizeHint(self) -> QSize:
        """Return the preferred size for the number of cells."""
        n = max(2, len(self._names))
        return QSize(
            CAPTION + self._label_width() + n * min(64, max(40, 240 // n)) + 8,
            CAPTION + LABEL_HEIGHT + n * 32 + 6,
        )

    def minimumSizeHint(self) -> QSize:
        """Return the smallest size for the number of cells."""
        n = max(2, len(self._names))
        width, height = SMALLEST_CELL
        return QSize(CAPTION + self._label_width() + n * width, CAPTION + LABEL_HEIGHT + n * height)

    def set_palette_of(self, colors: Palette) -> None:
        """Follow napari's theme."""
        self._colors = colors
        self.update()

    @slot
    def set_normalized(self, normalized: bool) -> None:
        """Show shares of each label instead of counts."""
        self._normalized = normalized
        self.update()

    @slot
    def show_filter(self, text: str) -> None:
        """Mark the cell of a filter."""
        self._filter = text
        self.update()

    def cell_center(self, row: int, column: int) -> QPoint:
        """Return the middle of a cell, in pixels of this widget."""
        return self._cell(row, column).center().toPoint()

    def _show(self) -> None:
        order = self._results.order
        table = order.columns.predictions if order is not None else None
        if table is self._table:
            return
        self._table = table
        self._missing = _missing(table)
        names = table.class_names if table is not None and not self._missing else ()
        resized = len(names) != len(self._names)
        self._names = names
        self._counts = np.zeros((0, 0), dtype=np.int64)
        if table is not None and not self._missing:
            self._counts = table.confusion()
        self.setAccessibleDescription(self._missing)
        self.setProperty("classNames", list(names))
        self.setProperty("counts", self._counts.tolist())
        if resized:
            self.updateGeometry()
        self.update()

    def _label_width(self) -> int:
        widths = (self.fontMetrics().horizontalAdvance(name) + 10 for name in self._names)
        return min(WIDEST_LABEL, max(widths, default=60))

    def _cell(self, row: int, column: int) -> QRectF:
        n = max(1, len(self._names))
        left, top = CAPTION + self._label_width(), CAPTION + LABEL_HEIGHT
        width = min(WIDEST_CELL, max(SMALLEST_CELL[0], (self.width() - left - 6) / n))
        height = min(HIGHEST_CELL, max(SMALLEST_CELL[1], (self.height() - top - 4) / n))
        return QRectF(left + column * width, top + row * height, width - 2, height - 2)

    def _at(self, place: QPointF) -> tuple[int, int] | None:
        for row in range(len(self._names)):
            for column in range(len(self._names)):
                if self._cell(row, column).contains(place):
                    return row, column
        return None

    def _share(self, row: int, column: int) -> float:
        total = self._counts[row].sum()
        return float(self._counts[row, column] / total) if total else 0.0

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Filter by the cell."""
        cell = self._at(event.position())
        if event.button() == Qt.MouseButton.LeftButton and cell is not None:
            label, predicted = self._names[cell[0]], self._names[cell[1]]
            self.cell_picked.emit(f"{label} → {predicted}", cell_filter(label, predicted))
            event.accept()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Show a tooltip for the cell under the mouse."""
        cell = self._at(event.position())
        self.setCursor(
            Qt.CursorShape.PointingHandCursor if cell is not None else Qt.CursorShape.ArrowCursor
        )
        if cell != self._picked:
            self._picked = cell
            text = ""
            if cell is not None:
                label, predicted = self._names[cell[0]], self._names[cell[1]]
                text = (
                    f"{grouped(int(self._counts[cell]))} samples labeled {label} are predicted "
                    f"as {predicted}: {self._share(*cell):.1%} of the label"
                )
            QToolTip.showText(event.globalPosition().toPoint(), plain(text), self)
            self.update()

    def leaveEvent(self, event: object) -> None:
        """Forget the cell under the mouse."""
        self._picked = None
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw labels and cells."""
        colors = self._colors
        if colors is None:
            return
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if not self._names:
            painter.setPen(QColor(colors.muted))
            flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
            painter.drawText(
                self.rect().adjusted(12, 4, -12, -4),
                int(flags),
                self._missing,
            )
            painter.end()
            return
        self._draw_labels(painter, colors)
        for row in range(len(self._names)):
            for column in range(len(self._names)):
                self._draw_cell(painter, colors, row, column)
        painter.end()

    def _draw_labels(self, painter: QPainter, colors: Palette) -> None:
        metrics = painter.fontMetrics()
        n = len(self._names)
        first, last = self._cell(0, 0), self._cell(n - 1, n - 1)
        painter.setPen(QColor(colors.muted))
        across = QRectF(first.left(), 0, last.right() - first.left(), CAPTION)
        painter.drawText(across, int(Qt.AlignmentFlag.AlignCenter), "predicted")
        painter.save()
        painter.translate(0, last.bottom())
        painter.rotate(-90)
        down = QRectF(0, 0, last.bottom() - first.top(), CAPTION)
        painter.drawText(down, int(Qt.AlignmentFlag.AlignCenter), "label")
        painter.restore()
        painter.setPen(QColor(colors.text))
        right = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        for number, name in enumerate(self._names):
            cell = self._cell(number, number)
            rect = QRectF(CAPTION, cell.top(), self._label_width() - 6, cell.height())
            text = metrics.elidedText(name, Qt.TextElideMode.ElideMiddle, self._label_width() - 6)
            painter.drawText(rect, int(right), text)
            rect = QRectF(cell.left(), CAPTION, cell.width(), LABEL_HEIGHT)
            text = metrics.elidedText(name, Qt.TextElideMode.ElideRight, int(cell.width()))
            painter.drawText(rect, int(Qt.AlignmentFlag.AlignCenter), text)

    def _draw_cell(self, painter: QPainter, colors: Palette, row: int, column: int) -> None:
        rect, share = self._cell(row, column), self._share(row, column)
        count = int(self._counts[row, column])
        base, full = QColor(colors.surface), QColor(colors.good if row == column else colors.bad)
        strength = 0.0 if not count else 0.15 + 0.6 * share
        painter.setBrush(_mixed(base, full, strength))
        picked = self._picked == (row, column)
        is_filter = self._filter == cell_filter(self._names[row], self._names[column])
        pen = QPen(QColor(colors.text if is_filter else colors.accent), 2)
        painter.setPen(pen if picked or is_filter else Qt.PenStyle.NoPen)
        painter.drawRoundedRect(rect, 3, 3)
        painter.setPen(QColor(colors.text if count else colors.muted))
        text = f"{share:.0%}" if self._normalized else grouped(count)
        painter.drawText(rect, int(Qt.AlignmentFlag.AlignCenter), text)


def _missing(table: PredictionTable | None) -> str:
    """Return what a confusion matrix of these predictions lacks; empty if nothing is missing."""
    if table is None:
        return "Predict the samples to see the confusion matrix."
    if (table.truth >= 0).any():
        return ""
    if table.labels is not None and table.labels.labels:
        return (
            "No label of the samples is a class of the classifier. Correct the class names under "
            "Set up, Networks, Details."
        )
    return (
        "The samples have no labels, so there is nothing to compare the predictions with. Open a "
        "folder with one subfolder per class, or choose labels under Set up, Samples."
    )


def _mixed(base: QColor, full: QColor, share: float) -> QColor:
    channels = zip(base.getRgb()[:3], full.getRgb()[:3], strict=True)
    return QColor(*(round((1 - share) * a + share * b) for a, b in channels))
