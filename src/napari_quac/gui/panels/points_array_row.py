"""Choice among the images of a file, or the channels of an image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QWidget

from napari_quac.data.remote.address import Address
from napari_quac.gui import widgets as ui
from napari_quac.gui.section import caption
from napari_quac.gui.slots import slots


@slots
class ArrayRow(QWidget):
    """A menu of the images in a file, or of their channels; hidden if there is only one."""

    picked = Signal(object, str, int)
    """Path or address of the file, name of the image in it, number of the channel."""

    def __init__(self) -> None:
        super().__init__()
        self.menu = ui.menu("points_array_menu", n_characters=4, picked=self._on_picked)
        ui.narrow(self.menu)
        ui.row(caption("Image"), self.menu, 1, parent=self)
        self._path: Path | Address = Path()
        self._names: tuple[str, ...] = ()
        self.hide()

    def clear(self) -> None:
        """Hide the menu, before another file is opened."""
        self._names = ()
        self.hide()

    def offer_arrays(self, path: Path | Address, names: Sequence[str]) -> None:
        """Offer the images of a file; none is chosen."""
        self._path, self._names = path, tuple(names)
        ui.fill_menu(self.menu, {(name, 0): name for name in names})
        ui.choose_entry(self.menu, None)
        self.menu.setPlaceholderText(f"choose one of {len(names)}")
        self.show()

    def offer_channels(
        self, path: Path | Address, dataset: str, n_channels: int, channel: int
    ) -> None:
        """Offer the channels of an image that was opened, if it has several."""
        if n_channels < 2:
            return
        self._path = path
        prefix = f"{dataset}, " if dataset else ""
        entries = {
            (dataset, number): f"{prefix}channel {number + 1} of {n_channels}"
            for number in range(n_channels)
        }
        entries |= {(name, 0): name for name in self._names if name != dataset}
        ui.fill_menu(self.menu, entries)
        ui.choose_entry(self.menu, (dataset, channel))
        self.show()

    def _on_picked(self, index: int) -> None:
        if index >= 0:
            self.picked.emit(self._path, *self.menu.itemData(index))
