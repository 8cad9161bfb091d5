from __future__ import annotations

import pytest
import torch

from explain.small_networks import LinearNetwork, classifier_of
from napari_quac.data.dataset import Sample
from napari_quac.errors import DataError, ShapeError
from napari_quac.explain.pair import make_pair
from napari_quac.networks.classifier import Classifier


@pytest.fixture
def classifier() -> Classifier:
    """Class 1 where the sum of the 16 pixels is above 8."""
    return classifier_of(LinearNetwork(torch.ones(1, 4, 4), 8.0), shape=(1, 4, 4))


def test_pair_knows_what_the_classifier_says_of_both(classifier: Classifier) -> None:
    query = Sample("dark", torch.full((1, 4, 4), 0.25))
    pair = make_pair(query, torch.full((1, 4, 4), 0.75), 0, 1, classifier, {"file": "a.png"})
    expected = torch.tensor([4.0, -4.0]).softmax(0)[0]
    assert float(pair.query_prediction[0]) == pytest.approx(float(expected))
    assert float(pair.generated_prediction[1]) == pytest.approx(float(expected))
    assert pair.switches
    assert pair.origin == {"file": "a.png"}
    assert pair.n_tried == 1


def test_pair_that_stays_in_its_class_does_not_switch(classifier: Classifier) -> None:
    query = Sample("dark", torch.zeros(1, 4, 4))
    assert not make_pair(query, torch.full((1, 4, 4), 0.25), 0, 1, classifier).switches


def test_source_need_not_be_the_predicted_class(classifier: Classifier) -> None:
    query = Sample("dark", torch.zeros(1, 4, 4))
    pair = make_pair(query, torch.ones(1, 4, 4), 1, 0, classifier)
    assert (pair.source, pair.target) == (1, 0)
    assert not pair.switches


def test_source_as_target_is_refused_by_name(classifier: Classifier) -> None:
    with pytest.raises(DataError, match=r"both 'class 1'. Choose another target"):
        make_pair(Sample("q", torch.zeros(1, 4, 4)), torch.ones(1, 4, 4), 1, 1, classifier)


@pytest.mark.parametrize(("source", "target"), [(0, 2), (-1, 1), (5, 0)])
def test_classes_that_do_not_exist_are_refused(
    classifier: Classifier, source: int, target: int
) -> None:
    with pytest.raises(DataError, match="Choose one of the 2 classes: class 0, class 1"):
        make_pair(
            Sample("q", torch.zeros(1, 4, 4)), torch.ones(1, 4, 4), source, target, classifier
        )


def test_images_of_different_size_are_refused(classifier: Classifier) -> None:
    with pytest.raises(ShapeError, match=r"\(1, 4, 5\); the query 'q' has \(1, 4, 4\)"):
        make_pair(Sample("q", torch.zeros(1, 4, 4)), torch.ones(1, 4, 5), 0, 1, classifier)


@pytest.mark.parametrize("shape", [(3, 4, 4), (1, 4, 6), (4, 4)])
def test_query_that_does_not_fit_the_classifier_is_refused(
    classifier: Classifier, shape: tuple[int, ...]
) -> None:
    image = torch.zeros(shape)
    with pytest.raises(ShapeError, match=r"The query 'q' has .* trained for 1 channel of 4 × 4"):
        make_pair(Sample("q", image), image, 0, 1, classifier)
