from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from napari_quac.data.dataset import Sample
from napari_quac.data.preprocessing import PRESETS
from napari_quac.errors import NetworkError
from napari_quac.explain.prediction_table import (
    hellinger,
    nearest_correct,
    penultimate_features,
    predict_all,
)
from napari_quac.networks.classifier import Classifier
from napari_quac.testing import CornerSamples, corner_classifier


class Grey:
    """Grey images of rising brightness; the bright half is labelled so, but for one."""

    name = "grey"
    classes = ("dark", "bright")
    values = (0.1, 0.2, 0.3, 0.45, 0.6, 0.7, 0.9)
    labels = (0, 0, 0, 1, 1, 1, 1)  # number 3 is dark and labelled bright

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index: int) -> Sample:
        image = torch.full((1, 4, 4), self.values[index])
        return Sample(self.sample_id(index), image, self.labels[index])

    def sample_id(self, index: int) -> str:
        return f"grey/{index}"

    def label(self, index: int) -> int:
        return self.labels[index]


def brightness_classifier() -> Classifier:
    last = nn.Linear(1, 2)
    with torch.no_grad():
        last.weight[:] = torch.tensor([[-10.0], [10.0]])
        last.bias[:] = torch.tensor([5.0, -5.0])
    module = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), last).eval()
    return Classifier(module, Grey.classes, preprocessing=PRESETS["unit"])


def test_the_nearest_correct_ones_come_first_by_features() -> None:
    classifier, dataset = brightness_classifier(), Grey()
    table = predict_all(dataset, classifier).result()
    assert table.mispredicted.tolist() == [False, False, False, True, False, False, False]
    found = nearest_correct(dataset[3], 1, table, dataset, classifier, n=2).result()
    assert found is not None
    assert found.indices == (4, 5) and found.basis == "features" and found.label == 1
    # the feature is the mean brightness
    np.testing.assert_allclose(found.distances, [0.15, 0.25], atol=1e-6)
    assert [sample.id for sample in found.samples] == ["grey/4", "grey/5"]


def test_a_closed_network_is_compared_by_its_probabilities_and_says_so() -> None:
    dataset, classifier = CornerSamples(), corner_classifier()
    table = predict_all(dataset, classifier).result()
    found = nearest_correct(dataset[4], 2, table, dataset, classifier).result()
    assert found is not None and found.basis == "probabilities"
    assert "probabilities" in found.basis_text
    assert set(found.indices) <= {2, 5, 8} and found.distances[0] <= found.distances[-1]
    assert penultimate_features(classifier, dataset[0].image[None]) is None


def test_no_correct_one_is_no_error() -> None:
    dataset, classifier = Grey(), brightness_classifier()
    table = predict_all(dataset, classifier).result()
    table.truth[:] = 1 - table.predicted
    assert nearest_correct(dataset[3], 1, table, dataset, classifier).result() is None


def test_hellinger_distance() -> None:
    rows = np.array([[1, 0], [0, 1], [0.5, 0.5]], dtype=np.float32)
    expected = [0, 1, np.sqrt(1 - np.sqrt(0.5))]
    np.testing.assert_allclose(hellinger(rows, rows[0]), expected, atol=1e-12)


def test_features_of_a_network_that_fails_are_an_error_of_the_project() -> None:
    class Failing(nn.Linear):
        def forward(self, images: Tensor) -> Tensor:
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    module = nn.Sequential(nn.Flatten(), Failing(4, 2)).eval()
    classifier = Classifier(module, ("a", "b"), 1, (2, 2), PRESETS["unit"], name="broken")
    with pytest.raises(NetworkError, match=r"broken .*mat1"):
        penultimate_features(classifier, torch.zeros(1, 1, 2, 2))
