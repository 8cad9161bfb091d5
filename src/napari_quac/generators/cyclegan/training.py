"""Training of a CycleGAN between two classes: its networks, one step, and its files."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from napari_quac.data.file_names import file_name as text_as_file_name
from napari_quac.generators.cyclegan.generator import (
    CycleGANGenerator,
    TranslationFile,
    translation_metadata,
)
from napari_quac.generators.cyclegan.recipe import CycleGANRecipe, Translation
from napari_quac.generators.cyclegan.training_settings import CycleGANTrainingSettings
from napari_quac.networks.architectures.translation import ResnetGenerator, recognize_translation
from napari_quac.networks.resizing import resize
from napari_quac.networks.value_range import ValueRange
from napari_quac.train.adversarial import AdversarialTask, adversarial_loss, guidance, initialize
from napari_quac.train.images import class_indices, turn
from napari_quac.train.precision import autocast
from napari_quac.train.task import NetworkFile

VALUE_RANGE = ValueRange(-1, 1)
DIRECTIONS = ("a_to_b", "b_to_a")
ImagePair = tuple[Tensor, Tensor]
"""Images (N, C, S, S) in [-1, 1] of class A and of class B, at their full size."""


def translator(channels: int, settings: CycleGANTrainingSettings) -> ResnetGenerator:
    """Return a network that predicts the change of an image, at first none."""
    network = ResnetGenerator(channels, channels, settings.width, settings.blocks)
    last = network.model[-2]
    for parameter in last.parameters():
        nn.init.zeros_(parameter)
    return network


class CycleGANTask(AdversarialTask[CycleGANTrainingSettings, ImagePair, nn.ModuleDict]):
    """Training task of a CycleGAN; see :class:`~napari_quac.train.task.TrainingTask`."""

    CAPTION = "Left to right: your sample, as the other class, and back again"

    def build(self) -> None:
        """Create the networks and their optimizers."""
        pool, settings, classifier = self.pool, self.settings, self.classifier
        self.indices = (0, 1) if classifier is None else class_indices(classifier, pool)
        translators = {name: initialize(translator(pool.channels, settings)) for name in DIRECTIONS}
        self.prepare(nn.ModuleDict(translators), 2, settings.width)

    def draw_batch(self, random: np.random.Generator) -> ImagePair:
        """Draw images of both classes."""
        first, second = (self._draw_class(label, random) for label in (0, 1))
        return first, second

    def _draw_class(self, label: int, random: np.random.Generator) -> Tensor:
        indices = random.choice(self.pool.of_class(label), self.settings.batch_size)
        images = self.pool.images(indices).to(self.device) * 2 - 1
        return turn(images, int(random.integers(8))) if self.settings.symmetries else images

    def step(self, batch: ImagePair, random: np.random.Generator) -> dict[str, float]:
        """Do one step and return the losses by name."""
        small = [resize(images, self.settings.image_size) for images in batch]
        generated, losses = self._train_generators(batch, small, random)
        domains = torch.arange(2, device=self.device).repeat_interleave(len(small[0]))
        # conversions of B belong to the domain of A
        losses |= self.discriminator_step(
            torch.cat(small), torch.cat(generated[::-1]), domains, domains
        )
        self.finish_step()
        return losses

    def _convert(self, source: int, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the images in the other class, and the change on a range of 2."""
        change = 2 * self.network[DIRECTIONS[source]](images).float()
        return (images + change).clamp(-1, 1), change

    def _train_generators(
        self, batch: ImagePair, small: list[Tensor], random: np.random.Generator
    ) -> tuple[list[Tensor], dict[str, float]]:
        weights = self.settings.weights
        terms: defaultdict[str, list[Tensor]] = defaultdict(list)
        conversions: list[Tensor] = []
        for source in (0, 1):
            images, target = small[source], 1 - source
            with autocast(self.device, self.dtype):
                generated, change = self._convert(source, images)
                domain = torch.full((len(generated),), target, device=self.device)
                loss = adversarial_loss(self.discriminator(generated, domain), real=True)
                terms["adversarial"].append(loss)
                # both compare with real images, and alternate since each costs a pass
                if weights.cycle and (self.step_number % 2 == 0 or not weights.identity):
                    back, _ = self._convert(target, generated)
                    terms["cycle"].append((back - images).abs().mean())
                elif weights.identity:
                    _, needless = self._convert(source, small[target])
                    terms["identity"].append(needless.abs().mean())
            if weights.sparsity:
                terms["sparsity"].append((generated - images).abs().mean())
            if weights.guidance and self.classifier is not None:
                full = batch[source] + resize(change, batch[source].shape[-1])
                full = (full.clamp(-1, 1) + 1) / 2
                labels = torch.full((len(full),), self.indices[target], device=self.device)
                terms["guidance"].append(guidance(self.classifier, full, labels, random))
            conversions.append(generated.detach())
        means = {name: torch.stack(both).float().mean() for name, both in terms.items()}
        return conversions, self.generator_step(means)

    def generator(self) -> CycleGANGenerator:
        """Return the running averages as a generator."""
        files: dict[tuple[str, str], TranslationFile] = {}
        for direction, (source, target) in zip(DIRECTIONS, _pairs(self.pool.classes), strict=True):
            module = self.average[direction]
            files[source, target] = TranslationFile(
                module,
                recognize_translation(module.state_dict(), "network in training"),
                source,
                target,
                residual=True,
                image_size=self.settings.image_size,
                value_range=VALUE_RANGE,
            )
        return CycleGANGenerator(files, dict.fromkeys(files, "network"), self.device)

    def files(self, training: Mapping[str, Any]) -> dict[str, NetworkFile]:
        """Return the files of both networks; ``training`` goes into their metadata."""
        files: dict[str, NetworkFile] = {}
        for direction, (source, target) in zip(DIRECTIONS, _pairs(self.pool.classes), strict=True):
            size = self.settings.image_size
            metadata = translation_metadata(source, target, size, VALUE_RANGE, training)
            files[file_name(source, target)] = (self.average[direction].state_dict(), metadata)
        return files

    @classmethod
    def recipe(cls, folder: Path, class_names: tuple[str, ...]) -> CycleGANRecipe:
        """Return the recipe of both networks in a folder."""
        directions = _pairs(class_names)
        return CycleGANRecipe(tuple(Translation(folder / file_name(*d), *d) for d in directions))

    def preview_rows(self, queries: Sequence[tuple[int, Tensor]]) -> list[list[Tensor]]:
        """Return each query, its conversion, and the conversion of that back again."""

        def convert(source: int, images: Tensor) -> Tensor:
            small = resize(images, self.settings.image_size)
            change = resize(self.average[DIRECTIONS[source]](small), images.shape[-1])
            return (images + 2 * change).clamp(-1, 1)

        rows = []
        for label, query in queries:
            image = query * 2 - 1
            generated = convert(label, image)
            row = [image, generated, convert(1 - label, generated)]
            rows.append([(cell[0] + 1) / 2 for cell in row])
        return rows


def file_name(source: str, target: str) -> str:
    """Return the name of the file of one direction."""
    safe = [text_as_file_name(name, 80) for name in (source, target)]
    return f"{safe[0]}_to_{safe[1]}.safetensors"


def _pairs(class_names: tuple[str, ...]) -> tuple[tuple[str, str], tuple[str, str]]:
    first, second = class_names
    return (first, second), (second, first)
