"""Binding of widgets to choices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial, reduce
from typing import Any

from qtpy.QtWidgets import QCheckBox, QComboBox
from superqt.utils import signals_blocked

from napari_quac.gui.slots import slot
from napari_quac.gui.widgets import choose_entry
from napari_quac.live.choices import Choices


def bind(choices: Choices, field: str, widget: Any) -> None:
    """Synchronize a widget with a choice; neither side reacts to its own change.

    Parameters
    ----------
    choices : Choices
        Choices of the user.
    field : str
        Name of a field, or a path such as ``"settings.search.max_tries"``.
    widget : QComboBox, QCheckBox or QSpinBox
        Its signals are blocked while it is written to.
    """
    if isinstance(widget, QComboBox):
        changed, read = widget.currentIndexChanged, widget.currentData
        write: Callable[[Any], None] = partial(choose_entry, widget)
    elif isinstance(widget, QCheckBox):
        changed, read, write = widget.toggled, widget.isChecked, widget.setChecked
    else:
        changed, read, write = widget.valueChanged, widget.value, widget.setValue

    def to_choices(*_: Any) -> None:
        if get_choice(choices, field) != read():
            set_choice(choices, field, read())

    def to_widget(*_: Any) -> None:
        choice = get_choice(choices, field)
        if read() != choice:
            with signals_blocked(widget):
                write(choice)

    changed.connect(slot(to_choices))
    getattr(choices.events, field.partition(".")[0]).connect(slot(to_widget))
    to_widget()


def get_choice(choices: Choices, path: str) -> Any:
    """Return a choice, or a part of it, by its path."""
    return reduce(getattr, path.split("."), choices)


def set_choice(choices: Choices, path: str, value: Any) -> None:
    """Set a choice, or replace a part of it, by its path."""
    name, _, rest = path.partition(".")
    setattr(choices, name, _replaced(getattr(choices, name), rest, value))


def _replaced(whole: Any, path: str, value: Any) -> Any:
    if not path:
        return value
    name, _, rest = path.partition(".")
    return replace(whole, **{name: _replaced(getattr(whole, name), rest, value)})
