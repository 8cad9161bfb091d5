"""Menus for the output of a classifier, and for parts that its weights do not hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QWidget

from napari_quac.gui import widgets as ui
from napari_quac.gui.section import labeled_row
from napari_quac.gui.slots import slots


@slots
class ArchitectureFields(QWidget):
    """Output, and a part of the architecture with its choice; hidden without a recipe."""

    changed = Signal(dict)
    """Fields of the recipe after an edit."""

    def __init__(self) -> None:
        super().__init__()
        self._variant: dict[str, str] = {}
        self._choices: Mapping[str, tuple[str, ...]] = {}
        self.output_menu = ui.menu("output_menu", picked=self._on_output, n_characters=7)
        self.part_menu = ui.menu("variant_part_menu", picked=self._show_part, n_characters=5)
        self.choice_menu = ui.menu("variant_choice_menu", picked=self._on_choice, n_characters=5)
        self.variant_row = QWidget()
        ui.column(labeled_row("Variant", self.part_menu, self.choice_menu), parent=self.variant_row)
        ui.column(labeled_row("Output", self.output_menu), self.variant_row, parent=self)

    def show_classifier(self, classifier: Any, recipe: Any) -> None:
        """Show the output and the variant of a loaded classifier.

        Parameters
        ----------
        classifier : Classifier
            As loaded.
        recipe : ClassifierRecipe or another recipe
            Others than that of a file have neither menu.
        """
        self.setVisible(hasattr(recipe, "variant"))
        if not hasattr(recipe, "variant"):
            return
        from napari_quac.networks.classifier_recipe import OUTPUTS

        is_binary = classifier.output.startswith("binary")
        fitting = [output for output in OUTPUTS if output.startswith("binary") == is_binary]
        entries: dict[str, str] = {"auto": f"automatic ({classifier.output})"}
        entries |= {output: output for output in fitting}
        ui.fill_menu(self.output_menu, entries)
        ui.choose_entry(self.output_menu, recipe.output)
        self._variant, self._choices = dict(recipe.variant or {}), classifier.variants
        ui.fill_menu(self.part_menu, {name: name for name in self._choices})
        self.variant_row.setVisible(bool(self._choices))
        self._show_part()

    def _show_part(self) -> None:
        """Show the choices for the selected part."""
        part = self.part_menu.currentData()
        choices = self._choices.get(part, ())
        ui.fill_menu(self.choice_menu, {choice: choice for choice in choices})
        if choices:
            ui.choose_entry(self.choice_menu, self._variant.get(part, choices[0]))

    def _on_output(self, row: int) -> None:
        self.changed.emit({"output": self.output_menu.itemData(row)})

    def _on_choice(self, row: int) -> None:
        part = self.part_menu.currentData()
        self._variant = {**self._variant, part: self.choice_menu.itemData(row)}
        self.changed.emit({"variant": self._variant})
