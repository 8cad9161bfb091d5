"""Agreement of the classifier with labels, and buttons to use what agrees best."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QSizePolicy, QToolButton, QWidget

from napari_quac.gui.message import Message
from napari_quac.gui.palette import Palette
from napari_quac.gui.panels.prediction_panel import PredictionBar
from napari_quac.gui.section import Section
from napari_quac.gui.slots import slots
from napari_quac.gui.text import ElidedLabel, WrappedLabel, plain
from napari_quac.gui.widgets import (
    button,
    column,
    disclosure_button,
    flow,
    grid,
    link_button,
    muted,
)
from napari_quac.live.choices import Choices
from napari_quac.live.controller import Controller
from napari_quac.live.edit_history import EditHistory
from napari_quac.live.results import Results

if TYPE_CHECKING:
    from napari_quac.explain.agreement import Agreement, CandidateAgreement

MAX_ROWS = 10
MAX_SENTENCES = 5
NAME_CHARACTERS = 24


@slots
class AgreementPanel(Section):
    """Conclusion, accuracy of each preprocessing, and buttons to use a better one."""

    def __init__(
        self,
        choices: Choices,
        results: Results,
        controller: Controller,
        history: EditHistory | None = None,
    ) -> None:
        super().__init__("Agreement with labels", "agreement")
        self._history = history or EditHistory(choices)
        self._choices, self._results, self._controller = choices, results, controller
        self._colors: Palette | None = None
        self.sentences: list[Message | WrappedLabel] = [
            Message("agreement_0"),
            *(WrappedLabel("", f"agreement_{number}") for number in range(1, MAX_SENTENCES)),
        ]
        self.use_best_button = button(
            "Use best", "use_best_button", clicked=self._on_use_best, primary=True, hidden=True
        )
        self.use_order_button = button(
            "Use this order", "use_order_button", clicked=self._on_use_order, hidden=True
        )
        self.check_button = button(
            "Compare with labels", "check_labels_button", clicked=self._on_check
        )
        self._table = QWidget()
        self._build_table()
        self.confusions = WrappedLabel("", "agreement_confusions", "muted")
        self._details = QWidget()
        column(self._table, *self.sentences[1:], self.confusions, parent=self._details)
        self.details_button = disclosure_button(
            "Details", "agreement_details_button", self._details
        )
        buttons = flow(
            self.use_best_button, self.use_order_button, self.check_button, self.details_button
        )
        self.add(self.sentences[0], buttons, self._details)
        results.events.agreement.connect(self._show)
        results.events.loaded_samples.connect(self._show)
        results.events.loaded_classifier.connect(self._show)
        controller.running_changed.connect(self._show_check_button)
        self._show()

    def _build_table(self) -> None:
        cells = grid(1, 8, 3, self._table)
        self._headers: list[QLabel] = []
        for place, title in enumerate(("Preprocessing", "Accuracy", "Confidence")):
            header = ElidedLabel(title, role="muted") if place == 0 else muted(title)
            if place == 2:
                header.setAlignment(Qt.AlignmentFlag.AlignRight)
            cells.addWidget(header, 0, place)
            self._headers.append(header)
        self.names: list[QToolButton] = []
        self.bars: list[PredictionBar] = []
        self._confidences: list[QLabel] = []
        for number in range(MAX_ROWS):
            name = link_button(
                "", f"agreement_use_{number}", clicked=partial(self._on_use_row, number),
                elided=True,
            )  # fmt: skip
            bar = PredictionBar("accuracy")
            bar.setObjectName(f"agreement_accuracy_{number}")
            confidence = muted("", f"agreement_confidence_{number}")
            bar.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
            cells.addWidget(name, number + 1, 0)
            cells.addWidget(bar, number + 1, 1)
            cells.addWidget(confidence, number + 1, 2, Qt.AlignmentFlag.AlignRight)
            self.names.append(name)
            self.bars.append(bar)
            self._confidences.append(confidence)

    def set_palette_of(self, colors: Palette) -> None:
        """Follow napari's theme."""
        self._colors = colors
        self._color_bars()

    def _color_bars(self) -> None:
        agreement, colors = self._results.agreement, self._colors
        if colors is None:
            return
        lines = self._rows_of(agreement) if agreement is not None else ()
        tied = agreement.tied if agreement is not None else ()
        for number, bar in enumerate(self.bars):
            is_best = number < len(lines) and lines[number] in tied
            bar.set_colors(colors.good if is_best else colors.muted, colors.line, colors.text)

    def _show(self) -> None:
        agreement, samples = self._results.agreement, self._results.loaded_samples
        has_labels = samples is not None and bool(samples.classes)
        self.setVisible(has_labels and self._results.loaded_classifier is not None)
        self._show_check_button()
        self.details_button.setVisible(agreement is not None)
        if agreement is None:
            for sentence in self.sentences:
                sentence.hide()
            self.details_button.setChecked(False)
            self.use_best_button.hide()
            self.use_order_button.hide()
            self.set_summary("")
            return
        self._show_agreement(agreement)

    def _show_agreement(self, agreement: Agreement) -> None:
        from napari_quac.explain.agreement_text import confusion_text, findings

        texts, lines = findings(agreement), self._rows_of(agreement)
        for number, sentence in enumerate(self.sentences):
            if number < len(texts):
                sentence.show_message(texts[number].text, texts[number].tone)
            else:
                sentence.hide()
        for number, (name, bar, confidence) in enumerate(
            zip(self.names, self.bars, self._confidences, strict=True)
        ):
            is_used = number < len(lines)
            for part in (name, bar, confidence):
                part.setVisible(is_used)
            if is_used:
                self._show_row(number, lines[number], agreement)
        self._headers[1].setText("Best order" if agreement.best.needs_order else "Accuracy")
        self._headers[1].setToolTip("Accuracy of the predictions, with the best class order.")
        self._color_bars()
        self.confusions.setText(
            f"Confusions with {agreement.best.name}: {confusion_text(agreement, agreement.best)}"
        )
        suggests_preprocessing = agreement.best is not agreement.current
        self.use_best_button.setVisible(
            self._can_change and suggests_preprocessing and agreement.conclusion != "near chance"
        )
        self.use_order_button.setVisible(
            self._can_change and agreement.best.needs_order and not agreement.is_near_chance
        )
        row_shown = agreement.current or agreement.best
        n_correct = int(row_shown.correct.sum())
        self.set_summary(f"{n_correct} of {agreement.n_images}")
        if any(text.tone in ("bad", "warning") for text in texts):
            self.set_open(True)
            self.details_button.setChecked(True)

    def _show_row(self, number: int, line: CandidateAgreement, agreement: Agreement) -> None:
        from napari_quac.explain.agreement_text import confusion_text

        name = self.names[number]
        is_current = line.candidate.is_current
        text = line.name
        marks = "present" * is_current or "best" * (line is agreement.best)
        room = NAME_CHARACTERS - (len(marks) + 3 if marks else 0)
        if len(text) > room:
            text = f"{text[: room - 1]}…"
        name.setText(f"{text} ({marks})" if marks else text)
        name.setEnabled(self._can_change and not is_current)
        self.bars[number].set_value(float(line.best_correct.mean()))
        self._confidences[number].setText(f"{line.confidence:.2f}")
        low, high = line.interval
        order = " with another class order" if line.needs_order else ""
        tooltip = (
            f"Use {line.name}: {int(line.best_correct.sum())} of {line.n_images} images{order} "
            f"(95% interval without it {low:.2f} to {high:.2f}, balanced accuracy "
            f"{line.balanced_accuracy:.2f}, mean log likelihood {line.log_likelihood:.2f}). "
            f"Confusions: {confusion_text(agreement, line)}"
        )
        for part in (name, self.bars[number], self._confidences[number]):
            part.setToolTip(plain(tooltip))

    @property
    def _can_change(self) -> bool:
        """True if the chosen classifier is a file, whose preprocessing can be replaced."""
        return hasattr(self._choices.classifier, "preprocessing")

    def _show_check_button(self) -> None:
        is_running = "agreement" in self._controller.running
        is_missing = self._results.agreement is None
        self.check_button.setVisible(is_missing)
        self.check_button.setEnabled(not is_running)
        self.check_button.setText("Comparing …" if is_running else "Compare with labels")

    def _on_check(self) -> None:
        self._controller.request("agreement")

    @staticmethod
    def _rows_of(agreement: Agreement) -> tuple[CandidateAgreement, ...]:
        """Return the rows to show: all, or the most accurate of many in their order."""
        top = (agreement.best, *agreement.by_accuracy[: MAX_ROWS - 1])
        return tuple(line for line in agreement.rows if line in top)

    def _on_use_best(self) -> None:
        agreement = self._results.agreement
        if agreement is not None:
            self._use(agreement.best)

    def _on_use_row(self, number: int) -> None:
        agreement = self._results.agreement
        if agreement is not None:
            self._use(self._rows_of(agreement)[number])

    def _use(self, line: CandidateAgreement) -> None:
        """Use preprocessing and class order of a row."""
        agreement, recipe = self._results.agreement, self._choices.classifier
        if agreement is None or not self._can_change:
            return
        changes: dict[str, Any] = {"preprocessing": line.candidate.classifier.preprocessing}
        if line.candidate.variant is not None:
            changes["variant"] = line.candidate.variant
        names = agreement.class_names_of(line)
        if names != agreement.class_names:
            changes["class_names"] = names
        with self._history.edit("preprocessing" if len(changes) == 1 else "classifier"):
            self._choices.classifier = replace(recipe, **changes)

    def _on_use_order(self) -> None:
        agreement, recipe = self._results.agreement, self._choices.classifier
        if agreement is not None and self._can_change:
            names = agreement.best_class_names
            with self._history.edit("class names"):
                self._choices.classifier = replace(recipe, class_names=names)
