"""The regions of the mask in a table: what each is, and what it does by itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QSize, Qt, QTimer, Signal
from qtpy.QtWidgets import (
    QAbstractItemView,
    QFileDialog,
    QHBoxLayout,
    QHeaderView,
    QPushButton,
    QTreeWidget,
    QTreeWidgetItem,
)
from superqt.utils import signals_blocked

from napari_quac.errors import QuacError
from napari_quac.gui.section import Section
from napari_quac.gui.text import WrappedLabel, grouped, measured, signed
from napari_quac.live.choices import Choices
from napari_quac.live.controller import Controller
from napari_quac.live.failure import failure
from napari_quac.live.results import Results

if TYPE_CHECKING:
    from napari_quac.explain.regions import Region, Regions

REST_MS = 250
"""After that long without a move of the slider, the regions of its mask are asked about."""

COLUMNS = ("#", "area", "grey", "alone", "left out")
TIPS = (
    "Number of the region, the largest effect alone first",
    "Area before the mask is softened",
    "Mean grey value in the query → in the hybrid; 0 is black and 1 white",
    "Change of the target's probability when this region alone is swapped in",
    "What the hybrid's probability of the target loses when this region is left out of it",
)
WIDTHS = (30, 70, 88, 52, 58)  # pixels; together they fit the narrowest dock
NUMBER = Qt.ItemDataRole.UserRole
EMPTY = "Explain a sample to see the regions of its mask."


class RegionsTable(QTreeWidget):
    """A table that can be sorted by any of its numbers; about six rows high."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("regions_table")
        self.setRootIsDecorated(False)
        self.setStyleSheet("QTreeWidget::item { padding: 2px 0px; }")
        self.setUniformRowHeights(True)
        self.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setHeaderLabels(list(COLUMNS))
        header = self.header()
        header.setStretchLastSection(False)
        header.setMinimumSectionSize(24)
        for column, width in enumerate(WIDTHS):
            header.resizeSection(column, width)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        header.setSectionResizeMode(1, QHeaderView.ResizeMode.Stretch)
        for column, tip in enumerate(TIPS):
            self.headerItem().setToolTip(column, tip)
            if column:
                self.headerItem().setTextAlignment(column, Qt.AlignmentFlag.AlignRight)
        self.setSortingEnabled(True)
        self.sortByColumn(0, Qt.SortOrder.AscendingOrder)

    def sizeHint(self) -> QSize:
        """Return the height of the rows that there are, up to six."""
        rows = min(max(self.topLevelItemCount(), 2), 6)
        height = max(self.sizeHintForRow(0), 18) * rows + self.header().sizeHint().height() + 4
        return QSize(300, height)

    def minimumSizeHint(self) -> QSize:
        """Return a width that always fits."""
        return QSize(200, self.sizeHint().height())


class _Row(QTreeWidgetItem):
    """A row that sorts by its numbers, not by their text."""

    def __init__(self, texts: list[str], values: tuple[float, ...]) -> None:
        super().__init__(texts)
        self.values = values
        for column in range(1, len(texts)):
            self.setTextAlignment(column, int(Qt.AlignmentFlag.AlignRight))

    def __lt__(self, other: QTreeWidgetItem) -> bool:
        column = self.treeWidget().sortColumn()
        return bool(self.values[column] < other.values[column])


