"""Columns with known answers."""

from __future__ import annotations

import numpy as np

from napari_quac.explain.prediction_table import PredictionTable
from napari_quac.live.explanation_status import ExplanationStatus, Outcome
from napari_quac.live.sample_columns import SampleColumns, SampleIndex

NAMES = ("cytosol", "T-bar", "post synapse")


def small_columns() -> SampleColumns:
    """Six samples: right, wrong, unsure and wrong, without label, unpredicted, failed."""
    ids = np.array([f"s1{number}_x{number:03d}" for number in range(6)])
    labels = np.array([0, 0, 1, -1, 2, 2])
    probabilities = np.array(
        [[0.9, 0.1, 0.0], [0.1, 0.9, 0.0], [0.5, 0.3, 0.2], [0.0, 0.2, 0.8], [np.nan] * 3,
         [np.nan] * 3], dtype=np.float32)  # fmt: skip
    table = PredictionTable(NAMES, probabilities, labels.astype(np.int64), {5: "torn"})
    outcomes = ExplanationStatus.none_of(6, NAMES).with_explained(
        {0: Outcome(0.7, 1, True), 1: Outcome(0.2, 0, False)}
    )
    listing = SampleIndex(ids, labels.astype(np.int64), NAMES, np.arange(6))
    return SampleColumns(listing, table, outcomes)
