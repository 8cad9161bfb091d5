"""A state dict leaves several image sizes open; the first images decide."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from napari_quac.errors import ShapeError
from napari_quac.networks.architectures.recognition import recognize_classifier
from napari_quac.networks.architectures.resnet import DapiResNet
from napari_quac.networks.classifier_recipe import ClassifierRecipe


@pytest.fixture
def file(tmp_path) -> Path:
    network = DapiResNet(1, (2, 4), (1, 1), (8, 3), side=7)
    torch.save(network.state_dict(), tmp_path / "network.pt")
    return tmp_path / "network.pt"


def test_the_weights_tell_the_largest_size_that_fits(file):
    layout = recognize_classifier(torch.load(file, weights_only=True))
    assert layout is not None
    assert layout.image_size == (28, 28)


def test_images_that_the_network_takes_are_not_refused(file):
    classifier = ClassifierRecipe(file).load("cpu")
    classifier.check_image((1, 25, 25))
    assert classifier.image_size == (25, 25)
    assert classifier.predict(torch.rand(1, 1, 25, 25)).shape == (1, 3)


def test_others_are_refused_and_the_way_out_is_named(file):
    classifier = ClassifierRecipe(file).load("cpu")
    with pytest.raises(ShapeError, match=r"seems to be trained .*--image-size"):
        classifier.check_image((1, 64, 64))


def test_a_size_that_was_given_stays(file):
    classifier = ClassifierRecipe(file, image_size=28).load("cpu")
    with pytest.raises(ShapeError, match="was trained for"):
        classifier.check_image((1, 25, 25))


def test_wrong_channels_are_not_to_be_cropped(file):
    classifier = ClassifierRecipe(file).load("cpu")
    with pytest.raises(ShapeError, match="--rgb-to-gray"):
        classifier.check_image((3, 28, 28))
