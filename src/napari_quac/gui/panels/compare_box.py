"""The ways of comparing as a row of buttons, and the controls of the chosen one."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QPushButton, QSlider, QWidget
from superqt.utils import signals_blocked

from napari_quac.gui.compare import Comparison, Mode
from napari_quac.gui.control_names import prepare
from napari_quac.gui.slots import slot, slots
from napari_quac.gui.text import WrappedLabel
from napari_quac.gui.widgets import button, choose_entry, column, menu, row
from napari_quac.gui.wrapping_row import WrappingRow

STEPS = 1000
"""Positions of the slider."""
TITLES: dict[Mode, str] = {
    "side by side": "Side by side",
    "curtain": "Curtain",
    "difference": "Difference",
    "morph": "Morph",
}
RATES = {0.5: "0.5 Hz", 1.0: "1 Hz", 2.0: "2 Hz"}


@slots
class CompareBox(QWidget):
    """Controls of curtain, difference and morph, and the buttons for another layout.

    Attributes
    ----------
    buttons : dict of str to QPushButton
        One for each way of comparing; a second click returns to the layers in place.
    """

    mode_picked = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._comparison: Comparison | None = None
        self.buttons: dict[Mode, QPushButton] = {}
        for mode, title in TITLES.items():
            name = f"{mode.replace(' ', '_')}_button"
            self.buttons[mode] = button(title, name, checkable=True)
            self.buttons[mode].toggled.connect(
                slot(lambda checked, mode=mode: self.mode_picked.emit(mode if checked else ""))
            )
        self.slider = QSlider(Qt.Orientation.Horizontal)
        prepare(self.slider, "compare_slider")
        self.slider.setRange(0, STEPS)
        self.slider.valueChanged.connect(self._on_slider)
        self.play_button = button("Play", "morph_play_button", clicked=self._on_play)
        self.rate_menu = menu("morph_rate", entries=RATES, n_characters=5, picked=self._on_rate)
        self.image_menu = menu(
            "compare_image", entries={"hybrid": "Hybrid", "generated": "Generated"},
            n_characters=7, picked=self._on_image,
        )  # fmt: skip
        self.line = WrappedLabel("", "compare_line", "muted")
        controls = QWidget()
        controls.setLayout(WrappingRow(self.image_menu, 1, self.play_button, 0, self.rate_menu, 1))
        column(row(self.slider), controls, self.line, spacing=4, parent=self)
        self.hide()

    def connect_to(self, comparison: Comparison) -> None:
        """Show and control a comparison."""
        self._comparison = comparison
        self.mode_picked.connect(comparison.set_mode)
        comparison.mode_changed.connect(self._show)
        comparison.mixed.state_changed.connect(self._show)

    @slot
    def _on_slider(self, position: int) -> None:
        if self._comparison is None:
            return
        mixed = self._comparison.mixed
        (mixed.set_edge if mixed.mode == "curtain" else mixed.set_share)(position / STEPS)

    @slot
    def _on_play(self) -> None:
        if self._comparison is not None:
            mixed = self._comparison.mixed
            (mixed.pause if mixed.is_playing else mixed.play)()

    @slot
    def _on_rate(self) -> None:
        if self._comparison is not None:
            self._comparison.mixed.set_rate(self.rate_menu.currentData())

    @slot
    def _on_image(self) -> None:
        if self._comparison is not None:
            self._comparison.mixed.set_other(self.image_menu.currentData())

    @slot
    def _show(self) -> None:
        if self._comparison is None:
            return
        mixed = self._comparison.mixed
        for mode, widget in self.buttons.items():
            with signals_blocked(widget):
                widget.setChecked(mode == self._comparison.mode)
        self.setVisible(mixed.mode is not None)
        if mixed.mode is None:
            return
        is_morph = mixed.mode == "morph"
        self.slider.setVisible(mixed.mode != "difference")
        for part in (self.play_button, self.rate_menu):
            part.setVisible(is_morph)
        for part in (self.slider, self.play_button):
            part.setEnabled(mixed.layer is not None)
        self.play_button.setText("Pause" if mixed.is_playing else "Play")
        choose_entry(self.image_menu, mixed.other)
        with signals_blocked(self.slider):
            self.slider.setValue(round(STEPS * (mixed.share if is_morph else mixed.edge)))
        self.line.show_message(mixed.text)
