"""Three steps of each training give the numbers that they gave before the trainings were unified.

The numbers and files in ``before`` were written by the separate trainers. On one machine they are
equal bit for bit; the tolerance allows for processors that add float32 in another order.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from generators.test_cyclegan_training import squares
from napari_quac.data.preprocessing import PRESETS
from napari_quac.generators.trainings import training_settings
from napari_quac.live.previous_runs import read_run
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.generator import ConversionRequest
from napari_quac.train.checkpointing import read_state
from napari_quac.train.classifier_trainer import train_classifier
from napari_quac.train.generator_trainer import TrainingState, train_generator
from napari_quac.train.settings import ClassifierTrainingSettings

BEFORE = Path(__file__).parent / "before"
NUMBERS = json.loads((BEFORE / "numbers.json").read_text())
LATER = {"random_numpy", "random_torch", "precision"}
TOLERANCE = 2e-4
COMMON = {"minutes": 1e6, "steps": 3, "preview_seconds": 1e6, "checkpoint_minutes": 1e6}
GAN = {"image_size": 32, "batch_size": 2, "evaluator_minutes": 0, "precision": "float32"}
SMALL: dict[str, dict[str, Any]] = {
    "stargan": {
        **GAN,
        "base_channels": 4,
        "max_channels": 8,
        "style_dim": 4,
        "latent_dim": 3,
        "mapping_channels": 8,
    },
    "cyclegan": {**GAN, "width": 4, "blocks": 1},
    "exaggeration": {**GAN, "batch_size": 4, "width": 4, "blocks": 1, "n_bins": 5},
    "warp": {"batch_size": 2, "width": 2, "bottleneck": 4},
}


class SquareNetwork(torch.nn.Module):
    """Assigns images with a bright middle to the second class."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        middle = images[:, :, 10:22, 10:22].mean(dim=(1, 2, 3))
        return torch.stack([-6 * middle, 6 * middle], dim=1)


def classifier() -> Classifier:
    names = ("dark", "bright")
    return Classifier(SquareNetwork().eval(), names, 1, (32, 32), PRESETS["quac"], name="squares")


def run(family: str, output: Path, resume: bool = False, **others: Any) -> list[dict[str, float]]:
    """Train in small and return the running means of the losses after each step."""
    settings = training_settings(family)(**{**COMMON, **SMALL[family], **others})
    steps = train_generator(squares(), output, settings, classifier(), resume=resume)
    states = [progress.partial for progress in steps]
    return [dict(state.losses) for state in states if isinstance(state, TrainingState)]


def numbers_of(path: Path) -> dict[str, float]:
    tensors = load_file(path)
    return {
        "n": sum(tensor.numel() for tensor in tensors.values()),
        "sum": float(sum(tensor.double().sum() for tensor in tensors.values())),
        "absolute": float(sum(tensor.double().abs().sum() for tensor in tensors.values())),
    }


def assert_same(folder: Path, losses: list[dict[str, float]], expected: dict[str, Any]) -> None:
    assert len(losses) == len(expected["losses"])
    for step, expected_step in zip(losses, expected["losses"], strict=True):
        assert step == pytest.approx(expected_step, rel=TOLERANCE, abs=1e-6)
    files = {path.name: numbers_of(path) for path in folder.glob("*.safetensors")}
    assert set(files) == set(expected["files"])
    for name, numbers in files.items():
        # sums nearly cancel, so that their error is that of the sum of magnitudes
        magnitude = expected["files"][name]["absolute"]
        assert numbers == pytest.approx(expected["files"][name], abs=TOLERANCE * magnitude)


@pytest.mark.parametrize("family", SMALL)
def test_same_seed_and_settings_train_the_same_weights(family: str, tmp_path: Path) -> None:
    losses = run(family, tmp_path)
    assert_same(tmp_path, losses, NUMBERS[family])
    state = read_state(tmp_path / "resume.pt")
    assert sorted(state.keys() - LATER) == NUMBERS[family]["state"]


def test_an_earlier_training_is_resumed_with_the_same_numbers(tmp_path: Path) -> None:
    output = tmp_path / "warp"
    shutil.copytree(BEFORE / "warp", output)
    losses = run("warp", output, resume=True, steps=5)
    assert_same(output, losses, NUMBERS["warp resumed"])


@pytest.mark.parametrize("family", SMALL)
def test_earlier_runs_are_listed_with_their_settings_and_open(family: str) -> None:
    earlier = read_run(BEFORE / family)
    assert earlier is not None
    assert earlier.settings == training_settings(family)(**{**COMMON, **SMALL[family]})
    assert (earlier.family, earlier.steps, earlier.image_size) == (family, 3, 32)
    assert earlier.pair == (None if family == "stargan" else ("dark", "bright"))
    recipe = earlier.settings.task().recipe(BEFORE / family, ("dark", "bright"))
    query = squares()[0].image
    images = recipe.load("cpu").propose(ConversionRequest(query, 0, 1, classifier()), 0, 1).images
    assert images.shape == (1, 1, 32, 32)
    expected = {"exaggeration": "Spearman 0.00", "warp": "switches 0%"}
    summary = earlier.evaluation.summary
    assert (None if summary is None else summary.short) == expected.get(family)


def test_a_classifier_is_trained_to_the_same_weights(tmp_path: Path) -> None:
    settings = ClassifierTrainingSettings(
        minutes=1e6, epochs=2, batch_size=4, feature_maps=2, levels=2, head=4, precision="float32"
    )
    path = tmp_path / "classifier.safetensors"
    trained = train_classifier(squares(24), settings, path=path).result()
    assert trained.accuracy == NUMBERS["classifier"]["accuracy"]
    expected = NUMBERS["classifier"]["files"][path.name]
    # the learning rate of before followed the measured time, in the ninth digit
    assert numbers_of(path) == pytest.approx(expected, rel=1e-3)
