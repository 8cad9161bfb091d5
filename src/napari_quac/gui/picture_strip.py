"""A row of small pictures to choose from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from qtpy.QtCore import QSize, Signal
from qtpy.QtGui import QIcon
from qtpy.QtWidgets import QHBoxLayout, QToolButton, QVBoxLayout, QWidget

from napari_quac.gui.pictures import thumbnail
from napari_quac.gui.text import WrappedLabel

if TYPE_CHECKING:
    from torch import Tensor

N_PICTURES = 6
PICTURE_SIZE = 46


class PictureStrip(QWidget):
    """Up to six pictures below a line of text; hidden while there is none.

    Parameters
    ----------
    name : str
        The buttons are called ``<name>_0``, ``<name>_1``, …
    """

    picked = Signal(int)

    def __init__(self, name: str) -> None:
        super().__init__()
        self._images: tuple[Tensor, ...] = ()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(3)
        self.title = WrappedLabel("", f"{name}_line", role="muted")
        column.addWidget(self.title)
        row = QHBoxLayout()
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(1)
        self.buttons: list[QToolButton] = []
        for number in range(N_PICTURES):
            button = QToolButton()
            button.setObjectName(f"{name}_{number}")
            button.setProperty("role", "proposal")
            button.setIconSize(QSize(PICTURE_SIZE, PICTURE_SIZE))
            button.setFixedSize(PICTURE_SIZE + 6, PICTURE_SIZE + 6)
            button.setCheckable(True)
            button.clicked.connect(lambda _=False, number=number: self._on_clicked(number))
            row.addWidget(button)
            self.buttons.append(button)
        row.addStretch(1)
        column.addLayout(row)
        self._chosen = -1
        self.hide()

    def show_pictures(
        self, title: str, images: Sequence[Tensor], tips: Sequence[str], chosen: int = -1
    ) -> None:
        """Show images (C, *S) in [0, 1] with a tip for each, and mark one of them."""
        same = len(images) == len(self._images) and all(
            one is other for one, other in zip(images, self._images, strict=True)
        )
        self._images, self._chosen = tuple(images), chosen
        self.title.setText(title)
        self.title.setVisible(bool(title))
        for number, button in enumerate(self.buttons):
            there = number < len(images)
            button.setVisible(there)
            button.setChecked(number == chosen)
            if not there:
                button.setIcon(QIcon())
                continue
            if not same:
                button.setIcon(QIcon(thumbnail(images[number], PICTURE_SIZE)))
            button.setToolTip(tips[number])
        self.setVisible(bool(images) or bool(title))

    def _on_clicked(self, number: int) -> None:
        for index, button in enumerate(self.buttons):
            button.setChecked(index == self._chosen)
        self.picked.emit(number)
