"""Figures of reports, with one panel per class pair, and of comparisons of all methods."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_quac.errors import DataError
from napari_quac.explain.explanation import Explanation
from napari_quac.explain.score import ABSCISSAE, FINE_ABSCISSAE
from napari_quac.explain.size_axis import SizeAxis, axis_label, set_size_axis
from napari_quac.reports.comparison import Comparison, ComparisonRow, comparison_rows
from napari_quac.reports.population import Population, population, populations
from napari_quac.reports.report import Report
from napari_quac.storage import encode, write_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SUFFIXES = (".svg", ".pdf", ".png")
PANEL_INCHES = (2.3, 2.0)
MAX_COLUMNS = 3
MAP_COLUMNS = 4
# Okabe and Ito's colors, distinguishable with color blindness; their yellow is too pale on white
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
BASELINES = {"random": "#888888", "residual": "#222222"}
STYLE: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "legend.fontsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.fonttype": "none",  # text stays text
    "pdf.fonttype": 42,
    "savefig.dpi": 300,
}


def draw_report(report: Report, by_pair: bool = True, size_axis: SizeAxis = "linear") -> Figure:
    """Draw the median or mean curve of each method with the band between its quartiles.

    Parameters
    ----------
    report : Report
        The report.
    by_pair : bool
        One panel per class pair; else one for all.
    size_axis : "linear", "square root" or "logarithmic"
        Axis of mask sizes.

    Raises
    ------
    DataError
        If there is no curve.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels: dict[tuple[int | None, int | None], list[Population]] = {}
    for group in populations(report, by_pair, FINE_ABSCISSAE):
        if group.center is not None:
            panels.setdefault((group.source, group.target), []).append(group)
    if not panels:
        raise DataError(f"'{report.name}' contains no curve. Choose a wider filter.")
    columns = min(len(panels), MAX_COLUMNS)
    rows = math.ceil(len(panels) / columns)
    with rc_context(STYLE):
        size = (PANEL_INCHES[0] * columns + 0.4, PANEL_INCHES[1] * rows + 0.65)
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasAgg(figure)
        grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for axes, (pair, groups) in zip(grid.flat, panels.items(), strict=False):
            _draw_panel(axes, groups, _title(report, pair, groups), report.methods)
            set_size_axis(axes, size_axis)
        _trim(grid, len(panels))
        figure.supxlabel(axis_label(size_axis), fontsize=8)
        figure.supylabel(f"score change, {report.aggregate} and quartiles", fontsize=8)
        lines = {line.get_label(): line for axes in grid.flat for line in axes.get_lines()}
        lines = {name: lines[name] for name in report.methods if name in lines}
        figure.legend(
            lines.values(),
            [population(report.method(name).entries, name).name for name in lines],
            loc="outside upper left",
            ncols=min(len(lines), 2 * columns),
            frameon=False,
            handlelength=1.5,
            columnspacing=1.2,
        )
    return figure


def save_figure(
    report: Report, path: Path, by_pair: bool = True, size_axis: SizeAxis = "linear"
) -> None:
    """Write the figure of a report as svg, pdf or png (300 dots per inch); see :func:`draw_report`.

    Raises
    ------
    DataError
        If the file extension is not one of these, there is no curve, or the file cannot be
        written.
    """
    from matplotlib import rc_context

    figure = draw_report(report, by_pair, size_axis)
    with rc_context(STYLE):
        write_figure(figure, path)


def check_figure_path(path: Path) -> None:
    """Refuse the path of a figure whose extension is not one of :data:`SUFFIXES`.

    Raises
    ------
    DataError
        With the possible extensions.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise DataError(f"Cannot write '{path.name}': use the file extension .svg, .pdf or .png.")


def write_figure(figure: Figure, path: Path) -> None:
    """Write a figure as svg, pdf or png, in a folder that is created if necessary.

    Raises
    ------
    DataError
        If the file extension is not one of these, or the file cannot be written.
    """
    check_figure_path(path)
    write_file(path, encode(lambda file: figure.savefig(file, format=path.suffix.lower()[1:])))


def _method_style(method: str, methods: tuple[str, ...]) -> tuple[str, Any, float]:
    """Return color, line style and opacity of a method; baselines are gray and dashed.

    The other methods repeat the palette, dashed from the second time on.
    """
    dashes = (0, (3, 1.5))
    if method in BASELINES:
        return BASELINES[method], dashes, 0.07
    others = [name for name in methods if name not in BASELINES]
    turn, number = divmod(others.index(method), len(COLORS))
    return COLORS[number], dashes if turn else "-", 0.13


def _draw_panel(axes: Axes, groups: list[Population], title: str, methods: tuple[str, ...]) -> None:
    axes.axhline(0, color="#bbbbbb", linewidth=0.5, zorder=0, label="_zero")
    for group in groups:
        if group.center is None or group.lower is None or group.upper is None:
            continue
        color, dashes, alpha = _method_style(group.method, methods)
        style = {"color": color, "linestyle": dashes, "linewidth": 1.2, "label": group.method}
        axes.plot(group.mask_sizes, group.center, **style)
        band = (group.mask_sizes, group.lower, group.upper)
        axes.fill_between(*band, color=color, alpha=alpha, linewidth=0)
    axes.set_title(title, loc="left")


def _title(report: Report, pair: tuple[int | None, int | None], groups: list[Population]) -> str:
    counts = sorted({group.n_curves for group in groups})
    n = f"n = {counts[0]}" if len(counts) == 1 else f"n = {counts[0]} to {counts[-1]}"
    source, target = pair
    if source is None or target is None:
        return f"all class pairs, {n}"
    return f"{report.class_name(source)} → {report.class_name(target)}\n{n}"


def _trim(grid: Any, n_panels: int) -> None:
    """Hide empty panels, and show tick labels below the lowest visible ones."""
    rows, columns = grid.shape
    for number, axes in enumerate(grid.flat):
        if number >= n_panels:
            axes.set_visible(False)
        elif number + columns >= n_panels and number // columns < rows - 1:
            axes.tick_params(labelbottom=True)


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
