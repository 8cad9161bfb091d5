"""Comparison of all methods: a table, and small pictures of maps and curves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QColor, QIcon, QResizeEvent
from qtpy.QtWidgets import (
    QButtonGroup,
    QHeaderView,
    QSplitter,
    QTableWidget,
    QTableWidgetItem,
    QToolButton,
    QVBoxLayout,
    QWidget,
)
from superqt.utils import signals_blocked

from napari_quac.explain.score import FINE_ABSCISSAE
from napari_quac.explain.size_axis import axis_positions
from napari_quac.gui import widgets as ui
from napari_quac.gui.palette import Palette
from napari_quac.gui.pictures import CURVE_HEIGHT, GAP, SIDE, tile_picture
from napari_quac.gui.slots import slot, slots
from napari_quac.gui.text import ElidedLabel, estimated, plain
from napari_quac.live.choices import Choices
from napari_quac.live.results import Results
from napari_quac.live.speeds import Speeds

if TYPE_CHECKING:
    from napari_quac.reports.comparison import ComparisonRow, MethodComparison

COLUMNS = (
    ("method", "true_name", "", "Attribution method as computed."),
    ("score", "score", ".2f", "QuAC score: area under the curve."),
    ("mask", "mask_size", ".1%", "Share of the image that the mask covers at the optimum."),
    ("p", "reached", ".2f", "Target probability at the optimum."),
    ("p outside", "inverse", ".2f",
     "Target probability if everything outside the mask is replaced instead; low is good."),
    ("error", "completeness", ".1%",
     "Completeness error: share of the logit difference that the attribution does not explain."),
    ("AP", "average_precision", ".2f", "Average precision against the true difference."),
    ("IoU", "iou", ".2f", "Intersection over union of mask and true difference."),
    ("hit", "pointing", ".2f", "Pointing game: the maximum lies in the true difference."),
    ("time", "seconds", ".2f", "Time in s for attribution and curve."),
)  # fmt: skip
"""Title, attribute of :class:`~napari_quac.reports.comparison.ComparisonRow`, format, tooltip."""
TRUTH_COLUMNS = (6, 7, 8)
WIDE = 960  # width in pixels that fits table and pictures


@slots
class ComparisonDock(QWidget):
    """Displays ``results.comparison``; a click on a row or a picture selects that method."""

    method_picked = Signal(str)
    pair_requested = Signal()
    samples_requested = Signal(int)

    def __init__(self, choices: Choices, results: Results, speeds: Speeds) -> None:
        super().__init__()
        self._speeds = speeds
        self.setObjectName("quac_comparison_dock")
        self._choices, self._results = choices, results
        self._colors: Palette | None = None
        self._methods: list[str] = []
        self._recolor = ui.debouncer(self, 0, self._show_colors)
        self._draw = ui.debouncer(self, 0, self._draw_next)
        self.tiles: dict[str, QToolButton] = {}
        self._drawn: dict[QToolButton, tuple[object, ...]] = {}
        self.table = QTableWidget(0, len(COLUMNS))
        ui.prepare_table(self.table, "comparison_table")
        for index, (title, _, _, tooltip) in enumerate(COLUMNS):
            header_cell = QTableWidgetItem(title)
            header_cell.setToolTip(plain(tooltip))
            self.table.setHorizontalHeaderItem(index, header_cell)
        header = self.table.horizontalHeader()
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        self.table.itemSelectionChanged.connect(self._on_row_selected)
        self._tile_box = QWidget()
        self._tile_box.setObjectName("comparison_tiles")
        self._tile_row = ui.row(None, spacing=2, parent=self._tile_box)
        self._tile_row.setContentsMargins(2, 0, 2, 0)
        self._group = QButtonGroup(self)
        self._pictures = ui.scroll_area("comparison_scroll", self._tile_box)
        self._pictures.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        splitter = QSplitter(Qt.Orientation.Horizontal)
        splitter.addWidget(self.table)
        splitter.addWidget(self._pictures)
        splitter.setSizes([480, 640])
        splitter.setChildrenCollapsible(False)
        layout = ui.column(self._head(), splitter, 1, spacing=4, parent=self)
        layout.setContentsMargins(6, 4, 6, 4)
        results.events.comparison.connect(self._show)
        ui.connect(self._show_head, results.events.pair, results.events.loaded_samples,
                   results.events.comparison_settings, speeds.changed)  # fmt: skip
        self.n_spin.valueChanged.connect(self._show_head)
        choices.events.shown_method.connect(self._show_picked)
        choices.events.size_axis.connect(self._show)
        self._show()
        self._arrange()

    def sizeHint(self) -> QSize:
        """Return a low and wide size for the place below the canvas."""
        return QSize(700, 250)

    def minimumSizeHint(self) -> QSize:
        """Return the smallest readable size."""
        return QSize(300, 170)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Show table and pictures side by side if the dock is wide, else one of them."""
        super().resizeEvent(event)
        self._arrange()

    @slot
    def _arrange(self) -> None:
        wide = self.width() >= WIDE
        pictures = self.pictures_button.isChecked()
        self.pictures_button.setVisible(not wide)
        self.table.setVisible(wide or not pictures)
        self._pictures.setVisible(wide or pictures)

    def set_palette_of(self, colors: Palette) -> None:
        """Follow napari's theme."""
        self._colors = colors
        ui.fit_rows(self.table, colors.font_points)
        self._recolor.throttle()  # napari changes all its widgets in this turn

    def _head(self) -> QVBoxLayout:
        self.line = ElidedLabel("", "comparison_line")
        self.pair_button = ui.button(
            "Compare this pair", "compare_pair_button", clicked=self.pair_requested
        )
        self.n_spin = ui.spin_box("compare_samples_spin", 2, 100_000, 10)
        self.samples_button = ui.button(
            "Compare samples",
            "compare_samples_button",
            clicked=lambda: self.samples_requested.emit(self.n_spin.value()),
        )
        self.pictures_button = ui.button("Maps", "compare_maps_button", checkable=True)
        self.pictures_button.toggled.connect(self._arrange)
        buttons = self.pictures_button, self.pair_button, self.n_spin, self.samples_button
        return ui.column(self.line, ui.flow(*buttons), spacing=4)

    def _show_head(self) -> None:
        results = self._results
        self.pair_button.setEnabled(results.pair is not None)
        self.samples_button.setEnabled(
            results.loaded_samples is not None and results.loaded_generator is not None
        )
        seconds, n_samples = self._speeds.comparison, self.n_spin.value()
        self.pair_button.setText(estimated("Compare this pair", seconds()))
        self.samples_button.setText(estimated("Compare samples", seconds(n_samples)))
        self.line.setText(self._describe())
        self.line.setToolTip(plain("\n".join([self._describe(), *self._failures()])))

    def _describe(self) -> str:
        compared, classifier = self._results.comparison, self._results.loaded_classifier
        if compared is None or classifier is None:
            return "Compare all methods on this pair or on several samples."
        pair = compared.last.pair
        if not compared.is_of_samples:
            has_truth = any(entry.iou is not None for entry in compared.rows)
            note = "" if has_truth else " · true difference unknown"
            other = f"against {pair.infill}" if pair.infill else f"→ {pair.class_name(pair.target)}"
            return f"{pair.query.id}: {pair.class_name(pair.source)} {other}{note}"
        n = max((entry.n for entry in compared.rows), default=0)
        text = f"{n} of {len(compared.comparisons)} pairs valid · maps: {pair.query.id}"
        if compared.failures:
            text += f" · {len(compared.failures)} failed"
        for row in compared.rows:
            if row.n_failed and row.score is not None:
                text += f" · {row.true_name} failed on {row.n_failed}"
        return text

    def _failures(self) -> list[str]:
        """Return a sentence for each sample, and for each method, that failed."""
        compared = self._results.comparison
        if compared is None:
            return []
        of_methods = {row.true_name: row.reason for row in compared.rows if row.n_failed}
        return [f"{name}: {text}" for name, text in {**compared.failures, **of_methods}.items()]

    def _show(self) -> None:
        compared = self._results.comparison
        self._show_head()
        rows = compared.rows if compared is not None else ()
        self._methods = [entry.method for entry in rows]
        has_truth = any(entry.iou is not None for entry in rows)
        for index in TRUTH_COLUMNS:
            self.table.setColumnHidden(index, not has_truth)
        with signals_blocked(self.table):
            self.table.setRowCount(len(rows))
            for number, entry in enumerate(rows):
                self._fill(number, entry)
        self._show_tiles(compared)
        self._show_colors()
        self._show_picked()

    def _fill(self, number: int, entry: ComparisonRow) -> None:
        for index, (title, attribute, form, tooltip) in enumerate(COLUMNS):
            measure = getattr(entry, attribute)
            text = "" if measure is None else format(measure, form)
            cell = QTableWidgetItem("–" if entry.score is None and title == "score" else text)
            cell.setToolTip(plain(entry.reason or tooltip))
            if index:
                cell.setTextAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            self.table.setItem(number, index, cell)

    def _show_colors(self) -> None:
        """Mute the rows of methods that failed, and draw the pictures for the present theme."""
        compared, colors = self._results.comparison, self._colors
        if compared is None or colors is None:
            return
        for number, entry in enumerate(compared.rows):
            for column in range(len(COLUMNS) if entry.score is None else 0):
                self.table.item(number, column).setForeground(QColor(colors.muted))
        self._draw.throttle()

    def _show_tiles(self, compared: MethodComparison | None) -> None:
        if compared is None:
            self._drop_tiles(list(self.tiles))
            return
        explained = compared.last.explanations
        rows = [e for e in compared.rows if e.method in explained and e.score is not None]
        names = [entry.method for entry in rows]
        self._drop_tiles([name for name in self.tiles if name not in names])
        for position, entry in enumerate(rows):
            tile = self.tiles.get(entry.method) or self._new_tile(entry.method)
            tile.setText(f"{entry.true_name}  {entry.score:.2f}")
            tile.setToolTip(
                plain(
                    f"Show {entry.method}: map, mask at the optimum (yellow) and curve, along a "
                    f"{self._choices.size_axis} axis of mask sizes."
                )
            )
            self._tile_row.removeWidget(tile)
            self._tile_row.insertWidget(position, tile)

    @slot
    def _draw_next(self) -> None:
        """Draw one picture that is missing or no longer right; the rest in later turns."""
        compared, colors, axis = self._results.comparison, self._colors, self._choices.size_axis
        if compared is None or colors is None:
            return
        for entry in compared.rows:
            tile = self.tiles.get(entry.method)
            explanation = compared.last.explanations.get(entry.method)
            drawn = (id(explanation), entry.n, axis, colors)
            if tile is not None and explanation is not None and self._drawn.get(tile) != drawn:
                curve = axis_positions(FINE_ABSCISSAE, axis), entry.fine_curve
                tile.setIcon(QIcon(tile_picture(explanation, *curve, entry.method, colors)))
                self._drawn[tile] = drawn
                self._draw.throttle()
                return

    def _new_tile(self, name: str) -> QToolButton:
        tile = ui.link_button("", f"compare_tile_{name}", role="tile", checkable=True)
        tile.setIconSize(QSize(SIDE, SIDE + GAP + CURVE_HEIGHT))
        tile.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextUnderIcon)
        tile.setFixedWidth(SIDE + 36)
        tile.clicked.connect(slot(lambda _=False, name=name: self.method_picked.emit(name)))
        self._group.addButton(tile)
        self.tiles[name] = tile
        return tile

    def _drop_tiles(self, names: list[str]) -> None:
        tiles = [self.tiles.pop(name) for name in names]
        for tile in tiles:
            self._group.removeButton(tile)
            self._drawn.pop(tile, None)
        ui.discard(self._tile_row, tiles)

    def _show_picked(self) -> None:
        """Mark the displayed method in the table and among the pictures."""
        name = self._choices.shown_method
        with signals_blocked(self.table):
            self.table.clearSelection()
            if name in self._methods:
                self.table.selectRow(self._methods.index(name))
        if name in self.tiles:
            self.tiles[name].setChecked(True)

    def _on_row_selected(self) -> None:
        for number in {index.row() for index in self.table.selectedIndexes()}:
            compared = self._results.comparison
            if compared is not None and compared.rows[number].score is not None:
                self.method_picked.emit(self._methods[number])
