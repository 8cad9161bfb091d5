"""napari's scale bar, visible while the samples have a unit of length."""

from __future__ import annotations

from typing import Any

from napari_quac.data.place import NM_PER_UNIT, unit_of_length
from napari_quac.gui.slots import slots
from napari_quac.live.connections import Connections
from napari_quac.live.results import Results


@slots
class ScaleBar:
    """Shows the scale bar for samples with a unit, and restores it at the end.

    Once the user has shown or hidden the bar, it is left alone.

    Parameters
    ----------
    viewer : napari viewer
    results : Results
    """

    def __init__(self, viewer: Any, results: Results) -> None:
        self._bar, self._results = viewer.canvas.overlays.scale_bar, results
        self._before: bool | None = None
        self._is_ours = True
        self._changing = False
        self._connections = Connections(
            (results.events.sample, self._on_sample),
            (self._bar.events.visible, self._on_visible),
        )

    def close(self) -> None:
        """Restore the bar, and disconnect all signals."""
        self._restore()
        self._connections.close()

    def _on_sample(self) -> None:
        sample = self._results.sample
        if sample is None or not self._is_ours:
            return
        if unit_of_length(sample.unit) in NM_PER_UNIT:
            if self._before is None:
                self._before = bool(self._bar.visible)
            self._set(True)
        else:
            self._restore()

    def _restore(self) -> None:
        if self._before is not None and self._is_ours:
            self._set(self._before)
        self._before = None

    def _set(self, is_visible: bool) -> None:
        self._changing = True
        try:
            self._bar.visible = is_visible
        finally:
            self._changing = False

    def _on_visible(self, event: Any = None) -> None:
        if not self._changing:
            self._is_ours = False
