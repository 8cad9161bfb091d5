"""One position in a stack of samples: napari's slider and the selected sample."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QObject

from napari_quac.data.image_datasets import ImageStack
from napari_quac.gui.slots import slots
from napari_quac.gui.world_units import factors
from napari_quac.live.choices import Choices
from napari_quac.live.connections import Connections
from napari_quac.live.results import Results


@slots
class StackSlider(QObject):
    """Selects the sample at napari's slider, and moves the slider to the selected sample.

    Parameters
    ----------
    viewer : napari viewer
    choices : Choices
    results : Results
    parent : QObject, optional
    """

    def __init__(
        self, viewer: Any, choices: Choices, results: Results, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._viewer, self._choices, self._results = viewer, choices, results
        self._is_moving = False
        self._connections = Connections(
            (choices.events.sample_index, self._on_index),
            (viewer.dims.events.point, self._on_point),
        )

    def close(self) -> None:
        """Disconnect all signals."""
        self._connections.close()

    def _stack(self) -> ImageStack | None:
        """Return the stack of the present samples; None for other samples."""
        samples: Any = self._results.loaded_samples
        while samples is not None and not isinstance(samples, ImageStack):
            samples = getattr(samples, "dataset", None)  # preprocessed for the network
        return samples

    def _axis(self, stack: ImageStack) -> int | None:
        """Return the axis of the slider along the stack; None if it has no slider."""
        dims = self._viewer.dims
        axis = dims.ndim - (stack.transform.ndim if stack.transform is not None else 0)
        return axis if axis in dims.not_displayed else None

    def _on_index(self, index: int | None = None) -> None:
        stack, index = self._stack(), self._choices.sample_index
        if stack is None or index is None or index >= len(stack) or self._is_moving:
            return
        axis, world = self._axis(stack), stack.world_of(index)
        if axis is None or world is None or self._index_at_slider(stack, axis) == index:
            return
        by = factors(stack.units, self._viewer.dims.units)
        self._is_moving = True
        try:
            self._viewer.dims.set_point(axis, world[0] * (by[0] if len(by) == len(world) else 1))
        finally:
            self._is_moving = False

    def _on_point(self, event: Any = None) -> None:
        stack = self._stack()
        axis = self._axis(stack) if stack is not None and not self._is_moving else None
        if stack is None or axis is None or self._choices.sample_index is None:
            return
        index = self._index_at_slider(stack, axis)
        if index is not None and index != self._choices.sample_index:
            self._is_moving = True
            try:
                self._choices.sample_index = index
            finally:
                self._is_moving = False

    def _index_at_slider(self, stack: ImageStack, axis: int) -> int | None:
        dims = self._viewer.dims
        by = factors(dims.units, stack.units)
        point = [float(x) for x in dims.point[axis:]]
        if len(by) == len(point):
            point = [x * k for x, k in zip(point, by, strict=True)]
        return stack.index_at(point)
