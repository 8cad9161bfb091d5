"""The frame around what the classifier sees, and the way back to the whole patch."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QObject, QTimer

from napari_quac.gui.camera import move_view
from napari_quac.gui.layer_stack import LayerStack
from napari_quac.gui.slots import slot, slots
from napari_quac.gui.world_units import to_viewer
from napari_quac.live.connections import Connections
from napari_quac.live.results import Results

if TYPE_CHECKING:
    from napari_quac.data.dataset import Sample

ROLE = "frame"
COLOR = "#1e90ff"
"""Visible on gray images, unlike white or yellow."""
LINE_PIXELS = 2.0
"""Width of the line on the screen."""
SETTLE_MS = 40


@slots
class PatchView(QObject):
    """Frames the pixels that the classifier sees, and brings the view back to the patch.

    A frame is drawn around patches of a volume, and wherever the preprocessing of the classifier
    crops or pads an image.

    Parameters
    ----------
    viewer : napari viewer
    stack : LayerStack
        Owner of the frame, which lies on the sample.
    results : Results
    parent : QObject, optional
    """

    def __init__(
        self, viewer: Any, stack: LayerStack, results: Results, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._viewer, self._stack, self._results = viewer, stack, results
        self._is_removed = self._side_by_side = self._is_paused = False
        self._drawn: tuple[Any, ...] | None = None
        self._later = QTimer(self, interval=0, singleShot=True)
        self._later.timeout.connect(self._show)
        self._width_later = QTimer(self, interval=SETTLE_MS, singleShot=True)
        self._width_later.timeout.connect(self._fit_line)
        stack.user_removed.connect(self._on_user_removed)
        events = results.events
        self._connections = Connections(
            (events.sample, self._on_sample),
            (events.loaded_classifier, self._on_sample),
            (events.loaded_samples, self.restore),
            (viewer.scene.camera.events.zoom, self._on_zoom),
        )

    @property
    def layer(self) -> Any:
        """The layer with the frame, or None."""
        return self._stack.layers.get(ROLE)

    @property
    def has_pending_update(self) -> bool:
        """True if the frame is drawn in a later turn of the event loop."""
        return bool(self._later.isActive() or self._width_later.isActive())

    def go_back(self) -> None:
        """Show the whole patch: its center slice, centered, and with a margin."""
        if self._stack.sample is None:
            return
        reference = self._stack.reference()
        ends = [(-0.5, n - 0.5) for n in reference.data.shape]
        corners = np.array([reference.data_to_world(corner) for corner in product(*ends)])
        center = reference.data_to_world([n // 2 for n in reference.data.shape])
        middle = corners.mean(axis=0)
        hidden = [axis - self._viewer.dims.ndim for axis in self._viewer.dims.not_displayed]
        for axis in hidden:
            if -axis <= len(middle):
                middle[axis] = center[axis]
        extent = to_viewer(self._viewer, reference, np.ptp(corners, axis=0).tolist())
        place = to_viewer(self._viewer, reference, middle.tolist())
        move_view(self._viewer, place, extent.tolist(), keeps_zoom=False)

    @slot
    def set_side_by_side(self, enabled: bool) -> None:
        """Remove the frame while each layer has its own panel."""
        self._side_by_side = enabled
        self._later.start()

    @slot
    def pause(self, is_paused: bool) -> None:
        """Add no layer while the window is about to close."""
        self._is_paused = is_paused

    @slot
    def restore(self) -> None:
        """Show the frame again if the user has removed it."""
        self._is_removed = False
        self._later.start()

    def close(self) -> None:
        """Disconnect all signals; the frame stays as it is."""
        self._later.stop()
        self._width_later.stop()
        self._stack.user_removed.disconnect(self._on_user_removed)
        self._connections.close()

    def _on_sample(self) -> None:
        self._later.start()

    def _on_zoom(self, event: Any = None) -> None:
        if self.layer is not None:
            self._width_later.start()

    def _on_user_removed(self, role: str) -> None:
        if role == ROLE:
            self._is_removed = True

    def _show(self) -> None:
        sample = self._stack.sample
        if sample is None or self._is_paused:
            return
        box = self._box(sample)
        is_whole = all(part == (0, n) for part, n in zip(box, sample.image.shape[1:], strict=True))
        is_framed = sample.place is not None or not is_whole
        if self._side_by_side or self._is_removed or not is_framed:
            self._stack.remove(ROLE)
            return
        key = (sample, box)
        if self.layer is not None and self._drawn == key:
            return
        drawn, self._drawn = self._drawn, key
        if self.layer is not None and drawn is not None and drawn[1] == box:
            self._stack.place(ROLE)
        else:
            self._stack.show(
                ROLE, frame_of(box), "shapes", shape_type="polygon", edge_color=COLOR,
                face_color="transparent", edge_width=self._line_width(), opacity=1.0,
            )  # fmt: skip
            self.layer.editable = False
        self._fit_line()

    def _box(self, sample: Sample) -> tuple[tuple[float, float], ...]:
        """Return the first and the last edge of what the classifier sees, in pixels."""
        size = tuple(sample.image.shape[1:])
        classifier = self._results.loaded_classifier
        if classifier is None:
            return tuple((0, n) for n in size)
        return classifier.preprocessing.field_of_view(size)

    def _line_width(self) -> float:
        """Return the width of the line in pixels of the sample."""
        reference = self._stack.reference()
        scale = float(np.abs(to_viewer(self._viewer, reference, reference.scale)[-2:]).mean())
        return LINE_PIXELS / max(1e-9, float(self._viewer.scene.camera.zoom) * scale)

    @slot
    def _fit_line(self) -> None:
        layer = self.layer
        if layer is None or self._stack.sample is None:
            return
        width = self._line_width()
        if not np.allclose(layer.edge_width, width, rtol=0.05):
            layer.edge_width = width
            layer.refresh()  # napari draws the former width until then


def frame_of(box: tuple[tuple[float, float], ...]) -> NDArray[np.float64]:
    """Return a rectangle (4, D) for each slice of a box, in coordinates of pixel centers."""
    (top, bottom), (left, right) = ((a - 0.5, b - 0.5) for a, b in box[-2:])
    corners = np.array([(top, left), (top, right), (bottom, right), (bottom, left)])
    if len(box) == 2:
        return corners[None]
    start, stop = box[0]
    slices = range(int(np.ceil(start)), max(int(np.floor(stop)), int(np.ceil(start)) + 1))
    return np.stack([np.insert(corners, 0, number, axis=1) for number in slices])
