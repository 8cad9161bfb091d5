"""Dock below the canvas: all samples with filters as table, pictures, matrix and curves."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QDragEnterEvent, QDropEvent, QResizeEvent
from qtpy.QtWidgets import (
    QButtonGroup,
    QFileDialog,
    QLayout,
    QSizePolicy,
    QStackedWidget,
    QToolButton,
    QWidget,
)
from superqt.utils import signals_blocked

from napari_quac.gui import widgets as ui
from napari_quac.gui.control_names import prepare
from napari_quac.gui.fields import TextField
from napari_quac.gui.message import Message
from napari_quac.gui.palette import Palette
from napari_quac.gui.samples.accuracy_line import AccuracyLine
from napari_quac.gui.samples.confusion_view import ConfusionView
from napari_quac.gui.samples.explain_many_card import ExplainManyCard
from napari_quac.gui.samples.gallery_page import GalleryPage
from napari_quac.gui.samples.group_page import GroupPage
from napari_quac.gui.samples.population_page import PopulationPage
from napari_quac.gui.samples.sample_table import SampleTable
from napari_quac.gui.slots import slot, slots
from napari_quac.gui.text import ElidedLabel, estimated, grouped, plain, set_tone
from napari_quac.live.choices import Choices
from napari_quac.live.controller import Controller
from napari_quac.live.edit_history import EditHistory
from napari_quac.live.explain_many import ExplainMany
from napari_quac.live.filter_language import KNOWN_WORDS, FilterError, parse_filter
from napari_quac.live.results import Results
from napari_quac.live.speeds import Speeds

AFTER_TYPING_MS = 250
WIDEST_TITLE = 84
CHIPS = (
    ("all", "all", "", "Every sample."),
    ("mispredicted", "mispredicted", "mispredicted", "The predicted class differs from the label."),
    ("correct", "correct", "correct", "The predicted class is the label."),
    ("uncertain", "uncertain", "confidence < 0.6", "The largest probability is below 0.6."),
    ("explained", "explained", "explained", "There is an explanation."),
    ("not_switched", "not switched", "explained and not switched",
     "Explained, but the classifier predicts the target class for no generated image."),
)  # fmt: skip

OF_EXPLANATIONS = ("explained", "not_switched")
"""Chips that are hidden before a sample is explained."""


@slots
class FilterField(TextField):
    """The filter as text; an invalid filter is reported and not applied."""

    def __init__(self, choices: Choices, results: Results, history: EditHistory) -> None:
        super().__init__()
        self._choices, self._results, self._history = choices, results, history
        prepare(self, "filter_edit", "Available words: " + ", ".join(KNOWN_WORDS) + ".")
        self.setPlaceholderText("Filter: confidence < 0.6")
        self.setClearButtonEnabled(True)
        self.problem = ElidedLabel("", "filter_problem")
        set_tone(self.problem, "bad")
        self.problem.hide()
        self._later = ui.debouncer(self, AFTER_TYPING_MS, self.apply)
        self.textEdited.connect(slot(lambda _: self._later.throttle()))
        self.returnPressed.connect(self.apply)
        choices.events.filter_text.connect(self._show)
        results.events.order.connect(self._show_problem)

    def minimumSizeHint(self) -> QSize:
        """Return the size hint, which is the width that the row gives to the field."""
        return self.sizeHint()

    @slot
    def apply(self) -> None:
        """Apply the filter if it is valid."""
        self._later.cancel()
        text = self.text().strip()
        try:
            sample_filter = parse_filter(text)
            if self._results.order is not None:
                sample_filter.mask(self._results.order.columns.head())
        except FilterError as error:
            self._say(str(error))
            return
        self._say("")
        if text != self._choices.filter_text:
            with self._history.edit("filter"):
                self._choices.filter_text = text
            self.setModified(False)

    def _show(self) -> None:
        if self._choices.filter_text != self.text().strip():
            with signals_blocked(self):
                self.setText(self._choices.filter_text)
                self.setCursorPosition(0)  # the beginning of a long filter is the most informative
        self._say("")

    def _show_problem(self) -> None:
        order = self._results.order
        if order is not None and order.problem:
            self._say(f"{order.problem} All samples are shown.")

    def _say(self, problem: str) -> None:
        self.problem.setText(problem)
        self.problem.setVisible(bool(problem))
        set_tone(self, "bad" if problem else "")


@slots
class FilterChips(QWidget):
    """A chip for each common filter, and one for a cell of the confusion matrix."""

    def __init__(self, choices: Choices, results: Results, history: EditHistory) -> None:
        super().__init__()
        self._choices, self._results, self._history = choices, results, history
        self.chips: dict[str, QToolButton] = {}
        for key, title, text, tooltip in (*CHIPS, ("cell", "", "", "")):
            self.chips[key] = ui.link_button(
                title,
                f"chip_{key}",
                f"{tooltip} Filter: {text}" if text else tooltip,
                lambda _=False, text=text: self._filter(text),
                role="chip",
                checkable=True,
            )
        self._cell_filter = ""
        self.count = ui.muted("", "filter_count")
        self.setLayout(ui.flow(*self.chips.values(), self.count, spacing=3))
        ui.connect(self._show, choices.events.filter_text, results.events.order)
        self._show()

    @slot
    def show_cell(self, title: str, filter_text: str) -> None:
        """Filter by a cell of the confusion matrix, and show a chip for it."""
        self._cell_filter = filter_text
        chip = self.chips["cell"]
        middle = Qt.TextElideMode.ElideMiddle
        chip.setText(f"{chip.fontMetrics().elidedText(title, middle, WIDEST_TITLE)}  ✕")
        chip.setToolTip(plain(f"Filter: {title}. Click to show all samples."))
        self._filter(filter_text)

    def _filter(self, text: str) -> None:
        with self._history.edit("filter"):
            self._choices.filter_text = text
        self._show()

    def _show(self) -> None:
        current = self._choices.filter_text
        for key, _, text, _ in CHIPS:
            self.chips[key].setChecked(text == current)
        is_cell = bool(current) and current == self._cell_filter
        self.chips["cell"].setVisible(is_cell)
        self.chips["cell"].setChecked(is_cell)
        order = self._results.order
        is_explained = order is not None and order.columns.explained_or_failed
        for key in OF_EXPLANATIONS:
            self.chips[key].setVisible(is_explained or self.chips[key].isChecked())
        if order is None:
            self.count.setText("")
            return
        n_visible, total = len(order), len(order.columns)
        prefix = f"{grouped(n_visible)} of " if n_visible != total else ""
        self.count.setText(prefix + grouped(total))


ROOM_FOR_ALL = 400
"""Height in pixels for the card of *Explain these* beside a matrix or curves."""
TABS = (
    ("table", "Table", "Table of all samples."),
    ("gallery", "Gallery", "Query, hybrid and mask of the samples in view, as pictures."),
    ("matrix", "Matrix", "Confusion matrix of label and predicted class, beside the table."),
    ("neurons", "Neurons", "Votes of the samples of each neuron, mispredicted neurons first."),
    ("curves", "Curves", "Median QuAC curves of the explained samples in view."),
)


@slots
class SamplesDock(QWidget):
    """Table, confusion matrix and curves of all samples, with a common filter."""

    measure_requested = Signal()
    open_requested = Signal(Path)
    dropped = Signal(Path)
    """A dropped file or folder."""

    def __init__(
        self,
        choices: Choices,
        results: Results,
        controller: Controller,
        speeds: Speeds,
        store_folder: str = "",
        history: EditHistory | None = None,
    ) -> None:
        super().__init__()
        history = history or EditHistory(choices)
        self.setObjectName("quac_samples_dock")
        self.setAcceptDrops(True)
        self._choices, self._results, self._controller = choices, results, controller
        self.field = FilterField(choices, results, history)
        self.chips = FilterChips(choices, results, history)
        self.table = SampleTable(choices, results)
        self.matrix = ConfusionView(results)
        self._build_matrix_side()
        self.curves = PopulationPage(choices, results, controller)
        self.groups = GroupPage(results, controller)
        self.gallery = GalleryPage(choices, results, controller)
        self._speeds = speeds
        self.many = ExplainMany(choices, results, controller, speeds)
        self.many_card = ExplainManyCard(self.many, store_folder)
        self._build_buttons()
        self.accuracy_line = AccuracyLine(results, "samples_accuracy")
        self.accuracy_box = QWidget()
        ui.column(self.accuracy_line, parent=self.accuracy_box)
        self.report_note = Message("report_note")
        rows = QWidget()
        ui.row(self.matrix_side, self.table, 1, parent=rows)
        self.pages = QStackedWidget()
        self.pages.addWidget(rows)
        self.pages.addWidget(self.curves)
        self.pages.addWidget(self.groups)
        self.pages.addWidget(self.gallery)
        body = QWidget()
        body.setProperty("role", "page")
        layout = ui.column(
            self._first_row(),
            self.chips,
            self.accuracy_box,
            self.field.problem,
            self.report_note,
            self.many_card,
            self.pages,
            1,
            spacing=4,
            parent=body,
        )
        layout.setContentsMargins(6, 4, 6, 4)
        ui.column(ui.scroll_area("samples_scroll", body), parent=self)
        self.matrix.cell_picked.connect(self.chips.show_cell)
        self.groups.picked.connect(self._show_group)
        self.many_card.measure_requested.connect(self.measure_requested)
        choices.events.filter_text.connect(self.matrix.show_filter)
        ui.connect(self._show_report_note, results.events.report_columns)
        ui.connect(self._show_state, results.events.order, results.events.loaded_samples,
                results.events.loaded_classifier, controller.running_changed,
                speeds.changed)  # fmt: skip
        self.show_tab("table")
        self._show_report_note()
        self._show_state()

    def sizeHint(self) -> QSize:
        """Return a low and wide size for the place below the canvas."""
        return QSize(640, 236)

    def minimumSizeHint(self) -> QSize:
        """Return the smallest readable size."""
        return QSize(240, 150)

    def set_palette_of(self, colors: Palette) -> None:
        """Follow napari's theme."""
        self.table.set_palette_of(colors)
        self.matrix.set_palette_of(colors)
        self.curves.set_palette_of(colors)
        self.groups.set_palette_of(colors)
        self.gallery.set_palette_of(colors)

    def close_dock(self) -> None:
        """Disconnect all signals."""
        self.many.close()

    def show_tab(self, key: str) -> None:
        """Show the table, the confusion matrix beside it, or the curves."""
        self.tabs[key].setChecked(True)
        self.matrix_side.setVisible(key == "matrix")
        self.pages.setCurrentIndex({"curves": 1, "neurons": 2, "gallery": 3}.get(key, 0))
        for index in range(self.pages.count()):  # a hidden page needs no height
            is_current = index == self.pages.currentIndex()
            policy = QSizePolicy.Policy.Preferred if is_current else QSizePolicy.Policy.Ignored
            self.pages.widget(index).setSizePolicy(policy, policy)
        self.curves.set_active(key == "curves")
        self.groups.set_active(key == "neurons")
        self.gallery.set_active(key == "gallery")
        self._show_accuracy()
        if key != "table" and self.height() < ROOM_FOR_ALL:
            self.many_card.hide()
        self._fit_matrix()

    def _show_accuracy(self) -> None:
        """Leave the height of the line to the gallery where there is little."""
        is_gallery = self.tabs["gallery"].isChecked()
        self.accuracy_box.setVisible(not is_gallery or self.height() >= ROOM_FOR_ALL)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Share the width between matrix and table."""
        super().resizeEvent(event)
        self._show_accuracy()
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

    @slot
    def _show_group(self, title: str, filter_text: str) -> None:
        """Show the samples of a group in the table."""
        self.chips.show_cell(title, filter_text)
        self.show_tab("table")

    def predict_all(self) -> None:
        """Predict every sample without a prediction."""
        self._controller.request("predictions")

    def _first_row(self) -> QLayout:
        self.tabs: dict[str, QToolButton] = {}
        self._tab_group = QButtonGroup(self)
        for key, title, tooltip in TABS:
            self.tabs[key] = ui.link_button(
                title,
                f"samples_tab_{key}",
                tooltip,
                lambda _=False, key=key: self.show_tab(key),
                role="tab",
                checkable=True,
            )
            self._tab_group.addButton(self.tabs[key])
        return ui.flow(*self.tabs.values(), self.field, self.predict_button, self.many_button,
                       self.report_button, self.gallery.sort_box)  # fmt: skip

    def _build_matrix_side(self) -> None:
        self.share_button = ui.button("Normalize rows", "matrix_normalize_button", checkable=True)
        self.share_button.toggled.connect(self.matrix.set_normalized)
        self.matrix_side = QWidget()
        scroll = ui.scroll_area("matrix_scroll", self.matrix)
        side = ui.column(scroll, 1, self.share_button, spacing=2, parent=self.matrix_side)
        side.setAlignment(self.share_button, Qt.AlignmentFlag.AlignRight)

    def _build_buttons(self) -> None:
        self.many_button = ui.button(
            "Explain these…", "explain_these_button", clicked=self._on_many
        )
        self.report_button = ui.button("Open…", "open_report_button", clicked=self.choose_report)
        self.predict_button = ui.button(
            "Predict all", "predict_all_button", clicked=self._on_predict
        )

    def _on_many(self) -> None:
        if self.many_card.isHidden():
            if self.height() < ROOM_FOR_ALL:
                self.show_tab("table")
            self.many_card.open()
        else:
            self.many_card.hide()

    @slot
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

    def _show_report_note(self) -> None:
        columns = self._results.report_columns
        self.report_note.show_message(columns.note if columns is not None else "", "warning")

    def _show_state(self) -> None:
        results = self._results
        self._fit_matrix()
        running = "predictions" in self._controller.running
        order = results.order
        has_groups = order is not None and bool(order.columns.sample_list.groups)
        self.tabs["neurons"].setVisible(has_groups)
        if not has_groups and self.tabs["neurons"].isChecked():
            self.show_tab("table")
        done = order is not None and order.columns.is_predicted
        ready = not self._controller.missing_for("predictions")
        begun = order is not None and order.columns.n_predicted > 0
        text = "Predict remaining samples" if begun else "Predict all"
        if order is not None:
            n_missing = len(order.columns) - order.columns.n_predicted
            text = estimated(text, self._speeds.predictions(n_missing))
        self.predict_button.setText("Stop" if running else text)
        self.predict_button.setVisible(running or not done)
        self.predict_button.setEnabled(running or ready)
        tooltip = (
            "Predict every sample." if ready else "Predicting requires samples and a classifier."
        )
        if running:
            tooltip = "Stop predicting; existing predictions are kept, and can be completed later."
        self.predict_button.setToolTip(plain(tooltip))
        if results.loaded_samples is None:
            self.table.set_hint("Choose samples to see them in this table.")
        elif order is None:
            self.table.set_hint("Listing samples…")
        else:
            self.table.set_hint("No sample matches the filter.")
