"""A simulator learns to move the logit of a classifier whose pattern is a size."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from napari_quac.data.preprocessing import PRESETS
from napari_quac.data.synthetic import SyntheticShapes
from napari_quac.errors import DataError
from napari_quac.generators.warp.recipe import WarpRecipe
from napari_quac.generators.warp.training import WarpEvaluation
from napari_quac.generators.warp.training_settings import WarpTrainingSettings
from napari_quac.networks.classifier import Classifier
from napari_quac.train.checkpointing import read_state
from napari_quac.train.generator_trainer import train_generator
from napari_quac.train.settings import settings_from_json

QUICK = WarpTrainingSettings(
    minutes=5,
    steps=80,
    batch_size=8,
    learning_rate=2e-3,
    margin=0.5,
    smoothness=0.05,
    width=4,
    bottleneck=8,
)


class Darkness(nn.Module):
    """Tells the classes by how much of the image is dark."""

    def forward(self, images: Tensor) -> Tensor:
        dark = torch.sigmoid(20 * (0.35 - images)).mean(dim=(1, 2, 3))
        value = 60 * (dark - 0.085)
        return torch.stack([-value, value], dim=1)


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    size = SyntheticShapes.image_size
    return Classifier(Darkness().eval(), ("small", "large"), 1, size, PRESETS["unit"])


def test_classes_differ_in_the_density_and_nothing_else() -> None:
    samples = SyntheticShapes(20)
    areas = [int(samples.density(index).sum()) for index in range(20)]
    assert max(areas[0::2]) < min(areas[1::2])
    darkest = [float(samples[index].image.min()) for index in range(20)]
    assert abs(np.median(darkest[0::2]) - np.median(darkest[1::2])) < 0.06
    assert torch.equal(samples[3].image, SyntheticShapes(20)[3].image)


@pytest.mark.long
def test_logit_follows_and_the_file_loads_as_a_generator(
    classifier: Classifier, tmp_path: Path
) -> None:
    trained = train_generator(SyntheticShapes(60, "train"), tmp_path, QUICK, classifier).result()
    assert trained.steps == 80
    assert isinstance(trained.measures, WarpEvaluation)
    assert trained.measures.sign_agreement > 0.7
    generator = WarpRecipe(tmp_path / "warp.safetensors").load("cpu")
    assert generator.recipe.positive == "large"
    assert generator.field(SyntheticShapes(2)[0].image, 1).abs().max() > 0


def test_same_seed_gives_the_same_network(classifier: Classifier, tmp_path: Path) -> None:
    quick = replace(QUICK, steps=2)
    states = []
    for name in ("a", "b"):
        images = SyntheticShapes(16, "train")
        train_generator(images, tmp_path / name, quick, classifier).result()
        states.append(read_state(tmp_path / name / "resume.pt")["network"])
    for key, tensor in states[0].items():
        assert torch.equal(tensor, states[1][key])


def test_unknown_class_is_refused(classifier: Classifier, tmp_path: Path) -> None:
    settings = replace(QUICK, positive="huge")
    with pytest.raises(DataError, match="no class 'huge'"):
        train_generator(SyntheticShapes(8), tmp_path, settings, classifier).result()


def test_a_simulator_needs_a_classifier(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Choose a classifier"):
        train_generator(SyntheticShapes(8), tmp_path, QUICK).result()


def test_widths_of_earlier_files_are_read() -> None:
    stored = {"minutes": 3.0, "widths": [8, 16, 32, 16, 16], "margin": 0.5}
    settings = settings_from_json(WarpTrainingSettings, stored)
    assert settings == WarpTrainingSettings(minutes=3.0, margin=0.5)
