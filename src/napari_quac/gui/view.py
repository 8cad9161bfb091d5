"""One explanation in napari: the layers of the dock, with the threshold slider and the curve."""

from __future__ import annotations

from typing import Any

from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_quac.errors import DataError
from napari_quac.explain.explanation import Explanation, Explanations
from napari_quac.explain.settings import ExplainSettings
from napari_quac.gui.compare import Comparison
from napari_quac.gui.curve_dock import CurveDock
from napari_quac.gui.layer_stack import LayerStack
from napari_quac.gui.layers import LayerSync
from napari_quac.gui.palette import palette_of, style_sheet
from napari_quac.gui.panels.threshold_panel import ThresholdPanel
from napari_quac.gui.slots import slots
from napari_quac.live.choices import Choices
from napari_quac.live.display import display_hybrid
from napari_quac.live.results import Results


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
    DataError
        If there is no explanation to show.
    """
    if isinstance(explanations, Explanation):
        pair = explanations.pair
        settings = ExplainSettings(methods=(explanations.method,))
        explanations = Explanations(pair, settings, {explanations.method: explanations})
    if not explanations:
        raise DataError("There is no explanation to show; every method failed.")
    if viewer is None:
        import napari

        viewer = napari.Viewer()
    _ExplanationView(viewer, explanations)
    return viewer


@slots
class _ExplanationView(QWidget):
    """The threshold slider of some explanations, and owner of their layers and curve."""

    def __init__(self, viewer: Any, explanations: Explanations) -> None:
        super().__init__()
        self.setObjectName("quac_explanation_view")
        self._choices = Choices(shown_method=next(iter(explanations)))
        self._explanations = explanations
        self._results = Results(sample=explanations.pair.query)
        self._stack = LayerStack(viewer, self)
        self._layers = LayerSync(self._stack, viewer, self._choices, self._results, self)
        threshold = ThresholdPanel(self._choices, self._results)
        curves = CurveDock(self._choices, self._results)
        layout = QVBoxLayout(self)
        layout.addWidget(threshold)
        layout.addStretch(1)
        curves.threshold_picked.connect(threshold.pick)
        curves.method_picked.connect(self._show_method)
        comparison = Comparison(viewer, self._layers, self._results, self)
        threshold.blink_held.connect(comparison.blink)
        threshold.compare.connect_to(comparison)
        threshold.attribution_mode_picked.connect(self._layers.set_attribution_mode)
        threshold.mask_style_picked.connect(self._layers.set_mask_style)
        self._choices.events.threshold.connect(self._show_hybrid)
        self._choices.events.shown_method.connect(self._show_hybrid)
        colors = palette_of(viewer.theme)
        self.setStyleSheet(style_sheet(colors))
        curves.setStyleSheet(style_sheet(colors))
        curves.set_palette_of(colors)
        viewer.window.add_dock_widget(self, name="QuAC threshold", area="right")
        viewer.window.add_dock_widget(curves, name="QuAC curve", area="bottom")
        self._results.explanations = explanations
        self._results.pair = explanations.pair
        self._show_hybrid()
        curves.show_curves()

    def _show_method(self, method: str) -> None:
        self._choices.threshold = None
        self._choices.shown_method = method

    def _show_hybrid(self) -> None:
        choices, results = self._choices, self._results
        results.displayed_hybrid = display_hybrid(
            self._explanations, choices.shown_method, choices.threshold
        )
