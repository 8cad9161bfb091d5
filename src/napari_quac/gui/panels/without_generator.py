"""Buttons for a start without a generator: explain now, or train one."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QWidget

from napari_quac.gui import widgets as ui
from napari_quac.gui.text import WrappedLabel
from napari_quac.live.choices import Choices
from napari_quac.live.controller import Controller
from napari_quac.live.results import Results
from napari_quac.live.without_generator import WithoutGenerator

BUTTON = "explain_without_generator_button"
NEEDED = {
    "loaded_classifier": "a classifier",
    "sample": "a sample",
    "prediction": "a prediction of the sample",
}


class WithoutGeneratorBox(QWidget):
    """Offers an explanation without a generator, and the training of one; hidden with one."""

    train_requested = Signal()

    def __init__(
        self, choices: Choices, results: Results, controller: Controller, action: WithoutGenerator
    ) -> None:
        super().__init__()
        self._choices, self._results, self._controller = choices, results, controller
        self._action = action
        self.explain_button = ui.button(
            "Explain without a generator",
            BUTTON,
            clicked=action.explain,
            primary=True,
        )
        self.train_button = ui.button(
            "Train generator …", "offer_training_button", clicked=self.train_requested
        )
        self.line = WrappedLabel("", "training_estimate", role="muted")
        ui.column(
            self.explain_button, ui.row(self.train_button, None), self.line, spacing=5, parent=self
        )
        ui.connect(self._show, choices.events.generator, results.events.loaded_generator,
                results.events.loaded_classifier, results.events.sample,
                results.events.prediction, controller.running_changed)  # fmt: skip
        self._show()

    def _show(self) -> None:
        is_offered = self._action.is_offered
        self.setVisible(is_offered or self._action.is_active)
        self.explain_button.setVisible(is_offered)
        missing = [text for name, text in NEEDED.items() if getattr(self._results, name) is None]
        self.explain_button.setEnabled(not missing)
        reason = f"Explaining requires {', '.join(missing)}."
        self.explain_button.setToolTip(reason if missing else ui.TOOLTIPS[BUTTON])
