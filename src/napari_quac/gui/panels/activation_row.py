"""What ends a generator whose file does not say it: chosen by hand, or measured on the samples."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QComboBox, QPushButton, QVBoxLayout, QWidget
from superqt.utils import signals_blocked

from napari_quac.gui.section import labelled_row
from napari_quac.gui.text import WrappedLabel
from napari_quac.live.choices import Choices
from napari_quac.live.controller import Controller
from napari_quac.live.results import Results

if TYPE_CHECKING:
    from napari_quac.generators.stargan.final_activation import FoundActivation

ACTIVATIONS = ("tanh", "sigmoid", "none")
STATED = "Final activation"


class ActivationRow(QWidget):
    """Hidden unless the final activation of the generator was assumed, or chosen by hand."""

    def __init__(self, choices: Choices, results: Results, controller: Controller) -> None:
        super().__init__()
        self._choices, self._results, self._controller = choices, results, controller
        self._found: FoundActivation | None = None
        self.menu = QComboBox()
        self.menu.setObjectName("activation_menu")
        self.menu.setToolTip("What ends the generator; files of the QuAC library do not say it")
        self.menu.setMinimumContentsLength(8)
        self.menu.addItem("as assumed", "auto")
        for name in ACTIVATIONS:
            self.menu.addItem(name, name)
        self.measure_button = QPushButton("Measure")
        self.measure_button.setObjectName("measure_activation_button")
        self.measure_button.setToolTip("Reconstruct some samples with each of them and compare")
        self.text = WrappedLabel("", "activation_found", "muted")
        self.use_button = QPushButton("Use that")
        self.use_button.setObjectName("use_activation_button")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(labelled_row("Ends with", self.menu, self.measure_button))
        layout.addWidget(self.text)
        layout.addWidget(self.use_button)
        self.menu.currentIndexChanged.connect(self._on_picked)
        self.measure_button.clicked.connect(self._on_measure)
        self.use_button.clicked.connect(self._on_use)
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
        self._show_found(None)
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

        def done(found: FoundActivation) -> None:
            if self._choices.generator is recipe:
                self._show_found(found)

        self._controller.run("activation", "measuring the final activation", start, done)

    def _show_found(self, found: FoundActivation | None) -> None:
        self._found = found
        self.text.setText("" if found is None else str(found))
        self.text.setVisible(found is not None)
        recipe = self._choices.generator
        self.use_button.setVisible(
            found is not None and found.fits and found.applied_to(recipe) != recipe
        )

    def _on_use(self) -> None:
        if self._found is not None:
            self._choices.generator = self._found.applied_to(self._choices.generator)
