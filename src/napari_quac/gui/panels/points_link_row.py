"""The card of a link or an address: its images and points, of which nothing is read before a click.

*Try 5 points* reads a few patches, *Open* the overview.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QWidget

from napari_quac.data.remote.address import Address
from napari_quac.data.remote.link import ImageLayer, Link
from napari_quac.data.remote.public_data import PublicData, data_set_of
from napari_quac.gui import widgets as ui
from napari_quac.gui.message import Message
from napari_quac.gui.picture_strip import PictureStrip
from napari_quac.gui.section import caption
from napari_quac.gui.slots import slot, slots
from napari_quac.gui.text import WrappedLabel, grouped

if TYPE_CHECKING:
    from torch import Tensor

TRY, CANCEL = "Try 5 points", "Cancel"


@slots
class LinkRow(QWidget):
    """A menu of the images in a link, and buttons that try or open one; hidden without a link."""

    opened = Signal(object, object)
    """Address of the image, and the link."""
    tried = Signal(object, object)
    """Address of the image, and the link."""
    canceled = Signal()
    """The patches that are being read are no longer needed."""
    data_set_changed = Signal(object)
    """The PublicData of the chosen image, or None."""

    def __init__(self) -> None:
        super().__init__()
        self.menu = ui.menu("points_link_menu", n_characters=4, picked=self._on_image)
        ui.narrow(self.menu)
        self.open_button = ui.button("Open", "points_link_open", clicked=self._on_open)
        self.try_button = ui.button(TRY, "points_link_try", clicked=self._on_try)
        self.line = WrappedLabel("", "points_link_line", "muted")
        self.facts = WrappedLabel("", "points_link_facts", "muted")
        self.badge = WrappedLabel("", "points_link_badge", "note")
        self.strip = PictureStrip("points_link_patch")
        self.result = Message("points_link_result")
        choice = QWidget()
        ui.row(caption("Image"), self.menu, 1, parent=choice)
        ui.column(
            choice, self.facts, self.badge, self.line,
            ui.row(self.try_button, self.open_button, None), self.strip, self.result, parent=self,
        )  # fmt: skip
        self._link: Link | None = None
        self._data_sets: Sequence[PublicData] = ()
        self._is_running = False
        self.hide()

    @property
    def address(self) -> Address | None:
        """The chosen image."""
        address = self.menu.currentData()
        return address if isinstance(address, Address) else None

    def clear(self) -> None:
        """Hide the row, before something else is opened."""
        self._forget_trial()
        self._link = None
        self.data_set_changed.emit(None)
        self.hide()

    def show_link(
        self, link: Link, data_sets: Sequence[PublicData] = (), trained_nm: float = 0.0
    ) -> None:
        """Show the images and points of a link.

        Parameters
        ----------
        link : Link
            With at least one image that can be opened.
        data_sets : sequence of PublicData
            Those that may contain the images.
        trained_nm : float
            Pixel size in nm at which the classifier was trained; 0 if it is unknown.
        """
        self._link, self._data_sets = link, data_sets
        images = [image for image in link.images if image.address]
        ui.fill_menu(self.menu, {image.address: image.name for image in images})
        if trained_nm and images:
            nearest = min(images, key=lambda image: self._distance(image, trained_nm))
            ui.choose_entry(self.menu, nearest.address)
        self._on_image()
        self.show()

    def show_facts(self, facts: str, badge: str = "") -> None:
        """Show the size of the image, what the list of data sets states, and its coding."""
        data_set = data_set_of(self.address, self._data_sets) if self.address else None
        stated = f"{data_set.name}: {data_set.sentences()}" if data_set is not None else ""
        parts = " ".join(filter(None, (facts, stated)))
        for label, text in ((self.facts, parts), (self.badge, badge)):
            label.show_message(text)
            label.setVisible(bool(text))

    def show_patches(
        self, images: Sequence[Tensor], names: Sequence[str], text: str, tone: str = ""
    ) -> None:
        """Show patches, and a sentence about all of them."""
        self._set_running(False)
        self.strip.show_pictures("", images, names)
        self.result.show_message(text, tone)

    def show_problem(self, text: str) -> None:
        """Show why there are no patches."""
        self.show_patches((), (), text, "bad")

    def _distance(self, image: ImageLayer, trained_nm: float) -> float:
        sizes = self._voxel_nm(image)
        if sizes is None:
            return math.inf
        return abs(math.log(math.sqrt(sizes[-1] * sizes[-2]) / trained_nm))

    def _voxel_nm(self, image: ImageLayer) -> Sequence[float] | None:
        """Return the voxel size as the list of data sets or the link states it."""
        data_set = data_set_of(image.address, self._data_sets) if image.address else None
        return data_set.voxel_nm if data_set is not None else image.voxel_nm

    @slot
    def _on_image(self, _index: int = 0) -> None:
        address, link = self.address, self._link
        if address is None or link is None:
            return
        self._forget_trial()
        data_set = data_set_of(address, self._data_sets)
        image = next(image for image in link.images if image.address == address)
        sizes = self._voxel_nm(image)
        facts = ""
        if data_set is None and sizes is not None:
            facts = f"{sizes_text(sizes)} nm (x × y × z), as the link states."
        is_jpeg = "jpeg" in address.path.lower() or "jpg" in address.path.lower()
        self.show_facts(facts, "JPEG, by its address." if is_jpeg else "")
        parts = [f"{address.host or 'This machine'} will be contacted."]
        for layer in link.annotations:
            parts.append(f"{grouped(len(layer))} points in '{layer.name}'.")
        parts += [image.problem for image in link.images if image.problem]
        if link.others:
            parts.append(f"Not read: {', '.join(link.others)}.")
        self.line.show_message(" ".join(parts))
        self.data_set_changed.emit(data_set)

    @slot
    def _on_open(self) -> None:
        if self._link is not None and self.address is not None:
            self.opened.emit(self.address, self._link)

    @slot
    def _on_try(self) -> None:
        if self._is_running:
            self._forget_trial()
        elif self._link is not None and self.address is not None:
            self._forget_trial()
            self._set_running(True)
            self.tried.emit(self.address, self._link)

    def _forget_trial(self) -> None:
        if self._is_running:
            self.canceled.emit()
        self.show_patches((), (), "")

    def _set_running(self, is_running: bool) -> None:
        self._is_running = is_running
        self.try_button.setText(CANCEL if is_running else TRY)


def sizes_text(sizes: Sequence[float]) -> str:
    """Return sizes along z, y, x as x × y × z."""
    return " × ".join(f"{size:g}" for size in reversed(sizes))
