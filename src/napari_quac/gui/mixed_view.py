"""Curtain, difference and morph in the canvas: one layer above the images of the sample."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
from qtpy.QtCore import QElapsedTimer, QObject, QTimer, Signal

from napari_quac.gui.layers import LayerSync
from napari_quac.gui.mixed_images import (
    MixedMode,
    Pixels,
    curtain,
    difference,
    difference_colormap,
    morph,
    symmetric_limit,
)
from napari_quac.gui.slots import slot, slots
from napari_quac.gui.world_units import from_viewer, to_viewer
from napari_quac.live.connections import Connections
from napari_quac.live.results import Results

Other = Literal["hybrid", "generated"]
ROLE, EDGE_ROLE = "comparison", "curtain edge"
MODES: tuple[MixedMode, ...] = ("curtain", "difference", "morph")
GRASP_PIXELS = 8
"""Distance on the screen within which the edge of the curtain is grasped."""
FRAME_MS = 40
EDGE_COLOR = "#ffd60a"
NO_IMAGE = "Explain the sample to compare its images."
HIGHEST_RATE = 2.0
"""Changes there and back in a second; faster flicker harms some people."""


@slots
class MixedView(QObject):
    """Shows query and hybrid, or query and generated image, in one layer.

    The other layers stay as they are, and the layer is removed when the mode ends. It works
    wherever the sample lies, also within a volume.

    Parameters
    ----------
    viewer : napari viewer
    layers : LayerSync
        Gives the images, and the look of the query.
    results : Results
    parent : QObject, optional

    Attributes
    ----------
    mode : "curtain", "difference", "morph" or None
    other : "hybrid" or "generated"
        The image that is compared with the query.
    edge : float in [0, 1]
        Position of the edge of the curtain, from left to right.
    share : float in [0, 1]
        Share of the other image in the morph.
    rate : float
        Morphs there and back in a second, at most 2.
    """

    mode_changed = Signal()
    state_changed = Signal()
    """Another text, edge, share or image."""

    def __init__(
        self, viewer: Any, layers: LayerSync, results: Results, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._viewer, self._sync, self._results = viewer, layers, results
        self.mode: MixedMode | None = None
        self.other: Other = "hybrid"
        self.edge, self.share, self.rate, self.text = 0.5, 1.0, 0.5, ""
        self._images: tuple[Pixels, Pixels, bool] | None = None
        self._limit = 1.0
        self._later = QTimer(self, interval=0, singleShot=True)
        self._later.timeout.connect(self._refresh)
        self._frames = QTimer(self, interval=FRAME_MS)
        self._frames.timeout.connect(self._show_frame)
        self._clock, self._phase = QElapsedTimer(), 0.0
        layers.stack.user_removed.connect(self._on_user_removed)
        viewer.mouse_drag_callbacks.append(self._on_press)
        viewer.dims.events.order.connect(self._refresh_later)
        viewer.dims.events.ndisplay.connect(self._refresh_later)
        events = results.events
        self._connections = Connections(
            (events.sample, self._on_sample),
            (events.pair, self._refresh_later),
            (events.partial_pair, self._refresh_later),
            (events.displayed_hybrid, self._refresh_later),
        )

    @property
    def layer(self) -> Any:
        """The layer of the comparison; None without one."""
        return self._sync.stack.layers.get(ROLE)

    @property
    def is_playing(self) -> bool:
        """True while the morph moves by itself."""
        return bool(self._frames.isActive())

    @slot
    def set_mode(self, mode: MixedMode | None) -> None:
        """Begin, change or end the comparison; the display of before returns at its end."""
        if mode == self.mode:
            return
        self.pause()
        self.mode = mode
        self._sync.stack.remove(ROLE, EDGE_ROLE)
        self._refresh()
        self.mode_changed.emit()

    @slot
    def set_other(self, name: Other) -> None:
        """Compare the query with the hybrid or with the generated image."""
        if name != self.other:
            self.other = name
            self._refresh()

    @slot
    def set_edge(self, edge: float) -> None:
        """Move the edge of the curtain."""
        self.edge = min(max(float(edge), 0.0), 1.0)
        self._draw()

    @slot
    def set_share(self, share: float) -> None:
        """Set the share of the other image in the morph, which then stands still."""
        self.pause()
        self.share = min(max(float(share), 0.0), 1.0)
        self._draw()

    @slot
    def set_rate(self, rate: float) -> None:
        """Set how often the morph goes there and back in a second, at most 2."""
        self._begin_phase()
        self.rate = min(max(float(rate), 0.1), HIGHEST_RATE)

    @slot
    def play(self) -> None:
        """Let the morph go there and back until it is paused or the sample changes."""
        if self.mode == "morph" and self._images is not None:
            self._begin_phase()
            self._frames.start()
            self.state_changed.emit()

    @slot
    def pause(self) -> None:
        """Let the morph stand still."""
        if self._frames.isActive():
            self._frames.stop()
            self.state_changed.emit()

    def set_hidden(self, hidden: bool) -> None:
        """Hide the comparison for a moment, to show what is below."""
        for role in (ROLE, EDGE_ROLE):
            layer = self._sync.stack.layers.get(role)
            if layer is not None and bool(layer.visible) == hidden:
                layer.visible = not hidden

    def close(self, window_closes: bool = False) -> None:
        """Disconnect all signals, and remove the layer unless the window closes."""
        self._frames.stop()
        self._later.stop()
        self._connections.close()
        self._sync.stack.user_removed.disconnect(self._on_user_removed)
        self._viewer.dims.events.order.disconnect(self._refresh_later)
        self._viewer.dims.events.ndisplay.disconnect(self._refresh_later)
        if self._on_press in self._viewer.mouse_drag_callbacks:
            self._viewer.mouse_drag_callbacks.remove(self._on_press)
        self.mode = None
        if not window_closes:
            self._sync.stack.remove(ROLE, EDGE_ROLE)

    def _on_sample(self) -> None:
        self.pause()
        self._refresh_later()

    @slot
    def _refresh_later(self, event: Any = None) -> None:
        if self.mode is not None:
            self._later.start()

    def _on_user_removed(self, role: str) -> None:
        if self.mode is not None and role in (ROLE, EDGE_ROLE):
            self.set_mode(None)

    @slot
    def _refresh(self) -> None:
        """Take the present images and draw them; without them, wait for an explanation."""
        self._images = None
        if self.mode is None:
            return
        query, other = self._sync.image("query"), self._sync.image(self.other)
        if query is None or other is None or query.shape != other.shape:
            self.pause()
            self._sync.stack.remove(ROLE, EDGE_ROLE)
            self.text = NO_IMAGE
            self.state_changed.emit()
            return
        rgb = self._sync.stack.displayed_sample().image.shape[0] == 3
        self._images = (query, other, rgb)
        if self.mode == "difference":
            # the same limits for all masks, whose hybrids lie between both images
            generated = self._sync.image("generated")
            widest = other if generated is None else generated
            self._limit = symmetric_limit(difference(widest, query, rgb))
        self._draw()

    def _draw(self) -> None:
        if self._images is None or self.mode is None:
            return
        query, other, rgb = self._images
        stack = self._sync.stack
        if self.mode == "difference":
            stack.show(ROLE, difference(other, query, rgb), **self._difference_look())
            self._set_limits()
        elif self.mode == "morph":
            stack.show(ROLE, morph(query, other, self.share), **self._look(rgb))
        else:
            axis, _ = self._axes()
            n = query.shape[axis - rgb]
            pixels = curtain(query, other, round(self.edge * n), axis - rgb)
            stack.show(ROLE, pixels, **self._look(rgb))
            self._draw_edge()
        self._set_text()

    def _look(self, rgb: bool) -> dict[str, Any]:
        """Return the initial look of curtain and morph: that of the query."""
        if rgb:
            return {"rgb": True}
        look: dict[str, Any] = {"rgb": False, "contrast_limits": (0.0, 1.0), "colormap": "gray"}
        query = self._sync.layers.get("query")
        if query is not None and not query.rgb:
            look |= {name: getattr(query, name) for name in ("contrast_limits", "colormap",
                     "gamma", "interpolation2d")}  # fmt: skip
        return look

    def _difference_look(self) -> dict[str, Any]:
        limits = (-self._limit, self._limit)
        return {"rgb": False, "contrast_limits": limits, "colormap": difference_colormap()}

    def _set_limits(self) -> None:
        """Give the difference the limits of the present sample."""
        layer, limits = self.layer, (-self._limit, self._limit)
        if layer is not None and tuple(layer.contrast_limits) != limits:
            layer.contrast_limits_range = limits
            layer.contrast_limits = limits

    def _set_text(self) -> None:
        if self.mode == "curtain":
            text = name = f"left: query · right: {self.other}"
        elif self.mode == "morph":
            name = f"query ↔ {self.other}"
            text = f"{1 - self.share:.0%} query · {self.share:.0%} {self.other}"
        else:
            name = f"{self.other} − query · limits ±{self._limit:g}"
            text = f"{name} · orange is brighter, blue is darker"
        layer = self.layer
        if layer is not None:
            if layer.name != name:
                layer.name = name
            if not layer.name_overlay.visible:
                layer.name_overlay.box = layer.name_overlay.visible = True
        self.text = text
        self.state_changed.emit()

    # the edge of the curtain

    def _axes(self) -> tuple[int, int]:
        """Return the axes of the sample across and along the edge, counted from the last one."""
        dims, n_axes = self._viewer.dims, self._sync.stack.displayed_sample().image.ndim - 1
        along, across = (int(axis) - dims.ndim for axis in tuple(dims.displayed)[-2:])
        if min(along, across) < -n_axes:
            return -1, -2
        return across, along

    def _draw_edge(self) -> None:
        """Draw a line at the edge, in every slice of a volume."""
        shape = self._sync.stack.displayed_sample().image.shape[1:]
        across, along = self._axes()
        n_axes = len(shape)
        rest = [axis for axis in range(-n_axes, 0) if axis not in (across, along)]
        n_slices = int(np.prod([shape[axis] for axis in rest], dtype=int))
        lines = np.zeros((n_slices, 2, n_axes))
        places = np.indices([shape[axis] for axis in rest]).reshape(len(rest), n_slices)
        for axis, position in zip(rest, places, strict=True):
            lines[:, 0, axis] = position
        lines[:, 0, across] = round(self.edge * shape[across]) - 0.5
        lines[:, 0, along] = -0.5
        lines[:, 1, along] = shape[along]
        width = max(shape[across], shape[along]) / 120
        self._sync.stack.show(
            EDGE_ROLE, lines, "vectors", edge_color=EDGE_COLOR, edge_width=width,
            vector_style="line", opacity=0.9,
        )  # fmt: skip

    def _edge_at(self, position: Any) -> tuple[float, float]:
        """Return the edge through a position of the mouse, and its distance in screen pixels."""
        stack = self._sync.stack
        reference, sample = stack.reference(), stack.displayed_sample()
        across, _ = self._axes()
        n = sample.image.shape[1:][across]
        place = np.asarray(reference.world_to_data(from_viewer(self._viewer, reference, position)))
        edge = (float(place[across]) + 0.5) / n
        on_edge = np.array(place, dtype=float)
        on_edge[across] = self.edge * n - 0.5
        way = np.asarray(reference.data_to_world(on_edge)) - reference.data_to_world(place)
        lengths = to_viewer(self._viewer, reference, way)
        return edge, float(np.linalg.norm(lengths) * self._viewer.scene.camera.zoom)

    @slot
    def _on_press(self, viewer: Any, event: Any) -> Iterator[None]:
        """Drag the edge of the curtain; a press elsewhere moves the camera as usual."""
        if self.mode != "curtain" or self._images is None or viewer.dims.ndisplay != 2:
            return
        if getattr(event, "button", 1) != 1 or self._edge_at(event.position)[1] > GRASP_PIXELS:
            return
        camera = viewer.scene.camera
        camera.mouse_pan = False
        try:
            yield
            while event.type == "mouse_move":
                self.set_edge(self._edge_at(event.position)[0])
                yield
        finally:
            camera.mouse_pan = True

    # the morph

    def _begin_phase(self) -> None:
        """Continue the movement from the present share."""
        self._phase = math.acos(min(max(1 - 2 * self.share, -1.0), 1.0))
        self._clock.restart()

    @slot
    def _show_frame(self) -> None:
        angle = self._phase + 2 * math.pi * self.rate * self._clock.elapsed() / 1000
        self.share = (1 - math.cos(angle)) / 2
        self._draw()
