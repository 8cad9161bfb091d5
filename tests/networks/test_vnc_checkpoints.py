"""The two files of the trained classifier that lies beside the project."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_quac.generators.opening import inspect_network
from napari_quac.networks.classifier_recipe import ClassifierRecipe
from rounding import F32

DATA = Path(
    os.environ.get("NAPARI_QUAC_TEST_DATA", Path(__file__).parents[2].parent / "shared" / "data")
)
pytestmark = pytest.mark.skipif(
    not (DATA / "checkpoints").is_dir(), reason=f"no test data in '{DATA}'"
)
FILES = ("vnc_classifier.torchscript.pt", "vnc_classifier_state_dict.pt")


@pytest.mark.parametrize("name", FILES)
def test_probabilities_equal_the_reference(name: str) -> None:
    recipe = ClassifierRecipe(
        DATA / "checkpoints" / name, class_names=("cytosol", "mitochondrion", "synapse")
    )
    classifier = recipe.load("cpu")
    assert (classifier.channels, classifier.image_size) == (1, (128, 128))
    with np.load(DATA / "quac_reference" / "pairs.npz") as pairs:
        images = torch.tensor(np.stack([pairs["pair0_query"], pairs["pair0_generated"]]))
        expected_logits, expected = pairs["pair0_logits"], pairs["pair0_prob"]
    images = (images + 1) / 2
    np.testing.assert_allclose(classifier.predict(images), expected, atol=F32)
    np.testing.assert_allclose(classifier.logits(images), expected_logits, atol=1e-4)


def test_architecture_is_read_off_the_state_dict() -> None:
    found = inspect_network(DATA / "checkpoints" / FILES[1])
    assert (found.kind, found.role, found.architecture) == ("state dict", "classifier", "vgg2d")
    assert (found.n_classes, found.channels, found.image_size) == (3, 1, (128, 128))
    assert found.parameters["levels"] == [[16, 16], [32, 32], [64, 64], [128, 128]]
    assert found.parameters["head"] == [256, 3]
    assert found.problem is None
