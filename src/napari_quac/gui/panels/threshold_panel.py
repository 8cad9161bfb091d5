"""The slider along the curve, what it says in numbers, and how the layers are looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QPushButton, QSlider
from superqt.utils import signals_blocked

from napari_quac.gui.section import Section
from napari_quac.gui.text import WrappedLabel, grouped, measured
from napari_quac.live.choices import Choices
from napari_quac.live.results import DisplayedHybrid, Results

if TYPE_CHECKING:
    from napari_quac.explain.curve import Curve


class ThresholdPanel(Section):
    """Moves along the distinct masks of the shown curve; no network is asked."""

    blink_held = Signal(bool)
    side_by_side_wanted = Signal(bool)
    show_layers_wanted = Signal()
    attribution_mode_picked = Signal(str)
    mask_style_picked = Signal(str)

    def __init__(self, choices: Choices, results: Results) -> None:
        super().__init__("Threshold", "threshold")
        self._choices, self._results = choices, results
        self._curve: Curve | None = None
        self._positions: NDArray[np.intp] = np.empty(0, dtype=np.intp)
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setObjectName("threshold_slider")
        self.slider.setToolTip("From the largest mask (left) to the smallest (right)")
        self.slider.setMinimumHeight(22)
        self.optimum_button = QPushButton("Optimum")
        self.optimum_button.setObjectName("optimum_button")
        self.optimum_button.setToolTip("Go where the score changes most for the least mask (W)")
        row = QHBoxLayout()
        row.setSpacing(8)
        row.addWidget(self.slider, 1)
        row.addWidget(self.optimum_button)
        self.body_layout.addLayout(row)
        self.line = WrappedLabel("", "threshold_line")
        self.body_layout.addWidget(self.line)
        self._build_view_rows()
        self.slider.valueChanged.connect(self._on_slider)
        self.optimum_button.clicked.connect(self.go_to_optimum)
        results.events.displayed_hybrid.connect(self._show)
        self._show()

    def go_to_optimum(self) -> None:
        """Set the threshold to the optimum of the shown curve."""
        self._choices.threshold = None

    def pick(self, index: int) -> None:
        """Set the threshold to one of the shown curve's, by index."""
        if self._curve is not None:
            self._choices.threshold = float(self._curve.thresholds[index])

    def step(self, by: int) -> None:
        """Move the slider."""
        if self.slider.isEnabled():
            self.slider.setValue(self.slider.value() + by)

    def show_side_by_side(self, enabled: bool) -> None:
        """Show whether the images are side by side."""
        with signals_blocked(self.side_by_side_button):
            self.side_by_side_button.setChecked(enabled)

    def show_missing(self, something: bool) -> None:
        """Offer to bring back what was closed."""
        self.show_layers_button.setVisible(something)

    def _build_view_rows(self) -> None:
        self.blink_button = QPushButton("Blink")
        self.blink_button.setObjectName("blink_button")
        self.blink_button.setToolTip("Hold: show the query instead of the hybrid (G)")
        self.side_by_side_button = QPushButton("Side by side")
        self.side_by_side_button.setObjectName("side_by_side_button")
        self.side_by_side_button.setCheckable(True)
        self.side_by_side_button.setToolTip("Every image in a panel of its own (H)")
        self.show_layers_button = QPushButton("Show layers")
        self.show_layers_button.setObjectName("show_layers_button")
        self.show_layers_button.setToolTip("Bring back the layers and the curve that were closed")
        self.show_layers_button.hide()
        buttons = QHBoxLayout()
        buttons.setSpacing(6)
        for button in (self.blink_button, self.side_by_side_button, self.show_layers_button):
            buttons.addWidget(button)
        buttons.addStretch(1)
        self.attribution_menu = QComboBox()
        self.attribution_menu.setObjectName("attribution_mode")
        self.attribution_menu.addItem("Attribution: signed", "signed")
        self.attribution_menu.addItem("Attribution: absolute", "absolute")
        self.attribution_menu.setToolTip(
            "Signed: orange speaks for the source class, blue for the target"
        )
        self.mask_menu = QComboBox()
        self.mask_menu.setObjectName("mask_style")
        self.mask_menu.addItem("Mask: outline", "outline")
        self.mask_menu.addItem("Mask: filled", "filled")
        menus = QHBoxLayout()
        menus.setSpacing(6)
        menus.addWidget(self.attribution_menu, 1)
        menus.addWidget(self.mask_menu, 1)
        self.body_layout.addLayout(buttons)
        self.body_layout.addLayout(menus)
        self.blink_button.pressed.connect(lambda: self.blink_held.emit(True))
        self.blink_button.released.connect(lambda: self.blink_held.emit(False))
        self.side_by_side_button.toggled.connect(self.side_by_side_wanted)
        self.show_layers_button.clicked.connect(self.show_layers_wanted)
        self.attribution_menu.currentIndexChanged.connect(
            lambda row: self.attribution_mode_picked.emit(self.attribution_menu.itemData(row))
        )
        self.mask_menu.currentIndexChanged.connect(
            lambda row: self.mask_style_picked.emit(self.mask_menu.itemData(row))
        )

    def _on_slider(self, position: int) -> None:
        if self._curve is not None and position < len(self._positions):
            index = int(self._positions[position])
            self._choices.threshold = float(self._curve.thresholds[index])

    def _show(self) -> None:
        shown = self._results.displayed_hybrid
        usable = shown is not None and not shown.explanation.curve.degenerate
        self.slider.setEnabled(usable)
        self.optimum_button.setEnabled(usable)
        if shown is None:
            self._curve = None
            self.line.setText("Explain a sample, then slide from the whole change to its core.")
            self.set_summary("")
            return
        curve = shown.explanation.curve
        if curve is not self._curve:
            self._curve = curve
            self._positions = curve.distinct()
            with signals_blocked(self.slider):
                self.slider.setRange(0, len(self._positions) - 1)
                self.slider.setPageStep(max(1, len(self._positions) // 10))
        position = int(np.searchsorted(self._positions, shown.index))
        if position != self.slider.value():
            with signals_blocked(self.slider):
                self.slider.setValue(position)
        self.line.setText(threshold_line(shown, self._class_names()))
        self.set_summary(f"{shown.explanation.method} · threshold {shown.hybrid.threshold:.2f}")

    def _class_names(self) -> tuple[str, ...]:
        classifier = self._results.loaded_classifier
        return classifier.class_names if classifier is not None else ()


def threshold_line(shown: DisplayedHybrid, class_names: tuple[str, ...]) -> str:
    """Return ``mask 3.1 % · 508 px · 8 128 nm² · p(ACh) 0.05 → 0.91 · 0.86 of 0.93 reachable``."""
    pair, hybrid = shown.explanation.pair, shown.hybrid
    sample = pair.query
    one_channel = sample.image.shape[0] == 1
    parts = [f"mask {100 * hybrid.mask_size:.1f} %"]
    if one_channel:
        parts.append(f"{grouped(hybrid.n_pixels)} {'px' if sample.image.ndim == 3 else 'vx'}")
        if sample.scale is not None and sample.unit:
            size = hybrid.n_pixels * float(np.prod(sample.scale))
            power = "²" if len(sample.scale) == 2 else "³"
            parts.append(f"{measured(size)} {sample.unit}{power}")
    else:
        parts.append(f"{grouped(hybrid.n_pixels)} values")
    name = class_names[pair.target] if pair.target < len(class_names) else str(pair.target)
    before = float(pair.query_prediction[pair.target])
    after = float(hybrid.prediction[pair.target])
    reachable = float(pair.generated_prediction[pair.target]) - before
    parts.append(f"p({name}) {before:.2f} → {after:.2f}")
    parts.append(f"{hybrid.score_change:.2f} of {reachable:.2f} reachable")
    return " · ".join(parts)
