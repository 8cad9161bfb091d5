"""Comparison of images in the canvas: blink between query and hybrid, and side by side."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QObject, Signal

from napari_quac.gui.layers import LayerSync


class Comparison(QObject):
    """Changes the visibility of layers for a comparison, and restores it afterwards.

    Parameters
    ----------
    viewer : napari viewer
    layers : LayerSync
    parent : QObject, optional
    """

    side_by_side_changed = Signal(bool)

    def __init__(self, viewer: Any, layers: LayerSync, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._sync = layers
        self._before_blink: dict[str, bool] | None = None
        self._before_grid: dict[str, tuple[bool, bool]] | None = None
        self._grid_was = False

    @property
    def is_blinking(self) -> bool:
        """True if the other image is displayed now."""
        return self._before_blink is not None

    @property
    def is_side_by_side(self) -> bool:
        """True if each image has its own panel."""
        return self._before_grid is not None

    def hold(self) -> None:
        """Show only the query, or only the hybrid if it was hidden."""
        layers = self._sync.layers
        if self._before_blink is not None or not {"query", "hybrid"} <= set(layers):
            return
        self._before_blink = {name: bool(layer.visible) for name, layer in layers.items()}
        other_image = "query" if layers["hybrid"].visible else "hybrid"
        for name, layer in layers.items():
            _show(layer, name == other_image)

    def release(self) -> None:
        """Restore the visibility of the layers."""
        before, self._before_blink = self._before_blink, None
        for name, visible in (before or {}).items():
            if name in self._sync.layers:
                _show(self._sync.layers[name], visible)

    def blink(self, held: bool) -> None:
        """Show the other image while a key or button is held."""
        (self.hold if held else self.release)()

    def set_side_by_side(self, enabled: bool) -> None:
        """Show each layer in its own panel with its name, or restore the single view."""
        if enabled == self.is_side_by_side:
            return
        self.release()
        grid = self._viewer.canvas.grid
        if enabled:
            self._grid_was = bool(grid.enabled)
            self._before_grid = {
                name: (bool(layer.visible), bool(layer.name_overlay.visible))
                for name, layer in self._sync.layers.items()
            }
            for layer in self._sync.layers.values():
                _show(layer, True)
                layer.name_overlay.visible = True
            self._sync.set_panels(True)
            grid.enabled = True
        else:
            before, self._before_grid = self._before_grid or {}, None
            grid.enabled = self._grid_was
            self._sync.set_panels(False)
            for name, (visible, named) in before.items():
                layer = self._sync.layers.get(name)
                if layer is not None:
                    _show(layer, visible)
                    layer.name_overlay.visible = named
        self._viewer.reset_view()
        self.side_by_side_changed.emit(enabled)

    def close(self) -> None:
        """Restore the viewer."""
        self.release()
        self.set_side_by_side(False)


def _show(layer: Any, visible: bool) -> None:
    """Set the visibility if it differs: napari redraws a layer even without a change."""
    if bool(layer.visible) != visible:
        layer.visible = visible
