from __future__ import annotations

from dataclasses import replace

import numpy as np

from napari_quac.live.accuracy import measure_accuracy

from .sample_tables import NAMES, small_columns


def test_accuracy_and_balance_are_counted_over_predicted_samples() -> None:
    table = small_columns().predictions
    accuracy = measure_accuracy(table)
    assert accuracy.labeled.tolist() == [2, 1, 0]
    assert accuracy.predicted.tolist() == [2, 1, 1]
    assert accuracy.correct.tolist() == [1, 0, 0]
    assert accuracy.text == (
        "33% correct (1 of 3) · labeled cytosol 67%, T-bar 33%, post synapse 0% · "
        "predicted cytosol 50%, T-bar 25%, post synapse 25% · 4 of 6 samples predicted"
    )
    assert accuracy.details.splitlines()[0] == (
        "cytosol: predicted 2, labeled 2, of these 50% correct"
    )


def test_without_labels_there_is_no_accuracy_and_without_predictions_no_text() -> None:
    table = small_columns().predictions
    unlabeled = replace(table, truth=np.full(6, -1))
    assert measure_accuracy(unlabeled).text.startswith("predicted cytosol 50%")
    nothing = replace(table, probabilities=np.full((6, len(NAMES)), np.nan, dtype=np.float32))
    assert measure_accuracy(nothing).text == ""
