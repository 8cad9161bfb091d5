"""The final activation is measured on samples, by the generator's own class names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from napari_quac.errors import DataError
from napari_quac.generators.stargan.file import measure_final_activation, write_official
from napari_quac.generators.stargan.recipe import StarGANRecipe
from napari_quac.networks.architectures.stargan_v2 import StarGAN, official_hyperparameters
from napari_quac.networks.value_range import ValueRange
from napari_quac.testing import CornerSamples


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> StarGANRecipe:
    path: Path = tmp_path_factory.mktemp("stargan") / "000001_nets_ema.ckpt"
    torch.manual_seed(0)
    write_official(StarGAN(official_hyperparameters(32, 3)), path)
    return StarGANRecipe(path, class_names=("both", "left", "right"))


def test_best_activation_and_range_are_found_and_can_be_used(
    recipe: StarGANRecipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def reconstruct(self: nn.Module, inputs: Tensor, style: Tensor) -> Tensor:
        return torch.logit(inputs.clamp(0.01, 0.99))  # right where black is 0, with a sigmoid

    def encode(self: nn.Module, inputs: Tensor, labels: Tensor) -> Tensor:
        asked.extend(labels.tolist())
        return torch.zeros(len(inputs), 64)

    place = "napari_quac.networks.architectures.stargan_v2."
    monkeypatch.setattr(f"{place}Generator.forward", reconstruct)
    monkeypatch.setattr(f"{place}StyleEncoder.forward", encode)
    found = measure_final_activation(recipe, CornerSamples(size=64)).result()
    assert (found.activation, found.value_range) == ("sigmoid", ValueRange(0, 1))
    assert found.error < 0.01 and found.n_images == 4
    assert "sigmoid on [0, 1]" in str(found) and "fits well" not in str(found)
    # samples 0, 2, 4 and 6; number 4 is labelled as the next class
    labels = [0, 2, 2, 0]
    assert asked[::2] == [(1, 2, 0)[label] for label in labels]
    used = found.applied_to(recipe).load()
    assert used.value_range == ValueRange(0, 1)
    assert used.description["Final activation"] == "sigmoid"


@pytest.mark.long
def test_a_poor_fit_is_said(recipe: StarGANRecipe) -> None:
    assert "None of them fits well" in str(
        measure_final_activation(recipe, CornerSamples()).result()
    )


def test_samples_without_labels_cannot_be_measured(recipe: StarGANRecipe) -> None:
    @dataclass(frozen=True)
    class Unlabelled(CornerSamples):
        def label(self, index: int) -> Any:
            return None

    with pytest.raises(DataError, match="by hand"):
        measure_final_activation(recipe, Unlabelled()).result()
