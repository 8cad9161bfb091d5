"""Choice of the selected sample, and what is known about it."""

from __future__ import annotations

from functools import partial

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QWidget
from superqt.utils import signals_blocked

from napari_quac.gui.copy_link import CopyLink
from napari_quac.gui.samples.accuracy_line import AccuracyLine
from napari_quac.gui.slots import slot, slots
from napari_quac.gui.text import ElidedLabel, set_tone
from napari_quac.gui.widgets import button, column, connect, flow, narrow, row, spin_box
from napari_quac.live.choices import Choices
from napari_quac.live.results import Results
from napari_quac.live.sample_order import step_sample


@slots
class SampleNavigator(QWidget):
    """Number of the sample, buttons to the samples beside it, and its label and prediction."""

    next_misprediction_requested = Signal()

    def __init__(self, choices: Choices, results: Results) -> None:
        super().__init__()
        self._choices, self._results = choices, results
        self.previous_button = button("‹", "previous_sample_button", clicked=partial(self.step, -1))
        self.next_button = button("›", "next_sample_button", clicked=partial(self.step, 1))
        self.spin = spin_box("sample_spin", 1, 1)
        narrow(self.previous_button, self.next_button, self.spin)  # ‹ and › are its arrows
        self.spin.setKeyboardTracking(False)
        self.misprediction_button = button(
            "Next misprediction",
            "next_misprediction_button",
            clicked=self.next_misprediction_requested,
        )
        steps = QWidget()
        row(self.previous_button, self.spin, self.next_button, spacing=4, parent=steps)
        self._selection = flow(steps, self.misprediction_button)
        self.id_line = ElidedLabel("", "sample_id", mode=Qt.TextElideMode.ElideLeft)
        self.line = ElidedLabel("", "sample_line")
        self.accuracy_line = AccuracyLine(results, "accuracy_line")
        lines = column(self.id_line, self.line, self.accuracy_line, spacing=0)
        self.copy_link = CopyLink(choices, results)
        column(self._selection, lines, self.copy_link, parent=self)
        self.spin.valueChanged.connect(self._on_spin)
        results.events.loaded_samples.connect(self._show_dataset)
        connect(self._show_sample, results.events.prediction, results.events.sample)
        choices.events.sample_index.connect(self._show_index)
        results.events.order.connect(self._show_steps)
        self._show_dataset()

    @slot
    def step(self, by: int, *_: object) -> None:
        """Select the sample some rows further, in the order of the table."""
        step_sample(self._choices, self._results, by)

    def _on_spin(self, number: int) -> None:
        self._choices.sample_index = number - 1

    def _show_dataset(self) -> None:
        dataset = self._results.loaded_samples
        self.setEnabled(dataset is not None)
        if dataset is not None:
            with signals_blocked(self.spin):
                self.spin.setRange(1, len(dataset))
                self.spin.setSuffix(f" of {len(dataset)}")
            self.misprediction_button.setVisible(bool(dataset.classes))
        self._show_index()
        self._show_sample()

    def _show_index(self) -> None:
        index = self._choices.sample_index
        if index is not None:
            with signals_blocked(self.spin):
                self.spin.setValue(index + 1)
        self._show_steps()

    def _show_steps(self) -> None:
        """Enable the buttons for which there is a previous and a next sample."""
        dataset, order, index = (
            self._results.loaded_samples, self._results.order, self._choices.sample_index
        )  # fmt: skip
        if dataset is None or index is None:
            return
        position: int | None = index
        n_samples = len(dataset)
        if order is not None:
            n_samples, position = len(order), order.row_of(index)
        if position is None:  # hidden by the filter: any step leads to a visible sample
            has_previous = has_next = n_samples > 0
        else:
            has_previous, has_next = position > 0, position < n_samples - 1
        self.previous_button.setEnabled(has_previous)
        self.next_button.setEnabled(has_next)

    def _show_sample(self) -> None:
        sample, prediction = self._results.sample, self._results.prediction
        dataset, classifier = self._results.loaded_samples, self._results.loaded_classifier
        if sample is None or dataset is None:
            self.id_line.setText("")
            self.line.setText("Choose samples in Set up.")
            set_tone(self.line, "note")
            return
        self.id_line.setText(sample.id)
        parts = []
        tone = ""
        if sample.label is not None and sample.label < len(dataset.classes):
            parts.append(f"labeled {dataset.classes[sample.label]}")
        if prediction is not None and prediction.sample is sample and classifier is not None:
            p = float(prediction.probabilities.max())
            mark = ""
            if prediction.truth is not None:
                mark = " ✗" if prediction.is_mispredicted else " ✓"
                tone = "bad" if prediction.is_mispredicted else ""
            parts.append(f"predicted {prediction.class_names[prediction.predicted]} {p:.2f}{mark}")
        self.line.setText(" · ".join(parts))
        set_tone(self.line, tone)
