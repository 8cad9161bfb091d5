"""What the hybrid changed, in numbers: grey values and texture, place by place."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from qtpy.QtCore import QSize, Qt, QTimer
from qtpy.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QHeaderView,
    QPushButton,
    QTreeWidget,
    QTreeWidgetItem,
)
from superqt.utils import signals_blocked

from napari_quac.errors import QuacError
from napari_quac.gui.labels_at import labels_at
from napari_quac.gui.layer_menu import rename_entry
from napari_quac.gui.panels.regions_panel import REST_MS
from napari_quac.gui.region_view import LAYER_NAME
from napari_quac.gui.section import Section, labelled_row
from napari_quac.gui.text import WrappedLabel, grouped, measured, signed
from napari_quac.live.choices import Choices, LabelImage
from napari_quac.live.controller import Controller
from napari_quac.live.failure import failure
from napari_quac.live.results import Results

if TYPE_CHECKING:
    from napari_quac.explain.morphometry import Morphometry, PlaceChange

COLUMNS = ("measure", "query", "hybrid", "change")
WIDTHS = (120, 62, 62, 62)
N_ROWS = 13
FIRST_PLACE = "inside the mask"
EMPTY = "Explain a sample to measure what its hybrid changed."


class MorphometryTable(QTreeWidget):
    """One row for each measure, as high as all of them."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("morphometry_table")
        self.setRootIsDecorated(False)
        self.setUniformRowHeights(True)
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setHeaderLabels(list(COLUMNS))
        header = self.header()
        header.setStretchLastSection(False)
        for column, width in enumerate(WIDTHS):
            header.resizeSection(column, width)
            if column:
                self.headerItem().setTextAlignment(column, Qt.AlignmentFlag.AlignRight)
        header.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)

    def sizeHint(self) -> QSize:
        """Return the height of all rows."""
        row = max(self.sizeHintForRow(0), 16)
        rows = min(max(self.topLevelItemCount(), 2), N_ROWS)
        return QSize(300, row * rows + self.header().sizeHint().height() + 4)

    def minimumSizeHint(self) -> QSize:
        """Return a width that always fits."""
        return QSize(200, self.sizeHint().height())


