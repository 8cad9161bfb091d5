"""Deformation of a warping simulator: growth, folds, and the logit against the strength."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pyqtgraph as pg
from qtpy.QtCore import Qt

from napari_quac.gui.palette import Palette
from napari_quac.gui.panels.small_plot import SmallPlot
from napari_quac.gui.section import Section, labelled_row
from napari_quac.gui.text import WrappedLabel
from napari_quac.gui.warp_layers import Measure, WarpLayers
from napari_quac.gui.widgets import menu
from napari_quac.live.results import Results

if TYPE_CHECKING:
    from napari_quac.generators.warp.view import WarpView

MEASURES: dict[Measure, str] = {
    "log": "log of growth (0: no change)",
    "growth": "growth factor 1/det (1: no change)",
    "determinant": "Jacobian det (1: no change)",
}


class WarpPanel(Section):
    """Describes the deformation; hidden unless the generator is a warping simulator.

    Parameters
    ----------
    results : Results
    layers : WarpLayers
        The section selects the quantity in their growth map.
    """

    def __init__(self, results: Results, layers: WarpLayers) -> None:
        super().__init__("Deformation", "deformation")
        self._results, self._layers = results, layers
        self.measure = menu(
            "growth_measure", entries=MEASURES, picked=self._on_measure, n_characters=12
        )
        self.body_layout.addLayout(labelled_row("Growth", self.measure))
        self.line = WrappedLabel("", "deformation_line")
        self.body_layout.addWidget(self.line)
        self.plot = SmallPlot(
            "logit_plot",
            "Logit difference of target and source against the strength of the deformation",
            "strength of the deformation",
            "logit",
        )
        item = self.plot.getPlotItem()
        self._curve = pg.PlotDataItem(symbol="o", symbolSize=5)
        self._zero = pg.InfiniteLine(0, angle=0)
        self._here = pg.InfiniteLine(0, angle=90)
        for part in (self._zero, self._here, self._curve):
            item.addItem(part)
        self.body_layout.addWidget(self.plot)
        results.events.warp.connect(self._show)
        self._show()

    def set_palette_of(self, colors: Palette) -> None:
        """Follow napari's theme."""
        self.plot.set_palette_of(colors)
        self._curve.setPen(pg.mkPen(colors.generated, width=2))
        self._curve.setSymbolPen(pg.mkPen(colors.generated))
        self._curve.setSymbolBrush(pg.mkBrush(colors.generated))
        self._zero.setPen(pg.mkPen(colors.muted, style=Qt.PenStyle.DashLine))
        self._here.setPen(pg.mkPen(colors.text))

    def close_panel(self) -> None:
        """Disconnect all signals."""
        self._results.events.warp.disconnect(self._show)

    def _on_measure(self, row: int) -> None:
        self._layers.set_measure(cast("Measure", self.measure.itemData(row)))

    def _show(self) -> None:
        view = self._results.warp
        self.setVisible(view is not None)
        if view is None:
            self._curve.setData([], [])
            return
        self._curve.setData(view.strengths, view.logits)
        self._here.setValue(float(view.pair.origin["strength"]))
        self.line.setText(_describe(view))
        self.set_summary(f"{view.folded_share:.1%} folded")


def _describe(view: WarpView) -> str:
    sample = view.pair.query
    distance = f"{view.largest_displacement:.1f} px"
    scales = set(sample.scale or ())
    if sample.unit and len(scales) == 1:
        distance += f" ({view.largest_displacement * scales.pop():.0f} {sample.unit})"
    folds = (
        f"The field folds in {view.folded_share:.1%} of the image (outlined), where growth is "
        "undefined."
        if view.folded_share
        else "The field does not fold."
    )
    return (
        f"Red: larger in the simulation; blue: smaller. The largest displacement is {distance}. "
        f"{folds} Toward the target, the logit rises at {view.agreement(True):.0%} of the "
        f"strengths; away from it, the logit falls at {view.agreement(False):.0%}."
    )
