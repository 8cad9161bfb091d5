"""Figure of several samples: query, hybrid with the edge of its mask, and attribution of each."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from napari_quac.errors import DataError
from napari_quac.explain.explanation import Explanation
from napari_quac.reports.figures.legend import gallery_legend, number_text
from napari_quac.reports.figures.output import PublishedFigure, styled_figure
from napari_quac.reports.figures.panels import (
    FULL_RANGE,
    Limits,
    PixelGrid,
    add_panel,
    color_indices,
    diverging_colors,
    draw_image,
    draw_outline,
    draw_scale_bar,
    mask_plane,
    quantize,
    signed_plane,
)
from napari_quac.reports.figures.subject import Subject

IMAGE_INCHES = 1.05
GAP, TITLE, BELOW, SIDE, BETWEEN = 0.05, 0.46, 0.2, 0.08, 0.22  # inches
COLUMNS = 2
MAX_SAMPLES = 60
TITLE_CHARACTERS = 44


def gallery_figure(
    subjects: Sequence[Subject], order: str = "in the order of the report",
    limits: Limits = FULL_RANGE,
) -> PublishedFigure:  # fmt: skip
    """Draw the best explanation of each subject, two in a row.

    Parameters
    ----------
    subjects : sequence of Subject
        At most sixty.
    order : str
        Phrase about the choice and order of the samples, for the legend.
    limits : (low, high)
        Values that are black and white in all images.

    Raises
    ------
    DataError
        If there are none or more than sixty.
    """
    if not 0 < len(subjects) <= MAX_SAMPLES:
        raise DataError(
            f"A gallery shows 1 to {MAX_SAMPLES} samples, not {len(subjects)}. Choose some by "
            "a filter, or the best ones."
        )
    panels = [(subject, subject.best().require_exact(), _grid(subject)) for subject in subjects]
    width = max(grid.width for _, _, grid in panels)
    height = max(grid.height for _, _, grid in panels)
    tile = (3 * width + 2 * GAP + BETWEEN, TITLE + height + BELOW)
    columns = min(COLUMNS, len(panels))
    size = (2 * SIDE + columns * tile[0] - BETWEEN, -(-len(panels) // columns) * tile[1])
    bars: list[float | None] = []
    with styled_figure(*size) as figure:
        for number, panel in enumerate(panels):
            row, column = divmod(number, columns)
            place = (SIDE + column * tile[0], row * tile[1] + TITLE)
            bars.append(_draw_tile(figure, place, panel, limits))
    methods = tuple(dict.fromkeys(e.attribution.true_name for _, e, _ in panels))
    legend = gallery_legend(subjects, methods, order, limits, bars)
    records = tuple(subject.record_sha256 for subject in subjects)
    return PublishedFigure(figure, legend, {"data": _rows(panels)}, records)


def _grid(subject: Subject) -> PixelGrid:
    pixel = subject.pixel_nm()
    aspect = 1.0 if pixel is None else pixel[0] / pixel[1]
    return PixelGrid.of(tuple(subject.pair.query.image.shape), IMAGE_INCHES, aspect)


def _draw_tile(
    figure: Any,
    place: tuple[float, float],
    panel: tuple[Subject, Explanation, PixelGrid],
    limits: Limits,
) -> float | None:
    """Draw the images of one subject; return the length of its scale bar in nm."""
    (left, top), (subject, explanation, grid) = place, panel
    pair, hybrid = subject.pair, explanation.counterfactual
    signed, limit = signed_plane(explanation)
    images = {
        "query": quantize(pair.query.image, limits),
        "hybrid": quantize(hybrid.image, limits),
        "attribution": diverging_colors()[color_indices(signed, limit)],
    }
    axes: dict[str, Any] = {}
    for number, (name, pixels) in enumerate(images.items()):
        position = left + number * (grid.width + GAP)
        axes[name] = add_panel(figure, position, top, grid.width, grid.height)
        draw_image(axes[name], pixels, gid=name)
    draw_outline(axes["hybrid"], mask_plane(hybrid))
    axes["query"].set_title(_title(subject, explanation), loc="left", fontsize=7, pad=3)
    pixel = subject.pixel_nm()
    n_columns = int(pair.query.image.shape[-1])
    return None if pixel is None else draw_scale_bar(axes["query"], n_columns, pixel[1])


def _title(subject: Subject, explanation: Explanation) -> str:
    hybrid, roles = explanation.counterfactual, explanation.pair
    scored = roles.scored_class
    before, after = (float(p[scored]) for p in (roles.query_prediction, hybrid.prediction))
    classes = (
        f"{subject.class_name(subject.pair.source)} → {subject.class_name(subject.pair.target)}"
    )
    name = subject.pair.query.id
    if len(name) > TITLE_CHARACTERS:
        name = f"…{name[-TITLE_CHARACTERS + 1 :]}"
    numbers = (
        f"QuAC score {explanation.quac_score:.2f}, mask {hybrid.mask_size:.1%}, "
        f"p {number_text(before)} → {number_text(after)}"
    )
    return f"{name}\n{textwrap.shorten(classes, 52, placeholder='…')}\n{numbers}"


def _rows(panels: Sequence[tuple[Subject, Explanation, PixelGrid]]) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = [
        ("sample", "source", "target", "method", "quac_score", "threshold", "mask_size",
         "score_change", "record_sha256")
    ]  # fmt: skip
    for subject, explanation, _ in panels:
        pair, hybrid = subject.pair, explanation.counterfactual
        classes = (subject.class_name(pair.source), subject.class_name(pair.target))
        numbers = (explanation.quac_score, hybrid.threshold, hybrid.mask_size, hybrid.score_change)
        names = (pair.query.id, *classes, explanation.attribution.true_name)
        rows.append((*names, *map(float, numbers), subject.record_sha256 or None))
    return rows
