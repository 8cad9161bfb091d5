"""Combo boxes of a viewer's layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox
from superqt.utils import signals_blocked

from napari_quac.gui.widgets import entry_data, narrow, prepare

RESULT_LAYERS = ("query", "generated", "hybrid", "attribution", "mask")


def is_input(own_layers: Mapping[str, Any]) -> Callable[[Any], bool]:
    """Return a function that is False for the layers of results, also those of a closed dock."""

    def accepts(layer: Any) -> bool:
        is_own = any(layer == own_layer for own_layer in own_layers.values())
        return not is_own and layer.name not in RESULT_LAYERS

    return accepts


class LayerMenu(QComboBox):
    """The viewer's layers of one type; a layer that is renamed stays chosen.

    Parameters
    ----------
    viewer : napari viewer
    name : str
    layer_type : type
        Layers of other types are not listed.
    accepts : callable, optional
        Returns False for layers to leave out.
    first : str, optional
        Text of an entry above the layers, with None as data.
    empty : str, optional
        Text of the only entry, with an empty string as data, while there is no layer.
    prefers_newest : bool
        Choose the last layer when the chosen one is gone, instead of the first entry.
    """

    entries_changed = Signal()
    """Layers were added or removed."""

    def __init__(
        self,
        viewer: Any,
        name: str,
        layer_type: Any,
        accepts: Callable[[Any], bool] = lambda layer: True,
        *,
        first: str = "",
        empty: str = "",
        prefers_newest: bool = False,
    ) -> None:
        super().__init__()
        self._viewer, self._layer_type, self._accepts = viewer, layer_type, accepts
        self._first, self._empty, self._prefers_newest = first, empty, prefers_newest
        self._more: dict[Any, str] = {}
        prepare(self, name)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(4)
        narrow(self)
        for event in (viewer.layers.events.inserted, viewer.layers.events.removed):
            event.connect(self._on_layers)
        viewer.layers.events.renamed.connect(self._on_renamed)
        self._on_layers()

    @property
    def layer(self) -> Any:
        """The chosen layer, or None."""
        name = self.currentData()
        return self._viewer.layers[name] if name and name in self._viewer.layers else None

    def choose(self, data: Any) -> None:
        """Choose an entry by its data: the name of a layer, or of one of the other entries."""
        self.setCurrentIndex(self.findData(data))

    def set_more(self, entries: Mapping[Any, str]) -> None:
        """Set the entries below the layers: data and text of each."""
        self._more = dict(entries)
        self._on_layers()

    def close_menu(self) -> None:
        """Disconnect all signals of the viewer."""
        for event in (self._viewer.layers.events.inserted, self._viewer.layers.events.removed):
            event.disconnect(self._on_layers)
        self._viewer.layers.events.renamed.disconnect(self._on_renamed)

    def _on_layers(self, event: Any = None) -> None:
        removed = getattr(event, "value", None) if getattr(event, "type", "") == "removed" else None
        entries: dict[Any, str] = {None: self._first} if self._first else {}
        for layer in self._viewer.layers:
            if isinstance(layer, self._layer_type) and layer != removed and self._accepts(layer):
                entries[layer.name] = layer.name
        entries.update(self._more)
        if not entries and self._empty:
            entries[""] = self._empty
        if list(entries) == entry_data(self):
            return
        chosen = self.currentData()
        with signals_blocked(self):
            self.clear()
            for data, text in entries.items():
                self.addItem(text, data)
            row = self.findData(chosen) if chosen else -1
            fallback = self.count() - 1 if self._prefers_newest else 0
            self.setCurrentIndex(row if row >= 0 else fallback)
        self.entries_changed.emit()

    def _on_renamed(self, event: Any) -> None:
        names = {layer.name for layer in self._viewer.layers}
        new_name = self._viewer.layers[event.index].name
        for row in range(self.count()):
            data = self.itemData(row)
            if data and data == self.itemText(row) and data not in names:
                self.setItemText(row, new_name)
                self.setItemData(row, new_name)
