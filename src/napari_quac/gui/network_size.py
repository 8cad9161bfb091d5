"""Asks for the size of a classifier's input, and how it pools, where the file does not tell."""

from __future__ import annotations

import re
from collections.abc import Sequence

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QLineEdit, QPushButton, QVBoxLayout, QWidget

from napari_quac.gui.section import labelled_row
from napari_quac.gui.text import set_tone

Size = tuple[int, ...]


class NetworkSize(QWidget):
    """Two lines of numbers and a button."""

    given = Signal(object, object)
    """Size, and pooling factors or None."""

    def __init__(self) -> None:
        super().__init__()
        self.size_field = QLineEdit()
        self.size_field.setObjectName("classifier_size")
        self.size_field.setPlaceholderText("128, or 16 × 160 × 160")
        self.size_field.setToolTip(
            "Height and width of the classifier's images, or depth, height and width of its volumes"
        )
        self.pools_field = QLineEdit()
        self.pools_field.setObjectName("classifier_pools")
        self.pools_field.setPlaceholderText("what fits, or 1×2×2, 2×2×2, …")
        self.pools_field.setToolTip(
            "Pooling factors of each level of a VGG; left empty, the likeliest that fit are taken"
        )
        self.use_button = QPushButton("Use")
        self.use_button.setObjectName("use_size_button")
        self.use_button.setToolTip("Read the classifier again with this size")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(6)
        layout.addLayout(labelled_row("Image size", self.size_field, self.use_button))
        layout.addLayout(labelled_row("Pooling", self.pools_field))
        self.use_button.clicked.connect(self._on_used)
        self.size_field.returnPressed.connect(self._on_used)
        self.pools_field.returnPressed.connect(self._on_used)
        for field in (self.size_field, self.pools_field):
            field.textEdited.connect(lambda _: self._mark(True))

    def show_size(self, size: Size | None, pools: Sequence[Sequence[int]] | None) -> None:
        """Show what is in use."""
        self.size_field.setText(" × ".join(map(str, size or ())))
        self.pools_field.setText(", ".join("×".join(map(str, level)) for level in pools or ()))
        self._mark(True)

    def _on_used(self) -> None:
        size = _numbers(self.size_field.text())
        levels = [level for level in self.pools_field.text().split(",") if level.strip()]
        pools = tuple(_numbers(level) for level in levels)
        readable = len(size) in (1, 2, 3) and all(pools)
        self._mark(readable)
        if readable:
            self.given.emit(size * 2 if len(size) == 1 else size, pools or None)

    def _mark(self, readable: bool) -> None:
        tone = "" if readable else "bad"
        set_tone(self.size_field, tone)
        set_tone(self.pools_field, tone)


def _numbers(text: str) -> Size:
    """Return whole numbers above 0 between any signs; empty if something else is between them."""
    if re.search(r"[^\d\s,×x*]", text):
        return ()
    return tuple(int(number) for number in re.findall(r"\d+", text) if int(number) > 0)