class RegionsPanel(Section):
    """Folded at first; while it is folded nothing is asked."""

    region_picked = Signal(object, int)
    """The regions and the number of the one that was picked in the table."""

    regions_changed = Signal(object)
    """The regions on show, or None."""

    def __init__(self, choices: Choices, results: Results, controller: Controller) -> None:
        super().__init__("Regions", "regions")
        self._results, self._controller = results, controller
        self._shown: Regions | None = None
        self.table = RegionsTable()
        self.line = WrappedLabel(EMPTY, "regions_line", "muted")
        self.export_button = QPushButton("Export…")
        self.export_button.setObjectName("regions_export_button")
        self.export_button.setToolTip("Write the table to a CSV file")
        row = QHBoxLayout()
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.line, 1)
        row.addWidget(self.export_button)
        self.body_layout.addWidget(self.table)
        self.body_layout.addLayout(row)
        self._rest = QTimer(self)
        self._rest.setSingleShot(True)
        self._rest.setInterval(REST_MS)
        self._rest.timeout.connect(self._ask)
        self.table.itemSelectionChanged.connect(self._on_selected)
        self.table.itemClicked.connect(self._on_clicked)
        self.export_button.clicked.connect(self._on_export)
        self.button.toggled.connect(self._on_folded)
        results.events.displayed_hybrid.connect(self._on_shown)
        results.events.regions.connect(self._show)
        self.set_open(False)
        self._show()

    @property
    def shown(self) -> Regions | None:
        """The regions in the table; None while they are out of date."""
        return self._shown if self._results.regions is not None and self.is_open else None

    def pick(self, number: int) -> None:
        """Select a region that was clicked on the canvas."""
        for item in self._items():
            if item.data(0, NUMBER) == number:
                self.table.setCurrentItem(item)
                self.table.scrollToItem(item)

    def export(self, path: Path) -> None:
        """Write the table to a CSV file.

        Raises
        ------
        DataError
            If there are no regions, or the file cannot be written.
        """
        from napari_quac.explain.region_table import region_rows, write_rows

        classifier = self._results.loaded_classifier
        names = classifier.class_names if classifier is not None else ()
        write_rows(path, region_rows(self._shown, names) if self._shown is not None else [])

    def close_panel(self) -> None:
        """Ask nothing any more."""
        self._rest.stop()

    def _items(self) -> list[Any]:
        return [self.table.topLevelItem(row) for row in range(self.table.topLevelItemCount())]

    def _on_folded(self, is_open: bool) -> None:
        if is_open:
            self._ask()
        else:
            self._rest.stop()
            self.regions_changed.emit(None)

    def _on_shown(self) -> None:
        if self.is_open:
            self._rest.start()

    def _ask(self) -> None:
        shown, known = self._results.displayed_hybrid, self._results.regions
        if known is not None:
            self._show()
        elif shown is not None and "regions" not in self._controller.running:
            self._controller.request("regions")

    def _show(self) -> None:
        regions = self._results.regions
        there = regions is not None
        self.table.setEnabled(there)
        self.export_button.setEnabled(there and bool(regions.regions))  # type: ignore[union-attr]
        if self._results.displayed_hybrid is None:
            self._fill(None)
            self.line.setText(EMPTY)
            self.set_summary("")
        elif regions is not None:
            self._fill(regions)
            self._describe(regions)
        self.regions_changed.emit(regions if self.is_open else None)

    def _describe(self, regions: Regions) -> None:
        n = len(regions.regions)
        self.set_summary(f"{n} region{'s' if n != 1 else ''}")
        if not n:
            self.line.setText("The mask is empty at this threshold.")
            return
        text = f"All together {signed(regions.score_change)}."
        if regions.n_left_out:
            text += f" {regions.n_left_out} smaller ones were not asked about."
        self.line.setText(text)

    def _fill(self, regions: Regions | None) -> None:
        if regions is self._shown:
            return
        self._shown = regions
        with signals_blocked(self.table):
            self.table.clear()
            if regions is not None:
                volume = regions.labels.ndim == 3
                word = "volume" if volume else "area"
                unit = regions.size_unit or ("vx" if volume else "px")
                self.table.headerItem().setText(1, f"{word}, {unit}")
                self.table.addTopLevelItems([_row(region) for region in regions.regions])
        self.table.updateGeometry()

    def _selected(self) -> int | None:
        items = self.table.selectedItems()
        return int(items[0].data(0, NUMBER)) if items else None

    def _on_selected(self) -> None:
        number = self._selected()
        if number is not None and self.shown is not None:
            self.region_picked.emit(self._shown, number)

    def _on_clicked(self) -> None:
        self._on_selected()

    def _on_export(self) -> None:
        path, _ = QFileDialog.getSaveFileName(
            self, "Write the regions", "regions.csv", "Tables (*.csv)"
        )
        if not path:
            return
        try:
            self.export(Path(path))
        except QuacError as error:
            self._controller.failed.emit(failure("regions", "writing the regions", error))


def _row(region: Region) -> _Row:
    size = region.n_pixels if region.size is None else region.size
    texts = [
        str(region.number),
        grouped(size) if region.size is None else measured(size),
        f"{region.before:.2f} → {region.after:.2f}",
        signed(region.effect_alone),
        signed(region.effect_left_out),
    ]
    values = (
        region.number,
        size,
        region.after - region.before,
        region.effect_alone,
        region.effect_left_out,
    )
    row = _Row(texts, values)
    row.setData(0, NUMBER, region.number)
    what = "pixels" if len(region.centroid) == 2 else "voxels"
    row.setToolTip(1, f"{grouped(region.n_pixels)} {what}")
    return row
