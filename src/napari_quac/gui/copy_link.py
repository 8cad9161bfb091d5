"""*Copy as Neuroglancer link*: the selected sample, for colleagues without napari."""

from __future__ import annotations

from qtpy.QtWidgets import QApplication, QWidget

from napari_quac.data.volume_points import VolumePoints
from napari_quac.gui.slots import slot, slots
from napari_quac.gui.text import plain
from napari_quac.gui.widgets import button, connect, row
from napari_quac.live.choices import Choices
from napari_quac.live.point_link import link_to_sample, why_no_link
from napari_quac.live.results import Results

COPY, COPIED = "Copy as Neuroglancer link", "Copied"
TIP = "Copy a link to this place of the volume, with the predictions of the nearest 500 samples."


@slots
class CopyLink(QWidget):
    """A button, hidden unless the samples are points; disabled where there is no link."""

    def __init__(self, choices: Choices, results: Results) -> None:
        super().__init__()
        self._choices, self._results = choices, results
        self.button = button(COPY, "copy_link_button", clicked=self.copy)
        row(self.button, None, parent=self)
        choices.events.sample_index.connect(self._show)
        connect(self._show, results.events.loaded_samples)
        self._show()

    @slot
    def copy(self) -> None:
        """Copy the link to the clipboard."""
        dataset, index, results = (
            self._results.loaded_samples, self._choices.sample_index, self._results
        )  # fmt: skip
        clipboard = QApplication.clipboard()
        if clipboard is None or index is None or not isinstance(dataset, VolumePoints):
            return
        clipboard.setText(link_to_sample(dataset, index, results.predictions, results.prediction))
        self.button.setText(COPIED)

    def _show(self) -> None:
        dataset, index = self._results.loaded_samples, self._choices.sample_index
        self.setVisible(isinstance(dataset, VolumePoints))
        problem = why_no_link(dataset)
        has_sample = dataset is not None and index is not None and index < len(dataset)
        self.button.setEnabled(not problem and has_sample)
        self.button.setText(COPY)
        self.button.setToolTip(plain(problem or TIP))
