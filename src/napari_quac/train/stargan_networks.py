"""The networks of a StarGAN v2 training, and one step of it."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from napari_quac.networks.architectures.stargan_v2 import StarGAN, StarGANHyperparameters
from napari_quac.networks.classifier import Classifier
from napari_quac.train.adversarial import AdversarialTrainer
from napari_quac.train.images import ImagePool, enlarge_to, reduce_to, turn
from napari_quac.train.losses import (
    Discriminator,
    guidance,
    looks_real,
)
from napari_quac.train.precision import autocast
from napari_quac.train.settings import StarGANTraining

Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True, eq=False)
class Batch:
    """What one step is made of.

    Attributes
    ----------
    queries : (N, C, S, S) Tensor, in [-1, 1]
        At their full size.
    source, target : (N,) Tensor, int64
    references : (N, C, s, s) Tensor, in [-1, 1]
        Images of the target classes, at the network's size.
    """

    queries: Tensor
    source: Tensor
    target: Tensor
    references: Tensor


def draw_batch(
    pool: ImagePool, settings: StarGANTraining, random: np.random.Generator, device: torch.device
) -> Batch:
    """Draw queries, another class for each, and an image of that class."""
    n, n_classes = settings.batch_size, len(pool.classes)
    indices = pool.draw(n, random)
    source = pool.labels[indices]
    target = (source + random.integers(1, n_classes, n)) % n_classes
    references = np.array([random.choice(pool.of_class(int(label))) for label in target])

    def prepare(chosen: Any) -> Tensor:
        images = pool.images(chosen).to(device) * 2 - 1
        return turn(images, int(random.integers(8))) if settings.symmetries else images

    return Batch(
        prepare(indices),
        torch.from_numpy(source).to(device),
        torch.from_numpy(target).to(device),
        reduce_to(prepare(references), settings.image_size),
    )


class StarGANTrainer(AdversarialTrainer):
    """Networks, optimisers and running average.

    Parameters
    ----------
    hyper : StarGANHyperparameters
        Sizes of the networks.
    settings : StarGANTraining
        Weights and rates.
    guides : sequence of Classifier
        Classifiers that the generated images should convince.
    device : torch.device
    dtype : torch.dtype
        float32, or bfloat16 for mixed arithmetic.
    """

    def __init__(
        self,
        hyper: StarGANHyperparameters,
        settings: StarGANTraining,
        guides: Sequence[Classifier],
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        torch.manual_seed(settings.seed)
        self.settings, self.guides, self.device, self.dtype = settings, guides, device, dtype
        self.networks: StarGAN = initialised(StarGAN(hyper)).to(device)
        self.discriminator: Discriminator = initialised(Discriminator(hyper)).to(device)
        for network in (self.networks, self.discriminator):
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average: StarGAN = copy.deepcopy(self.networks).requires_grad_(False)
        groups: list[dict[str, Any]] = [
            {"params": [*self.networks.generator.parameters()]},
            {"params": _parameters(self.networks.style_encoder)},
            {
                "params": _parameters(self.networks.mapping_network),
                "lr": settings.mapping_learning_rate,
            },
        ]
        rate, betas, decay = settings.learning_rate, (0.0, 0.99), 1e-4
        self.generator_optimiser = torch.optim.Adam(groups, rate, betas, weight_decay=decay)
        self.discriminator_optimiser = torch.optim.Adam(
            self.discriminator.parameters(), rate, betas, weight_decay=decay
        )
        self.step_number = 0

    def set_rate(self, factor: float) -> None:
        """Multiply the step sizes that were set by ``factor``."""
        settings = self.settings
        for optimiser in (self.generator_optimiser, self.discriminator_optimiser):
            for group in optimiser.param_groups:
                group["lr"] = factor * settings.learning_rate
        self.generator_optimiser.param_groups[-1]["lr"] = factor * settings.mapping_learning_rate

    def step(self, batch: Batch, random: np.random.Generator) -> dict[str, float]:
        """Do one step and return the losses by name."""
        small = reduce_to(batch.queries, self.settings.image_size)
        by_latent = self.step_number % 2 == 0
        generated, losses = self._train_generator(batch, small, by_latent, random)
        losses |= self._train_discriminator(batch, small, generated)
        self._update_average()
        self.step_number += 1
        return losses

    def _style(self, batch: Batch, by_latent: bool) -> Tensor:
        """Return styles of the target classes, from random vectors or from references."""
        if by_latent:
            latent = torch.randn((len(batch.target), self.settings.latent_dim), device=self.device)
            return self.networks.style_from_latent(latent, batch.target)
        with torch.no_grad():
            return self.networks.style_from_image(batch.references, batch.target)

    def _train_discriminator(
        self, batch: Batch, small: Tensor, generated: Tensor
    ) -> dict[str, float]:
        with autocast(self.device, self.dtype):
            images = torch.cat([small, generated])
            domains = torch.cat([batch.source, batch.target])
            real, made = self.discriminator(images, domains).chunk(2)
        return self._learn_to_tell(real, made, small, batch.source)

    def _train_generator(
        self, batch: Batch, small: Tensor, by_latent: bool, random: np.random.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        """Return the generated images, of which the discriminator learns next, and the losses."""
        weights, networks = self.settings.weights, self.networks
        parts: dict[str, Tensor] = {}
        self.discriminator.requires_grad_(False)
        with autocast(self.device, self.dtype):
            style = self._style(batch, by_latent)
            own_style = networks.style_from_image(small, batch.source)
            features = networks.generator.encode_query(small)
            out_target = networks.generator.decode_style(features, style).float()
            generated = networks.finish(small, out_target)
            parts["adversarial"] = looks_real(self.discriminator(generated, batch.target))
            if weights.style:
                found = networks.style_from_image(generated, batch.target)
                parts["style"] = (found - style).abs().mean()
            # both ask for the query itself, and take turns since each costs as much as the rest
            if weights.cycle and (self.step_number // 2 % 2 == 0 or not weights.identity):
                back = networks(generated, own_style)
                parts["cycle"] = (back - small).abs().mean()
            elif weights.identity:
                out_own = networks.generator.decode_style(features, own_style).float()
                parts["identity"] = (networks.finish(small, out_own) - small).abs().mean()
            if weights.diversity:
                other = self._style(batch, True)
                decoded = networks.generator.decode_style(features, other).float()
                difference = (networks.finish(small, decoded) - generated.detach()).abs().mean()
                parts["diversity"] = -difference
        if weights.sparsity:
            parts["sparsity"] = (generated - small).abs().mean()
        if weights.guidance and self.guides:
            full = self._full_size(batch.queries, out_target)
            parts["guidance"] = torch.stack(
                [guidance(guide, (full + 1) / 2, batch.target, random) for guide in self.guides]
            ).mean()
        loss = torch.stack(
            [getattr(weights, name) * part.float() for name, part in parts.items()]
        ).sum()
        self.generator_optimiser.zero_grad()
        loss.backward()
        self.generator_optimiser.step()
        self.discriminator.requires_grad_(True)
        return generated.detach(), {name: part.item() for name, part in parts.items()}

    def _full_size(self, queries: Tensor, out: Tensor) -> Tensor:
        """Return generated images at the queries' size, as they will be used."""
        size = queries.shape[-1]
        if self.networks.hyper.residual:
            return (queries + enlarge_to(self.networks.change(out), size)).clamp(-1, 1)
        return enlarge_to(self.networks.finish(queries, out), size)


def _parameters(network: nn.Module | None) -> list[nn.Parameter]:
    return [] if network is None else list(network.parameters())


def initialised(network: Network) -> Network:
    """Draw the weights as He et al. do for rectified units; a last layer of zeros stays so."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear) and bool(module.weight.any()):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return network
