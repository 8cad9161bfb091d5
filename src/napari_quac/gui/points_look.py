"""What is known of samples, as features and colours of a Points layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

if TYPE_CHECKING:
    from napari_quac.data.volume_points import VolumePoints
    from napari_quac.explain.prediction_table import PredictionTable
    from napari_quac.live.sample_columns import ExplanationStatus

CLASS_COLORS = ("#4db8ff", "#f5a623", "#3ecf8e", "#c792ea", "#ff8fab", "#d4e157", "#4dd0c8",
                "#ff8a65", "#9aa3ff", "#b08968")  # fmt: skip
WRONG_COLOR = "#ff3b30"
RIGHT_BORDER = "#ffffff"
SELECTED_BORDER = "#1e90ff"
"""On grey images it is seen where white or yellow would not be."""
NO_COLOR = "#8a8f98"
PREDICTED, CONFIDENCE, RIGHT, SCORE = (
    "predicted", "confidence", "as labelled", "QuAC score"
)  # fmt: skip


def features_of(
    dataset: VolumePoints, n_points: int, table: PredictionTable, outcomes: ExplanationStatus | None
) -> dict[str, NDArray[Any]]:
    """Return columns for all points of a layer; empty or NaN for those that are no sample."""
    predicted = np.full(n_points, "", dtype=object)
    as_labelled = np.full(n_points, "", dtype=object)
    confidence = np.full(n_points, np.nan)
    score = np.full(n_points, np.nan)
    rows, known = dataset.rows, table.is_predicted
    names = np.array([*table.class_names, ""], dtype=object)
    predicted[rows] = names[table.predicted]
    confidence[rows] = np.where(known, table.confidence, np.nan)
    has_truth = known & (table.truth >= 0)
    as_labelled[rows] = np.where(has_truth, np.where(table.mispredicted, "no", "yes"), "")
    if outcomes is not None:
        score[rows] = outcomes.scores
    return {PREDICTED: predicted, CONFIDENCE: confidence, RIGHT: as_labelled, SCORE: score}


def merged_features(before: pd.DataFrame, columns: dict[str, NDArray[Any]]) -> pd.DataFrame:
    """Return the features of a layer with ours beside them; the user's stay."""
    after = before.copy()
    for name, values in columns.items():
        after[name] = values
    return after


def colours_of(
    dataset: VolumePoints, n_points: int, table: PredictionTable
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return face and border colours, (N, 4) each: by predicted class; wrong ones outlined."""
    palette = np.array([_rgba(color) for color in CLASS_COLORS])
    face = np.tile(_rgba(NO_COLOR, 0.6), (n_points, 1))
    border = np.tile(_rgba(NO_COLOR, 0.6), (n_points, 1))
    known = table.is_predicted
    rows = dataset.rows[known]
    face[rows] = palette[table.predicted[known] % len(palette)]
    face[rows, 3] = 0.85
    border[rows] = _rgba(RIGHT_BORDER, 0.7)
    border[dataset.rows[table.mispredicted]] = _rgba(WRONG_COLOR)
    return face, border


def ring_colour(border: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the colour of the selected point's ring; wrong ones stay red."""
    if np.allclose(border, _rgba(WRONG_COLOR), atol=0.01):
        return border
    return np.array(_rgba(SELECTED_BORDER))


def _rgba(color: str, alpha: float = 1.0) -> tuple[float, float, float, float]:
    red, green, blue = (int(color[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return red, green, blue, alpha
