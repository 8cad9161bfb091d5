"""A slider over the distinct masks of a curve, whose travel follows the axis of mask sizes."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from qtpy.QtCore import QRect, Qt
from qtpy.QtGui import QMouseEvent, QPaintEvent
from qtpy.QtWidgets import QSlider, QStyle, QStyleOptionSlider, QStylePainter

from napari_quac.gui.control_names import prepare
from napari_quac.gui.slots import slots

TRAVEL = 10_000
"""Units of the whole travel; finer than the pixels of any slider."""
SHORTEST_STEP, LONGEST_STEP = 0.4, 3.0
"""Limits of a step, in steps of equal length: no mask is out of reach of the mouse, and no part of
the travel leads nowhere."""


def step_travel(places: ArrayLike) -> NDArray[np.float64]:
    """Return the travel of a slider, from 0 to 1, at each of its masks.

    Steps are as long as on the axis, within limits.

    Parameters
    ----------
    places : (N,) array_like
        Position of each mask on the axis, falling.

    Returns
    -------
    (N,) ndarray
        Rising; a single mask lies at 0.
    """
    steps = np.abs(np.diff(np.asarray(places, dtype=np.float64)))
    if not len(steps):
        return np.zeros(np.size(places))
    mean = steps.mean() or 1.0
    steps = np.clip(steps, SHORTEST_STEP * mean, LONGEST_STEP * mean)
    travel: NDArray[np.float64] = np.concatenate([[0.0], np.cumsum(steps)]) / steps.sum()
    return travel


@slots
class MaskSlider(QSlider):
    """A horizontal slider with one value for each mask, drawn at the travel of the mask.

    Keys and wheel move by masks, the mouse goes to the nearest one.
    """

    def __init__(self, name: str) -> None:
        super().__init__(Qt.Orientation.Horizontal)
        prepare(self, name)
        self._travel = np.zeros(1)
        self._offset = 0

    def set_travel(self, travel: NDArray[np.float64]) -> None:
        """Offer one value for each element of ``travel``, see :func:`step_travel`."""
        self._travel = travel
        self.setRange(0, len(travel) - 1)
        self.setPageStep(max(1, len(travel) // 10))
        self.update()

    def travel_of(self, value: int) -> float:
        """Return where a value lies, from 0 at the left to 1 at the right."""
        return float(self._travel[value]) if 0 <= value < len(self._travel) else 0.0

    def initStyleOption(self, option: QStyleOptionSlider) -> None:
        """Place the handle at the travel of its value."""
        super().initStyleOption(option)
        option.minimum, option.maximum = 0, TRAVEL
        option.sliderPosition = round(TRAVEL * self.travel_of(self.sliderPosition()))
        option.sliderValue = option.sliderPosition

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw groove and handle."""
        option = QStyleOptionSlider()
        self.initStyleOption(option)
        handle = QStyle.SubControl.SC_SliderHandle
        option.subControls = QStyle.SubControl.SC_SliderGroove | handle
        if self.isSliderDown():
            option.activeSubControls = handle
            option.state |= QStyle.StateFlag.State_Sunken
        QStylePainter(self).drawComplexControl(QStyle.ComplexControl.CC_Slider, option)

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Take the handle, or bring it to the pressed place."""
        if event.button() != Qt.MouseButton.LeftButton or self.maximum() == self.minimum():
            event.ignore()
            return
        handle = self.handle_rect()
        x = round(event.position().x())
        is_on_handle = handle.contains(event.position().toPoint())
        self._offset = x - handle.center().x() if is_on_handle else 0
        self.setSliderDown(True)
        if not is_on_handle:
            self.setValue(self._value_at(x))
        event.accept()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Drag the handle."""
        if self.isSliderDown():
            self.setValue(self._value_at(round(event.position().x()) - self._offset))
            event.accept()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        """Release the handle."""
        if event.button() == Qt.MouseButton.LeftButton and self.isSliderDown():
            self.setSliderDown(False)
            event.accept()

    def handle_rect(self, share: float | None = None) -> QRect:
        """Return the rectangle of the handle, now or at some share of the travel."""
        option = QStyleOptionSlider()
        self.initStyleOption(option)
        if share is not None:
            option.sliderPosition = option.sliderValue = round(TRAVEL * share)
        control, handle = QStyle.ComplexControl.CC_Slider, QStyle.SubControl.SC_SliderHandle
        return self.style().subControlRect(control, option, handle, self)

    def _value_at(self, x: int) -> int:
        """Return the nearest value to a place, in pixels."""
        start, end = (self.handle_rect(share).center().x() for share in (0.0, 1.0))
        return int(np.argmin(np.abs(self._travel - (x - start) / max(1, end - start))))
