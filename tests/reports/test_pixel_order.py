"""Deletion and insertion, on the worked example with eight by eight pixels and by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from napari_quac.data.preprocessing import PRESETS
from napari_quac.errors import DataError, ShapeError
from napari_quac.networks.classifier import Classifier
from napari_quac.reports.pixel_order import (
    deletion,
    insertion,
    replace_in_order,
)
from rounding import F32

WEIGHTS = torch.zeros(1, 8, 8)
WEIGHTS[0, 2, 2], WEIGHTS[0, 2, 3], WEIGHTS[0, 3, 2], WEIGHTS[0, 3, 3] = 1, 0.75, 0.5, 0.25
QUERY = torch.zeros(1, 8, 8)
GENERATED = (WEIGHTS > 0).float()
GENERATED[0, 6, 5:8] = 1


class WeightedSum(nn.Module):
    """Logits ``(-v, v)`` with ``v = Σ w·x - 1.25``."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("weights", WEIGHTS)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        value = (images * self.weights).flatten(1).sum(1) - 1.25
        return torch.stack([-value, value], dim=1)


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier(WeightedSum().eval(), ("0", "1"), 1, (8, 8), PRESETS["unit"])


def test_counterfactual_deletion_of_the_worked_example(classifier):
    curve = replace_in_order(GENERATED, QUERY, WEIGHTS, classifier, 1, 1).result()
    expected = [0.9241418, 0.6224593, 0.2689414, 0.1192029, 0.0758582]
    np.testing.assert_allclose(curve.probabilities[:5], expected, rtol=0, atol=F32)
    assert len(curve.probabilities) == 65
    assert curve.area == pytest.approx(0.0947202, abs=F32)


def test_counterfactual_insertion_of_the_worked_example(classifier):
    curve = replace_in_order(QUERY, GENERATED, WEIGHTS, classifier, 1, 1).result()
    expected = [0.0758582, 0.3775407, 0.7310586, 0.8807971, 0.9241418]
    np.testing.assert_allclose(curve.probabilities[:5], expected, rtol=0, atol=F32)
    assert curve.area == pytest.approx(0.9052798, abs=F32)


def test_a_map_that_is_wrong_is_told_from_one_that_is_right(classifier):
    wrong = 1 - WEIGHTS
    curve = replace_in_order(QUERY, GENERATED, wrong, classifier, 1, 1).result()
    assert curve.area < 0.2


def test_last_step_takes_what_is_left(classifier):
    curve = replace_in_order(QUERY, GENERATED, WEIGHTS, classifier, 1, 30).result()
    assert curve.shares.tolist() == [0, 30 / 64, 60 / 64, 1]
    assert curve.probabilities[-1] == pytest.approx(0.9241418)


def test_by_default_there_are_as_many_steps_as_pixels_in_a_row(classifier):
    assert len(replace_in_order(QUERY, GENERATED, WEIGHTS, classifier, 1).result().shares) == 9


def test_deletion_watches_the_predicted_class_and_puts_grey_in_place(classifier):
    curve = deletion(GENERATED, WEIGHTS, classifier, 0.5, 1).result()
    values = [1.25, 0.75, 0.375, 0.125, 0.0]  # v with 0 to 4 of the pixels halved
    expected = [1 / (1 + np.exp(-2 * v)) for v in values]
    np.testing.assert_allclose(curve.probabilities[:5], expected, atol=F32)
    query = deletion(QUERY, WEIGHTS, classifier, 0.0).result()
    assert query.area == pytest.approx(0.92414182, abs=F32)  # class 0, and nothing changes


def test_insertion_starts_from_a_blurred_image_and_ends_at_the_image(classifier):
    curve = insertion(GENERATED, WEIGHTS, classifier, 0.0).result()
    assert curve.probabilities[-1] == pytest.approx(0.9241418, abs=F32)
    assert curve.probabilities[0] < 0.2
    # the blur of a constant keeps it where the surroundings have the same value
    same = insertion(torch.full((1, 8, 8), 0.7), WEIGHTS, classifier, 0.7).result()
    assert np.ptp(same.probabilities) < F32


def test_a_pixel_is_replaced_in_all_channels():
    class Channels(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            seen.append(images.clone())
            return torch.zeros(len(images), 2)

    seen: list[torch.Tensor] = []
    classifier = Classifier(
        Channels().eval(), ("0", "1"), 3, (2, 2), PRESETS["unit"], form="callable"
    )
    order = torch.zeros(3, 2, 2)
    order[1, 1, 0] = 1
    begin, end = torch.zeros(3, 2, 2), torch.ones(3, 2, 2)
    replace_in_order(begin, end, order, classifier, 0, 1).result()
    shown = torch.cat(seen)
    second = next(image for image in shown if image.sum() == 3)
    assert second[:, 1, 0].tolist() == [1, 1, 1]
    assert begin.sum() == 0


def test_volumes_are_replaced_voxel_by_voxel():
    class Mean(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            mean = images.flatten(1).mean(1)
            return torch.stack([-mean, mean], dim=1)

    classifier = Classifier(Mean().eval(), ("0", "1"), 1, None, PRESETS["unit"])
    begin, end = torch.zeros(1, 3, 4, 4), torch.ones(1, 3, 4, 4)
    curve = replace_in_order(begin, end, torch.rand(3, 4, 4), classifier, 1).result()
    assert len(curve.shares) == 5
    assert insertion(end, torch.rand(1, 3, 4, 4), classifier).result().area > 0.5


def test_wrong_input_is_refused(classifier):
    with pytest.raises(ShapeError, match="same pixels"):
        replace_in_order(QUERY, GENERATED, torch.zeros(1, 4, 4), classifier, 1).result()
    with pytest.raises(DataError, match="NaN"):
        replace_in_order(QUERY, GENERATED, WEIGHTS * torch.nan, classifier, 1).result()
    with pytest.raises(DataError, match="1 or more"):
        replace_in_order(QUERY, GENERATED, WEIGHTS, classifier, 1, 0).result()
