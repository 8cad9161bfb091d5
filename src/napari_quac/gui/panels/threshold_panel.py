"""The threshold slider, the numbers at the threshold, and the display of the layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QWidget
from superqt.utils import signals_blocked

from napari_quac.explain.size_axis import axis_positions
from napari_quac.gui.copy_code import CopyCode
from napari_quac.gui.mask_slider import MaskSlider, step_travel
from napari_quac.gui.panels.compare_box import CompareBox
from napari_quac.gui.section import Section
from napari_quac.gui.slots import slot, slots
from napari_quac.gui.text import WrappedLabel, grouped, measured, threshold_name
from napari_quac.gui.widgets import button, column, disclosure_button, flow, menu, row
from napari_quac.gui.wrapping_row import WrappingRow
from napari_quac.live.choices import Choices
from napari_quac.live.display import DisplayedHybrid
from napari_quac.live.edit_history import EditHistory
from napari_quac.live.results import Results

if TYPE_CHECKING:
    from napari_quac.explain.curve import Curve


@slots
class ThresholdPanel(Section):
    """Selects a distinct mask of the displayed curve, without running a network."""

    blink_held = Signal(bool)
    show_layers_requested = Signal()
    save_figure_requested = Signal()
    attribution_mode_picked = Signal(str)
    mask_style_picked = Signal(str)

    def __init__(
        self, choices: Choices, results: Results, history: EditHistory | None = None
    ) -> None:
        super().__init__("Threshold", "threshold")
        self._choices, self._results = choices, results
        self._history = history or EditHistory(choices)
        self._curve: Curve | None = None
        self._positions: NDArray[np.intp] = np.empty(0, dtype=np.intp)
        self.slider = MaskSlider("threshold_slider")
        self.slider.setMinimumHeight(22)
        self.optimum_button = button("Optimum", "optimum_button", clicked=self.go_to_optimum)
        self.add(row(self.slider, 1, self.optimum_button, spacing=8))
        self.line = WrappedLabel("", "threshold_line", n_lines=2)
        self.line.setToolTip(
            "Score change: rise of the target's probability over the query, of that of the whole "
            "generated image."
        )
        self.add(self.line)
        self._build_view_rows()
        self.slider.valueChanged.connect(self._on_slider)
        results.events.displayed_hybrid.connect(self._show)
        choices.events.size_axis.connect(self._set_travel)
        self._show()

    @slot
    def go_to_optimum(self) -> None:
        """Set the threshold to the optimum of the displayed curve."""
        self._set_threshold(None)

    @slot
    def pick(self, threshold: float) -> None:
        """Set the threshold to that of a point on the displayed curve."""
        if self._curve is not None:
            self._set_threshold(threshold)

    def step(self, by: int) -> None:
        """Move the slider by some positions."""
        if self.slider.isEnabled():
            self.slider.setValue(self.slider.value() + by)

    def show_missing(self, is_missing: bool) -> None:
        """Offer to restore layers or the curve if they were closed."""
        self.show_layers_button.setVisible(is_missing)

    def _build_view_rows(self) -> None:
        self.blink_button = button("Blink", "blink_button")
        self.blink_button.pressed.connect(slot(lambda: self.blink_held.emit(True)))
        self.blink_button.released.connect(slot(lambda: self.blink_held.emit(False)))
        self.compare = CompareBox()
        self.side_by_side_button = self.compare.buttons["side by side"]
        self.show_layers_button = button(
            "Show layers", "show_layers_button", clicked=self.show_layers_requested, hidden=True
        )
        self.save_figure_button = button(
            "Save figure…", "save_figure_button", clicked=self.save_figure_requested, hidden=True
        )
        self.attribution_menu = menu(
            "attribution_mode",
            entries={"signed": "Signed", "absolute": "Absolute"},
            n_characters=6,
            picked=lambda _: self.attribution_mode_picked.emit(self.attribution_menu.currentData()),
        )
        self.mask_menu = menu(
            "mask_style",
            entries={"outline": "Outline", "filled": "Filled"},
            n_characters=6,
            picked=lambda _: self.mask_style_picked.emit(self.mask_menu.currentData()),
        )
        self.copy_code = CopyCode(self._choices, self._results)
        self.copy_button = disclosure_button("Copy", "copy_button", self.copy_code)
        self.copy_button.toggled.connect(self.copy_code.follow_explanation)
        buttons = self.compare.buttons
        others = [way for name, way in buttons.items() if way is not self.side_by_side_button]
        ways, more, menus = QWidget(), QWidget(), QWidget()
        menus.setLayout(WrappingRow(self.attribution_menu, 1, self.mask_menu, 1))
        column(flow(*others), self.compare, parent=ways)
        column(menus, flow(self.copy_button, self.save_figure_button), self.copy_code, parent=more)
        self.compare_ways_button = disclosure_button("Compare", "compare_ways_button", ways)
        self.display_button = disclosure_button("More", "display_button", more)
        for way in others:  # also by its key
            way.toggled.connect(slot(lambda on: on and self.compare_ways_button.setChecked(True)))
        self.add(
            flow(self.blink_button, self.side_by_side_button, self.compare_ways_button,
                 self.display_button, self.show_layers_button),
            ways,
            more,
        )  # fmt: skip

    def _on_slider(self, position: int) -> None:
        if self._curve is not None and position < len(self._positions):
            index = int(self._positions[position])
            self._set_threshold(float(self._curve.thresholds[index]))

    def _set_threshold(self, threshold: float | None) -> None:
        with self._history.edit("threshold"):
            self._choices.threshold = threshold

    def _show(self) -> None:
        displayed = self._results.displayed_hybrid
        usable = displayed is not None and not displayed.explanation.curve.degenerate
        self.slider.setEnabled(usable)
        self.optimum_button.setEnabled(usable)
        is_exact = displayed is not None and not displayed.explanation.is_preliminary
        self.save_figure_button.setEnabled(is_exact)
        if displayed is None:
            self._curve = None
            self.line.setText("Explain a sample, then move the slider to shrink the mask.")
            self.set_summary("")
            return
        curve = displayed.explanation.curve
        if curve is not self._curve:
            self._curve = curve
            self._positions = curve.distinct()
            self._set_travel()
        position = int(np.searchsorted(self._positions, displayed.index))
        if position != self.slider.value():
            with signals_blocked(self.slider):
                self.slider.setValue(position)
        class_names = displayed.explanation.pair.class_names or self._class_names()
        preliminary = displayed.explanation.is_preliminary
        line = threshold_line(displayed, class_names)
        self.line.setText(f"Preliminary: {line}" if preliminary else line)
        threshold = displayed.hybrid.threshold
        summary = f"{displayed.explanation.method} · {threshold_name(threshold)}"
        self.set_summary(f"{summary} · preliminary" if preliminary else summary)

    @slot
    def _set_travel(self) -> None:
        """Let the slider travel along the axis of mask sizes."""
        if self._curve is not None:
            sizes = self._curve.mask_sizes[self._positions]
            with signals_blocked(self.slider):
                self.slider.set_travel(step_travel(axis_positions(sizes, self._choices.size_axis)))

    def _class_names(self) -> tuple[str, ...]:
        classifier = self._results.loaded_classifier
        return classifier.class_names if classifier is not None else ()


def threshold_line(displayed: DisplayedHybrid, class_names: tuple[str, ...]) -> str:
    """Return the numbers at the threshold: mask, target probability, score change and its limit."""
    pair, hybrid = displayed.explanation.pair, displayed.hybrid
    sample = pair.query
    one_channel = sample.image.shape[0] == 1
    parts = [f"mask {hybrid.mask_size:.1%}"]
    if one_channel:
        parts.append(f"{grouped(hybrid.n_pixels)} {'px' if sample.image.ndim == 3 else 'vx'}")
        if sample.scale is not None and sample.unit:
            size = hybrid.n_pixels * float(np.prod(sample.scale))
            power = "²" if len(sample.scale) == 2 else "³"
            parts.append(f"{measured(size)} {sample.unit}{power}")
    else:
        parts.append(f"{grouped(hybrid.n_pixels)} values")
    scored = pair.scored_class
    name = class_names[scored] if scored < len(class_names) else str(scored)
    before, after = (float(p[scored]) for p in (pair.query_prediction, hybrid.prediction))
    parts.append(f"p({name}) {before:.2f} → {after:.2f}")
    change = f"score change {hybrid.score_change:.2f}"
    if not pair.infill:  # an infill of a part can change more than one of the whole
        change += f" of {float(pair.score_changes(pair.generated_prediction)):.2f}"
    parts.append(change)
    return " · ".join(parts)
