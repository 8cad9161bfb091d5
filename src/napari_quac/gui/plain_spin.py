"""A field for a number that shows the digits it has: 255, not 255.000."""

from __future__ import annotations

from qtpy.QtWidgets import QDoubleSpinBox


class PlainSpinBox(QDoubleSpinBox):
    """Without zeros at the end, and without buttons."""

    def __init__(self) -> None:
        super().__init__()
        self.setButtonSymbols(QDoubleSpinBox.ButtonSymbols.NoButtons)

    def textFromValue(self, value: float) -> str:
        """Return a value as it is shown."""
        text = str(super().textFromValue(value))
        point = self.locale().decimalPoint()
        return text.rstrip("0").rstrip(point) if point in text else text
