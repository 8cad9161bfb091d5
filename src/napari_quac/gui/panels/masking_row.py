"""Conversion of a threshold to a mask: presets, and a form for all parameters."""

from __future__ import annotations

from qtpy.QtWidgets import QWidget
from superqt.utils import signals_blocked

from napari_quac.explain.mask import PRESETS, Masking
from napari_quac.gui.form import Form
from napari_quac.gui.section import labelled_row
from napari_quac.gui.widgets import choose_entry, column, link_button, menu
from napari_quac.live.choices import Choices

GRIDS = {
    "quac_0_2": "Thresholds as in QuAC 0.2: -1 … 0.99",
    "corrected": "Thresholds 0, 0.01, … 1 and the full mask",
    "dapi": "Thresholds as in DAPI: -1 … 1",
}
CUSTOM = "custom"


class MaskingRow(QWidget):
    """Sets ``choices.settings.masking`` and ``choices.settings.grid``."""

    def __init__(self, choices: Choices) -> None:
        super().__init__()
        self._choices = choices
        self.presets = menu(
            "masking_preset", entries={name: name for name in PRESETS}, picked=self._on_preset
        )
        self.form: Form[Masking] = Form(Masking, "masking", choices.settings.masking)
        self.grid_menu = menu("grid_menu", entries=GRIDS, picked=self._on_grid, n_characters=12)
        details = QWidget()
        column(self.form, self.grid_menu, spacing=4, parent=details)
        details.hide()
        self.settings_button = link_button("⚙", "masking_settings", checkable=True)
        self.settings_button.toggled.connect(details.setVisible)
        presets = labelled_row("Masking", self.presets, self.settings_button)
        column(presets, details, parent=self)
        self.form.changed.connect(self._on_form)
        choices.events.settings.connect(self._show)
        self._show()

    def _on_preset(self, row: int) -> None:
        name = self.presets.itemData(row)
        if name in PRESETS:
            self._set(PRESETS[name])
        else:
            self.settings_button.setChecked(True)

    def _on_form(self, masking: Masking) -> None:
        self._set(masking)

    def _set(self, masking: Masking) -> None:
        if masking != self._choices.settings.masking:
            self._choices.update_settings(masking=masking)

    def _on_grid(self, row: int) -> None:
        grid = self.grid_menu.itemData(row)
        if grid != self._choices.settings.grid:
            self._choices.update_settings(grid=grid)

    def _show(self) -> None:
        masking = self._choices.settings.masking
        name = next((name for name, preset in PRESETS.items() if preset == masking), CUSTOM)
        with signals_blocked(self.presets):
            custom = self.presets.findData(CUSTOM)
            if name == CUSTOM and custom < 0:
                self.presets.addItem(CUSTOM, CUSTOM)
            elif name != CUSTOM and custom >= 0:
                self.presets.removeItem(custom)
            self.presets.setCurrentIndex(self.presets.findData(name))
        choose_entry(self.grid_menu, self._choices.settings.grid)
        if self.form.value != masking:
            self.form.set_value(masking)
