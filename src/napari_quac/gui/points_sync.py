"""Synchronization of a Points layer with its samples: selection, features, colors and camera."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QObject, QTimer, Signal

from napari_quac.data.volume_points import VolumePoints
from napari_quac.gui.camera import move_view, share_of
from napari_quac.gui.layer_watch import NO_POINT, LayerWatch, PointRows
from napari_quac.gui.point_look import EMPTY, point_colors, point_features, ring_color
from napari_quac.gui.slots import slot, slots
from napari_quac.gui.widgets import connect
from napari_quac.gui.world_units import factors, from_viewer
from napari_quac.live.choices import Choices
from napari_quac.live.results import Results

COLORS_MS = 400
"""Interval of color updates while batches of predictions arrive."""
MANY_POINTS = 20_000
MANY_POINTS_MS = 3000
CLICK_PIXELS = 4
CLOSE_UP = 0.25
"""Share of the canvas above which the ring of a point would cover what the patch shows."""
RING_MS = 40


@slots
class PointsSync(QObject):
    """Connects a Points layer with the samples made from it.

    The layers of the user are never removed, moved or scaled. If the user removes a layer, its
    results remain.

    Parameters
    ----------
    viewer : napari viewer
    choices : Choices
    results : Results
    parent : QObject, optional
    """

    picked = Signal(int)
    """A point was clicked or selected in its layer; carries the index of the sample."""
    note = Signal(str)
    """A message for the user."""

    def __init__(
        self, viewer: Any, choices: Choices, results: Results, parent: QObject | None = None
    ) -> None:
        super().__init__(parent)
        self._viewer, self._choices, self._results = viewer, choices, results
        self.layer: Any = None
        self.dataset: VolumePoints | None = None
        self._image: Any = None
        self._rows = PointRows(np.empty((0, 3)))
        self._watches: list[LayerWatch] = []
        self.is_stale = False
        self._quiet = False
        self._open_row: int | None = None
        self._before: tuple[Any, Any] = (0.0, np.zeros(4))
        self._extent: list[float] = []
        self._hidden_row: int | None = None
        self._ring_later = QTimer(self, interval=RING_MS, singleShot=True)
        self._ring_later.timeout.connect(self._show_ring)
        self.is_region: Callable[[Any], bool] = lambda position: False
        """Returns True if a region of the mask lies at a position; it then receives the click."""
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.timeout.connect(self._show_predictions)
        choices.events.sample_index.connect(self._on_index)
        results.events.loaded_samples.connect(self._on_dataset)
        connect(self._on_predictions, results.events.predictions, results.events.explanation_status)
        viewer.layers.events.removed.connect(self._on_removed)
        viewer.mouse_drag_callbacks.append(self._on_mouse)
        viewer.scene.camera.events.zoom.connect(self._on_zoom)

    def follow(self, layer: Any, image: Any, dataset: VolumePoints) -> None:
        """Connect a Points layer with its samples.

        Parameters
        ----------
        layer : napari Points layer
            Point number i is row i of the dataset's points.
        image : napari Image layer
            Source of the patches.
        dataset : VolumePoints
            The samples.
        """
        self.release()
        self.layer, self._image, self.dataset = layer, image, dataset
        layer.selected_data.events.items_changed.connect(self._on_selected)
        layer.events.data.connect(self._on_points_changed)
        layer.events.mode.connect(self._on_zoom)
        self._rows, self.is_stale = PointRows(layer.data), False
        self._watches = [
            LayerWatch(image, self._on_layer_changed),
            LayerWatch(layer, self._on_layer_changed, with_data=False),
        ]
        self._on_predictions()

    def release(self, closes_ring: bool = True) -> None:
        """Release the Points layer; its points keep their colors."""
        self._later.stop()
        self._ring_later.stop()
        if self.layer is not None:
            self.layer.selected_data.events.items_changed.disconnect(self._on_selected)
            self.layer.events.data.disconnect(self._on_points_changed)
            self.layer.events.mode.disconnect(self._on_zoom)
            for watch in self._watches:
                watch.close()
            self._watches = []
            if closes_ring:
                self._close_ring()
            else:
                self._hide(None)
        self._open_row = None
        self.layer = self._image = self.dataset = None

    def close(self) -> None:
        """Disconnect all signals; the layers remain."""
        self.release(closes_ring=False)
        self._choices.events.sample_index.disconnect(self._on_index)
        self._results.events.loaded_samples.disconnect(self._on_dataset)
        self._results.events.predictions.disconnect(self._on_predictions)
        self._results.events.explanation_status.disconnect(self._on_predictions)
        self._viewer.layers.events.removed.disconnect(self._on_removed)
        self._viewer.scene.camera.events.zoom.disconnect(self._on_zoom)
        if self._on_mouse in self._viewer.mouse_drag_callbacks:
            self._viewer.mouse_drag_callbacks.remove(self._on_mouse)

    @property
    def has_pending_update(self) -> bool:
        """True if predictions have arrived that the points do not show yet."""
        return bool(self._later.isActive())

    def center_sample(self) -> None:
        """Center the selected sample in the canvas."""
        index, dataset = self._choices.sample_index, self._current()
        if index is None or dataset is None or index >= len(dataset):
            return
        voxel = dataset.level.transform.voxel_size()
        steps = dataset.step or (1.0,) * len(voxel)
        extent = [n * v * k for n, v, k in zip(dataset.size, voxel, steps, strict=True)]
        unit = [dataset.volume.unit or "pixel"] * len(voxel)
        by = factors(unit, self._viewer.dims.units)
        by = by if len(by) == len(voxel) else np.ones(len(voxel))
        self._extent = (by * extent).tolist()
        move_view(self._viewer, by * dataset.center_world(index), self._extent)

    def _current(self) -> VolumePoints | None:
        """Return the points of the current samples; None for samples without points."""
        samples: Any = self._results.loaded_samples
        while samples is not None and not isinstance(samples, VolumePoints):
            samples = getattr(samples, "dataset", None)  # preprocessed for the network
        return samples

    def _is_connected(self) -> bool:
        return self.layer is not None and self._current() is self.dataset

    def _on_dataset(self) -> None:
        if self.dataset is not None and self._results.loaded_samples is not None:
            if self._current() is not self.dataset:
                self.release()

    def _on_index(self, index: int | None) -> None:
        if index is None:
            return
        self.center_sample()
        if self._is_connected() and self.dataset is not None:
            row = self._rows.row_of(int(self.dataset.rows[index]))
            if row is None:
                self._close_ring()
            else:
                self._select(row)

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
        """Show a point as a ring around the structure, and restore the previous one."""
        face, border = np.array(self.layer.face_color), np.array(self.layer.border_color)
        self._restore(face, border)
        self._open_row, self._before = row, (face[row, 3], border[row].copy())
        face[row, 3], border[row] = 0, ring_color(border[row])
        self.layer.face_color, self.layer.border_color = face, border
        self._show_ring()

    def _on_zoom(self, event: Any = None) -> None:
        if self._open_row is not None:
            self._ring_later.start()

    def _show_ring(self) -> None:
        """Hide the ring in a close-up, where the frame marks the patch; not while points move."""
        layer, row = self.layer, self._open_row
        if layer is None or row is None or row >= len(layer.data):
            return
        share = share_of(self._viewer, self._extent, self._viewer.scene.camera.zoom)
        self._hide(row if share > CLOSE_UP and layer.mode == "pan_zoom" else None)

    def _hide(self, row: int | None) -> None:
        """Hide the ring of a point, and show the one that was hidden before."""
        if row == self._hidden_row:
            return
        shown = np.array(self.layer.shown)
        if self._hidden_row is not None:
            shown[self._hidden_row : self._hidden_row + 1] = True  # the point may be gone
        if row is not None:
            shown[row] = False
        self._hidden_row = row
        self.layer.shown = shown

    def _close_ring(self) -> None:
        """Restore the look of the selected point."""
        if self._open_row is not None:
            face, border = np.array(self.layer.face_color), np.array(self.layer.border_color)
            self._restore(face, border)
            self.layer.face_color, self.layer.border_color = face, border
            self._hide(None)

    def _restore(self, face: NDArray[Any], border: NDArray[Any]) -> None:
        row, self._open_row = self._open_row, None
        if row is not None and row < len(face):
            face[row, 3], border[row] = self._before

    def _on_selected(self, event: Any = None) -> None:
        if self._quiet or not self._is_connected() or len(self.layer.selected_data) != 1:
            return
        self._pick(int(next(iter(self.layer.selected_data))))

    def _pick(self, row: int) -> None:
        dataset = self.dataset
        if dataset is None:
            return
        self._rows.update(self.layer.data)
        origin = int(self._rows.origins[row])
        if origin == NO_POINT:
            self._report_points()
            return
        index = dataset.index_of(origin)
        if index is None:
            self.note.emit(
                f"Point {row + 1} is not a sample: the point or its patch lies outside of "
                f"'{dataset.volume.name}'."
            )
            return
        if index == self._choices.sample_index:
            self.center_sample()
        else:
            self._choices.sample_index = index
        self.picked.emit(index)

    @slot
    def _on_mouse(self, viewer: Any, event: Any) -> Iterator[None]:
        """Select the clicked point, regardless of the active layer; ignore a drag."""
        if not self._is_connected() or event.button != 1 or not self.layer.visible:
            return
        if self.layer.mode == "add" and viewer.layers.selection.active == self.layer:
            return
        start = np.array(event.pos)
        yield
        while event.type == "mouse_move":
            yield
        if np.abs(np.array(event.pos) - start).max() > CLICK_PIXELS or not self._is_connected():
            return
        hit = self.layer.get_value(
            tuple(from_viewer(viewer, self.layer, event.position)),
            view_direction=event.view_direction,
            dims_displayed=event.dims_displayed,
            world=True,
        )
        if hit is not None:
            row = int(hit[0] if isinstance(hit, tuple) else hit)
            if row == self._open_row and self.is_region(event.position):
                return  # the point covers a region of the explained patch
            self._select(row)
            self._pick(row)

    def _on_points_changed(self, event: Any = None) -> None:
        """Match the rows with the samples again; changed points have no prediction."""
        action = str(getattr(event, "action", "changed"))
        if action.endswith("ing"):  # before the change
            return
        indices = getattr(event, "data_indices", ())
        removed = [int(row) for row in indices] if action == "removed" else []
        self._rows.update(self.layer.data, removed)
        self._open_row = None
        if self._hidden_row is not None:  # rows have moved, so that it is no longer known
            self._hidden_row = None
            self.layer.shown = np.ones(len(self.layer.data), dtype=bool)
        self._clear_features()
        self._report_points()
        self._later.start(0)  # colors, once napari has finished the change

    def _clear_features(self) -> None:
        """Empty the results of changed points: napari copies those of the selected point."""
        changed = self._rows.origins == NO_POINT
        features = self.layer.features
        columns = [name for name in EMPTY if name in features]
        if changed.any() and columns:
            values = {name: np.array(features[name], copy=True) for name in columns}
            for name in columns:
                values[name][changed] = EMPTY[name]
            self.layer.features = features.assign(**values)

    def _report_points(self) -> None:
        n = self._rows.n_changed
        points = "1 point" if n == 1 else f"{n} points"
        self.note.emit(
            f"{points} changed in '{self.layer.name}' and {'has' if n == 1 else 'have'} no "
            "prediction. Press 'Use points' to update the samples."
        )

    def _on_layer_changed(self, sentence: str) -> None:
        """Mark the predictions as those of other pixels or places."""
        self.is_stale = True
        self.note.emit(
            f"{sentence} The samples and their predictions are those of before. Press 'Use points' "
            "to update them."
        )
        self._later.start(0)

    def _on_removed(self, event: Any) -> None:
        if self.layer is not None and event.value == self.layer:
            name = self.layer.name
            self.release(closes_ring=False)
            self.note.emit(f"The layer '{name}' was removed. The samples and their results remain.")
        elif self._image is not None and event.value == self._image:
            name = self._image.name
            self._image = None
            self._watches.pop(0).close()
            self.note.emit(
                f"The layer '{name}' was removed. Its samples and results remain, and are "
                "still read from the same file or array."
            )

    def _on_predictions(self) -> None:
        table = self._results.predictions
        if not self._is_connected() or table is None or self.dataset is None:
            return
        many = len(self.layer.data) > MANY_POINTS and not table.is_complete
        if not self._later.isActive() or table.is_complete:
            self._later.start(MANY_POINTS_MS if many else COLORS_MS)

    def _show_predictions(self) -> None:
        table, dataset = self._results.predictions, self.dataset
        if dataset is None or table is None or len(table) != len(dataset):
            return
        if not self._is_connected():
            return
        self._rows.update(self.layer.data)
        outcomes = self._results.explanation_status
        if outcomes is not None and len(outcomes.scores) != len(dataset):
            outcomes = None
        n_points, rows = len(self.layer.data), self._rows.present(dataset.rows)
        if not n_points:
            return  # napari has no colors for no points
        columns = point_features(rows, n_points, table, outcomes)
        face, border = point_colors(rows, n_points, table, self.is_stale)
        row = self._open_row
        if row is not None:
            self._before = (face[row, 3], border[row].copy())
            face[row, 3], border[row] = 0, ring_color(border[row])
        self.layer.features = self.layer.features.assign(**columns)
        self.layer.face_color = face
        self.layer.border_color = border
