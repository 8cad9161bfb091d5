"""Fields for the input size and the pooling of a classifier."""

from __future__ import annotations

import re
from collections.abc import Sequence

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QWidget

from napari_quac.gui.section import labelled_row
from napari_quac.gui.text import set_tone
from napari_quac.gui.widgets import button, column, line_edit

Size = tuple[int, ...]


class NetworkSize(QWidget):
    """Two lines of numbers and a button, for files that do not specify them."""

    picked = Signal(object, object)
    """Size, and pooling factors or None."""

    def __init__(self) -> None:
        super().__init__()
        self.size_field = line_edit("classifier_size", placeholder="128, or 16 × 160 × 160")
        self.pools_field = line_edit(
            "classifier_pools", placeholder="automatic, or 1×2×2, 2×2×2, …"
        )
        self.use_button = button("Use", "use_size_button", clicked=self._on_used)
        column(
            labelled_row("Input size", self.size_field, self.use_button),
            labelled_row("Pooling", self.pools_field),
            parent=self,
        )
        self.size_field.returnPressed.connect(self._on_used)
        self.pools_field.returnPressed.connect(self._on_used)
        for field in (self.size_field, self.pools_field):
            field.textEdited.connect(lambda _: self._mark(True))

    def show_size(self, size: Size | None, pools: Sequence[Sequence[int]] | None) -> None:
        """Show the current size and pooling."""
        self.size_field.setText(" × ".join(map(str, size or ())))
        self.pools_field.setText(", ".join("×".join(map(str, level)) for level in pools or ()))
        self._mark(True)

    def _on_used(self) -> None:
        size = _numbers(self.size_field.text())
        levels = [level for level in self.pools_field.text().split(",") if level.strip()]
        pools = tuple(_numbers(level) for level in levels)
        is_valid = len(size) in (1, 2, 3) and all(pools)
        self._mark(is_valid)
        if is_valid:
            self.picked.emit(size * 2 if len(size) == 1 else size, pools or None)

    def _mark(self, is_valid: bool) -> None:
        tone = "" if is_valid else "bad"
        set_tone(self.size_field, tone)
        set_tone(self.pools_field, tone)


def _numbers(text: str) -> Size:
    """Return positive whole numbers separated by spaces, commas or ×; empty for other text."""
    if re.search(r"[^\d\s,×x*]", text):
        return ()
    return tuple(int(number) for number in re.findall(r"\d+", text) if int(number) > 0)
