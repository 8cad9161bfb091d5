"""One explanation in napari: the layers of the dock, with the threshold slider and the curve."""

from __future__ import annotations

from typing import Any

from qtpy.QtWidgets import QWidget

from napari_quac.explain.curve import hybrid_at
from napari_quac.explain.explanation import Explanation
from napari_quac.explain.explanations import Explanations
from napari_quac.explain.settings import ExplainSettings
from napari_quac.gui.curve_dock import CurveDock
from napari_quac.gui.layers import LayerSync
from napari_quac.gui.palette import palette_of, style_sheet
from napari_quac.gui.panels.threshold_panel import ThresholdPanel
from napari_quac.live.choices import Choices
from napari_quac.live.results import DisplayedHybrid, Results


def view(explanations: Explanation | Explanations, viewer: Any = None) -> Any:
    """Show one explanation, or those of several methods, in napari.

    Parameters
    ----------
    explanations : Explanation or Explanations
        The first method of several is shown; the others are curves beside it.
    viewer : napari viewer, optional
        By default a new one.

    Returns
    -------
    napari viewer
        With the layers query, generated, hybrid, attribution and mask, and two docks: the threshold
        slider and the curve.

    Raises
    ------
    ValueError
        If there is no explanation to show.
    """
    if isinstance(explanations, Explanation):
        pair = explanations.pair
        settings = ExplainSettings(methods=(explanations.method,))
        explanations = Explanations(pair, settings, {explanations.method: explanations})
    if not explanations:
        raise ValueError("There is no explanation to show; every method failed.")
    if viewer is None:
        import napari

        viewer = napari.Viewer()
    ExplanationView(viewer, explanations)
    return viewer
