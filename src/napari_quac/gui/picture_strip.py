"""A row of up to six pictures that can be clicked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from qtpy.QtCore import QSize, Signal
from qtpy.QtGui import QIcon, QPixmap, QResizeEvent
from qtpy.QtWidgets import QToolButton, QWidget

from napari_quac.gui import widgets as ui
from napari_quac.gui.pictures import thumbnail
from napari_quac.gui.slots import slot, slots
from napari_quac.gui.text import WrappedLabel, plain

if TYPE_CHECKING:
    from torch import Tensor

N_PICTURES = 6
SMALLEST, LARGEST = 24, 64
"""Sides of a picture in pixels; between them, six pictures fill the width."""
FRAME = 6
"""Pixels of a button around its picture."""


@slots
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
        self._side = 0
        self.title = WrappedLabel("", f"{name}_line", role="muted")
        self.buttons: list[QToolButton] = []
        for number in range(N_PICTURES):
            picture = ui.link_button("", f"{name}_{number}", role="proposal", checkable=True)
            picture.clicked.connect(slot(lambda _=False, number=number: self._on_clicked(number)))
            self.buttons.append(picture)
        ui.column(self.title, ui.row(*self.buttons, None, spacing=1), spacing=3, parent=self)
        self._chosen = -1
        self._set_side(SMALLEST)
        self.hide()

    def show_pictures(
        self,
        title: str,
        images: Sequence[Tensor],
        tooltips: Sequence[str],
        chosen: int = -1,
        draw: Callable[[int, int], QPixmap] | None = None,
    ) -> None:
        """Show images (C, *S) in [0, 1] with a tooltip for each, and mark one of them.

        Parameters
        ----------
        title : str
            Line above the pictures; empty for none.
        images : sequence of Tensor
            At most six.
        tooltips : sequence of str
            One for each image.
        chosen : int
            Number of the marked image; -1 for none.
        draw : callable, optional
            Returns the picture of an image by its number and its side in pixels; by default a
            thumbnail.
        """
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
                side = 2 * LARGEST  # scaled by the button, also on dense screens
                pixmap = draw(number, side) if draw else thumbnail(images[number], side)
                picture.setIcon(QIcon(pixmap))
            picture.setToolTip(plain(tooltips[number]))
        self.setVisible(bool(images) or bool(title))

    def minimumSizeHint(self) -> QSize:
        """Return a size with the smallest pictures."""
        return QSize(N_PICTURES * (SMALLEST + FRAME + 1), super().minimumSizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Let six pictures fill the width."""
        super().resizeEvent(event)
        side = (self.width() + 1) // N_PICTURES - FRAME - 1
        self._set_side(min(max(side, SMALLEST), LARGEST))

    def _set_side(self, side: int) -> None:
        if side != self._side:
            self._side = side
            for picture in self.buttons:
                picture.setIconSize(QSize(side, side))
                picture.setFixedSize(side + FRAME, side + FRAME)

    def _on_clicked(self, number: int) -> None:
        for index, picture in enumerate(self.buttons):
            picture.setChecked(index == self._chosen)
        self.picked.emit(number)
