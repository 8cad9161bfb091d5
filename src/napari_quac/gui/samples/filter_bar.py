"""A field for the filter, and chips for common ones."""

from __future__ import annotations

from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QHBoxLayout, QLineEdit, QToolButton, QWidget
from superqt.utils import signals_blocked

from napari_quac.gui.text import ElidedLabel, grouped, set_tone
from napari_quac.live.choices import Choices
from napari_quac.live.filter_language import KNOWN_WORDS, FilterError, parse_filter
from napari_quac.live.results import Results

AFTER_TYPING_MS = 250
WIDEST_TITLE = 84
CHIPS = (
    ("all", "all", "", "Every sample"),
    ("wrong", "wrong", "wrong", "Predicted otherwise than labelled"),
    ("right", "right", "right", "Predicted as labelled"),
    ("uncertain", "uncertain", "confidence < 0.6", "The most probable class has less than 0.6"),
    ("explained", "explained", "explained", "An explanation is there"),
    ("not_switched", "no switch", "explained and not switched",
     "Explained, but no generated image was called the target"),
)  # fmt: skip

OF_EXPLANATIONS = ("explained", "not_switched")
"""Chips that hold nothing before something was explained."""


class FilterField(QLineEdit):
    """Where the filter is written; what cannot be understood is said, and changes nothing."""

    def __init__(self, choices: Choices, results: Results) -> None:
        super().__init__()
        self._choices, self._results = choices, results
        self.setObjectName("filter_edit")
        self.setPlaceholderText("Filter: confidence < 0.6")
        self.setToolTip("Words: " + ", ".join(KNOWN_WORDS))
        self.setClearButtonEnabled(True)
        self.setMinimumWidth(96)  # beside four buttons in a window of 1366 pixels
        self.problem = ElidedLabel()
        self.problem.setObjectName("filter_problem")
        set_tone(self.problem, "bad")
        self.problem.hide()
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(AFTER_TYPING_MS)
        self._later.timeout.connect(self.apply)
        self.textEdited.connect(lambda _: self._later.start())
        self.returnPressed.connect(self.apply)
        choices.events.filter_text.connect(self._show)
        results.events.order.connect(self._show_problem)

    def apply(self) -> None:
        """Use the filter as it is written, if it can be understood."""
        self._later.stop()
        text = self.text().strip()
        try:
            wanted = parse_filter(text)
            if self._results.order is not None:
                wanted.mask(self._results.order.columns.head())
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
                self.setCursorPosition(0)  # the beginning says most of a long one
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
    """One chip for each common filter, and one for the cell of the confusion matrix."""

    def __init__(self, choices: Choices, results: Results) -> None:
        super().__init__()
        self._choices, self._results = choices, results
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(3)
        self.chips: dict[str, QToolButton] = {}
        for key, title, text, tip in CHIPS:
            chip = QToolButton()
            chip.setText(title)
            chip.setToolTip(f"{tip}: {text}" if text else tip)
            chip.clicked.connect(lambda _=False, text=text: self._on_chip(text))
            self._add(chip, key)
        self._cell_filter = ""
        cell = QToolButton()
        cell.clicked.connect(lambda: self._on_chip(""))
        cell.hide()
        self._add(cell, "cell")
        self.count = ElidedLabel()
        self.count.setObjectName("filter_count")
        self.count.setProperty("role", "muted")
        choices.events.filter_text.connect(self._show)
        results.events.order.connect(self._show)
        self._show()

    def show_cell(self, title: str, filter_text: str) -> None:
        """Filter by a cell of the confusion matrix, and show that as a chip."""
        self._cell_filter = filter_text
        chip = self.chips["cell"]
        middle = Qt.TextElideMode.ElideMiddle
        chip.setText(f"{chip.fontMetrics().elidedText(title, middle, WIDEST_TITLE)}  ✕")
        chip.setToolTip(f"{title}, from the confusion matrix; click to show all samples again")
        self._choices.filter_text = filter_text
        self._show()

    def _add(self, chip: QToolButton, key: str) -> None:
        chip.setObjectName(f"chip_{key}")
        chip.setProperty("role", "chip")
        chip.setCheckable(True)
        row = self.layout()
        if row is not None:
            row.addWidget(chip)
        self.chips[key] = chip

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
        known = order is not None and order.columns.explained_or_failed
        for key in OF_EXPLANATIONS:
            self.chips[key].setVisible(known or self.chips[key].isChecked())
        if order is None:
            self.count.setText("")
            return
        shown, total = len(order), len(order.columns)
        self.count.setText(
            f"{grouped(shown)} of {grouped(total)}" if shown != total else grouped(total)
        )
        self.count.setMinimumWidth(self.count.fontMetrics().horizontalAdvance(self.count.text()))
