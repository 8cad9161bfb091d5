"""Figure of one pair: images, mask, attribution, curve and predictions, by one or more methods."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from napari_quac.errors import DataError
from napari_quac.explain.curve import Hybrid
from napari_quac.explain.explanation import Explanation
from napari_quac.explain.size_axis import SizeAxis
from napari_quac.reports.figures.legend import number_text, pair_legend
from napari_quac.reports.figures.output import COLORS, DOTS_PER_INCH, PublishedFigure, styled_figure
from napari_quac.reports.figures.panels import (
    FULL_RANGE,
    GENERATED_COLOR,
    HYBRID_COLOR,
    KEY_COLUMNS,
    QUERY_COLOR,
    Limits,
    PixelGrid,
    add_panel,
    draw_bars,
    draw_curve,
    draw_image,
    draw_map,
    draw_outline,
    draw_scale_bar,
    leading_classes,
    mask_plane,
    quantize,
    short_name,
)
from napari_quac.reports.figures.subject import Subject

IMAGE_INCHES = 1.7
GAP, TITLE, BELOW, SIDE, RIGHT = 0.12, 0.36, 0.42, 0.08, 0.16  # inches
KEY_LINE = 0.14  # inches
PLOT_INCHES = 2.3
CELL = 1.28  # inches; room for the titles of narrow images
Y_LABELS = 0.78
PLOT_HEIGHTS = (0.9, 1.5)  # inches
MAX_METHODS = 8
TITLE_NAME = 9  # characters of a class above an image


def pair_figure(
    subject: Subject,
    threshold: float | None = None,
    limits: Limits = FULL_RANGE,
    size_axis: SizeAxis = "linear",
) -> PublishedFigure:
    """Draw a pair: query, generated image and predictions, then a row for each method.

    Parameters
    ----------
    subject : Subject
        The pair and its explanations, at most eight; see :meth:`.Subject.select`.
    threshold : float, optional
        Threshold of the hybrids, in [0, 1]; by default the optimum of each method.
    limits : (low, high)
        Values that are black and white in all images.
    size_axis : "linear", "square root" or "logarithmic"
        Axis of mask sizes.

    Raises
    ------
    DataError
        If there is no explanation, or there are more than eight.
    """
    if not 0 < len(subject.explanations) <= MAX_METHODS:
        raise DataError(
            f"A figure of a pair shows 1 to {MAX_METHODS} methods, not "
            f"{len(subject.explanations)}. Choose some of them."
        )
    pair, explained = subject.pair, list(subject.explanations.values())
    panels = [(e.require_exact(), e.at(threshold)) for e in explained]
    pixel = subject.pixel_nm()
    shape = tuple(pair.query.image.shape)
    grid = PixelGrid.of(shape, IMAGE_INCHES, 1.0 if pixel is None else pixel[0] / pixel[1])
    line = TITLE + max(grid.height, 1.0) + BELOW
    cell = max(grid.width, CELL)
    margin = round((cell - grid.width) / 2 * DOTS_PER_INCH) / DOTS_PER_INCH
    columns = (SIDE + margin, SIDE + cell + GAP + margin)
    plot_left = 2 * SIDE + 2 * cell + GAP + Y_LABELS
    keys = KEY_LINE * max(0, -(-(2 + len(panels)) // KEY_COLUMNS) - 1)  # of the bars
    size = (plot_left + PLOT_INCHES + RIGHT, line * (1 + len(panels)) + keys)
    with styled_figure(*size) as figure:
        query = add_panel(figure, columns[0], TITLE, grid.width, grid.height)
        _draw(query, subject, pair.query.image, "query", pair.query_prediction, limits)
        noun = "infill" if pair.infill else "generated"
        generated = add_panel(figure, columns[1], TITLE, grid.width, grid.height)
        _draw(generated, subject, pair.generated, noun, pair.generated_prediction, limits)
        bar_nm = None if pixel is None else draw_scale_bar(query, shape[-1], pixel[1])
        plot_height = min(max(grid.height - 0.12, PLOT_HEIGHTS[0]), PLOT_HEIGHTS[1])
        _predictions(add_panel(figure, plot_left, TITLE, PLOT_INCHES, plot_height), subject, panels)
        for number, (explanation, hybrid) in enumerate(panels, start=1):
            top = line * number + keys + TITLE
            name = explanation.attribution.true_name
            axes = add_panel(figure, columns[0], top, grid.width, grid.height)
            title = textwrap.shorten(name, 24, placeholder="…")
            draw_map(figure, axes, explanation, f"attribution\n{title}")
            axes = add_panel(figure, columns[1], top, grid.width, grid.height)
            _draw(axes, subject, hybrid.image, "hybrid", hybrid.prediction, limits, name)
            draw_outline(axes, mask_plane(hybrid))
            axes = add_panel(figure, plot_left, top, PLOT_INCHES, plot_height)
            draw_curve(axes, explanation, hybrid, size_axis)
    legend = pair_legend(subject, panels, limits, bar_nm, grid.is_whole)
    tables = {"curve": _curve_rows(subject), "predictions": _prediction_rows(subject, panels)}
    return PublishedFigure(figure, legend, tables, (subject.record_sha256,))


def _draw(
    axes: Any,
    subject: Subject,
    image: Tensor,
    name: str,
    prediction: Tensor,
    limits: Limits,
    method: str = "",
) -> None:
    # the class that the curve is about, the same in all titles
    scored = next(iter(subject.explanations.values())).pair.scored_class
    class_name = short_name(subject.class_name(scored), TITLE_NAME)
    p = f"p({class_name}) = {number_text(float(prediction[scored]))}"
    gid = f"{name}-{method}" if method else name
    draw_image(axes, quantize(image, limits), f"{name}\n{p}", gid)


def _bars(
    subject: Subject, panels: Sequence[tuple[Explanation, Hybrid]]
) -> list[tuple[str, str, Tensor]]:
    """Return label, color and probabilities of all images."""
    pair = subject.pair
    bars = [
        ("query", QUERY_COLOR, pair.query_prediction),
        ("infill" if pair.infill else "generated", GENERATED_COLOR, pair.generated_prediction),
    ]
    colors = (HYBRID_COLOR, COLORS[0], COLORS[2], COLORS[3], COLORS[1])
    for number, (explanation, hybrid) in enumerate(panels):
        name = "hybrid" if len(panels) == 1 else f"hybrid {explanation.attribution.true_name}"
        bars.append((name, colors[number % len(colors)], hybrid.prediction))
    return bars


def _predictions(axes: Any, subject: Subject, panels: Sequence[tuple[Explanation, Hybrid]]) -> None:
    bars = _bars(subject, panels)
    predictions = [prediction for _, _, prediction in bars]
    classes = leading_classes(predictions, subject.pair.source, subject.pair.target)
    draw_bars(axes, bars, classes, [subject.class_name(index) for index in classes])


def _curve_rows(subject: Subject) -> list[tuple[Any, ...]]:
    pair, name = subject.pair, subject.class_name
    rows: list[tuple[Any, ...]] = [
        ("sample", "source", "target", "method", "threshold", "mask_size", "score_change",
         "is_optimum")
    ]  # fmt: skip
    for explanation in subject.explanations.values():
        curve = explanation.curve
        fixed = (pair.query.id, name(pair.source), name(pair.target))
        for index in curve.distinct():
            point = (curve.thresholds[index], curve.mask_sizes[index], curve.score_changes[index])
            cells = (explanation.attribution.true_name, *map(float, point))
            rows.append((*fixed, *cells, bool(index == curve.best)))
    return rows


def _prediction_rows(
    subject: Subject, panels: Sequence[tuple[Explanation, Hybrid]]
) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = [("sample", "image", "class", "probability")]
    for label, _, prediction in _bars(subject, panels):
        for index, probability in enumerate(prediction.tolist()):
            rows.append((subject.pair.query.id, label, subject.class_name(index), probability))
    return rows
