"""Images and points of a Neuroglancer link; nothing of it is read before *Open*."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QWidget

from napari_quac.data.remote.link import Link
from napari_quac.gui import widgets as ui
from napari_quac.gui.section import caption
from napari_quac.gui.slots import slot, slots
from napari_quac.gui.text import WrappedLabel, grouped


@slots
class LinkRow(QWidget):
    """A menu of the images in a link, and a button that opens one; hidden without a link."""

    opened = Signal(object, object)
    """Address of the image, and the link."""

    def __init__(self) -> None:
        super().__init__()
        self.menu = ui.menu("points_link_menu", n_characters=4, picked=self._on_image)
        ui.narrow(self.menu)
        self.open_button = ui.button("Open", "points_link_open", clicked=self._on_open)
        self.line = WrappedLabel("", "points_link_line", "muted")
        choice = QWidget()
        ui.row(caption("Image"), self.menu, 1, self.open_button, parent=choice)
        ui.column(choice, self.line, parent=self)
        self._link: Link | None = None
        self.hide()

    def clear(self) -> None:
        """Hide the row, before something else is opened."""
        self._link = None
        self.hide()

    def show_link(self, link: Link) -> None:
        """Show the images and points of a link."""
        self._link = link
        images = {image.address: image.name for image in link.images if image.address}
        ui.fill_menu(self.menu, images)
        self._on_image()
        self.show()

    @slot
    def _on_image(self, _index: int = 0) -> None:
        address, link = self.menu.currentData(), self._link
        if address is None or link is None:
            return
        parts = [f"{address.host or 'this machine'} will be contacted."]
        for layer in link.annotations:
            parts.append(f"{grouped(len(layer))} points in '{layer.name}'.")
        parts += [image.problem for image in link.images if image.problem]
        if link.others:
            parts.append(f"Not an image: {', '.join(link.others)}.")
        self.line.show_message(" ".join(parts))

    @slot
    def _on_open(self) -> None:
        if self._link is not None and self.menu.currentData() is not None:
            self.opened.emit(self.menu.currentData(), self._link)
