"""The QuAC curves of a report as a figure to print: median and quartiles, one panel per pair."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_quac.errors import DataError
from napari_quac.explain.score import ABSCISSAE
from napari_quac.reports.population import Population, population, populations
from napari_quac.reports.report import Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SUFFIXES = (".svg", ".pdf", ".png")
PANEL_INCHES = (2.3, 2.0)
MAX_COLUMNS = 3
# Okabe and Ito's colours, which the colour-blind tell apart; their yellow is too pale on white
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


def draw_report(report: Report, by_pair: bool = True) -> Figure:
    """Draw the median curve of each method with the band between its quartiles.

    Parameters
    ----------
    report : Report
        What to draw.
    by_pair : bool
        One panel per class pair; else one for all.

    Raises
    ------
    DataError
        If there is no curve to draw.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels: dict[tuple[int | None, int | None], list[Population]] = {}
    for one in populations(report, by_pair):
        if one.median is not None:
            panels.setdefault((one.source, one.target), []).append(one)
    if not panels:
        raise DataError(
            f"'{report.name}' has no curve to draw. Choose a wider filter, or another report."
        )
    columns = min(len(panels), MAX_COLUMNS)
    rows = math.ceil(len(panels) / columns)
    with rc_context(STYLE):
        size = (PANEL_INCHES[0] * columns + 0.4, PANEL_INCHES[1] * rows + 0.65)
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasAgg(figure)
        grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for axes, (pair, drawn) in zip(grid.flat, panels.items(), strict=False):
            _draw_panel(axes, drawn, _title(report, pair, drawn), report.methods)
        _trim(grid, len(panels))
        figure.supxlabel("mask size", fontsize=8)
        figure.supylabel("score change, median and quartiles", fontsize=8)
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


def save_figure(report: Report, path: Path, by_pair: bool = True) -> None:
    """Write the figure of a report as svg, pdf or png (300 dots per inch).

    Raises
    ------
    DataError
        If the ending is another one, there is nothing to draw, or the file cannot be written.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise DataError(f"Cannot write '{path.name}': choose the ending .svg, .pdf or .png.")
    figure = draw_report(report, by_pair)
    from matplotlib import rc_context

    try:
        with rc_context(STYLE):
            figure.savefig(path)
    except OSError as error:
        raise DataError(
            f"'{path}' cannot be written ({error.strerror}). Choose another place."
        ) from error


def method_color(method: str, methods: tuple[str, ...]) -> str:
    """Return the colour of a method: the baselines are grey, the others take turns."""
    if method in BASELINES:
        return BASELINES[method]
    others = [name for name in methods if name not in BASELINES]
    return COLORS[others.index(method) % len(COLORS)]


def _draw_panel(axes: Axes, drawn: list[Population], title: str, methods: tuple[str, ...]) -> None:
    axes.axhline(0, color="#bbbbbb", linewidth=0.5, zorder=0, label="_zero")
    for one in drawn:
        if one.median is None or one.lower is None or one.upper is None:
            continue
        colour = method_color(one.method, methods)
        dashed = one.method in BASELINES or _turn(one.method, methods) > 0
        style = (0, (3, 1.5)) if dashed else "-"
        alpha = 0.07 if one.method in BASELINES else 0.13
        axes.fill_between(ABSCISSAE, one.lower, one.upper, color=colour, alpha=alpha, linewidth=0)
        axes.plot(
            ABSCISSAE, one.median, color=colour, linewidth=1.2, linestyle=style, label=one.method
        )
    axes.set_title(title, loc="left")
    axes.set_xlim(0, 1)
    axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])


def _turn(method: str, methods: tuple[str, ...]) -> int:
    """Return how often all colours were used before this method."""
    others = [name for name in methods if name not in BASELINES]
    return others.index(method) // len(COLORS)


def _title(report: Report, pair: tuple[int | None, int | None], drawn: list[Population]) -> str:
    counts = sorted({one.n_curves for one in drawn})
    n = f"n = {counts[0]}" if len(counts) == 1 else f"n = {counts[0]} to {counts[-1]}"
    source, target = pair
    if source is None or target is None:
        return f"all class pairs, {n}"
    return f"{report.class_name(source)} → {report.class_name(target)}\n{n}"


def _trim(grid: Any, n_panels: int) -> None:
    """Hide panels without a pair, and put numbers below those that are now the lowest."""
    rows, columns = grid.shape
    for number, axes in enumerate(grid.flat):
        if number >= n_panels:
            axes.set_visible(False)
        elif number + columns >= n_panels and number // columns < rows - 1:
            axes.tick_params(labelbottom=True)
