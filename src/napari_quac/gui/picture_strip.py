"""A row of small pictures to choose from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from qtpy.QtCore import QSize, Signal
from qtpy.QtGui import QIcon
from qtpy.QtWidgets import QToolButton, QWidget

from napari_quac.gui.pictures import thumbnail
from napari_quac.gui.text import WrappedLabel
from napari_quac.gui.widgets import column, link_button, row

if TYPE_CHECKING:
    from torch import Tensor

N_PICTURES = 6
PICTURE_SIZE = 46


class PictureStrip(QWidget):
    """Up to six pictures below a line of text; hidden if there are none.

    Parameters
    ----------
    name : str
        The line is named ``<name>_line``, the buttons ``<name>_0``, ``<name>_1``, …
    """

    picked = Signal(int)

    def __init__(self, name: str) -> None:
        super().__init__()
        self._images: tuple[Tensor, ...] = ()
        self.title = WrappedLabel("", f"{name}_line", role="muted")
        self.buttons: list[QToolButton] = []
        for number in range(N_PICTURES):
            picture = link_button("", f"{name}_{number}", role="proposal", checkable=True)
            picture.setIconSize(QSize(PICTURE_SIZE, PICTURE_SIZE))
            picture.setFixedSize(PICTURE_SIZE + 6, PICTURE_SIZE + 6)
            picture.clicked.connect(lambda _=False, number=number: self._on_clicked(number))
            self.buttons.append(picture)
        column(self.title, row(*self.buttons, None, spacing=1), spacing=3, parent=self)
        self._chosen = -1
        self.hide()

    def show_pictures(
        self, title: str, images: Sequence[Tensor], tooltips: Sequence[str], chosen: int = -1
    ) -> None:
        """Show images (C, *S) in [0, 1] with a tooltip for each, and mark one of them."""
        is_same = [id(image) for image in images] == [id(image) for image in self._images]
        self._images, self._chosen = tuple(images), chosen
        self.title.setText(title)
        self.title.setVisible(bool(title))
        for number, picture in enumerate(self.buttons):
            picture.setVisible(number < len(images))
            picture.setChecked(number == chosen)
            if number >= len(images):
                picture.setIcon(QIcon())
                continue
            if not is_same:
                picture.setIcon(QIcon(thumbnail(images[number], PICTURE_SIZE)))
            picture.setToolTip(tooltips[number])
        self.setVisible(bool(images) or bool(title))

    def _on_clicked(self, number: int) -> None:
        for index, picture in enumerate(self.buttons):
            picture.setChecked(index == self._chosen)
        self.picked.emit(number)
