"""Line with accuracy and class balance of the predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_quac.gui.slots import slots
from napari_quac.gui.text import ElidedLabel, plain
from napari_quac.live.results import Results

if TYPE_CHECKING:
    from napari_quac.explain.prediction_table import PredictionTable


@slots
class AccuracyLine(ElidedLabel):
    """Accuracy and class balance; the tooltip has one line for each class.

    Parameters
    ----------
    results : Results
    name : str
        Name of the label.
    """

    def __init__(self, results: Results, name: str) -> None:
        super().__init__("", name, "muted")
        self._results = results
        self._table: PredictionTable | None = None
        results.events.order.connect(self._show)
        self._show()

    def _show(self) -> None:
        order = self._results.order
        table = order.columns.predictions if order is not None else None
        if table is not None and table is self._table:
            return
        self._table = table
        text = details = ""
        if table is not None:
            from napari_quac.live.accuracy import measure_accuracy

            accuracy = measure_accuracy(table)
            text, details = accuracy.text, accuracy.details
        self.setText(text)
        self.setToolTip(plain(f"{text}\n{details}" if text else ""))
        self.setVisible(bool(text))
