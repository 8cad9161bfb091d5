"""Deformation of a warping simulator: its layers, folds, and the logit against the strength."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import pyqtgraph as pg
from napari.utils.colormaps import Colormap
from numpy.typing import NDArray
from qtpy.QtCore import QObject, Qt

from napari_quac.gui.layer_stack import LayerStack
from napari_quac.gui.message import Message
from napari_quac.gui.palette import Palette
from napari_quac.gui.plots import SmallPlot
from napari_quac.gui.section import Section, labeled_row
from napari_quac.gui.slots import slots
from napari_quac.gui.widgets import menu
from napari_quac.live.results import Results

if TYPE_CHECKING:
    from napari_quac.generators.warp.view import WarpView

Measure = Literal["log", "growth", "determinant"]
ARROWS, GROWTH, FOLDED = "displacement", "growth", "folded"
GROWTH_NAME = "growth (red: larger in the simulation)"
N_ARROWS = 32  # along the longest axis
SHORTEST = 0.25  # pixels; shorter arrows would clutter the image


def diverging(reverse: bool = False) -> Colormap:
    """Return a color map from blue (smaller) to red (larger), transparent for no change."""
    colors = [(0.1, 0.4, 1, 0.9), (0.3, 0.6, 1, 0.45), (1, 1, 1, 0), (1, 0.45, 0.3, 0.45),
              (1, 0.1, 0.05, 0.9)]  # fmt: skip
    name = "quac growth, falling" if reverse else "quac growth"
    return Colormap(
        colors[::-1] if reverse else colors, name=name, controls=[0.0, 0.25, 0.5, 0.75, 1.0]
    )


def arrows(field: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return vectors (n, 2, D) from the original to the displaced position of the content."""
    n_axes, size = len(field), field.shape[1:]
    step = max(1, max(size) // N_ARROWS)
    places = np.indices(size)[(slice(None), *(slice(step // 2, None, step),) * n_axes)]
    displacement = field[(slice(None), *(slice(step // 2, None, step),) * n_axes)]
    starts = (places + displacement).reshape(n_axes, -1).T
    directions = -displacement.reshape(n_axes, -1).T
    vectors = np.stack([starts, directions], axis=1).astype(np.float64)
    return np.asarray(vectors[np.linalg.norm(directions, axis=1) >= SHORTEST])


@slots
class WarpLayers(QObject):
    """Three layers, present only while the generator is a warping simulator.

    Parameters
    ----------
    stack : LayerStack
        Owner of the layers.
    results : Results
    parent : QObject, optional
    """

    def __init__(self, stack: LayerStack, results: Results, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._stack, self._results = stack, results
        self.measure: Measure = "log"
        results.events.warp.connect(self._show)

    @property
    def layers(self) -> dict[str, Any]:
        """The present layers by role."""
        present = self._stack.layers
        return {role: present[role] for role in (GROWTH, FOLDED, ARROWS) if role in present}

    def close(self) -> None:
        """Disconnect all signals; the layers remain."""
        self._results.events.warp.disconnect(self._show)

    def set_measure(self, measure: Measure) -> None:
        """Show growth as its logarithm, as a factor, or as the Jacobian determinant."""
        self.measure = measure
        self._show()

    def _show(self) -> None:
        view = self._results.warp
        if view is None:
            self._stack.remove(GROWTH, FOLDED, ARROWS)
            return
        self._show_growth(view)
        folded = self._stack.show(FOLDED, view.folded.astype(np.uint8), "labels")
        folded.contour = 1
        folded.visible = bool(view.folded.any())
        look: dict[str, Any] = {
            "edge_color": "#ffd60a",
            "edge_width": 0.25,
            "vector_style": "arrow",
        }
        self._stack.show(ARROWS, arrows(view.field), "vectors", **look)

    def _show_growth(self, view: WarpView) -> None:
        from napari_quac.networks.warp.field import limits

        values, no_change = {
            "log": (view.log_growth, 0.0),
            "growth": (view.growth, 1.0),
            "determinant": (view.determinant, 1.0),
        }[self.measure]
        # a determinant below 1 means growth: its color map is reversed
        colormap = diverging(reverse=self.measure == "determinant")
        growth = np.where(view.folded, no_change, values)
        look: dict[str, Any] = {"colormap": colormap, "contrast_limits": limits(growth, no_change)}
        layer = self._stack.show(GROWTH, growth, name=GROWTH_NAME, blending="translucent", **look)
        for name, setting in look.items():
            setattr(layer, name, setting)


MEASURES: dict[Measure, str] = {
    "log": "log of growth (0: no change)",
    "growth": "growth factor 1/det (1: no change)",
    "determinant": "Jacobian det (1: no change)",
}


@slots
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
        self.add(labeled_row("Growth", self.measure))
        self.line = Message("deformation_line")
        self.add(self.line)
        description = "Logit difference of target and source against the deformation strength"
        self.plot = SmallPlot("logit_plot", description, "strength of the deformation", "logit")
        item = self.plot.getPlotItem()
        self._curve = pg.PlotDataItem(symbol="o", symbolSize=5)
        self._zero = pg.InfiniteLine(0, angle=0)
        self._here = pg.InfiniteLine(0, angle=90)
        for part in (self._zero, self._here, self._curve):
            item.addItem(part)
        self.add(self.plot)
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
    folds = "The field does not fold."
    if view.folded_share:
        folds = f"Growth is undefined in folds (outlined, {view.folded_share:.1%} of the image)."
    return (
        f"Red: larger in the simulation; blue: smaller. The largest displacement is {distance}. "
        f"{folds} Toward the target, the logit rises at {view.agreement(True):.0%} of the "
        f"strengths; away from it, the logit falls at {view.agreement(False):.0%}."
    )
