"""Synchronization of a Points layer with its samples: selection, features, colors and camera."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from qtpy.QtCore import QObject, QTimer, Signal

from napari_quac.data.volume_points import VolumePoints
from napari_quac.gui.layers import LayerSync
from napari_quac.gui.widgets import connect
from napari_quac.gui.world_units import factors, from_viewer
from napari_quac.live.choices import Choices
from napari_quac.live.results import Results

if TYPE_CHECKING:
    from napari_quac.explain.prediction_table import PredictionTable
    from napari_quac.live.sample_columns import ExplanationStatus

COLORS_MS = 400
"""Interval of color updates while batches of predictions arrive."""
MANY_POINTS = 20_000
MANY_POINTS_MS = 3000
CLICK_PIXELS = 4
SMALLEST_SHARE, LARGEST_SHARE, NEW_SHARE = 0.08, 0.9, 0.4
"""Limits of the share of the canvas for an unchanged zoom, and the share after a change."""
CLASS_COLORS = ("#4db8ff", "#f5a623", "#3ecf8e", "#c792ea", "#ff8fab", "#d4e157", "#4dd0c8",
                "#ff8a65", "#9aa3ff", "#b08968")  # fmt: skip
MISPREDICTED_COLOR = "#ff3b30"
CORRECT_COLOR = "#ffffff"
SELECTED_BORDER = "#1e90ff"
"""Visible on gray images, unlike white or yellow."""
NO_COLOR = "#8a8f98"
PREDICTED, CONFIDENCE, SCORE = "predicted", "confidence", "QuAC score"
RIGHT = "as labelled"  # wording: name of a feature column of before


class PointsSync(QObject):
    """Connects a Points layer with the samples made from it.

    The layers of the user are never removed, moved or scaled. If the user removes a layer, its
    results remain.

    Parameters
    ----------
    viewer : napari viewer
    choices : Choices
    results : Results
    layers : LayerSync
        Layers of results; they stay below the points.
    parent : QObject, optional
    """

    picked = Signal(int)
    """A point was clicked or selected in its layer; carries the index of the sample."""
    note = Signal(str)
    """A message for the user."""

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
        """Returns True if a region of the mask lies at a position; it then receives the click."""
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.timeout.connect(self._show_predictions)
        choices.events.sample_index.connect(self._on_index)
        results.events.loaded_samples.connect(self._on_dataset)
        connect(self._on_predictions, results.events.predictions, results.events.explanation_status)
        viewer.layers.events.removed.connect(self._on_removed)
        viewer.mouse_drag_callbacks.append(self._on_mouse)

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
        self._layers.stay_below = layer
        layer.selected_data.events.items_changed.connect(self._on_selected)
        layer.events.data.connect(self._on_moved)
        self._on_predictions()

    def release(self, closes_ring: bool = True) -> None:
        """Release the Points layer; its points keep their colors."""
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
        """Disconnect all signals; the layers remain."""
        self.release(closes_ring=False)
        self._choices.events.sample_index.disconnect(self._on_index)
        self._results.events.loaded_samples.disconnect(self._on_dataset)
        self._results.events.predictions.disconnect(self._on_predictions)
        self._results.events.explanation_status.disconnect(self._on_predictions)
        self._viewer.layers.events.removed.disconnect(self._on_removed)
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
        move_view(self._viewer, by * dataset.center_world(index), (by * extent).tolist())

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
        """Show a point as a ring around the structure, and restore the previous one."""
        face, border = np.array(self.layer.face_color), np.array(self.layer.border_color)
        self._restore(face, border)
        self._open_row, self._before = row, (face[row, 3], border[row].copy())
        face[row, 3], border[row] = 0, ring_color(border[row])
        self.layer.face_color, self.layer.border_color = face, border

    def _close_ring(self) -> None:
        """Restore the look of the selected point."""
        if self._open_row is not None:
            face, border = np.array(self.layer.face_color), np.array(self.layer.border_color)
            self._restore(face, border)
            self.layer.face_color, self.layer.border_color = face, border

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
        index = dataset.index_of(row)
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

    def _on_moved(self, event: Any = None) -> None:
        """Release a layer with changed points, which no longer match the samples."""
        action = str(getattr(event, "action", "changed"))
        if not action.endswith("ing"):  # before the change
            name = self.layer.name
            self.release(closes_ring=False)
            self.note.emit(
                f"The points of '{name}' were changed. Press 'Use points' to update the samples."
            )

    def _on_removed(self, event: Any) -> None:
        if self.layer is not None and event.value == self.layer:
            name = self.layer.name
            self.release(closes_ring=False)
            self.note.emit(f"The layer '{name}' was removed. The samples and their results remain.")
        elif self._image is not None and event.value == self._image:
            name = self._image.name
            self._image = None
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
        n_points = len(self.layer.data)
        outcomes = self._results.explanation_status
        if outcomes is not None and len(outcomes.scores) != len(dataset):
            outcomes = None
        columns = point_features(dataset, n_points, table, outcomes)
        face, border = point_colors(dataset, n_points, table)
        row = self._open_row
        if row is not None:
            self._before = (face[row, 3], border[row].copy())
            face[row, 3], border[row] = 0, ring_color(border[row])
        self.layer.features = self.layer.features.assign(**columns)
        self.layer.face_color = face
        self.layer.border_color = border


def point_features(
    dataset: VolumePoints, n_points: int, table: PredictionTable, outcomes: ExplanationStatus | None
) -> dict[str, NDArray[Any]]:
    """Return columns for all points of a layer; empty or NaN for points that are not samples."""
    predicted = np.full(n_points, "", dtype=object)
    agreement = np.full(n_points, "", dtype=object)
    confidence = np.full(n_points, np.nan)
    score = np.full(n_points, np.nan)
    rows, is_predicted = dataset.rows, table.is_predicted
    names = np.array([*table.class_names, ""], dtype=object)
    predicted[rows] = names[table.predicted]
    confidence[rows] = np.where(is_predicted, table.confidence, np.nan)
    has_truth = is_predicted & (table.truth >= 0)
    agreement[rows] = np.where(has_truth, np.where(table.mispredicted, "no", "yes"), "")
    if outcomes is not None:
        score[rows] = outcomes.scores
    return {PREDICTED: predicted, CONFIDENCE: confidence, RIGHT: agreement, SCORE: score}


def point_colors(
    dataset: VolumePoints, n_points: int, table: PredictionTable
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return face colors by class and border colors by correctness, (N, 4) each."""
    palette = np.array([_rgba(color) for color in CLASS_COLORS])
    face = np.tile(_rgba(NO_COLOR, 0.6), (n_points, 1))
    border = np.tile(_rgba(NO_COLOR, 0.6), (n_points, 1))
    is_predicted = table.is_predicted
    rows = dataset.rows[is_predicted]
    face[rows] = palette[table.predicted[is_predicted] % len(palette)]
    face[rows, 3] = 0.85
    border[rows] = _rgba(CORRECT_COLOR, 0.7)
    border[dataset.rows[table.mispredicted]] = _rgba(MISPREDICTED_COLOR)
    return face, border


