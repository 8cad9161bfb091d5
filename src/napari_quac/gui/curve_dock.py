"""Dock with the curves of all methods, their legend, and the marker of the threshold."""

from __future__ import annotations

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QWidget

from napari_quac.gui.curve_legend import CurveLegend
from napari_quac.gui.curve_plot import CurvePlot
from napari_quac.gui.palette import Palette
from napari_quac.gui.widgets import row
from napari_quac.live.choices import Choices
from napari_quac.live.results import Results


class CurveDock(QWidget):
    """Displays curves and legend, and emits the picked position or method.

    Curves are drawn when :meth:`show_curves` is called, so that the caller chooses the turn of the
    event loop; the marker follows the slider immediately.
    """

    position_picked = Signal(int)
    """Index of the threshold to which the marker was dragged."""
    method_picked = Signal(str)

    def __init__(self, choices: Choices, results: Results) -> None:
        super().__init__()
        self.setObjectName("quac_curve_dock")
        self._choices, self._results = choices, results
        self.plot = CurvePlot()
        self.legend = CurveLegend()
        row(self.plot, 1, self.legend, spacing=2, parent=self).setContentsMargins(4, 4, 4, 4)
        self.plot.position_picked.connect(self.position_picked)
        self.legend.method_picked.connect(self.method_picked)
        results.events.displayed_hybrid.connect(self._on_shown)
        choices.events.shown_method.connect(self.show_curves)

    def set_palette_of(self, colors: Palette) -> None:
        """Follow napari's theme."""
        self.plot.set_palette_of(colors)
        self.legend.set_palette_of(colors)

    def show_curves(self) -> None:
        """Draw the curves of all explanations."""
        explanations = self._results.explanations
        by_method = explanations.by_method if explanations else {}
        curves = {name: explanation.curve for name, explanation in by_method.items()}
        names = {name: explanation.attribution.true_name for name, explanation in by_method.items()}
        self.plot.set_curves(curves, self._choices.shown_method)
        self.plot.set_ordinate(self.ordinate)
        scores = {name: curve.quac_score for name, curve in curves.items()}
        self.legend.set_scores(scores, self._choices.shown_method, names)
        self._on_shown()

    @property
    def ordinate(self) -> str:
        """Label of the vertical axis for the current preset."""
        explanations, classifier = self._results.explanations, self._results.loaded_classifier
        if explanations is None or classifier is None or explanations.settings.preset == "quac":
            return "score change"
        return f"p({classifier.class_names[explanations.pair.source]}) regained"

    def _on_shown(self) -> None:
        shown = self._results.displayed_hybrid
        if shown is None or shown.explanation.curve.degenerate:
            self.plot.clear_marker()
        else:
            self.plot.set_marker(shown.hybrid.mask_size, shown.hybrid.score_change)
