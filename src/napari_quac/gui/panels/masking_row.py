"""How a threshold becomes a mask: a menu of presets, and a form for the rest."""

from __future__ import annotations

from qtpy.QtWidgets import QComboBox, QToolButton, QVBoxLayout, QWidget
from superqt.utils import signals_blocked

from napari_quac.explain.mask import PRESETS, Masking
from napari_quac.gui.form import Form
from napari_quac.gui.section import labelled_row
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
        self.presets = QComboBox()
        self.presets.setObjectName("masking_preset")
        self.presets.setToolTip("How attribution above the threshold becomes a mask")
        for name in PRESETS:
            self.presets.addItem(name, name)
        self.settings_button = QToolButton()
        self.settings_button.setObjectName("masking_settings")
        self.settings_button.setProperty("role", "link")
        self.settings_button.setText("⚙")
        self.settings_button.setCheckable(True)
        self.settings_button.setToolTip("Size of closing and blur, channels, thresholds")
        self.form: Form[Masking] = Form(Masking, "masking", choices.settings.masking)
        self.grid_menu = QComboBox()
        self.grid_menu.setObjectName("grid_menu")
        self.grid_menu.setMinimumContentsLength(12)
        self.grid_menu.setToolTip("At which thresholds the curve is traced")
        for name, text in GRIDS.items():
            self.grid_menu.addItem(text, name)
        self._details = QWidget()
        details = QVBoxLayout(self._details)
        details.setContentsMargins(0, 0, 0, 0)
        details.setSpacing(4)
        details.addWidget(self.form)
        details.addWidget(self.grid_menu)
        self._details.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addLayout(labelled_row("Masking", self.presets, self.settings_button))
        layout.addWidget(self._details)
        self.presets.currentIndexChanged.connect(self._on_preset)
        self.settings_button.toggled.connect(self._details.setVisible)
        self.form.changed.connect(self._on_form)
        self.grid_menu.currentIndexChanged.connect(self._on_grid)
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
        with signals_blocked(self.grid_menu):
            self.grid_menu.setCurrentIndex(self.grid_menu.findData(self._choices.settings.grid))
        if self.form.value != masking:
            self.form.set_value(masking)