def ring_color(border: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the ring color of the selected point; mispredictions remain red."""
    if np.allclose(border, _rgba(MISPREDICTED_COLOR), atol=0.01):
        return border
    return np.array(_rgba(SELECTED_BORDER))


def _rgba(color: str, alpha: float = 1.0) -> tuple[float, float, float, float]:
    red, green, blue = (int(color[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return red, green, blue, alpha


def move_view(viewer: Any, world: ArrayLike, extent: Sequence[float] = ()) -> None:
    """Move slice and camera to a place.

    The zoom changes only if the object would be very small or not completely visible.

    Parameters
    ----------
    viewer : napari viewer
        Its last axes are those of ``world``.
    world : (D,) array
        Center of the place, in world units of the viewer.
    extent : sequence of float, optional
        Size of the object, in world units.
    """
    dims = viewer.dims
    place = np.asarray(world, dtype=float).tolist()
    more = dims.ndim - len(place)
    if more < 0:
        return
    position = [*dims.point[:more], *place]
    hidden = [axis for axis in dims.not_displayed if axis >= more]
    if hidden:
        dims.set_point(hidden, [position[axis] for axis in hidden])
    center_displayed = [position[axis] for axis in dims.displayed]
    camera = viewer.scene.camera
    center = list(camera.center)
    center[-len(center_displayed) :] = center_displayed
    if not np.allclose(center, camera.center):
        camera.center = tuple(center)
    sides = [extent[axis - more] for axis in dims.displayed if axis >= more] if extent else []
    canvas = min(viewer.canvas.size)
    if sides and canvas > 0:
        share = max(sides) * camera.zoom / canvas
        if not SMALLEST_SHARE <= share <= LARGEST_SHARE:
            camera.zoom = NEW_SHARE * canvas / max(sides)
