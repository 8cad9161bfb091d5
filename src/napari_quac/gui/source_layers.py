"""Layers from which samples were made; those of earlier samples are hidden or removed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qtpy.QtCore import QObject

from napari_quac.data.place import unit_of_length
from napari_quac.gui.slots import slot, slots
from napari_quac.live.connections import Connections
from napari_quac.live.results import Results

ADDED = "napari_quac_added"
"""Key of the metadata of layers of volumes and points that the dock opened."""
SOURCE = "napari_quac_source"
"""Key of the metadata of layers from which samples were made."""


@slots
class SourceLayers(QObject):
    """Hides the layers of earlier samples when samples change, and shows them again.

    Layers of the user are never removed. A layer that the dock opened and the user did not edit
    is removed if its unit and that of the new samples cannot be displayed together.

    Parameters
    ----------
    viewer : napari viewer
    results : Results
    parent : QObject, optional
    """

    def __init__(self, viewer: Any, results: Results, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer, self._results = viewer, results
        self._dataset: Any = None
        self._of_dataset: tuple[Any, ...] = ()
        self._present: tuple[Any, ...] = tuple(  # of a closed dock
            layer for layer in viewer.layers if SOURCE in layer.metadata
        )
        self._hidden: list[Any] = []
        self._edited: list[Any] = []
        self._watched: list[tuple[Any, Any]] = []
        self._connections = Connections(
            (results.events.loaded_samples, self._on_samples),
            (results.events.sample, self._on_sample),
        )

    def close(self) -> None:
        """Disconnect all signals; the layers stay."""
        self._connections.close()
        for layer, report in self._watched:
            layer.events.data.disconnect(report)
        self._watched.clear()

    @slot
    def use(self, dataset: Any, layers: Sequence[Any]) -> None:
        """Remember the layers from which samples were made, before these are loaded."""
        self._dataset, self._of_dataset = dataset, tuple(layers)
        watched = [layer for layer, _ in self._watched]
        for layer in layers:
            layer.metadata = {**layer.metadata, SOURCE: True}
            if ADDED in layer.metadata and layer not in watched:
                self._watch(layer)

    def _watch(self, layer: Any) -> None:
        def report(event: Any = None) -> None:
            self._edited.append(layer)

        layer.events.data.connect(slot(report))
        self._watched.append((layer, report))

    def _on_samples(self) -> None:
        samples: Any = self._results.loaded_samples
        if samples is None:
            return
        while samples is not None and samples is not self._dataset:
            samples = getattr(samples, "dataset", None)  # preprocessed for the network
        layers = self._of_dataset if samples is not None else ()
        for layer in self._present:
            if layer not in layers and layer.visible:
                layer.visible = False
                self._hidden.append(layer)
        for layer in layers:
            if layer in self._hidden:
                self._hidden.remove(layer)
                layer.visible = True
        self._present = layers

    def _on_sample(self) -> None:
        """Remove hidden layers whose units do not go together with those of the sample."""
        sample = self._results.sample
        if sample is None:
            return
        has_length = unit_of_length(sample.unit) is not None
        for layer in list(self._hidden):
            if layer not in self._viewer.layers:
                self._hidden.remove(layer)
                continue
            is_ours = ADDED in layer.metadata and layer not in self._edited
            if is_ours and (unit_of_length(str(layer.units[-1])) is not None) != has_length:
                self._hidden.remove(layer)
                self._viewer.layers.remove(layer)
