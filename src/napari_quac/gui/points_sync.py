"""Points and samples share one selection; predictions become features and colours of the points."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QObject, QTimer, Signal

from napari_quac.data.volume_points import VolumePoints
from napari_quac.gui.fly import fly_to
from napari_quac.gui.layers import LayerSync
from napari_quac.gui.points_look import colours_of, features_of, merged_features, ring_colour
from napari_quac.gui.world_units import factors, from_viewer
from napari_quac.live.choices import Choices
from napari_quac.live.results import Results

COLOURS_MS = 400
"""Predictions come in batches; the points are coloured so often while they come."""
MANY_POINTS = 20_000
MANY_POINTS_MS = 3000
CLICK_PIXELS = 4


class PointsSync(QObject):
    """Ties a Points layer to the samples that were made from it.

    The user's layers are never removed, moved in the world or changed in scale. A layer that was
    removed is no longer drawn on; the results stay.

    Parameters
    ----------
    viewer : napari viewer
    choices : Choices
    results : Results
    layers : LayerSync
        Shows the results; kept below the points.
    parent : QObject, optional
    """

    picked = Signal(int)
    """A point was clicked, or selected in its layer; the sample's index."""
    note = Signal(str)
    """Something that the user has to know."""

    def __init__(
        self, viewer: Any, choices: Choices, results: Results, layers: LayerSync,
        parent: QObject | None = None,
    ) -> None:  # fmt: skip
        super().__init__(parent)
        self._viewer, self._choices, self._results = viewer, choices, results
        self._layers = layers
        self.layer: Any = None
        self.dataset: VolumePoints | None = None
        self._image: Any = None
        self._quiet = False
        self._open_row: int | None = None
        self._before: tuple[Any, Any] = (0.0, np.zeros(4))
        self.is_region: Callable[[Any], bool] = lambda position: False
        """Tells whether a region of the mask lies at a position; a click is for that one then."""
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.timeout.connect(self._show_predictions)
        choices.events.sample_index.connect(self._on_index)
        results.events.loaded_samples.connect(self._on_dataset)
        results.events.predictions.connect(self._on_predictions)
        results.events.explanation_status.connect(self._on_predictions)
        viewer.layers.events.removed.connect(self._on_removed)
        viewer.mouse_drag_callbacks.append(self._on_mouse)

    def follow(self, layer: Any, image: Any, dataset: VolumePoints) -> None:
        """Tie a Points layer to its samples.

        Parameters
        ----------
        layer : napari Points layer
            Point number i is row i of the dataset's points.
        image : napari Image layer
            Where the patches come from.
        dataset : VolumePoints
            The samples.
        """
        self.let_go()
        self.layer, self._image, self.dataset = layer, image, dataset
        self._layers.stay_below = layer
        layer.selected_data.events.items_changed.connect(self._on_selected)
        layer.events.data.connect(self._on_moved)
        self._on_predictions()

    def let_go(self, closes_ring: bool = True) -> None:
        """Tie nothing any more; rows that changed meanwhile keep the look that they have."""
        self._later.stop()
        if self.layer is not None:
            self.layer.selected_data.events.items_changed.disconnect(self._on_selected)
            self.layer.events.data.disconnect(self._on_moved)
            if closes_ring:
                self._close_ring()
        self._open_row = None
        self._layers.stay_below = None
        self.layer = self._image = self.dataset = None

    def close(self) -> None:
        """Listen to nothing any more; the layers stay as they are."""
        self.let_go(closes_ring=False)
        self._choices.events.sample_index.disconnect(self._on_index)
        self._results.events.loaded_samples.disconnect(self._on_dataset)
        self._results.events.predictions.disconnect(self._on_predictions)
        self._results.events.explanation_status.disconnect(self._on_predictions)
        self._viewer.layers.events.removed.disconnect(self._on_removed)
        if self._on_mouse in self._viewer.mouse_drag_callbacks:
            self._viewer.mouse_drag_callbacks.remove(self._on_mouse)

    def fly(self) -> None:
        """Show the selected sample in the middle of the canvas."""
        index, dataset = self._choices.sample_index, self._current()
        if index is None or dataset is None or index >= len(dataset):
            return
        voxel = dataset.level.transform.voxel_size()
        steps = dataset.step or (1.0,) * len(voxel)
        extent = [n * v * k for n, v, k in zip(dataset.size, voxel, steps, strict=True)]
        unit = [dataset.volume.unit or "pixel"] * len(voxel)
        by = factors(unit, self._viewer.dims.units)
        by = by if len(by) == len(voxel) else np.ones(len(voxel))
        fly_to(self._viewer, by * dataset.center_world(index), (by * extent).tolist())

    def _current(self) -> VolumePoints | None:
        """Return the points that the present samples were made from; None for other samples."""
        samples: Any = self._results.loaded_samples
        while samples is not None and not isinstance(samples, VolumePoints):
            samples = getattr(samples, "dataset", None)  # changed to fit the network
        return samples

    def _is_tied(self) -> bool:
        return self.layer is not None and self._current() is self.dataset

    def _on_dataset(self) -> None:
        if self.dataset is not None and self._results.loaded_samples is not None:
            if self._current() is not self.dataset:
                self.let_go()

    def _on_index(self, index: int | None) -> None:
        if index is None:
            return
        self.fly()
        if self._is_tied() and self.dataset is not None:
            self._select(int(self.dataset.rows[index]))

    def _select(self, row: int) -> None:
        if set(self.layer.selected_data) == {row} and self._open_row == row:
            return
        self._quiet = True
        try:
            self.layer.selected_data = {row}
            self._open(row)
        finally:
            self._quiet = False

    def _open(self, row: int) -> None:
        """Show a point as a ring, so that what lies under it is seen; close the one before."""
        face, border = np.array(self.layer.face_color), np.array(self.layer.border_color)
        self._restore(face, border)
        self._open_row, self._before = row, (face[row, 3], border[row].copy())
        face[row, 3], border[row] = 0, ring_colour(border[row])
        self.layer.face_color, self.layer.border_color = face, border

    def _close_ring(self) -> None:
        """Give the open point the look that it had."""
        if self._open_row is not None:
            face, border = np.array(self.layer.face_color), np.array(self.layer.border_color)
            self._restore(face, border)
            self.layer.face_color, self.layer.border_color = face, border

    def _restore(self, face: NDArray[Any], border: NDArray[Any]) -> None:
        row, self._open_row = self._open_row, None
        if row is not None and row < len(face):
            face[row, 3], border[row] = self._before

    def _on_selected(self, event: Any = None) -> None:
        if self._quiet or not self._is_tied() or len(self.layer.selected_data) != 1:
            return
        self._pick(int(next(iter(self.layer.selected_data))))

    def _pick(self, row: int) -> None:
        dataset = self.dataset
        if dataset is None:
            return
        index = dataset.index_of(row)
        if index is None:
            self.note.emit(
                f"Point {row + 1} is no sample: it, or its patch, lies outside of "
                f"'{dataset.volume.name}'."
            )
            return
        if index == self._choices.sample_index:
            self.fly()
        else:
            self._choices.sample_index = index
        self.picked.emit(index)

    def _on_mouse(self, viewer: Any, event: Any) -> Iterator[None]:
        """Pick the point under a click, whatever layer is active; a drag stays a drag."""
        if not self._is_tied() or event.button != 1 or not self.layer.visible:
            return
        if self.layer.mode == "add" and viewer.layers.selection.active == self.layer:
            return
        start = np.array(event.pos)
        yield
        while event.type == "mouse_move":
            yield
        if np.abs(np.array(event.pos) - start).max() > CLICK_PIXELS or not self._is_tied():
            return
        found = self.layer.get_value(
            tuple(from_viewer(viewer, self.layer, event.position)),
            view_direction=event.view_direction,
            dims_displayed=event.dims_displayed,
            world=True,
        )
        if found is not None:
            row = int(found[0] if isinstance(found, tuple) else found)
            if row == self._open_row and self.is_region(event.position):
                return  # it lies on the patch that is explained
            self._select(row)
            self._pick(row)

    def _on_moved(self, event: Any = None) -> None:
        """Let go of points that were added, moved or removed: rows and samples differ now."""
        action = str(getattr(event, "action", "changed"))
        if not action.endswith("ing"):  # before the change
            name = self.layer.name
            self.let_go(closes_ring=False)
            self.note.emit(f"The points of '{name}' were changed. Press Use points to take them.")

    def _on_removed(self, event: Any) -> None:
        if self.layer is not None and event.value == self.layer:
            name = self.layer.name
            self.let_go(closes_ring=False)
            self.note.emit(f"The layer '{name}' was removed. The samples and their results stay.")
        elif self._image is not None and event.value == self._image:
            name = self._image.name
            self._image = None
            self.note.emit(
                f"The layer '{name}' was removed. Its samples and results stay, and are still read "
                "from where the layer read them."
            )

    def _on_predictions(self) -> None:
        table = self._results.predictions
        if not self._is_tied() or table is None or self.dataset is None:
            return
        many = len(self.layer.data) > MANY_POINTS and not table.is_complete
        if not self._later.isActive() or table.is_complete:
            self._later.start(MANY_POINTS_MS if many else COLOURS_MS)

    def _show_predictions(self) -> None:
        table, dataset = self._results.predictions, self.dataset
        if not self._is_tied() or dataset is None or table is None or len(table) != len(dataset):
            return
        n_points = len(self.layer.data)
        outcomes = self._results.explanation_status
        if outcomes is not None and len(outcomes.scores) != len(dataset):
            outcomes = None
        columns = features_of(dataset, n_points, table, outcomes)
        face, border = colours_of(dataset, n_points, table)
        row = self._open_row
        if row is not None:
            self._before = (face[row, 3], border[row].copy())
            face[row, 3], border[row] = 0, ring_colour(border[row])
        self.layer.features = merged_features(self.layer.features, columns)
        self.layer.face_color = face
        self.layer.border_color = border
