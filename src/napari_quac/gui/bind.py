"""Synchronization of a widget with a choice, in both directions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import reduce
from typing import Any

from qtpy.QtWidgets import QWidget
from superqt.utils import signals_blocked

from napari_quac.live.choices import Choices


def bind(
    choices: Choices,
    field: str,
    widget: QWidget,
    changed: Any,
    read: Callable[[], Any],
    write: Callable[[Any], None],
) -> None:
    """Synchronize a widget with a choice; neither side reacts to its own change.

    Parameters
    ----------
    choices : Choices
        Choices of the user.
    field : str
        Name of a field, or a path such as ``"settings.search.max_tries"``.
    widget : QWidget
        Its signals are blocked while it is written to.
    changed : bound signal
        Emitted when the user has changed the widget.
    read : callable
        Returns the widget's value.
    write : callable
        Shows a value in the widget.
    """

    def to_choices(*_: Any) -> None:
        value = read()
        if get_choice(choices, field) != value:
            set_choice(choices, field, value)

    def to_widget(*_: Any) -> None:
        value = get_choice(choices, field)
        if read() != value:
            with signals_blocked(widget):
                write(value)

    changed.connect(to_choices)
    getattr(choices.events, field.partition(".")[0]).connect(to_widget)
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
