"""Layers of the measuring window: one image without any metadata, and what is drawn on it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psygnal import Signal

from napari_quac.errors import DataError
from napari_quac.gui.slots import slots
from napari_quac.study.measure import Kind, Mark
from napari_quac.study.measuring_session import Marking

IMAGE = "image"
TOOLS: dict[str, tuple[str, str]] = {
    "points": ("points", "add"),
    "path": ("lines", "add_line"),
    "polygon": ("areas", "add_polygon"),
    "labels": ("labels", "paint"),
}
"""Layer and its mode for each kind of mark."""
MOVE = "pan_zoom"
COLOR = "#ffd60a"
POINT_SHARE, EDGE_SHARE, BRUSH_SHARE = 1 / 40, 1 / 160, 1 / 24
"""Sizes relative to the image."""


@slots
class MarkLayers:
    """The image and the marks of the present trial; layers are made once and refilled.

    Parameters
    ----------
    viewer : napari viewer
    """

    changed = Signal()
    """Something was drawn or removed."""

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer
        self._layers: dict[str, Any] = {}
        self._order: list[str] = []
        self._counts: dict[str, int] = {}
        self._tool = ""
        self._refilling = False

    def start(
        self,
        image: NDArray[np.float32],
        limits: tuple[float, float],
        scale: Sequence[float] | None,
        unit: str,
    ) -> None:
        """Show another image (C, *S) without marks."""
        pixels = displayed(image)
        is_rgb = len(image) == 3
        self._refilling = True
        try:
            if not self._layers:
                self._build(pixels, is_rgb, limits, scale, unit)
            self._layers[IMAGE].data = pixels
            self._layers[IMAGE].visible = True
        finally:
            self._refilling = False
        self.fill(Marking())
        if pixels.ndim - is_rgb == 3:
            self._viewer.dims.set_point(0, (len(pixels) // 2) * (scale[0] if scale else 1.0))

    def fill(self, marking: Marking) -> None:
        """Replace the marks."""
        self._refilling = True
        try:
            self._finish_shape()
            points = [mark.vertices for mark in marking.marks if mark.kind == "points"]
            n_axes = self._layers["labels"].data.ndim
            self._layers["points"].data = np.concatenate([np.empty((0, n_axes)), *points])
            for kind, name, shape in (("path", "lines", "line"), ("polygon", "areas", "polygon")):
                layer = self._layers[name]
                layer.selected_data = set()
                layer.data = []
                shapes = [mark.vertices for mark in marking.marks if mark.kind == kind]
                if shapes:
                    layer.add(shapes, shape_type=shape if kind == "polygon" else "path")
            labels = self._layers["labels"]
            empty = np.zeros(labels.data.shape, dtype=np.int32)
            has_labels = marking.labels is not None and marking.labels.shape == empty.shape
            labels.data = np.array(marking.labels if has_labels else empty, dtype=np.int32)
            labels.selected_label = int(labels.data.max()) + 1
        finally:
            self._refilling = False
        self._order = [mark.kind for mark in marking.marks for _ in range(_n_entries(mark))]
        self._counts = self._count()
        self.set_tool(self._tool)
        self.changed.emit()

    def marking(self) -> Marking:
        """Return what is drawn; shapes without extent are left out."""
        marks: list[Mark] = []
        points = np.asarray(self._layers["points"].data, dtype=np.float64)
        if len(points):
            marks.append(Mark("points", points))
        kinds: tuple[tuple[Kind, str], ...] = (("path", "lines"), ("polygon", "areas"))
        for kind, name in kinds:
            for vertices in self._layers[name].data:
                with suppress(DataError):  # of a shape that is being drawn
                    mark = Mark(kind, np.asarray(vertices, dtype=np.float64))
                    if np.ptp(mark.vertices, axis=0).any():
                        marks.append(mark)
        return Marking(tuple(marks), np.asarray(self._layers["labels"].data))

    def finish(self) -> Marking:
        """End a shape that is being drawn, and return all marks."""
        self._finish_shape()
        self.set_tool(self._tool)
        return self.marking()

    def set_tool(self, kind: str) -> None:
        """Draw marks of a kind; any other text is for moving the image."""
        self._tool = kind
        if not self._layers:
            return
        name, mode = TOOLS.get(kind, (IMAGE, MOVE))
        self._viewer.layers.selection.active = self._layers[name]
        self._layers[name].mode = mode

    def set_brush(self, size: int) -> None:
        """Set the width of the brush in pixels."""
        if self._layers:
            self._layers["labels"].brush_size = size

    @property
    def brush(self) -> int:
        """Width of the brush in pixels."""
        return int(self._layers["labels"].brush_size) if self._layers else 1

    def start_label(self) -> None:
        """Paint the next structure with a label of its own."""
        labels = self._layers["labels"]
        labels.selected_label = int(labels.data.max()) + 1

    def remove_last(self) -> bool:
        """Remove the last mark; False if there is none."""
        self._finish_shape()
        self._on_changed()
        if not self._order:
            return False
        kind = self._order.pop()
        layer = self._layers[TOOLS[kind][0]]
        self._refilling = True
        try:
            if kind == "labels":
                layer.undo()
            elif kind == "points":
                layer.data = layer.data[:-1]
            else:
                layer.selected_data = {len(layer.data) - 1}
                layer.remove_selected()
        finally:
            self._refilling = False
        self._counts = self._count()
        self.set_tool(self._tool)
        self.changed.emit()
        return True

    def hide(self) -> None:
        """Hide image and marks during a pause."""
        for layer in self._layers.values():
            layer.visible = False

    def show(self) -> None:
        """Show image and marks again."""
        for layer in self._layers.values():
            layer.visible = True

    def _build(
        self,
        pixels: NDArray[np.float32],
        is_rgb: bool,
        limits: tuple[float, float],
        scale: Sequence[float] | None,
        unit: str,
    ) -> None:
        """Add the layers; their names, limits and scale are the same for all images."""
        shape = pixels.shape[:-1] if is_rgb else pixels.shape
        place: dict[str, Any] = {}
        if scale is not None:
            place = {"scale": tuple(scale), "units": (unit,) * len(shape)}
        extent = max(shape[-2:])
        look: dict[str, Any] = {} if is_rgb else {"contrast_limits": limits, "colormap": "gray"}
        add = self._viewer
        layers = self._layers
        layers[IMAGE] = add.add_image(pixels, name=IMAGE, rgb=is_rgb, **look, **place)
        labels = np.zeros(shape, dtype=np.int32)
        layers["labels"] = add.add_labels(labels, name="labels", opacity=0.5, **place)
        layers["labels"].brush_size = max(1, round(extent * BRUSH_SHARE))
        edge = {"edge_width": extent * EDGE_SHARE, "edge_color": COLOR}
        for name in ("areas", "lines"):
            layers[name] = add.add_shapes(
                ndim=len(shape), name=name, face_color="transparent", **edge, **place
            )
        layers["points"] = add.add_points(
            ndim=len(shape), name="points", size=extent * POINT_SHARE, face_color=COLOR,
            border_color="black", **place,
        )  # fmt: skip
        for name in ("points", "areas", "lines"):
            layers[name].events.data.connect(self._on_changed)
        layers["labels"].events.paint.connect(self._on_painted)
        add.reset_view()

    def _finish_shape(self) -> None:
        """End drawing, as napari does when the mode changes."""
        for name in ("lines", "areas"):
            if name in self._layers:
                self._layers[name].mode = MOVE

    def _count(self) -> dict[str, int]:
        return {
            kind: len(self._layers[name].data)
            for kind, (name, _) in TOOLS.items()
            if kind != "labels"
        }

    def _on_changed(self) -> None:
        if self._refilling:
            return
        for kind, n in self._count().items():
            before = self._counts.get(kind, 0)
            self._order += [kind] * (n - before)
            for _ in range(before - n):  # such as a shape of a single click
                self._order.reverse()
                with suppress(ValueError):
                    self._order.remove(kind)
                self._order.reverse()
            self._counts[kind] = n
        self.changed.emit()

    def _on_painted(self) -> None:
        if not self._refilling:
            self._order.append("labels")
            self.changed.emit()


def displayed(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return an image (C, *S) as napari displays it: gray, or (*S, 3) for three channels."""
    if len(image) == 3:
        return np.moveaxis(image, 0, -1)
    gray: NDArray[np.float32] = image[0] if len(image) == 1 else image.mean(axis=0)
    return gray


def _n_entries(mark: Mark) -> int:
    return len(mark.vertices) if mark.kind == "points" else 1
