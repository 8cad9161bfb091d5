from __future__ import annotations

from typing import Any

import pytest

from napari_quac.gui.plain_spin import PlainSpinBox


@pytest.mark.parametrize(
    ("value", "text"),
    [(255.0, "255"), (0.0, "0"), (-1.5, "-1.5"), (0.125, "0.125"), (65000, "65000")],
)
def test_number_is_shown_without_zeros_at_its_end(qtbot: Any, value: float, text: str) -> None:
    spin = PlainSpinBox()
    qtbot.addWidget(spin)
    spin.setRange(-1e6, 1e6)
    spin.setDecimals(3)
    spin.setValue(value)
    assert spin.text() == text and spin.value() == value
