"""Changes of layers after samples were made from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_quac.gui.slots import slots

PLACE_EVENTS = ("scale", "translate", "rotate", "shear", "affine", "units")
NO_POINT = -1


@slots
class LayerWatch:
    """Reports that data or place of a layer have changed; names, order and looks do not count.

    Parameters
    ----------
    layer : napari layer
        The object counts, not its name.
    report : callable
        Receives a sentence that states the change.
    with_data : bool
        Also report new data.
    """

    def __init__(self, layer: Any, report: Callable[[str], None], with_data: bool = True) -> None:
        self.layer, self._report = layer, report
        self._place_events = [getattr(layer.events, name) for name in PLACE_EVENTS]
        for event in self._place_events:
            event.connect(self._on_place)
        self._data_events = [layer.events.data] if with_data else []
        for event in self._data_events:
            event.connect(self._on_data)

    def close(self) -> None:
        """Disconnect all signals."""
        for event in self._place_events:
            event.disconnect(self._on_place)
        for event in self._data_events:
            event.disconnect(self._on_data)
        self._place_events, self._data_events = [], []

    def _on_place(self, event: Any = None) -> None:
        self._report(f"Scale, position or unit of '{self.layer.name}' changed.")

    def _on_data(self, event: Any = None) -> None:
        self._report(f"The pixels of '{self.layer.name}' were replaced.")


class PointRows:
    """Rows of a Points layer, matched with the points from which samples were made.

    Parameters
    ----------
    positions : (N, D) array
        The points when the samples were made.

    Attributes
    ----------
    origins : (M,) ndarray of int
        For each row of the layer, its row when the samples were made; -1 for points that were
        added or moved since.
    n_changed : int
        Points that were added, moved or removed.
    """

    def __init__(self, positions: ArrayLike) -> None:
        self._positions = np.array(positions, dtype=float)
        self.origins = np.arange(len(self._positions))
        self._n_removed = 0

    @property
    def n_changed(self) -> int:
        """Number of points that were added, moved or removed."""
        return int((self.origins == NO_POINT).sum()) + self._n_removed

    def update(self, positions: ArrayLike, removed: Sequence[int] = ()) -> None:
        """Compare with the present points.

        Parameters
        ----------
        positions : (M, D) array
            The present points.
        removed : sequence of int
            Rows that were removed since the last comparison.
        """
        present = np.array(positions, dtype=float)
        if len(removed):
            kept = np.ones(len(self.origins), dtype=bool)
            kept[list(removed)] = False
            self._keep(kept)
        n = len(present)
        if n < len(self.origins):  # replaced by fewer points, without their numbers
            self._keep(np.arange(len(self.origins)) < n)
        n_common = len(self.origins)
        origins = np.full(n, NO_POINT)
        if n_common and present.shape[1:] == self._positions.shape[1:]:
            is_same = (present[:n_common] == self._positions).all(axis=1)
            origins[:n_common] = np.where(is_same, self.origins, NO_POINT)
        self.origins, self._positions = origins, present

    def row_of(self, origin: int) -> int | None:
        """Return the present row of a point; None if it was moved or removed."""
        rows = np.flatnonzero(self.origins == origin)
        return int(rows[0]) if len(rows) else None

    def present(self, origins: NDArray[np.intp]) -> NDArray[np.intp]:
        """Return the present rows of points; -1 for those that were moved or removed."""
        size = max(int(self.origins.max(initial=-1)), int(origins.max(initial=-1))) + 1
        rows = np.full(size, NO_POINT)
        known = self.origins >= 0
        rows[self.origins[known]] = np.flatnonzero(known)
        return rows[origins]

    def _keep(self, kept: NDArray[np.bool_]) -> None:
        self._n_removed += int((self.origins[~kept] >= 0).sum())
        self.origins, self._positions = self.origins[kept], self._positions[kept]
