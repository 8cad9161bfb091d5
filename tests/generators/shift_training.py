"""A generator family of another package: it adds a trained brightness to an image."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from napari_quac.generators.family import GeneratorFamily
from napari_quac.networks.generator import FunctionGenerator
from napari_quac.train.settings import GeneratorTrainingSettings, Weight
from napari_quac.train.task import NetworkFile, TrainingTask


@dataclass(frozen=True)
class ShiftTrainingSettings(GeneratorTrainingSettings):
    """Settings of the training of a shift.

    Attributes
    ----------
    pull : float
        Weight of the distance to the mean of the other class.
    """

    SUMMARY = "Learns the difference in brightness of two classes."
    TASK = "generators.shift_training:ShiftTask"
    FILES = "shift.safetensors"
    NEEDS_CLASS_PAIR = True

    pull: Weight = 1.0


@dataclass(frozen=True)
class ShiftRecipe(GeneratorFamily):
    """A file with one number."""

    id = "shift"
    title = "Brightness shift"
    summary = "Adds a constant."
    training = "generators.shift_training:ShiftTrainingSettings"

    path: Path = Path()

    def load(self, device: str | torch.device = "cpu") -> FunctionGenerator:
        """Read the number."""
        return shifting(load_file(self.path)["shift"])


def shifting(shift: Tensor) -> FunctionGenerator:
    """Return a generator that adds the shift towards class 1, or subtracts it."""
    return FunctionGenerator(lambda query, source, target, seed: query + (target - source) * shift)


class ShiftTask(TrainingTask[ShiftTrainingSettings, tuple[Tensor, Tensor]]):
    """Training task of a shift."""

    STATE_KEYS = {"network": "network"}  # noqa: RUF012

    def __init__(self, *inputs: Any) -> None:
        super().__init__(*inputs)
        self.network = torch.nn.ParameterDict({"shift": torch.zeros(())})
        self.optimizer = torch.optim.Adam(self.network.parameters(), self.settings.learning_rate)

    def set_rate(self, factor: float) -> None:
        self.optimizer.param_groups[0]["lr"] = factor * self.settings.learning_rate

    def draw_batch(self, random: np.random.Generator) -> tuple[Tensor, Tensor]:
        indices = [random.choice(self.pool.of_class(label), 4) for label in (0, 1)]
        return self.pool.images(indices[0]), self.pool.images(indices[1])

    def step(self, batch: tuple[Tensor, Tensor], random: np.random.Generator) -> dict[str, float]:
        distance = batch[0].mean() + self.network["shift"] - batch[1].mean()
        loss = self.settings.pull * distance.square()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.step_number += 1
        return {"distance": loss.item()}

    def preview_rows(self, queries: Sequence[tuple[int, Tensor]]) -> list[list[Tensor]]:
        return [[query[0], query[0] + self.network["shift"]] for _, query in queries]

    def generator(self) -> FunctionGenerator:
        return shifting(self.network["shift"].detach())

    def files(self, training: Mapping[str, Any]) -> dict[str, NetworkFile]:
        image_size = json.dumps([self.pool.image_size] * 2)
        metadata = {"training": json.dumps(training), "image_size": image_size}
        return {self.settings.FILES: (dict(self.network.items()), metadata)}

    @classmethod
    def recipe(cls, folder: Path, class_names: tuple[str, ...]) -> ShiftRecipe:
        return ShiftRecipe(folder / ShiftTrainingSettings.FILES)
