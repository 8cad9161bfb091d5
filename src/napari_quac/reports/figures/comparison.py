"""Figure of the comparison of all methods on one pair."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_quac.explain.explanation import Explanation
from napari_quac.explain.score import ABSCISSAE
from napari_quac.reports.comparison import Comparison, ComparisonRow, comparison_rows

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAP_COLUMNS = 4


def comparison_figure(
    comparison: Comparison, class_names: Sequence[str], rows: Sequence[ComparisonRow] = ()
) -> Figure:
    """Draw the pair, then each method's map with its mask as an outline, then its curve.

    Parameters
    ----------
    comparison : Comparison
        The pair whose maps are drawn.
    class_names : sequence of str
        Of the classifier.
    rows : sequence of ComparisonRow, optional
        Whose curves are drawn; by default those of ``comparison``.

    Returns
    -------
    figure : matplotlib Figure
        Of no window; see :func:`write_figure`.
    """
    from matplotlib.figure import Figure

    rows = [row for row in rows or comparison_rows([comparison]) if row.score is not None]
    explained = comparison.explanations
    drawn = [row for row in rows if row.method in explained]
    n_lines = 1 + -(-len(drawn) // MAP_COLUMNS)
    figure = Figure(figsize=(3.1 * MAP_COLUMNS, 1.9 * n_lines + 1.7 * (n_lines - 1)), dpi=120)
    figure.set_layout_engine("constrained")
    heights = [1.15, *([1.15, 0.8] * (n_lines - 1))]
    grid = figure.add_gridspec(len(heights), MAP_COLUMNS, height_ratios=heights)
    pair = comparison.pair
    source, target = class_names[pair.source], class_names[pair.target]
    _image(figure.add_subplot(grid[0, 0]), _plane(pair.query.image.numpy()), f"query ({source})")
    p = float(pair.generated_prediction[pair.scored_class])
    title = f"generated, p({target}) = {p:.2f}"
    if pair.infill:
        title = f"{pair.infill}, p({source}) = {p:.2f}"
    _image(figure.add_subplot(grid[0, 1]), _plane(pair.generated.numpy()), title)
    _curves(figure.add_subplot(grid[0, 2:]), rows)
    for number, row in enumerate(drawn):
        line, column = divmod(number, MAP_COLUMNS)
        _map(figure.add_subplot(grid[1 + 2 * line, column]), explained[row.method], row)
        _curve(figure.add_subplot(grid[2 + 2 * line, column]), row)
    return figure


def _plane(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return an image (C, [D,] H, W) as something to draw: (H, W) or (H, W, 3)."""
    if image.ndim == 4:
        image = image[:, image.shape[1] // 2]
    return np.moveaxis(image, 0, -1) if image.shape[0] == 3 else image.mean(axis=0)


def _flat(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a map or mask (C, [D,] H, W) as (H, W)."""
    if values.ndim == 4:
        values = values[:, values.shape[1] // 2]
    flat: NDArray[np.float32] = values.sum(axis=0) if values.min() < 0 else values.max(axis=0)
    return flat


def _image(axes: Axes, image: NDArray[np.float32], title: str) -> None:
    axes.imshow(image, cmap="gray", vmin=0, vmax=1)
    axes.set_title(title, fontsize=9)
    axes.set_axis_off()


def _map(axes: Axes, explanation: Explanation, row: ComparisonRow) -> None:
    query = _plane(explanation.pair.query.image.numpy())
    _image(axes, query, f"{row.true_name}  {row.score:.2f}")
    values = _flat(explanation.attribution.signed.numpy())
    largest = float(np.abs(values).max()) or 1.0
    alpha = np.clip(np.abs(values) / largest, 0, 1) ** 0.6
    axes.imshow(values / largest, cmap="RdBu_r", vmin=-1, vmax=1, alpha=alpha)
    mask = _flat(explanation.counterfactual.mask.numpy())
    if mask.min() < 0.5 < mask.max():
        axes.contour(mask, levels=[0.5], colors=["#ffd60a"], linewidths=1.2)


def _curve(axes: Axes, row: ComparisonRow) -> None:
    axes.plot(ABSCISSAE, row.curve, color="#3457d5", linewidth=1.4)
    axes.fill_between(ABSCISSAE, 0, row.curve, color="#3457d5", alpha=0.15)
    axes.set(xlim=(0, 1), ylim=(min(0.0, float(row.curve.min())), 1))
    axes.tick_params(labelsize=7)
    axes.axhline(0, color="0.7", linewidth=0.6)


def _curves(axes: Axes, rows: Sequence[ComparisonRow]) -> None:
    for row in rows:
        style = {"random": ":", "residual": "--"}.get(row.method, "-")
        label = f"{row.true_name} {row.score:.2f}"
        axes.plot(ABSCISSAE, row.curve, label=label, linewidth=1.3, linestyle=style)
    axes.set(xlim=(0, 1), xlabel="mask size", ylabel="score change")
    axes.tick_params(labelsize=7)
    if rows:
        axes.legend(fontsize=7, ncols=2, loc="lower right")
