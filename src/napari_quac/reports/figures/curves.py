"""Curves of a report: median or mean and quartiles of each method, one panel per class pair."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_quac.errors import DataError
from napari_quac.explain.score import FINE_ABSCISSAE
from napari_quac.explain.size_axis import SizeAxis, axis_label, set_size_axis
from napari_quac.reports.figures.legend import curves_legend
from napari_quac.reports.figures.output import (
    PublishedFigure,
    check_figure_path,
    method_style,
    styled_figure,
    write_published,
)
from napari_quac.reports.population import Population, population, populations
from napari_quac.reports.report import Report

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Records = Sequence[str]
PANEL_INCHES = (2.3, 2.0)
MAX_COLUMNS = 3


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
    panels: dict[tuple[int | None, int | None], list[Population]] = {}
    for group in populations(report, by_pair, FINE_ABSCISSAE):
        if group.center is not None:
            panels.setdefault((group.source, group.target), []).append(group)
    if not panels:
        raise DataError(f"'{report.name}' contains no curve. Choose a wider filter.")
    columns = min(len(panels), MAX_COLUMNS)
    rows = math.ceil(len(panels) / columns)
    size = (PANEL_INCHES[0] * columns + 0.4, PANEL_INCHES[1] * rows + 0.65)
    with styled_figure(*size, "constrained") as figure:
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


def curves_figure(
    report: Report, by_pair: bool = True, size_axis: SizeAxis = "linear", records: Records = ()
) -> PublishedFigure:
    """Return the figure of a report with its legend and its data; see :func:`draw_report`.

    Parameters
    ----------
    report : Report
        The report.
    by_pair : bool
        One panel per class pair; else one for all.
    size_axis : "linear", "square root" or "logarithmic"
        Axis of mask sizes.
    records : sequence of str
        SHA-256 of each record of the report.

    Raises
    ------
    DataError
        If there is no curve.
    """
    figure = draw_report(report, by_pair, size_axis)
    groups = populations(report, by_pair, FINE_ABSCISSAE)
    rows: list[tuple[Any, ...]] = [
        ("source", "target", "method", "n", "mask_size", report.aggregate, "quartile_25",
         "quartile_75")
    ]  # fmt: skip
    for group in groups:
        if group.center is None or group.lower is None or group.upper is None:
            continue
        classes = [
            None if i is None else report.class_name(i) for i in (group.source, group.target)
        ]
        points = zip(group.mask_sizes, group.center, group.lower, group.upper, strict=True)
        rows += [(*classes, group.name, group.n_curves, *map(float, point)) for point in points]
    return PublishedFigure(figure, curves_legend(report, groups), {"data": rows}, tuple(records))


def save_figure(
    report: Report,
    path: Path,
    by_pair: bool = True,
    size_axis: SizeAxis = "linear",
    records: Records = (),
) -> None:
    """Write the figure of a report, its legend and its data; see :func:`curves_figure`.

    Raises
    ------
    DataError
        If the file extension is not one of these, there is no curve, or the file cannot be
        written.
    """
    check_figure_path(path)
    write_published(curves_figure(report, by_pair, size_axis, records), path)


def _draw_panel(axes: Axes, groups: list[Population], title: str, methods: tuple[str, ...]) -> None:
    axes.axhline(0, color="#bbbbbb", linewidth=0.5, zorder=0, label="_zero")
    for group in groups:
        if group.center is None or group.lower is None or group.upper is None:
            continue
        color, dashes, alpha = method_style(group.method, methods)
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
