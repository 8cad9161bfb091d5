"""A classifier with a single output stands for two classes, and both can be the source."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from napari_quac.data.dataset import Sample
from napari_quac.explain.attribution import attribute
from napari_quac.explain.methods import METHODS
from napari_quac.explain.pair import make_pair
from napari_quac.networks.classifier_recipe import classifier_from_module

SIZE = 12


@pytest.fixture(scope="module")
def classifier():
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(4 * (SIZE // 2) ** 2, 1),
    )  # fmt: skip
    return classifier_from_module(network, ("no", "yes"), channels=1, image_size=SIZE)


@pytest.fixture(scope="module")
def images():
    return torch.rand((2, 1, SIZE, SIZE), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("name", ["d-ig", "d-deeplift", "d-ingrad", "ig", "d-gc"])
def test_both_classes_have_something_to_attribute(classifier, images, name):
    query, generated = images
    maps = []
    for source in (0, 1):
        pair = make_pair(Sample("query", query), generated, source, 1 - source, classifier)
        maps.append(attribute(pair, name, METHODS[name](), classifier).result().signed)
    assert float(maps[0].abs().max()) > 0
    if name == "d-ig":
        torch.testing.assert_close(maps[0], -maps[1])


def test_the_logits_stay_those_of_the_definition(classifier, images):
    logits = classifier.logits(images)
    assert torch.equal(logits[:, 0], torch.zeros(2))
    evidence = classifier.class_evidence(classifier.attribution_inputs(images))
    torch.testing.assert_close(evidence, torch.stack([-logits[:, 1], logits[:, 1]], dim=1))
