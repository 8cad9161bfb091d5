"""A widget's value and a field of the choices, kept equal in both directions."""

from __future__ import annotations

from collections.abc import Callable
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
    """Tie a widget to a field; neither side answers its own change.

    Parameters
    ----------
    choices : Choices
        What the user picked.
    field : str
        Name of one of its fields.
    widget : QWidget
        Its signals are blocked while it is written to.
    changed : bound signal
        Emitted when the user changed the widget.
    read : callable
        Returns the widget's value.
    write : callable
        Shows a value in the widget.
    """

    def to_choices(*_: Any) -> None:
        value = read()
        if getattr(choices, field) != value:
            setattr(choices, field, value)

    def to_widget(value: Any) -> None:
        if read() != value:
            with signals_blocked(widget):
                write(value)

    changed.connect(to_choices)
    getattr(choices.events, field).connect(to_widget)
    to_widget(getattr(choices, field))
