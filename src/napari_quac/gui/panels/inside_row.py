"""Which image of a file with several, and which of its channels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QWidget
from superqt.utils import signals_blocked

from napari_quac.gui.section import caption


class InsideRow(QWidget):
    """A menu that is there only while there is something to choose."""

    picked = Signal(object, str, int)
    """Path of the file, name of the image in it, number of the channel."""

    def __init__(self) -> None:
        super().__init__()
        self.menu = QComboBox()
        self.menu.setObjectName("points_inside_menu")
        self.menu.setToolTip("Which image of the file, or which channel of it")
        self.menu.setProperty("narrow", "true")
        self.menu.setSizeAdjustPolicy(
            QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        self.menu.setMinimumContentsLength(4)
        self.menu.currentIndexChanged.connect(self._on_picked)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(6)
        row.addWidget(caption("Image"))
        row.addWidget(self.menu, 1)
        self._path = Path()
        self._names: tuple[str, ...] = ()
        self.hide()

    def forget(self) -> None:
        """Offer nothing; another file is opened."""
        self._names = ()
        self.hide()

    def offer_arrays(self, path: Path, names: Sequence[str]) -> None:
        """Offer the images of a file; none is chosen."""
        self._path, self._names = path, tuple(names)
        with signals_blocked(self.menu):
            self.menu.clear()
            for name in names:
                self.menu.addItem(name, (name, 0))
            self.menu.setCurrentIndex(-1)
            self.menu.setPlaceholderText(f"choose one of {len(names)}")
        self.show()

    def offer_channels(self, path: Path, dataset: str, n_channels: int, channel: int) -> None:
        """Offer the channels of an image that was opened, if it has several."""
        if n_channels < 2:
            return
        self._path = path
        with signals_blocked(self.menu):
            self.menu.clear()
            for number in range(n_channels):
                name = f"{dataset}, " if dataset else ""
                text = f"{name}channel {number + 1} of {n_channels}"
                self.menu.addItem(text, (dataset, number))
            for name in self._names:
                if name != dataset:
                    self.menu.addItem(name, (name, 0))
            self.menu.setCurrentIndex(channel)
        self.show()

    def _on_picked(self, index: int) -> None:
        if index >= 0:
            dataset, channel = self.menu.itemData(index)
            self.picked.emit(self._path, dataset, channel)
