"""One explanation as a figure: images, mask, attribution, and the QuAC curve with one point of it.

Populations of many explanations are drawn in :mod:`napari_quac.reports.figure`.
"""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from torch import Tensor

    from napari_quac.explain.explanation import Explanation
    from napari_quac.explain.hybrid import Hybrid

PANEL_INCHES = 2.0
MASK_COLOR = "#E69F00"
CURVE_COLOR = "#0072B2"
STYLE: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "axes.linewidth": 0.6,
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
}


def draw_explanation(explanation: Explanation, hybrid: Hybrid) -> Figure:
    """Draw query, generated image, hybrid with mask outline, attribution and QuAC curve in a row.

    Parameters
    ----------
    explanation : Explanation
        The explanation to draw. Volumes are drawn at their middle section.
    hybrid : Hybrid
        The hybrid whose mask is outlined and whose point is marked on the curve.

    Returns
    -------
    matplotlib Figure
        Not registered with pyplot, so it need not be closed.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    pair = explanation.pair
    with rc_context(STYLE):
        figure = Figure(figsize=(5 * PANEL_INCHES, PANEL_INCHES + 0.5), layout="constrained")
        FigureCanvasAgg(figure)
        query_axes, generated_axes, hybrid_axes, map_axes, curve_axes = figure.subplots(1, 5)
        _draw_image(query_axes, pair.query.image, _title(pair, "query", pair.query_prediction))
        _draw_image(
            generated_axes, pair.generated, _title(pair, "generated", pair.generated_prediction)
        )
        _draw_image(hybrid_axes, hybrid.image, _title(pair, "hybrid", hybrid.prediction))
        mask = _section(hybrid.mask).max(axis=-1)
        if 0 < mask.max() and mask.min() < 0.5 < mask.max():
            hybrid_axes.contour(mask, levels=[0.5], colors=MASK_COLOR, linewidths=1)
        signed = _section(explanation.attribution.signed).sum(axis=-1)
        limit = float(np.abs(signed).max()) or 1.0
        map_axes.imshow(signed, cmap="RdBu_r", vmin=-limit, vmax=limit)
        map_axes.set_title(f"attribution\n{explanation.attribution.true_name}")
        map_axes.set_axis_off()
        _draw_curve(curve_axes, explanation, hybrid)
    return figure


def draw_curves(explanations: Sequence[Explanation]) -> Figure:
    """Draw the QuAC curves of several explanations of one pair into one panel.

    Parameters
    ----------
    explanations : sequence of Explanation
        One for each method.

    Returns
    -------
    matplotlib Figure
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with rc_context(STYLE):
        figure = Figure(figsize=(4.2, 2.8), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        for explanation in explanations:
            curve = explanation.curve
            label = f"{explanation.attribution.true_name} {curve.quac_score:.2f}"
            axes.plot(curve.mask_sizes, curve.score_changes, linewidth=1.2, label=label)
        _label_curve_axes(axes)
        axes.legend(frameon=False, fontsize=7, title="method, QuAC score", title_fontsize=7)
    return figure


def png_of(figure: Figure, dots_per_inch: int = 110) -> str:
    """Return a figure as the base64 text of a PNG, for HTML."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=dots_per_inch)
    return base64.b64encode(stream.getvalue()).decode("ascii")


def _draw_image(axes: Axes, image: Tensor, title: str) -> None:
    section = _section(image)
    if section.shape[-1] == 3:
        axes.imshow(section.clip(0, 1))
    else:
        axes.imshow(section[..., 0], cmap="gray", vmin=0, vmax=1)
    axes.set_title(title)
    axes.set_axis_off()


def _draw_curve(axes: Axes, explanation: Explanation, hybrid: Hybrid) -> None:
    curve = explanation.curve
    axes.plot(curve.mask_sizes, curve.score_changes, color=CURVE_COLOR, linewidth=1.2)
    axes.plot([hybrid.mask_size], [hybrid.score_change], "o", color=MASK_COLOR, markersize=5)
    _label_curve_axes(axes)
    axes.set_title(f"QuAC score {curve.quac_score:.2f}\nmask {hybrid.mask_size:.1%}")


def _label_curve_axes(axes: Axes) -> None:
    axes.axhline(0, color="#bbbbbb", linewidth=0.5, zorder=0)
    axes.set_xlim(0, 1)
    axes.set_xlabel("mask size")
    axes.set_ylabel("score change")
    axes.spines[["top", "right"]].set_visible(False)


def _title(pair: Any, name: str, prediction: Tensor) -> str:
    return f"{name}\np({pair.class_name(pair.target)}) = {float(prediction[pair.target]):.2f}"


def _section(values: Tensor) -> NDArray[Any]:
    """Return (H, W, C) of a (C, H, W) image, or of the middle section of a (C, D, H, W) volume."""
    array = values.detach().cpu().numpy()
    if array.ndim == 4:
        array = array[:, array.shape[1] // 2]
    return np.moveaxis(array, 0, -1)
