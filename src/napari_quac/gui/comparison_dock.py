"""All methods side by side: a table, and maps and curves in small multiples."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QColor, QIcon, QResizeEvent
from qtpy.QtWidgets import (
    QAbstractItemView,
    QButtonGroup,
    QHBoxLayout,
    QHeaderView,
    QPushButton,
    QScrollArea,
    QSpinBox,
    QSplitter,
    QTableWidget,
    QTableWidgetItem,
    QToolButton,
    QVBoxLayout,
    QWidget,
)
from superqt.utils import signals_blocked

from napari_quac.gui.map_picture import CURVE_HEIGHT, GAP, SIDE, tile_picture
from napari_quac.gui.palette import Palette
from napari_quac.gui.text import ElidedLabel
from napari_quac.live.choices import Choices
from napari_quac.live.results import Results

if TYPE_CHECKING:
    from napari_quac.reports.comparison import ComparisonRow, MethodComparison

Cell = Callable[["ComparisonRow"], str]


def _number(name: str, form: str) -> Cell:
    def cell(row: ComparisonRow) -> str:
        value = getattr(row, name)
        return "" if value is None else format(value, form)

    return cell


COLUMNS: tuple[tuple[str, Cell, str], ...] = (
    ("method", lambda row: row.true_name, "What was computed"),
    ("score", _number("score", ".2f"), "Area under the curve"),
    ("mask", _number("mask_size", ".1%"), "Share of the image that is swapped at the optimum"),
    ("p", _number("reached", ".2f"), "Probability of the wanted class at the optimum"),
    (
        "inverse",
        _number("inverse", ".2f"),
        "Probability of the wanted class when all the rest is swapped instead; low is good",
    ),
    (
        "misses",
        _number("completeness", ".1%"),
        "How much of the change of the logit the map does not add up to (completeness)",
    ),
    ("AP", _number("average_precision", ".2f"), "Average precision against the true difference"),
    ("IoU", _number("iou", ".2f"), "Overlap of the mask with the true difference"),
    ("hit", _number("pointing", ".2f"), "Pointing game: the maximum lies on the true difference"),
    ("time", _number("seconds", ".2f"), "Seconds for map and curve"),
)
TRUTH_COLUMNS = (6, 7, 8)
WIDE = 960  # pixels from which table and pictures fit side by side


class ComparisonDock(QWidget):
    """Shows ``results.comparison``; a click on a row or a picture shows that method."""

    method_picked = Signal(str)
    pair_wanted = Signal()
    samples_wanted = Signal(int)

    def __init__(self, choices: Choices, results: Results) -> None:
        super().__init__()
        self.setObjectName("quac_comparison_dock")
        self._choices, self._results = choices, results
        self._colors: Palette | None = None
        self._methods: list[str] = []
        self.tiles: dict[str, QToolButton] = {}
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 4, 6, 4)
        layout.setSpacing(4)
        layout.addLayout(self._head())
        self.table = QTableWidget(0, len(COLUMNS))
        self.table.setObjectName("comparison_table")
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.table.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.table.verticalHeader().hide()
        self.table.setShowGrid(False)
        self.table.setWordWrap(False)
        for column, (title, _, tip) in enumerate(COLUMNS):
            item = QTableWidgetItem(title)
            item.setToolTip(tip)
            self.table.setHorizontalHeaderItem(column, item)
        header = self.table.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        self.table.itemSelectionChanged.connect(self._on_row_selected)
        self._tile_box = QWidget()
        self._tile_box.setObjectName("comparison_tiles")
        self._tile_row = QHBoxLayout(self._tile_box)
        self._tile_row.setContentsMargins(2, 0, 2, 0)
        self._tile_row.setSpacing(2)
        self._tile_row.addStretch(1)
        self._group = QButtonGroup(self)
        self._pictures = scroll = QScrollArea()
        scroll.setObjectName("comparison_scroll")
        scroll.setWidgetResizable(True)
        scroll.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(self._tile_box)
        splitter = QSplitter(Qt.Orientation.Horizontal)
        splitter.addWidget(self.table)
        splitter.addWidget(scroll)
        splitter.setSizes([480, 640])
        splitter.setChildrenCollapsible(False)
        layout.addWidget(splitter, 1)
        results.events.comparison.connect(self._show)
        results.events.pair.connect(self._show_head)
        results.events.loaded_samples.connect(self._show_head)
        choices.events.shown_method.connect(self._show_picked)
        self._show()
        self._arrange()

    def sizeHint(self) -> QSize:
        """Return a low and wide size, as fits below napari's canvas."""
        return QSize(700, 250)

    def minimumSizeHint(self) -> QSize:
        """Return the smallest size that can be read."""
        return QSize(300, 170)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Show table and pictures side by side where there is room, else one of them."""
        super().resizeEvent(event)
        self._arrange()

    def _arrange(self) -> None:
        wide = self.width() >= WIDE
        pictures = self.pictures_button.isChecked()
        self.pictures_button.setVisible(not wide)
        self.table.setVisible(wide or not pictures)
        self._pictures.setVisible(wide or pictures)

    def set_palette_of(self, colors: Palette) -> None:
        """Follow napari's theme."""
        self._colors = colors
        self._drop_tiles(list(self.tiles))
        self._show()

    def _head(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(6)
        self.line = ElidedLabel()
        self.line.setObjectName("comparison_line")
        self.pair_button = QPushButton("This pair")
        self.pair_button.setObjectName("compare_pair_button")
        self.pair_button.setToolTip("Compare all methods on the pair on show")
        self.pair_button.clicked.connect(self.pair_wanted)
        self.n_spin = QSpinBox()
        self.n_spin.setObjectName("compare_samples_spin")
        self.n_spin.setRange(2, 100_000)
        self.n_spin.setValue(10)
        self.n_spin.setToolTip("Number of samples")
        self.samples_button = QPushButton("Over samples")
        self.samples_button.setObjectName("compare_samples_button")
        self.samples_button.setToolTip(
            "Search a generated image for so many of the samples in view, and compare all methods "
            "over them"
        )
        self.samples_button.clicked.connect(lambda: self.samples_wanted.emit(self.n_spin.value()))
        self.pictures_button = QPushButton("Maps")
        self.pictures_button.setObjectName("compare_maps_button")
        self.pictures_button.setCheckable(True)
        self.pictures_button.setToolTip(
            "Maps and curves in place of the table; where there is room both are shown"
        )
        self.pictures_button.toggled.connect(self._arrange)
        row.addWidget(self.line, 1)
        for widget in (self.pictures_button, self.pair_button, self.n_spin, self.samples_button):
            row.addWidget(widget)
        return row

    def _show_head(self) -> None:
        results = self._results
        self.pair_button.setEnabled(results.pair is not None)
        self.samples_button.setEnabled(
            results.loaded_samples is not None and results.loaded_generator is not None
        )
        self.line.setText(self._said())

    def _said(self) -> str:
        compared, classifier = self._results.comparison, self._results.loaded_classifier
        if compared is None or classifier is None:
            return "All methods side by side, on this pair or over many samples."
        pair = compared.last.pair
        if not compared.is_of_samples:
            names = classifier.class_names
            truth = any(row.iou is not None for row in compared.rows)
            known = "" if truth else " · the true difference is not known"
            return f"{pair.query.id}: {names[pair.source]} → {names[pair.target]}{known}"
        n = max((row.n for row in compared.rows), default=0)
        done = len(compared.comparisons)
        text = f"{n} pairs count of {done} · maps: {pair.query.id}"
        if compared.failures:
            text += f" · {len(compared.failures)} failed"
        return text

    def _show(self) -> None:
        compared = self._results.comparison
        self._show_head()
        rows = compared.rows if compared is not None else ()
        self._methods = [row.method for row in rows]
        knows_truth = any(row.iou is not None for row in rows)
        for column in TRUTH_COLUMNS:
            self.table.setColumnHidden(column, not knows_truth)
        with signals_blocked(self.table):
            self.table.setRowCount(len(rows))
            for number, row in enumerate(rows):
                self._fill(number, row)
        self._show_tiles(compared)
        self._show_picked()

    def _fill(self, number: int, row: ComparisonRow) -> None:
        colors = self._colors
        for column, (_, cell, tip) in enumerate(COLUMNS):
            text = cell(row)
            if row.reason and column == 1:
                text = "–"
            item = QTableWidgetItem(text)
            item.setToolTip(row.reason or tip)
            if column:
                item.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            if row.reason and colors is not None:
                item.setForeground(QColor(colors.muted))
            self.table.setItem(number, column, item)
        self.table.setRowHeight(number, 21)

    def _show_tiles(self, compared: MethodComparison | None) -> None:
        colors = self._colors
        if compared is None or colors is None:
            self._drop_tiles(list(self.tiles))
            return
        explained = compared.last.explanations
        rows = [row for row in compared.rows if row.method in explained and row.score is not None]
        wanted = [row.method for row in rows]
        self._drop_tiles([name for name in self.tiles if name not in wanted])
        for position, row in enumerate(rows):
            tile = self.tiles.get(row.method) or self._new_tile(row.method)
            explanation = explained[row.method]
            if tile.property("explanation") != (id(explanation), row.n):
                tile.setIcon(QIcon(tile_picture(explanation, row.curve, row.method, colors)))
                tile.setProperty("explanation", (id(explanation), row.n))
            tile.setText(f"{row.true_name}  {row.score:.2f}")
            tile.setToolTip(f"Show {row.method}: map, mask at the optimum (yellow), and curve")
            self._tile_row.removeWidget(tile)
            self._tile_row.insertWidget(position, tile)

    def _new_tile(self, name: str) -> QToolButton:
        tile = QToolButton()
        tile.setObjectName(f"compare_tile_{name}")
        tile.setProperty("role", "tile")
        tile.setCheckable(True)
        tile.setIconSize(QSize(SIDE, SIDE + GAP + CURVE_HEIGHT))
        tile.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextUnderIcon)
        tile.setFixedWidth(SIDE + 36)
        tile.clicked.connect(lambda _=False, name=name: self.method_picked.emit(name))
        self._group.addButton(tile)
        self.tiles[name] = tile
        return tile

    def _drop_tiles(self, names: list[str]) -> None:
        for name in names:
            tile = self.tiles.pop(name)
            self._group.removeButton(tile)
            self._tile_row.removeWidget(tile)
            tile.setParent(None)
            tile.deleteLater()

    def _show_picked(self) -> None:
        """Mark the method whose layers are shown, in the table and among the pictures."""
        shown = self._choices.shown_method
        with signals_blocked(self.table):
            self.table.clearSelection()
            if shown in self._methods:
                self.table.selectRow(self._methods.index(shown))
        if shown in self.tiles:
            self.tiles[shown].setChecked(True)

    def _on_row_selected(self) -> None:
        numbers = {index.row() for index in self.table.selectedIndexes()}
        for number in numbers:
            compared = self._results.comparison
            if compared is not None and compared.rows[number].score is not None:
                self.method_picked.emit(self._methods[number])
