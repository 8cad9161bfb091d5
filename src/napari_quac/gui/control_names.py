"""Object names, tooltips and accessible names of controls, as listed in ``tooltips.toml``."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from typing import Any

from qtpy.QtWidgets import QAbstractButton, QWidget

from napari_quac.gui.text import plain

TOOLTIPS: dict[str, Any] = tomllib.loads((files(__package__) / "tooltips.toml").read_text("utf-8"))
"""Tooltips by object name, for controls without a tooltip in the code."""
NAMES: dict[str, str] = TOOLTIPS.pop("names")
"""Names for screen readers by object name, for controls without a text or a caption."""


def prepare(widget: QWidget, name: str, tooltip: str = "") -> None:
    """Set the object name, and tooltip and accessible name as listed for it.

    Names that end with a number, such as ``proposal_2``, are listed once, as ``proposal_*``.
    """
    widget.setObjectName(name)
    base, _, number = name.rpartition("_")
    pattern = f"{base}_*" if number.isdecimal() else name
    widget.setToolTip(plain(tooltip or TOOLTIPS.get(name) or TOOLTIPS.get(pattern, "")))
    if name in NAMES:
        widget.setAccessibleName(NAMES[name])
    elif pattern in NAMES:
        widget.setAccessibleName(f"{NAMES[pattern]} {int(number) + 1}")


def name_after(text: str, *widgets: QWidget) -> None:
    """Give fields the caption beside them as accessible name, unless they have another one."""
    unnamed = [
        widget
        for widget in widgets
        if not widget.accessibleName()
        and not (isinstance(widget, QAbstractButton) and widget.text())
    ]
    for number, widget in enumerate(unnamed, start=1):
        widget.setAccessibleName(text if len(unnamed) == 1 else f"{text} {number}")
