"""Layers of a user whose units do not go together with those of the displayed sample.

napari draws such layers with one pixel as one unit, and warns over the canvas each time that a
layer is added, removed or changed. The results of a sample have the unit of the sample: that of
another layer would give pixels a size without a source.
"""

from __future__ import annotations

from typing import Any

from napari.utils.notifications import notification_manager
from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QDialog, QLabel, QWidget

from napari_quac.data.place import unit_of_length
from napari_quac.gui.layer_stack import is_result
from napari_quac.gui.slots import slots
from napari_quac.gui.window import canvas_of
from napari_quac.live.connections import Connections
from napari_quac.live.results import Results

WARNING = "Inconsistent units across layers"
"""Beginning of napari's warning."""


@slots
class MixedUnits(QObject):
    """Names a layer that is not to scale with the sample, in place of napari's warnings.

    napari still warns, once, where layers of the user do not go together with each other.

    Parameters
    ----------
    viewer : napari viewer
    results : Results
    dock : QWidget
        In the window of the viewer.
    """

    found = Signal(str)
    """A sentence about such a layer; empty if there is none."""

    def __init__(self, viewer: Any, results: Results, dock: QWidget) -> None:
        super().__init__(dock)
        self._dock = dock
        self._viewer, self._results = viewer, results
        self._warned: set[tuple[str, ...]] = set()
        self._sentence = ""
        self._connections = Connections(
            (results.events.sample, self._on_changed),
            (viewer.layers.events.inserted, self._on_changed),
            (viewer.layers.events.removed, self._on_changed),
        )
        notification_manager.notification_ready.connect(self._on_notification)

    def close(self) -> None:
        """Let napari warn again."""
        self._connections.close()
        notification_manager.notification_ready.disconnect(self._on_notification)

    def _user_layers(self) -> list[Any]:
        return [layer for layer in self._viewer.layers if not is_result(layer)]

    def _on_notification(self, notification: Any) -> None:
        """Hide napari's warning if it says nothing new about the layers of the user."""
        if not notification.message.startswith(WARNING):
            return
        layers = self._user_layers()
        units = tuple(sorted({str(layer.units[-1]) for layer in layers}))
        if self._viewer.layers.get_extent(layers).units is not None or units in self._warned:
            self._hide_warning()
        self._warned.add(units)
        self._on_changed()

    def _hide_warning(self) -> None:
        """Close the warning that napari, whose own slots always come first, has just opened."""
        canvas = canvas_of(self._dock)
        for dialog in canvas.findChildren(QDialog) if canvas is not None else ():
            label = getattr(dialog, "message", None)
            if isinstance(label, QLabel) and label.text().startswith(WARNING):
                dialog.hide()
                dialog.close()

    def _on_changed(self, event: Any = None) -> None:
        sentence = self._describe()
        if sentence != self._sentence:
            self._sentence = sentence
            self.found.emit(sentence)

    def _describe(self) -> str:
        sample = self._results.sample
        if sample is None:
            return ""
        has_length = unit_of_length(sample.unit) is not None
        for layer in self._user_layers():
            unit = unit_of_length(str(layer.units[-1]))
            if layer.visible and (unit is not None) != has_length:
                if has_length:
                    return f"The layer '{layer.name}' has no pixel size: it is not drawn to scale."
                return (
                    f"These images have no pixel size, and are not drawn to scale with the layer "
                    f"'{layer.name}', which is in {unit}."
                )
        return ""
