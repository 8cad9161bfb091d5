"""A dataclass as a form: fields by kind, refusals in red, defaults."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QLineEdit,
    QPushButton,
)

from napari_quac.explain.mask import Masking
from napari_quac.gui.form import Form


@dataclass(frozen=True)
class Settings:
    """All kinds.

    Attributes
    ----------
    count : int
        How many; even.
    """

    count: Annotated[int, {"min": 0, "max": 5000}] = 2
    share: Annotated[float, {"min": 0.0, "max": 1.0}] = 0.5
    style: Literal["a", "b"] = "a"
    flag: bool = True
    path: Path | None = None
    limit: int | None = None
    pair: tuple[int, int] = (1, 2)

    def __post_init__(self) -> None:
        if self.count % 2:
            raise ValueError(f"An even number is needed, got {self.count}.")


@pytest.fixture
def form(qtbot: Any) -> Form[Settings]:
    made = Form(Settings, "settings")
    qtbot.addWidget(made)
    made.show()
    return made


def type_into(widget: QAbstractSpinBox, text: str) -> None:
    widget.setFocus()
    widget.selectAll()
    QTest.keyClicks(widget, text)
    QTest.keyClick(widget, Qt.Key.Key_Return)


def test_each_kind_has_its_control(form: Form[Settings]) -> None:
    kinds = {name: type(field.native) for name, field in form.fields.items()}
    assert "pair" not in kinds
    assert issubclass(kinds["count"], QAbstractSpinBox)
    assert issubclass(kinds["limit"], QAbstractSpinBox)
    assert issubclass(kinds["share"], QDoubleSpinBox)
    assert issubclass(kinds["style"], QComboBox) and issubclass(kinds["flag"], QCheckBox)
    assert form.fields["count"].native.objectName() == "settings_count"
    assert form.fields["count"].native.toolTip() == "How many; even."
    assert form.value == Settings() and form.changes() == {}
    path = form.fields["path"].native
    assert {w.objectName() for w in path.findChildren(QLineEdit)} == {"settings_path_path"}
    assert {w.objectName() for w in path.findChildren(QPushButton)} == {"settings_path_choose"}


def test_a_change_by_the_user_makes_a_new_value(form: Form[Settings]) -> None:
    told: list[Settings] = []
    form.changed.connect(told.append)
    type_into(form.fields["count"].native, "2000")
    form.fields["style"].native.setCurrentIndex(1)
    form.fields["flag"].native.click()
    assert told == [Settings(2000), Settings(2000, style="b"), Settings(2000, 0.5, "b", False)]
    assert form.changes() == {"count": 2000, "style": "b", "flag": False}


def test_optional_values_are_switched_on_and_off(form: Form[Settings]) -> None:
    limit = form.fields["limit"]
    assert not limit.native.isEnabled() and limit.value is None
    limit.switch.click()
    type_into(limit.native, "7")
    assert form.value.limit == 7
    limit.switch.click()
    assert form.value.limit is None


def test_what_the_class_refuses_is_said_and_not_taken(form: Form[Settings]) -> None:
    told: list[Settings] = []
    form.changed.connect(told.append)
    type_into(form.fields["count"].native, "3")
    assert form.problem.isVisible() and "even number" in form.problem.text()
    assert form.value == Settings() and not told
    type_into(form.fields["count"].native, "4")
    assert not form.problem.isVisible() and told == [Settings(4)]


def test_defaults_come_back_and_values_from_outside_are_not_announced(form: Form[Settings]) -> None:
    told: list[Settings] = []
    assert not form.defaults_button.isVisible()
    path = Path("a").absolute()
    form.set_value(Settings(8, 0.25, path=path))
    form.changed.connect(told.append)
    assert form.fields["count"].value == 8 and form.fields["path"].value == path
    form.defaults_button.click()
    assert told == [Settings()]
    assert form.fields["count"].value == 2 and form.fields["path"].value is None


def test_masking_is_stepped_in_odd_sizes(qtbot: Any) -> None:
    form = Form(Masking, "masking")
    qtbot.addWidget(form)
    form.fields["blur"].native.stepUp()
    form.fields["closing"].native.stepUp()
    assert form.value == Masking(closing=11, blur=13)


@dataclass(frozen=True)
class Priced:
    price: float = 50.176
    style: Literal["a", "b"] = "a"


def test_what_a_spin_box_rounds_stays_as_it_was_until_it_is_touched(qtbot: Any) -> None:
    form = Form(Priced, "priced")
    qtbot.addWidget(form)
    style, price = form.fields["style"].native, form.fields["price"].native
    style.setCurrentText("b")
    assert form.value == Priced(50.176, "b")
    assert form.changes() == {"style": "b"}
    type_into(price, "60")
    assert form.value == Priced(60.0, "b")
    form.set_value(Priced(0.1234, "a"))
    style.setCurrentText("b")
    assert form.value == Priced(0.1234, "b")
