"""Menus of layers: their entries keep up with names that are changed."""

from __future__ import annotations

from typing import Any

from qtpy.QtWidgets import QComboBox


def rename_entry(menu: QComboBox, layers: Any, index: int) -> None:
    """Give the entry of a layer that was renamed its new name; what is chosen stays chosen.

    Parameters
    ----------
    menu : QComboBox
        Its data are names of layers, among other things.
    layers : napari LayerList
        All of them.
    index : int
        Of the layer that was renamed.
    """
    names = {layer.name for layer in layers}
    new = layers[index].name
    for entry in range(menu.count()):
        old = menu.itemData(entry)
        if isinstance(old, str) and old and old == menu.itemText(entry) and old not in names:
            menu.setItemText(entry, new)
            menu.setItemData(entry, new)