class MorphometryPanel(Section):
    """Folded at first; while it is folded nothing is measured."""

    def __init__(
        self, viewer: Any, own_layers: Any, choices: Choices, results: Results,
        controller: Controller,
    ) -> None:  # fmt: skip
        super().__init__("Morphometry", "morphometry")
        self._viewer, self._own_layers = viewer, own_layers
        self._choices, self._results, self._controller = choices, results, controller
        self._found: Morphometry | None = None
        self.labels_menu = QComboBox()
        self.labels_menu.setObjectName("morphometry_labels")
        self.labels_menu.setToolTip(
            "A labels layer with structures to measure in, such as clefts or vesicles"
        )
        self.labels_menu.setMinimumContentsLength(8)
        self.place_menu = QComboBox()
        self.place_menu.setObjectName("morphometry_place")
        self.place_menu.setToolTip("Where query and hybrid are measured")
        self.table = MorphometryTable()
        self.line = WrappedLabel(EMPTY, "morphometry_line", "muted")
        self.export_button = QPushButton("Export…")
        self.export_button.setObjectName("morphometry_export_button")
        self.export_button.setToolTip("Write all places and measures to a CSV file")
        self.body_layout.addLayout(labelled_row("Structures", self.labels_menu))
        self.body_layout.addLayout(labelled_row("Place", self.place_menu))
        self.body_layout.addWidget(self.table)
        row = QHBoxLayout()
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.line, 1)
        row.addWidget(self.export_button)
        self.body_layout.addLayout(row)
        self._rest = QTimer(self)
        self._rest.setSingleShot(True)
        self._rest.setInterval(REST_MS)
        self._rest.timeout.connect(self._ask)
        self.labels_menu.currentIndexChanged.connect(self._on_labels_picked)
        self.place_menu.currentIndexChanged.connect(self._show_place)
        self.export_button.clicked.connect(self._on_export)
        self.button.toggled.connect(self._on_folded)
        results.events.displayed_hybrid.connect(self._on_shown)
        results.events.morphometry.connect(self._show)
        for event in (viewer.layers.events.inserted, viewer.layers.events.removed):
            event.connect(self._show_layers)
        viewer.layers.events.renamed.connect(self._on_renamed)
        self.set_open(False)
        self._show_layers()
        self._show()

    def export(self, path: Path) -> None:
        """Write all places and measures to a CSV file.

        Raises
        ------
        DataError
            If there is nothing to write, or the file cannot be written.
        """
        from napari_quac.explain.morphometry import morphometry_rows
        from napari_quac.explain.region_table import write_rows

        classifier = self._results.loaded_classifier
        names = classifier.class_names if classifier is not None else ()
        write_rows(path, morphometry_rows(self._found, names) if self._found is not None else [])

    def close_panel(self) -> None:
        """Listen to the viewer no more."""
        self._rest.stop()
        for event in (self._viewer.layers.events.inserted, self._viewer.layers.events.removed):
            event.disconnect(self._show_layers)
        self._viewer.layers.events.renamed.disconnect(self._on_renamed)

    def _on_renamed(self, event: Any) -> None:
        rename_entry(self.labels_menu, self._viewer.layers, event.index)

    def _show_layers(self, event: Any = None) -> None:
        gone = getattr(event, "value", None) if getattr(event, "type", "") == "removed" else None
        names = [
            layer.name
            for layer in self._viewer.layers
            if isinstance(layer, Labels) and layer.name != LAYER_NAME and layer != gone
        ]
        before = self.labels_menu.currentData()
        if [None, *names] == [
            self.labels_menu.itemData(i) for i in range(self.labels_menu.count())
        ]:
            return
        with signals_blocked(self.labels_menu):
            self.labels_menu.clear()
            self.labels_menu.addItem("none" if names else "none (add a labels layer)", None)
            for name in names:
                self.labels_menu.addItem(name, name)
            self.labels_menu.setCurrentIndex(max(0, self.labels_menu.findData(before)))
        if before is not None and before not in names:
            self._on_labels_picked()

    def _on_labels_picked(self) -> None:
        if self.is_open:
            self._ask(again=True)
        elif self._choices.labels is not None:
            self._choices.labels = None

    def _on_folded(self, is_open: bool) -> None:
        if is_open:
            self._ask()
        else:
            self._rest.stop()

    def _on_shown(self) -> None:
        if self.is_open:
            self._rest.start()

    def _ask(self, again: bool = False) -> None:
        if self._results.displayed_hybrid is None:
            return
        if self._results.morphometry is not None and not again:
            self._show()
            return
        labels = self._labels()
        if labels is not None or self._choices.labels is not None:
            self._choices.labels = labels
        self._controller.request("morphometry")

    def _labels(self) -> LabelImage | None:
        name, sample = self.labels_menu.currentData(), self._results.sample
        query = self._own_layers.get("query")
        if name not in self._viewer.layers or query is None or sample is None:
            return None
        layer = self._viewer.layers[name]
        shape = tuple(sample.image.shape[1:])
        return LabelImage(name, labels_at(layer, query, shape, self._viewer.dims.point))

    def _show(self) -> None:
        found = self._results.morphometry
        self.table.setEnabled(found is not None)
        self.export_button.setEnabled(found is not None)
        if self._results.displayed_hybrid is None:
            self._found = None
            self.table.clear()
            self.line.setText(EMPTY)
            self.set_summary("")
        elif found is not None and found is not self._found:
            self._found = found
            self._show_places(found)

    def _show_places(self, found: Morphometry) -> None:
        before = self.place_menu.currentData() or FIRST_PLACE
        with signals_blocked(self.place_menu):
            self.place_menu.clear()
            for place in found.places:
                self.place_menu.addItem(place.name, place.name)
            self.place_menu.setCurrentIndex(max(0, self.place_menu.findData(before)))
        self._show_place()

    def _show_place(self) -> None:
        from napari_quac.explain.texture import MEASURES

        if self._found is None:
            return
        place = self._found.places[max(0, self.place_menu.currentIndex())]
        self.table.clear()
        for one in MEASURES:
            unit = "" if one.unit in ("1", "share") else f", {one.unit}"
            values = (place.query[one.name], place.counterfactual[one.name])
            texts = [_number(value) for value in values]
            change = place.difference(one.name)
            row = QTreeWidgetItem([one.name + unit, *texts, _change(change)])
            row.setToolTip(0, one.text)
            for column in (1, 2, 3):
                row.setTextAlignment(column, int(Qt.AlignmentFlag.AlignRight))
            self.table.addTopLevelItem(row)
        self.table.updateGeometry()
        self.line.setText(self._about(place))
        mean = place.difference("mean")
        self.set_summary(f"{place.name}: {_change(mean)} grey" if np.isfinite(mean) else "")

    def _about(self, place: PlaceChange) -> str:
        if not place.n_pixels:
            return "There are no pixels in this place."
        volume = self._results.sample is not None and self._results.sample.image.ndim == 4
        parts = [f"{grouped(place.n_pixels)} {'vx' if volume else 'px'}"]
        if self._found is not None and place.size is not None and self._found.size_unit:
            parts.append(f"{measured(place.size)} {self._found.size_unit}")
        parts.append(f"{place.share_in_mask:.0%} of it in the mask")
        return " · ".join(parts)

    def _on_export(self) -> None:
        path, _ = QFileDialog.getSaveFileName(
            self, "Write the measurements", "morphometry.csv", "Tables (*.csv)"
        )
        if not path:
            return
        try:
            self.export(Path(path))
        except QuacError as error:
            self._controller.failed.emit(failure("morphometry", "writing measurements", error))


def _number(value: float) -> str:
    return f"{value:.{_digits(value)}f}" if np.isfinite(value) else "–"


def _change(value: float) -> str:
    return signed(value, _digits(value)) if np.isfinite(value) else "–"


def _digits(value: float) -> int:
    return 1 if abs(value) >= 10 else 3
