"""Which question is asked of a sample that is right, wrong or without a label."""

from __future__ import annotations

import pytest
import torch

from napari_quac.explain.question import default_question, true_class
from napari_quac.testing import corner_classifier

PREDICTION = torch.tensor([0.2, 0.5, 0.3])


@pytest.mark.parametrize("truth", [None, 1])
@pytest.mark.parametrize("basis", ["prediction", "label"])
def test_a_right_prediction_is_asked_for_the_second_best_class(truth, basis):
    assert default_question(PREDICTION, truth, basis) == (1, 2)


def test_a_misprediction_is_asked_both_ways():
    assert default_question(PREDICTION, 0, "prediction") == (1, 0)
    assert default_question(PREDICTION, 0, "label") == (0, 1)


def test_labels_are_matched_by_name_and_not_by_index():
    classifier = corner_classifier()
    names = classifier.class_names
    assert true_class(0, (names[1], names[0]), classifier) == 1
    assert true_class(0, ("something else",), classifier) is None
    assert true_class(None, names, classifier) is None
    assert true_class(7, names, classifier) is None
