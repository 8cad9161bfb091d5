"""Features and colors of points, from the predictions of their samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_quac.gui.layer_watch import NO_POINT

if TYPE_CHECKING:
    from napari_quac.explain.prediction_table import PredictionTable
    from napari_quac.live.explanation_status import ExplanationStatus

CLASS_COLORS = ("#1865b4", "#cf9338", "#a9fed4", "#bc8fff", "#95475e", "#fff046", "#4ba9a0",
                "#c70300")  # fmt: skip
MISPREDICTED_COLOR = "#ff3b30"
CORRECT_COLOR = "#ffffff"
SELECTED_BORDER = "#1e90ff"
"""Visible on gray images, unlike white or yellow."""
NO_COLOR = "#8a8f98"
PREDICTED, CONFIDENCE, SCORE = "predicted", "confidence", "QuAC score"
FACE_ALPHA, STALE_ALPHA = 0.85, 0.3
RIGHT = "as labelled"  # wording: name of a feature column of before
EMPTY = {PREDICTED: "", RIGHT: "", CONFIDENCE: np.nan, SCORE: np.nan}
"""Values of points without a prediction."""


def point_features(
    rows: NDArray[np.intp], n_points: int, table: PredictionTable,
    outcomes: ExplanationStatus | None,
) -> dict[str, NDArray[Any]]:  # fmt: skip
    """Return columns for all points of a layer; empty or NaN for points that are not samples.

    Parameters
    ----------
    rows : (N,) ndarray of int
        Point of each sample; -1 for samples whose point was moved or removed.
    n_points : int
        Points of the layer.
    table : PredictionTable
        Predictions of the N samples.
    outcomes : ExplanationStatus or None
        Scores of the N samples.
    """
    predicted = np.full(n_points, "", dtype=object)
    agreement = np.full(n_points, "", dtype=object)
    confidence = np.full(n_points, np.nan)
    score = np.full(n_points, np.nan)
    has_point = rows != NO_POINT
    rows, is_predicted = rows[has_point], table.is_predicted
    names = np.array([*table.class_names, ""], dtype=object)
    predicted[rows] = names[table.predicted][has_point]
    confidence[rows] = np.where(is_predicted, table.confidence, np.nan)[has_point]
    has_truth = is_predicted & (table.truth >= 0)
    texts = np.where(has_truth, np.where(table.mispredicted, "no", "yes"), "")
    agreement[rows] = texts[has_point]
    if outcomes is not None:
        score[rows] = outcomes.scores[has_point]
    return {PREDICTED: predicted, CONFIDENCE: confidence, RIGHT: agreement, SCORE: score}


def point_colors(
    rows: NDArray[np.intp], n_points: int, table: PredictionTable, is_stale: bool = False
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return face colors by class and border colors by correctness, (N, 4) each.

    Parameters
    ----------
    rows : (N,) ndarray of int
        Point of each sample; -1 for none.
    n_points : int
        Points of the layer.
    table : PredictionTable
        Predictions of the N samples.
    is_stale : bool
        Draw the predictions pale: they are those of other pixels.
    """
    palette = np.array([_rgba(color) for color in CLASS_COLORS])
    face = np.tile(_rgba(NO_COLOR, 0.6), (n_points, 1))
    border = np.tile(_rgba(NO_COLOR, 0.6), (n_points, 1))
    is_predicted = table.is_predicted & (rows != NO_POINT)
    predicted_rows = rows[is_predicted]
    face[predicted_rows] = palette[table.predicted[is_predicted] % len(palette)]
    face[predicted_rows, 3] = STALE_ALPHA if is_stale else FACE_ALPHA
    border[predicted_rows] = _rgba(CORRECT_COLOR, 0.7)
    border[rows[table.mispredicted & is_predicted]] = _rgba(MISPREDICTED_COLOR)
    return face, border


def ring_color(border: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the ring color of the selected point; mispredictions remain red."""
    if np.allclose(border, _rgba(MISPREDICTED_COLOR), atol=0.01):
        return border
    return np.array(_rgba(SELECTED_BORDER))


def _rgba(color: str, alpha: float = 1.0) -> tuple[float, float, float, float]:
    red, green, blue = (int(color[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return red, green, blue, alpha
