"""Layers of a warp: where the content goes, what grows, and where the field folds."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.utils.colormaps import Colormap
from numpy.typing import NDArray
from qtpy.QtCore import QObject

from napari_quac.gui.layers import placement
from napari_quac.live.results import Results

ARROWS, GROWTH, FOLDED = "displacement", "growth (red: larger in the simulation)", "folded"
N_ARROWS = 32  # along the longest axis


def diverging() -> Colormap:
    """Blue (smaller) over transparent (no change) to red (larger)."""
    colors = [(0.1, 0.4, 1, 0.9), (0.3, 0.6, 1, 0.45), (1, 1, 1, 0), (1, 0.45, 0.3, 0.45),
              (1, 0.1, 0.05, 0.9)]  # fmt: skip
    return Colormap(colors, name="quac growth", controls=[0.0, 0.25, 0.5, 0.75, 1.0])


def arrows(field: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return vectors (n, 2, D) from where the content is to where it goes."""
    n_axes, size = len(field), field.shape[1:]
    step = max(1, max(size) // N_ARROWS)
    places = np.indices(size)[(slice(None), *(slice(step // 2, None, step),) * n_axes)]
    moved = field[(slice(None), *(slice(step // 2, None, step),) * n_axes)]
    starts = (places + moved).reshape(n_axes, -1).T
    directions = -moved.reshape(n_axes, -1).T
    return np.stack([starts, directions], axis=1).astype(np.float64)


class WarpLayers(QObject):
    """Adds three layers while the generator on show is a simulator, and removes them after.

    Parameters
    ----------
    viewer : napari viewer
    results : Results
    parent : QObject, optional
    """

    def __init__(self, viewer: Any, results: Results, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._viewer, self._results = viewer, results
        self.layers: dict[str, Any] = {}
        results.events.warp.connect(self._show)

    def close(self) -> None:
        """Listen to nothing any more; the layers stay."""
        self._results.events.warp.disconnect(self._show)

    def _show(self) -> None:
        from napari_quac.networks.warp.jacobian import limits

        view = self._results.warp
        for layer in self.layers.values():
            if layer in self._viewer.layers:
                self._viewer.layers.remove(layer)
        self.layers.clear()
        if view is None:
            return
        sample = view.pair.query
        n_axes = view.field.ndim - 1
        units = (sample.unit,) * n_axes if sample.unit else None
        place = {**placement(sample, n_axes), "units": units}
        colours: dict[str, Any] = {
            "colormap": diverging(),
            "contrast_limits": limits(view.log_growth, 0.0),
            "blending": "translucent",
        }
        self.layers[GROWTH] = self._viewer.add_image(
            view.log_growth, name=GROWTH, **colours, **place
        )
        self.layers[FOLDED] = self._viewer.add_labels(
            view.folded.astype(np.uint8), name=FOLDED, visible=bool(view.folded.any()), **place
        )
        self.layers[FOLDED].contour = 1
        self.layers[ARROWS] = self._viewer.add_vectors(
            arrows(view.field),
            name=ARROWS,
            edge_color="#ffd60a",
            edge_width=0.4,
            vector_style="arrow",
            **place,
        )
