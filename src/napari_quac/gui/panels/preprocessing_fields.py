"""Fields for the preprocessing of a classifier."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QLayout, QLineEdit, QWidget
from superqt.utils import signals_blocked

from napari_quac.data.preprocessing import (
    CHANNEL_WORDS,
    PRESET_TITLES,
    PRESETS,
    Preprocessing,
    preset_of,
    with_values_of,
)
from napari_quac.errors import QuacError
from napari_quac.gui import widgets as ui
from napari_quac.gui.fields import NumberField
from napari_quac.gui.section import caption, labeled_row
from napari_quac.gui.slots import slot, slots
from napari_quac.gui.text import set_tone
from napari_quac.gui.wrapping_row import WrappingRow

CUSTOM = "custom"
PERCENTILES = "percentiles"
INITIAL_PERCENTILES = (0.5, 99.5)
CHANNELS: dict[Any, str] = {None: "as they are", **CHANNEL_WORDS}


@slots
class PreprocessingFields(QWidget):
    """Normalization, channels and size of the images as the classifier takes them."""

    changed = Signal(object)
    """The preprocessing after an edit."""

    refused = Signal(str)
    """Error message about an impossible entry."""

    def __init__(self) -> None:
        super().__init__()
        self._preprocessing = Preprocessing()
        titles = {
            **PRESET_TITLES,
            PERCENTILES: "Per-image percentiles",
            CUSTOM: "Custom",
        }
        self.preset_menu = ui.menu(
            "normalization_menu", entries=titles, picked=self._on_preset, n_characters=12
        )
        self.value_low, self.value_high = (
            NumberField(name, -1e6, 1e6) for name in ("value_low", "value_high")
        )
        for field in (self.value_low, self.value_high):
            field.setKeyboardTracking(False)
            field.editingFinished.connect(self._on_range)
        self.lists = {
            "mean": ui.line_edit("normalization_mean", placeholder="0"),
            "std": ui.line_edit("normalization_std", placeholder="1"),
            "resize": ui.line_edit("classifier_resize", placeholder="256"),
            "crop": ui.line_edit("classifier_crop", placeholder="224"),
        }
        for name, field in self.lists.items():
            field.editingFinished.connect(slot(lambda name=name: self._on_list(name)))
        self.channels_menu = ui.menu(
            "classifier_channels", entries=CHANNELS, picked=self._on_channels, n_characters=12
        )
        ui.column(
            labeled_row("Normalization", self.preset_menu),
            WrappingRow(
                caption("Input range"), self.value_low, 1, ui.muted("to"), self.value_high, 1
            ),
            self._pair("Mean", "mean", "SD", "std"),
            self._pair("Resize", "resize", "Crop", "crop"),
            labeled_row("Channels", self.channels_menu),
            parent=self,
        )

    def _pair(self, label: str, name: str, second_label: str, second_name: str) -> QLayout:
        """Return a row of two fields of equal width."""
        first, second = self.lists[name], self.lists[second_name]
        return WrappingRow(caption(label), first, 1, ui.muted(second_label), second, 1)

    def show_preprocessing(self, preprocessing: Preprocessing) -> None:
        """Show a preprocessing."""
        self._preprocessing = preprocessing
        preset = preset_of(preprocessing) or CUSTOM
        if isinstance(preprocessing.standardize, tuple):
            preset = PERCENTILES
        low, high = preprocessing.value_range or (0.0, 1.0)
        with signals_blocked(self.preset_menu), signals_blocked(self.channels_menu):
            ui.choose_entry(self.preset_menu, preset)
            ui.choose_entry(self.channels_menu, preprocessing.channels)
        with signals_blocked(self.value_low), signals_blocked(self.value_high):
            self.value_low.setValue(low)
            self.value_high.setValue(high)
        for name, field in self.lists.items():
            with signals_blocked(field):
                field.setText(_text(getattr(preprocessing, name)))
                field.setCursorPosition(0)
            set_tone(field, "")

    def _emit(self, field: QLineEdit | None = None, **changes: Any) -> None:
        try:
            changed = replace(self._preprocessing, **changes)
        except QuacError as error:
            if field is not None:
                set_tone(field, "bad")
            self.refused.emit(str(error))
            return
        if changed != self._preprocessing:
            self._preprocessing = changed
            self.changed.emit(changed)

    def _on_preset(self, row: int) -> None:
        preset = self.preset_menu.itemData(row)
        if preset == CUSTOM:
            return
        values = PRESETS.get(preset, Preprocessing(standardize=INITIAL_PERCENTILES))
        changed = with_values_of(self._preprocessing, values)
        if changed != self._preprocessing:
            self._preprocessing = changed
            self.changed.emit(changed)

    def _on_range(self) -> None:
        limits = (self.value_low.value(), self.value_high.value())
        if limits != (self._preprocessing.value_range or (0.0, 1.0)):
            self._emit(value_range=limits)

    def _on_channels(self, row: int) -> None:
        self._emit(channels=self.channels_menu.itemData(row))

    def _on_list(self, name: str) -> None:
        field = self.lists[name]
        text = field.text().strip()
        pieces = re.split(r"[\s,;×x*]+", text) if text else []
        try:
            numbers = tuple(
                float(piece) if name in ("mean", "std") else int(piece) for piece in pieces
            )
        except ValueError:
            set_tone(field, "bad")
            self.refused.emit(f"'{text}' holds no numbers. Enter them between commas.")
            return
        is_side = name in ("resize", "crop") and len(numbers) == 1
        self._emit(field, **{name: (numbers[0] if is_side else numbers) if numbers else None})


def _text(entry: Any) -> str:
    """Return a number or numbers as the fields show them."""
    if entry is None:
        return ""
    if isinstance(entry, int):
        return str(entry)
    separator = " × " if all(isinstance(number, int) for number in entry) else ", "
    return separator.join(f"{number:g}" for number in entry)
