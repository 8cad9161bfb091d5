"""Last activation of a generator whose file does not specify it: chosen or measured."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QWidget
from superqt.utils import signals_blocked

from napari_quac.gui.section import labelled_row
from napari_quac.gui.text import WrappedLabel
from napari_quac.gui.widgets import button, column, menu
from napari_quac.live.choices import Choices
from napari_quac.live.controller import Controller
from napari_quac.live.results import Results

if TYPE_CHECKING:
    from napari_quac.generators.stargan.final_activation import FoundActivation

ACTIVATIONS = ("tanh", "sigmoid", "none")
STATED = "Final activation"


class ActivationRow(QWidget):
    """Menu of activations; hidden if the file of the generator specifies its activation."""

    def __init__(self, choices: Choices, results: Results, controller: Controller) -> None:
        super().__init__()
        self._choices, self._results, self._controller = choices, results, controller
        self._measured: FoundActivation | None = None
        self.menu = menu(
            "activation_menu",
            entries={"auto": "as assumed", **{name: name for name in ACTIVATIONS}},
            picked=self._on_picked,
            n_characters=8,
        )
        self.measure_button = button(
            "Measure", "measure_activation_button", clicked=self._on_measure
        )
        self.text = WrappedLabel("", "activation_text", "muted")
        self.use_button = button(
            "Use best activation", "use_activation_button", clicked=self._on_use
        )
        labelled = labelled_row("Activation", self.menu, self.measure_button)
        column(labelled, self.text, self.use_button, spacing=4, parent=self)
        results.events.loaded_generator.connect(self._show)
        results.events.loaded_samples.connect(self._show_ready)
        self._show()

    def _show(self) -> None:
        generator, recipe = self._results.loaded_generator, self._choices.generator
        stated = generator.description.get(STATED, "") if generator is not None else ""
        chosen = getattr(recipe, "final_activation", None)
        matters = chosen is not None and ("assumed" in stated or chosen != "auto")
        self.setVisible(matters)
        with signals_blocked(self.menu):
            if chosen == "auto" and stated:
                self.menu.setItemText(0, stated)
            self.menu.setCurrentIndex(max(0, self.menu.findData(chosen)))
        self._show_measured(None)
        self._show_ready()

    def _show_ready(self) -> None:
        dataset = self._results.loaded_samples
        self.measure_button.setEnabled(dataset is not None and bool(dataset.classes))

    def _on_picked(self, row: int) -> None:
        recipe, chosen = self._choices.generator, self.menu.itemData(row)
        if getattr(recipe, "final_activation", chosen) != chosen:
            self._choices.generator = replace(recipe, final_activation=chosen)

    def _on_measure(self) -> None:
        recipe, dataset = self._choices.generator, self._results.loaded_samples
        if dataset is None:
            return

        def start() -> object:
            from napari_quac.generators.stargan.final_activation import measure_final_activation

            return measure_final_activation(recipe, dataset)

        def done(measured: FoundActivation) -> None:
            if self._choices.generator is recipe:
                self._show_measured(measured)

        self._controller.run("activation", "measuring the final activation", start, done)

    def _show_measured(self, measured: FoundActivation | None) -> None:
        self._measured = measured
        self.text.show_message("" if measured is None else str(measured))
        recipe = self._choices.generator
        self.use_button.setVisible(
            measured is not None and measured.fits and measured.applied_to(recipe) != recipe
        )

    def _on_use(self) -> None:
        if self._measured is not None:
            self._choices.generator = self._measured.applied_to(self._choices.generator)
