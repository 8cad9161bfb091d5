"""Buttons for a start without a generator: explain now, or train one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QWidget

from napari_quac.errors import QuacError
from napari_quac.gui import widgets as ui
from napari_quac.gui.control_names import TOOLTIPS
from napari_quac.gui.message import Message
from napari_quac.gui.slots import slot, slots
from napari_quac.gui.text import plain
from napari_quac.live.choices import Choices
from napari_quac.live.controller import Controller
from napari_quac.live.results import Results
from napari_quac.live.without_generator import WithoutGenerator

if TYPE_CHECKING:
    from napari_quac.train.estimate import TrainingEstimate

SLOT = "training estimate"
BUSY = frozenset({"sample", "prediction", "searched_pair", "explanations", "opened_generator"})
"""Slots of jobs after which the speed is measured."""
BUTTON = "explain_without_generator_button"
NEEDED = {
    "loaded_classifier": "a classifier",
    "sample": "a sample",
    "prediction": "a prediction of the sample",
}


@slots
class WithoutGeneratorBox(QWidget):
    """Offers an explanation without a generator, and the training of one; hidden with one.

    Parameters
    ----------
    choices : Choices
    results : Results
    controller : Controller
    action : WithoutGenerator
    training_settings : callable
        Returns the settings of the training that would be started, and its class pair or None.
    """

    explain_requested = Signal()
    train_requested = Signal()

    def __init__(
        self,
        choices: Choices,
        results: Results,
        controller: Controller,
        action: WithoutGenerator,
        training_settings: Callable[[], tuple[Any, Any]],
    ) -> None:
        super().__init__()
        self._choices, self._results, self._controller = choices, results, controller
        self._action, self._training_settings = action, training_settings
        self._estimated_samples: Any = None
        self.explain_button = ui.button(
            "Explain without a generator",
            BUTTON,
            clicked=self._on_explain,
            primary=True,
        )
        self.train_button = ui.button(
            "Train generator …", "offer_training_button", clicked=self.train_requested
        )
        self.line = Message("training_estimate", role="muted")
        ui.column(
            self.explain_button, ui.row(self.train_button, None), self.line, spacing=5, parent=self
        )
        ui.connect(self._show, choices.events.generator, results.events.loaded_generator,
                results.events.loaded_classifier, results.events.sample,
                results.events.prediction, controller.running_changed)  # fmt: skip
        ui.connect(self._estimate, results.events.prediction, controller.running_changed)
        self.line.hide()
        self._show()

    def _on_explain(self) -> None:
        if self._controller.cancel(SLOT):
            self._estimated_samples = None  # measured after the explanation
        self.explain_requested.emit()

    @slot
    def _estimate(self) -> None:
        """Measure the speed of a training once for each dataset, while nothing is explained."""
        dataset, classifier = self._results.loaded_samples, self._results.loaded_classifier
        if dataset is None or classifier is None or self._results.prediction is None:
            return
        if dataset is self._estimated_samples or self.isHidden() or not dataset.classes:
            return
        if not BUSY.isdisjoint(self._controller.running):
            return
        self._estimated_samples = dataset
        try:
            settings, pair = self._training_settings()
        except QuacError as error:
            self.line.show_message(str(error))
            return

        def measure() -> Any:
            from napari_quac.train.estimate import estimate_training

            inputs = dataset, settings, classifier
            return estimate_training(*inputs, pair=pair, device=classifier.device)

        def on_failed(error: BaseException) -> None:
            self.line.show_message(f"A generator cannot be trained on these samples: {error}")

        text = "measuring the speed of a training"
        answers = self._show_estimate, on_failed
        self._controller.run(SLOT, text, measure, *answers, inputs=("loaded_samples",))

    def _show_estimate(self, estimate: TrainingEstimate) -> None:
        self.line.show_message(estimate.sentence)
        self.line.setToolTip(plain(estimate.basis))

    def _show(self) -> None:
        is_offered = self._action.is_offered
        self.setVisible(is_offered or self._action.is_active)
        self.explain_button.setVisible(is_offered)
        missing = [text for name, text in NEEDED.items() if getattr(self._results, name) is None]
        self.explain_button.setEnabled(not missing)
        reason = f"Explaining requires {', '.join(missing)}."
        self.explain_button.setToolTip(plain(reason if missing else TOOLTIPS[BUTTON]))
