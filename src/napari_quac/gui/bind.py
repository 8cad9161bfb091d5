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
        if get_choice(choices, field) != read():
            set_choice(choices, field, read())

    def to_widget(*_: Any) -> None:
        choice = get_choice(choices, field)
        if read() != choice:
            with signals_blocked(widget):
                write(choice)

    changed.connect(to_choices)
    getattr(choices.events, field.partition(".")[0]).connect(to_widget)
    to_widget()


def get_choice(choices: Choices, path: str) -> Any:
    """Return a choice, or a part of it, by its path."""
    return reduce(getattr, path.split("."), choices)


def set_choice(choices: Choices, path: str, choice: Any) -> None:
    """Set a choice, or replace a part of it, by its path."""
    *parents, name = path.split(".")
    while parents:
        choice = replace(get_choice(choices, ".".join(parents)), **{name: choice})
        name = parents.pop()
    setattr(choices, name, choice)
