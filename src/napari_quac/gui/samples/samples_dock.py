"""Dock below the canvas: all samples as a table, a confusion matrix and curves."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QDragEnterEvent, QDropEvent, QResizeEvent
from qtpy.QtWidgets import (
    QButtonGroup,
    QFileDialog,
    QHBoxLayout,
    QScrollArea,
    QStackedWidget,
    QToolButton,
    QWidget,
)

from napari_quac.gui.palette import Palette
from napari_quac.gui.samples.confusion_view import ConfusionView
from napari_quac.gui.samples.explain_many_card import ExplainManyCard
from napari_quac.gui.samples.filter_bar import FilterChips, FilterField
from napari_quac.gui.samples.population_page import PopulationPage
from napari_quac.gui.samples.sample_table import SampleTable
from napari_quac.gui.widgets import button, column, link_button, row
from napari_quac.live.choices import Choices
from napari_quac.live.controller import Controller
from napari_quac.live.explain_many import ExplainMany
from napari_quac.live.results import Results

ROOM_FOR_ALL = 820
TABS = (
    ("table", "Table", "Table of all samples."),
    ("matrix", "Matrix", "Confusion matrix of label and predicted class, beside the table."),
    ("curves", "Curves", "Median QuAC curves of the explained samples in view."),
)


class SamplesDock(QWidget):
    """Table, confusion matrix and curves of all samples, with a common filter."""

    letter_pressed = Signal(str)
    measure_requested = Signal()
    open_requested = Signal(Path)
    dropped = Signal(Path)
    """A dropped file or folder."""

    def __init__(
        self, choices: Choices, results: Results, controller: Controller, store_folder: str = ""
    ) -> None:
        super().__init__()
        self.setObjectName("quac_samples_dock")
        self.setAcceptDrops(True)
        self._choices, self._results, self._controller = choices, results, controller
        self.field = FilterField(choices, results)
        self.chips = FilterChips(choices, results)
        self.table = SampleTable(choices, results)
        self.matrix = ConfusionView(results)
        self._build_matrix_side()
        self.curves = PopulationPage(choices, results, controller)
        self.many = ExplainMany(choices, results, controller)
        self.many_card = ExplainManyCard(self.many, store_folder)
        self._build_buttons()
        rows = QWidget()
        row(self.matrix_side, self.table, 1, parent=rows)
        self.pages = QStackedWidget()
        self.pages.addWidget(rows)
        self.pages.addWidget(self.curves)
        layout = column(
            self._first_row(),
            row(self.chips, self.chips.count, 1, spacing=8),
            self.field.problem,
            row(self.pages, 1, self.many_card),
            1,
            spacing=4,
            parent=self,
        )
        layout.setContentsMargins(6, 4, 6, 4)
        self.matrix.cell_picked.connect(self.chips.show_cell)
        self.table.letter_pressed.connect(self.letter_pressed)
        self.many_card.measure_requested.connect(self.measure_requested)
        choices.events.filter_text.connect(self.matrix.show_filter)
        for signal in (results.events.order, results.events.loaded_samples,
                       results.events.loaded_classifier, controller.running_changed):  # fmt: skip
            signal.connect(self._show_state)
        self.show_tab("table")
        self._show_state()

    def sizeHint(self) -> QSize:
        """Return a low and wide size for the place below the canvas."""
        return QSize(640, 236)

    def minimumSizeHint(self) -> QSize:
        """Return the smallest readable size."""
        return QSize(300, 150)

    def set_palette_of(self, colors: Palette) -> None:
        """Follow napari's theme."""
        self.table.set_palette_of(colors)
        self.matrix.set_palette_of(colors)
        self.curves.set_palette_of(colors)

    def close_dock(self) -> None:
        """Disconnect all signals."""
        self.many.close()

    def show_tab(self, key: str) -> None:
        """Show the table, the confusion matrix beside it, or the curves."""
        self.tabs[key].setChecked(True)
        self.matrix_side.setVisible(key == "matrix")
        self.pages.setCurrentIndex(1 if key == "curves" else 0)
        self.curves.set_active(key == "curves")
        if key != "table" and self.width() < ROOM_FOR_ALL:
            self.many_card.hide()
        self._fit_matrix()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Share the width between matrix and table."""
        super().resizeEvent(event)
        self._fit_matrix()

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Accept files and folders."""
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Emit the dropped paths."""
        event.acceptProposedAction()
        for url in event.mimeData().urls():
            if url.isLocalFile():
                self.dropped.emit(Path(url.toLocalFile()))

    def _fit_matrix(self) -> None:
        width = self.matrix.sizeHint().width() + 4
        self.matrix_side.setFixedWidth(max(200, min(width, round(0.55 * self.width()))))

    def predict_all(self) -> None:
        """Predict every sample without a prediction."""
        self._controller.request("predictions")

    def _first_row(self) -> QHBoxLayout:
        self.tabs: dict[str, QToolButton] = {}
        self._tab_group = QButtonGroup(self)
        for key, title, tooltip in TABS:
            self.tabs[key] = link_button(
                title,
                f"samples_tab_{key}",
                tooltip,
                lambda _=False, key=key: self.show_tab(key),
                role="tab",
                checkable=True,
            )
            self._tab_group.addButton(self.tabs[key])
        return row(*self.tabs.values(), self.field, 1, self.predict_button, self.many_button,
                   self.report_button, spacing=4)  # fmt: skip

    def _build_matrix_side(self) -> None:
        self.share_button = button("Normalize rows", "matrix_normalize_button", checkable=True)
        self.share_button.toggled.connect(self.matrix.set_normalized)
        scroll = QScrollArea()
        scroll.setObjectName("matrix_scroll")
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QScrollArea.Shape.NoFrame)
        scroll.setWidget(self.matrix)
        self.matrix_side = QWidget()
        side = column(scroll, 1, self.share_button, spacing=2, parent=self.matrix_side)
        side.setAlignment(self.share_button, Qt.AlignmentFlag.AlignRight)

    def _build_buttons(self) -> None:
        self.many_button = button("Explain these…", "explain_these_button", clicked=self._on_many)
        self.report_button = button("Open…", "open_report_button", clicked=self.choose_report)
        self.predict_button = button("Predict all", "predict_all_button", clicked=self._on_predict)

    def _on_many(self) -> None:
        if self.many_card.isHidden():
            if self.width() < ROOM_FOR_ALL:
                self.show_tab("table")
            self.many_card.open()
        else:
            self.many_card.hide()

    def choose_report(self) -> None:
        """Open a dialog for a folder of explanations."""
        chosen = QFileDialog.getExistingDirectory(self, "Open a folder of explanations")
        if chosen:
            self.open_requested.emit(Path(chosen))

    def _on_predict(self) -> None:
        if "predictions" in self._controller.running:
            self._controller.cancel("predictions")
        else:
            self.predict_all()

    def _show_state(self) -> None:
        results = self._results
        self._fit_matrix()
        running = "predictions" in self._controller.running
        order = results.order
        done = order is not None and order.columns.is_predicted
        ready = not self._controller.missing_for("predictions")
        begun = order is not None and order.columns.n_predicted > 0
        text = "Predict remaining samples" if begun else "Predict all"
        self.predict_button.setText("Stop" if running else text)
        self.predict_button.setVisible(running or not done)
        self.predict_button.setEnabled(running or ready)
        tooltip = (
            "Predict every sample." if ready else "Predicting requires samples and a classifier."
        )
        if running:
            tooltip = "Stop predicting; existing predictions are kept, and can be completed later."
        self.predict_button.setToolTip(tooltip)
        if results.loaded_samples is None:
            self.table.set_hint("Choose samples to see them in this table.")
        elif order is None:
            self.table.set_hint("Listing samples…")
        else:
            self.table.set_hint("No sample matches the filter.")
