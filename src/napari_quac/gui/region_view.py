"""The selected region in the canvas: its outline, camera moves to it, and selection by a click."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.colormaps import DirectLabelColormap
from numpy.typing import NDArray
from qtpy.QtCore import QObject

from napari_quac.gui.camera import cell_size, move_view
from napari_quac.gui.layer_stack import LayerStack
from napari_quac.gui.panels.regions_panel import RegionsPanel
from napari_quac.gui.slots import slot, slots
from napari_quac.gui.world_units import from_viewer, to_viewer

if TYPE_CHECKING:
    from napari_quac.explain.regions import Regions

ROLE = "region"
OUTLINE = {None: "transparent", 0: "transparent", 1: "#00e5ff"}
LINE_WIDTH = 1  # pixels of the image
SHARE = 1 / 3  # of the canvas that a region fills after a camera move
CLICK_PIXELS = 4  # movement between press and release that still is a click
CLOSEST = 4.0  # largest zoom, relative to that of the whole image
FEWEST_PIXELS = 32  # of the image that remain visible along each axis


@slots
class RegionView(QObject):
    """Outlines the region selected in the table, and selects the region clicked in the canvas.

    Parameters
    ----------
    viewer : napari viewer
    stack : LayerStack
        Owner of the outline, which lies on the sample.
    panel : RegionsPanel
        Parent of this object.
    """

    def __init__(self, viewer: Any, stack: LayerStack, panel: RegionsPanel) -> None:
        super().__init__(panel)
        self._viewer, self._stack, self._panel = viewer, stack, panel
        self._regions: Regions | None = None
        self._number: int | None = None
        self._from_canvas = False
        self._side_by_side = False
        panel.region_picked.connect(self._on_picked)
        panel.regions_changed.connect(self._on_regions)
        viewer.mouse_drag_callbacks.append(self.on_press)

    @property
    def layer(self) -> Any:
        """The layer with the outline; None before a region is picked."""
        return self._stack.layers.get(ROLE)

    @slot
    def set_side_by_side(self, enabled: bool) -> None:
        """Remove the outline while each layer has its own panel."""
        self._side_by_side = enabled
        if enabled:
            self._stack.remove(ROLE)
        elif self._regions is not None and self._number is not None:
            self._outline(self._regions, self._number)

    def close(self, window_closes: bool = False) -> None:
        """Disconnect all signals of the viewer."""
        if self.on_press in self._viewer.mouse_drag_callbacks:
            self._viewer.mouse_drag_callbacks.remove(self.on_press)
        if not window_closes:
            self._stack.remove(ROLE)

    def _on_regions(self, regions: Regions | None) -> None:
        """Hide an outdated outline."""
        if regions is self._regions and regions is not None:
            return
        self._regions, self._number = regions, None
        layer = self.layer
        if layer is not None and layer.visible:
            layer.visible = False

    def _on_picked(self, regions: Regions, number: int) -> None:
        self._regions, self._number = regions, number
        if not self._side_by_side:
            self._outline(regions, number)
        if not self._from_canvas:
            self._move_to(regions, number)

    def _outline(self, regions: Regions, number: int) -> None:
        if self._stack.sample is None:
            return
        data = (regions.labels == number).astype(np.uint8)
        colormap = DirectLabelColormap(color_dict=OUTLINE)
        layer = self._stack.show(ROLE, data, "labels", colormap=colormap, opacity=1.0)
        layer.contour = LINE_WIDTH
        layer.editable = False
        if not layer.visible:
            layer.visible = True

    def _move_to(self, regions: Regions, number: int) -> None:
        region = next((r for r in regions.regions if r.number == number), None)
        if self._stack.sample is None or region is None:
            return
        query = self._stack.reference()
        lead = (0,) * (query.ndim - len(region.centroid))
        place = to_viewer(self._viewer, query, query.data_to_world((*lead, *region.centroid)))
        move_view(self._viewer, place)
        self._viewer.scene.camera.zoom = self._zoom(region.box, regions.labels.shape, query)

    def _zoom(self, box: Any, shape: tuple[int, ...], query: Any) -> float:
        """Return the zoom at which a region fills a share of the canvas, within limits."""
        canvas = cell_size(self._viewer)
        scale = np.abs(to_viewer(self._viewer, query, query.scale)[-2:])  # mirrored: negative
        sides = np.array([stop - start for start, stop in box[-2:]]) * scale
        whole = np.array(shape[-2:]) * scale
        fit = float((canvas / (1.1 * whole)).min())
        zoom = float((SHARE * canvas / sides).min())
        closest = float((canvas / (FEWEST_PIXELS * scale)).min())
        return max(fit, min(zoom, CLOSEST * fit, closest))

    @slot
    def on_press(self, viewer: Any, event: Any) -> Iterator[None]:
        """Select the clicked region; a drag selects none."""
        if self._panel.displayed_regions is None or getattr(event, "button", 1) != 1:
            return
        start = np.array(event.pos)
        yield
        while event.type == "mouse_move":
            yield
        if np.abs(np.array(event.pos) - start).max() > CLICK_PIXELS:
            return
        number = self.number_at(event.position)
        if number > 0:
            self._from_canvas = True
            try:
                self._panel.pick(number)
            finally:
                self._from_canvas = False

    def number_at(self, position: Any) -> int:
        """Return the number of the region at a position in the world; 0 if there is none."""
        regions = self._panel.displayed_regions
        if self._stack.sample is None or regions is None:
            return 0
        query = self._stack.reference()
        labels: NDArray[np.int32] = regions.labels
        world = from_viewer(self._viewer, query, position)
        place = np.rint(np.asarray(query.world_to_data(world))).astype(int)[-labels.ndim :]
        if (place < 0).any() or (place >= labels.shape).any():
            return 0
        return int(labels[tuple(place)])
