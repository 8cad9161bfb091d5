"""The dock at the bottom: all samples as a table, a confusion matrix and curves."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QDragEnterEvent, QDropEvent, QResizeEvent
from qtpy.QtWidgets import (
    QButtonGroup,
    QFileDialog,
    QHBoxLayout,
    QPushButton,
    QScrollArea,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from napari_quac.gui.palette import Palette
from napari_quac.gui.samples.confusion_view import ConfusionView
from napari_quac.gui.samples.explain_many_card import ExplainManyCard
from napari_quac.gui.samples.filter_bar import FilterChips, FilterField
from napari_quac.gui.samples.population_page import PopulationPage
from napari_quac.gui.samples.sample_table import SampleTable
from napari_quac.live.choices import Choices
from napari_quac.live.controller import Controller
from napari_quac.live.explain_many import ExplainMany
from napari_quac.live.results import Results

ROOM_FOR_ALL = 820
TABS = (
    ("table", "Table", "Every sample in a row"),
    ("matrix", "Matrix", "Confusion matrix: true class by predicted class, beside the table"),
    ("curves", "Curves", "Median QuAC curves of the explained samples in view"),
)


class SamplesDock(QWidget):
    """Table, confusion matrix and curves of all samples; one filter for all of them."""

    letter_pressed = Signal(str)
    measure_requested = Signal()
    open_requested = Signal(Path)
    dropped = Signal(Path)
    """A file or folder of any kind."""

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
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 4, 6, 4)
        layout.setSpacing(4)
        layout.addLayout(self._first_row())
        layout.addLayout(self._second_row())
        layout.addWidget(self.field.problem)
        rows = QWidget()
        beside = QHBoxLayout(rows)
        beside.setContentsMargins(0, 0, 0, 0)
        beside.setSpacing(6)
        beside.addWidget(self.matrix_side)
        beside.addWidget(self.table, 1)
        self.pages = QStackedWidget()
        self.pages.addWidget(rows)
        self.pages.addWidget(self.curves)
        self.body = QHBoxLayout()
        self.body.setSpacing(6)
        self.body.addWidget(self.pages, 1)
        self.body.addWidget(self.many_card)
        layout.addLayout(self.body, 1)
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
        """Return a low and wide size, as fits below napari's canvas."""
        return QSize(640, 236)

    def minimumSizeHint(self) -> QSize:
        """Return the smallest size that can be read."""
        return QSize(300, 150)

    def set_palette_of(self, colors: Palette) -> None:
        """Follow napari's theme."""
        self.table.set_palette_of(colors)
        self.matrix.set_palette_of(colors)
        self.curves.set_palette_of(colors)

    def close_dock(self) -> None:
        """Listen to nothing any more."""
        self.many.close()

    def show_tab(self, key: str) -> None:
        """Show the table, the confusion matrix beside it, or the curves."""
        self.tabs[key].setChecked(True)
        self.matrix_side.setVisible(key == "matrix")
        self.pages.setCurrentIndex(1 if key == "curves" else 0)
        self.curves.set_active(key == "curves")
        if key == "curves" and self.width() < ROOM_FOR_ALL:
            self.many_card.hide()
        self._fit_matrix()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Share the width between matrix and table."""
        super().resizeEvent(event)
        self._fit_matrix()

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Take files and folders."""
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Hand on what was dropped."""
        event.acceptProposedAction()
        for url in event.mimeData().urls():
            if url.isLocalFile():
                self.dropped.emit(Path(url.toLocalFile()))

    def _fit_matrix(self) -> None:
        wanted = self.matrix.sizeHint().width() + 4
        self.matrix_side.setFixedWidth(max(200, min(wanted, round(0.55 * self.width()))))

    def predict_all(self) -> None:
        """Predict every sample that has no prediction yet."""
        self._controller.ask("predictions")

    def _first_row(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(4)
        self.tabs: dict[str, QToolButton] = {}
        self._tab_group = QButtonGroup(self)
        for key, title, tip in TABS:
            button = QToolButton()
            button.setObjectName(f"samples_tab_{key}")
            button.setProperty("role", "tab")
            button.setText(title)
            button.setToolTip(tip)
            button.setCheckable(True)
            button.clicked.connect(lambda _=False, key=key: self.show_tab(key))
            self._tab_group.addButton(button)
            row.addWidget(button)
            self.tabs[key] = button
        row.addSpacing(6)
        row.addWidget(self.field, 1)
        for button in (self.predict_button, self.many_button, self.report_button):
            row.addWidget(button)
        return row

    def _second_row(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(self.chips)
        row.addWidget(self.chips.count, 1)
        return row

    def _build_matrix_side(self) -> None:
        self.share_button = QPushButton("Shares of each row")
        self.share_button.setObjectName("matrix_shares_button")
        self.share_button.setCheckable(True)
        self.share_button.setToolTip("Show how much of each true class, in place of counts")
        self.share_button.toggled.connect(self.matrix.set_normalised)
        scroll = QScrollArea()
        scroll.setObjectName("matrix_scroll")
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QScrollArea.Shape.NoFrame)
        scroll.setWidget(self.matrix)
        self.matrix_side = QWidget()
        column = QVBoxLayout(self.matrix_side)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(2)
        column.addWidget(scroll, 1)
        column.addWidget(self.share_button, 0, Qt.AlignmentFlag.AlignRight)

    def _build_buttons(self) -> None:
        self.many_button = QPushButton("Explain these…")
        self.many_button.setObjectName("explain_these_button")
        self.many_button.setToolTip("Explain all samples that the filter holds")
        self.many_button.clicked.connect(self._on_many)
        self.report_button = QPushButton("Open…")
        self.report_button.setObjectName("open_report_button")
        self.report_button.setToolTip("Open explanations that were made earlier")
        self.report_button.clicked.connect(self.choose_report)
        self.predict_button = QPushButton("Predict all")
        self.predict_button.setObjectName("predict_all_button")
        self.predict_button.clicked.connect(self._on_predict)

    def _on_many(self) -> None:
        if self.many_card.isHidden():
            self.many_card.open()
        else:
            self.many_card.hide()

    def choose_report(self) -> None:
        """Ask for a folder of explanations."""
        chosen = QFileDialog.getExistingDirectory(self, "Folder of explanations")
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
        text = "Predict all" if not begun else "Predict the rest"
        self.predict_button.setText("Stop" if running else text)
        self.predict_button.setVisible(running or not done)
        self.predict_button.setEnabled(running or ready)
        self.predict_button.setToolTip(
            "Stop predicting; what is predicted stays, and it can be continued"
            if running
            else (
                "Ask the classifier about every sample"
                if ready
                else "Needs samples and a classifier"
            )
        )
        if results.loaded_samples is None:
            self.table.set_hint("Every sample appears here, once samples are chosen.")
        elif order is None:
            self.table.set_hint("Listing the samples…")
        else:
            self.table.set_hint("No sample fulfils the filter.")
