"""A field for the filter, and chips for common filters."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLineEdit, QToolButton, QWidget
from superqt.utils import signals_blocked

from napari_quac.gui.text import ElidedLabel, grouped, set_tone
from napari_quac.gui.widgets import debouncer, link_button, row
from napari_quac.live.choices import Choices
from napari_quac.live.filter_language import KNOWN_WORDS, FilterError, parse_filter
from napari_quac.live.results import Results

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


class FilterField(QLineEdit):
    """The filter as text; an invalid filter is reported and not applied."""

    def __init__(self, choices: Choices, results: Results) -> None:
        super().__init__()
        self._choices, self._results = choices, results
        self.setObjectName("filter_edit")
        self.setPlaceholderText("Filter: confidence < 0.6")
        self.setToolTip("Available words: " + ", ".join(KNOWN_WORDS) + ".")
        self.setClearButtonEnabled(True)
        self.setMinimumWidth(96)  # beside four buttons in a window of 1366 pixels
        self.problem = ElidedLabel("", "filter_problem")
        set_tone(self.problem, "bad")
        self.problem.hide()
        self._later = debouncer(self, AFTER_TYPING_MS, self.apply)
        self.textEdited.connect(lambda _: self._later.throttle())
        self.returnPressed.connect(self.apply)
        choices.events.filter_text.connect(self._show)
        results.events.order.connect(self._show_problem)

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
            self._choices.filter_text = text

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


class FilterChips(QWidget):
    """A chip for each common filter, and one for a cell of the confusion matrix."""

    def __init__(self, choices: Choices, results: Results) -> None:
        super().__init__()
        self._choices, self._results = choices, results
        self.chips: dict[str, QToolButton] = {}
        for key, title, text, tooltip in (*CHIPS, ("cell", "", "", "")):
            self.chips[key] = link_button(
                title,
                f"chip_{key}",
                f"{tooltip} Filter: {text}" if text else tooltip,
                lambda _=False, text=text: self._on_chip(text),
                role="chip",
                checkable=True,
            )
        self._cell_filter = ""
        row(*self.chips.values(), spacing=3, parent=self)
        self.count = ElidedLabel("", "filter_count", "muted")
        choices.events.filter_text.connect(self._show)
        results.events.order.connect(self._show)
        self._show()

    def show_cell(self, title: str, filter_text: str) -> None:
        """Filter by a cell of the confusion matrix, and show a chip for it."""
        self._cell_filter = filter_text
        chip = self.chips["cell"]
        middle = Qt.TextElideMode.ElideMiddle
        chip.setText(f"{chip.fontMetrics().elidedText(title, middle, WIDEST_TITLE)}  ✕")
        chip.setToolTip(f"Filter of the confusion matrix: {title}. Click to show all samples.")
        self._choices.filter_text = filter_text
        self._show()

    def _on_chip(self, text: str) -> None:
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
        self.count.setMinimumWidth(self.count.fontMetrics().horizontalAdvance(self.count.text()))
