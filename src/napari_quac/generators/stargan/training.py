"""Training of a StarGAN v2: its networks, one step, and its file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_quac.generators.stargan.file import stargan_metadata
from napari_quac.generators.stargan.generator import StarGANGenerator
from napari_quac.generators.stargan.recipe import StarGANRecipe
from napari_quac.generators.stargan.training_settings import StarGANTrainingSettings
from napari_quac.networks.architectures.stargan_v2 import StarGAN, StarGANHyperparameters
from napari_quac.networks.resizing import resize
from napari_quac.networks.value_range import ValueRange
from napari_quac.train.adversarial import AdversarialTask, adversarial_loss, guidance, initialize
from napari_quac.train.images import require_same_classes, turn
from napari_quac.train.precision import autocast
from napari_quac.train.task import NetworkFile

VALUE_RANGE = ValueRange(-1, 1)
WEIGHT_DECAY = 1e-4


@dataclass(frozen=True, eq=False)
class Batch:
    """Images of one step.

    Attributes
    ----------
    queries : (N, C, S, S) Tensor, in [-1, 1]
        At their full size.
    source, target : (N,) Tensor, int64
    references : (N, C, s, s) Tensor, in [-1, 1]
        Images of the target classes, at the network resolution.
    """

    queries: Tensor
    source: Tensor
    target: Tensor
    references: Tensor


def hyperparameters(
    settings: StarGANTrainingSettings, channels: int, num_domains: int
) -> StarGANHyperparameters:
    """Return the sizes of the networks for images with these numbers of channels and classes."""
    return StarGANHyperparameters(
        img_size=settings.image_size,
        channels=channels,
        num_domains=num_domains,
        style_dim=settings.style_dim,
        latent_dim=settings.latent_dim,
        base_channels=settings.base_channels,
        max_channels=settings.max_channels,
        n_down=settings.halvings,
        mapping_channels=settings.mapping_channels,
        style_base_channels=settings.base_channels,
        style_max_channels=settings.max_channels,
        style_blocks=settings.image_size.bit_length() - 3,
        residual=settings.residual,
        final_activation="none" if settings.residual else settings.final_activation,
    )


class StarGANTask(AdversarialTask[StarGANTrainingSettings, Batch, StarGAN]):
    """Training task of a StarGAN v2; see :class:`~napari_quac.train.task.TrainingTask`."""

    TRIES = " in 10 tries"
    proposals = 10

    def build(self) -> None:
        """Create the networks and their optimizers."""
        pool, settings = self.pool, self.settings
        if self.classifier is not None:
            require_same_classes(self.classifier, pool)
        n_classes = len(pool.classes)
        network = initialize(StarGAN(hyperparameters(settings, pool.channels, n_classes)))
        parts = (network.generator, network.style_encoder, network.mapping_network)
        groups: list[dict[str, Any]] = [{"params": _parameters(part)} for part in parts]
        groups[-1]["lr"] = settings.mapping_learning_rate
        width, max_width = settings.base_channels, settings.max_channels
        self.prepare(network, n_classes, width, max_width, groups, WEIGHT_DECAY)

    def set_rate(self, factor: float) -> None:
        """Multiply the learning rates of the settings by ``factor``."""
        super().set_rate(factor)
        self.optimizer.param_groups[-1]["lr"] = factor * self.settings.mapping_learning_rate

    def draw_batch(self, random: np.random.Generator) -> Batch:
        """Draw queries, another class for each, and an image of that class."""
        pool, settings = self.pool, self.settings
        n, n_classes = settings.batch_size, len(pool.classes)
        indices = pool.draw(n, random)
        source = pool.labels[indices]
        target = (source + random.integers(1, n_classes, n)) % n_classes
        references = np.array([random.choice(pool.of_class(int(label))) for label in target])

        def prepare(chosen: NDArray[np.int64]) -> Tensor:
            images = pool.images(chosen).to(self.device) * 2 - 1
            return turn(images, int(random.integers(8))) if settings.symmetries else images

        return Batch(
            prepare(indices),
            torch.from_numpy(source).to(self.device),
            torch.from_numpy(target).to(self.device),
            resize(prepare(references), settings.image_size),
        )

    def step(self, batch: Batch, random: np.random.Generator) -> dict[str, float]:
        """Do one step and return the losses by name."""
        small = resize(batch.queries, self.settings.image_size)
        generated, losses = self._train_generator(batch, small, random)
        losses |= self.discriminator_step(small, generated, batch.source, batch.target)
        self.finish_step()
        return losses

    def generator(self) -> StarGANGenerator:
        """Return the running average as a generator."""
        classes, size, name = self.pool.classes, self.pool.image_size, self.settings.FILES
        return StarGANGenerator(
            self.average, classes, size, VALUE_RANGE, device=self.device, name=name
        )

    def files(self, training: Mapping[str, Any]) -> dict[str, NetworkFile]:
        """Return the file of the generator; ``training`` goes into its metadata."""
        metadata = stargan_metadata(
            self.average.hyper, self.pool.classes, self.pool.image_size, VALUE_RANGE, training
        )
        return {self.settings.FILES: (self.average.state_dict(), metadata)}

    @classmethod
    def recipe(cls, folder: Path, class_names: tuple[str, ...]) -> StarGANRecipe:
        """Return the recipe of the generator in a folder."""
        return StarGANRecipe(folder / StarGANTrainingSettings.FILES)

    def preview_rows(self, queries: Sequence[tuple[int, Tensor]]) -> list[list[Tensor]]:
        """Return each query and its generated images, with one style for each class."""
        generator = self.generator()
        random = torch.Generator().manual_seed(0)
        latent = torch.randn((1, self.settings.latent_dim), generator=random).to(self.device)
        rows = []
        for _, query in queries:
            features = generator.encode(query)
            row = [query[0]]
            for target in range(len(self.pool.classes)):
                domain = torch.tensor([target], device=self.device)
                style = generator.network.style_from_latent(latent, domain)
                row.append(generator.decode(query, features, style)[0])
            rows.append(row)
        return rows

    def _style(self, batch: Batch, by_latent: bool) -> Tensor:
        """Return styles of the target classes, from random vectors or from references."""
        if by_latent:
            latent = torch.randn((len(batch.target), self.settings.latent_dim), device=self.device)
            return self.network.style_from_latent(latent, batch.target)
        with torch.no_grad():
            return self.network.style_from_image(batch.references, batch.target)

    def _train_generator(
        self, batch: Batch, small: Tensor, random: np.random.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        """Update the generator; return the generated images and the losses."""
        weights, networks = self.settings.weights, self.network
        parts: dict[str, Tensor] = {}
        with autocast(self.device, self.dtype):
            style = self._style(batch, self.step_number % 2 == 0)
            query_style = networks.style_from_image(small, batch.source)
            features = networks.generator.encode_query(small)
            out_target = networks.generator.decode_style(features, style).float()
            generated = networks.finish(small, out_target)
            logits = self.discriminator(generated, batch.target)
            parts["adversarial"] = adversarial_loss(logits, real=True)
            if weights.style:
                recovered = networks.style_from_image(generated, batch.target)
                parts["style"] = (recovered - style).abs().mean()
            # both compare with the query, and alternate since each costs as much as the rest
            if weights.cycle and (self.step_number // 2 % 2 == 0 or not weights.identity):
                back = networks(generated, query_style)
                parts["cycle"] = (back - small).abs().mean()
            elif weights.identity:
                reconstruction = networks.generator.decode_style(features, query_style).float()
                parts["identity"] = (networks.finish(small, reconstruction) - small).abs().mean()
            if weights.diversity:
                other = self._style(batch, True)
                decoded = networks.generator.decode_style(features, other).float()
                difference = (networks.finish(small, decoded) - generated.detach()).abs().mean()
                parts["diversity"] = -difference
        if weights.sparsity:
            parts["sparsity"] = (generated - small).abs().mean()
        if weights.guidance and self.classifier is not None:
            full = self._full_size(batch.queries, out_target)
            parts["guidance"] = guidance(self.classifier, (full + 1) / 2, batch.target, random)
        return generated.detach(), self.generator_step(parts)

    def _full_size(self, queries: Tensor, out: Tensor) -> Tensor:
        """Return generated images at the size of the queries, as in use."""
        size = queries.shape[-1]
        if self.network.hyper.residual:
            return (queries + resize(self.network.change(out), size)).clamp(-1, 1)
        return resize(self.network.finish(queries, out), size)


def _parameters(network: nn.Module | None) -> list[nn.Parameter]:
    return [] if network is None else list(network.parameters())
