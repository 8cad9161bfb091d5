from __future__ import annotations

from typing import Any

import pytest
from qtpy.QtCore import QEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_quac.gui.fields import Menu, NumberField, TextField
from napari_quac.gui.widgets import (
    choose_entry,
    disclosure_button,
    entry_data,
    fill_menu,
    menu,
    muted,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [(255.0, "255"), (0.0, "0"), (-1.5, "-1.5"), (0.125, "0.125"), (65000, "65000")],
)
def test_number_has_no_trailing_zeros(qtbot: Any, value: float, text: str) -> None:
    field = NumberField("field", -1e6, 1e6)
    qtbot.addWidget(field)
    field.setValue(value)
    assert field.text() == text and field.value() == value


def test_filled_menu_keeps_the_chosen_entry_without_a_signal(qtbot: Any) -> None:
    picked: list[int] = []
    combo = menu("menu", "", {None: "all", (0, 1): "a → b", (1, 0): "b → a"}, picked.append)
    qtbot.addWidget(combo)
    assert not picked and combo.currentData() is None
    choose_entry(combo, (1, 0))
    fill_menu(combo, {None: "all", (1, 0): "b → a"})
    assert not picked and combo.currentText() == "b → a"
    fill_menu(combo, {None: "all", (0, 1): "a → b"}, default=(0, 1))
    assert not picked and combo.currentText() == "a → b"
    assert entry_data(combo) == [None, (0, 1)]
    combo.setCurrentIndex(0)
    assert picked == [0]
    choose_entry(combo, "missing")
    assert combo.currentIndex() == -1


def test_disclosure_button_unfolds_its_body(qtbot: Any) -> None:
    body = muted("body")
    toggle = disclosure_button("Details", "details", body)
    qtbot.addWidget(toggle)
    qtbot.addWidget(body)
    assert body.isHidden()
    toggle.click()
    assert not body.isHidden()


@pytest.mark.parametrize("kind", [Menu, TextField])
def test_tooltip_begins_with_text_that_does_not_fit(qtbot: Any, kind: type) -> None:
    field = kind()
    qtbot.addWidget(field)
    field.setToolTip("What it is for.")
    set_text = field.setText if kind is TextField else lambda t: (field.clear(), field.addItem(t))
    field.resize(90, 24)
    set_text("short")
    field.show()
    QTest.mouseMove(field, field.rect().center())
    qtbot.waitUntil(field.underMouse)
    assert field.toolTip() == "What it is for."
    set_text("a text that is much wider than its field " * 2)
    assert field.toolTip() == f"{field.whole_text()}\nWhat it is for."
    set_text("short")
    assert field.toolTip() == "What it is for."
    set_text("another text that is much wider than its field " * 2)
    QApplication.sendEvent(field, QEvent(QEvent.Type.Leave))
    assert field.toolTip() == "What it is for."
    assert field.whole_tip.startswith("another text")
