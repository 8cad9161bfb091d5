"""The two networks of a CycleGAN training, and one step of it."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from napari_quac.networks.architectures.resnet_generator import ResnetGenerator
from napari_quac.networks.classifier import Classifier
from napari_quac.train.adversarial import AdversarialTrainer
from napari_quac.train.cyclegan_settings import CycleGANTraining
from napari_quac.train.images import ImagePool, enlarge_to, reduce_to, turn
from napari_quac.train.losses import (
    Discriminator,
    guidance,
    looks_real,
)
from napari_quac.train.precision import autocast
from napari_quac.train.settings import StarGANTraining
from napari_quac.train.stargan_networks import initialised

A, B = 0, 1
WAYS = ("a_to_b", "b_to_a")


@dataclass(frozen=True, eq=False)
class PairBatch:
    """What one step is made of.

    Attributes
    ----------
    images : two (N, C, S, S) Tensors, in [-1, 1]
        Of class A and of class B, at their full size.
    """

    images: tuple[Tensor, Tensor]


def draw_pair_batch(
    pool: ImagePool, settings: CycleGANTraining, random: np.random.Generator, device: torch.device
) -> PairBatch:
    """Draw images of both classes of a pool."""

    def drawn(label: int) -> Tensor:
        indices = random.choice(pool.of_class(label), settings.batch_size)
        images = pool.images(indices).to(device) * 2 - 1
        return turn(images, int(random.integers(8))) if settings.symmetries else images

    return PairBatch((drawn(A), drawn(B)))


def translator(channels: int, settings: CycleGANTraining) -> ResnetGenerator:
    """Return a network that predicts the change of an image, at first none."""
    network = ResnetGenerator(channels, channels, settings.width, settings.blocks)
    last = network.model[-2]
    for parameter in last.parameters():
        nn.init.zeros_(parameter)
    return network


class CycleGANTrainer(AdversarialTrainer):
    """Networks, optimisers and running average.

    Parameters
    ----------
    channels : int
        Of the images.
    settings : CycleGANTraining
        Sizes, weights and rates.
    guides : sequence of (Classifier, (int, int))
        Classifiers that the generated images should convince, each with its indices of A and B.
    device : torch.device
    dtype : torch.dtype
        float32, or bfloat16 for mixed arithmetic.
    """

    def __init__(
        self,
        channels: int,
        settings: CycleGANTraining,
        guides: Sequence[tuple[Classifier, tuple[int, int]]],
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        torch.manual_seed(settings.seed)
        self.settings, self.guides, self.device, self.dtype = settings, guides, device, dtype
        self.networks = nn.ModuleDict(
            {way: initialised(translator(channels, settings)) for way in WAYS}
        ).to(device)
        size = settings.image_size
        trunk = StarGANTraining(size, base_channels=settings.width, max_channels=128)
        self.discriminator = initialised(Discriminator(trunk.hyperparameters(channels, 2)))
        self.discriminator.to(device)
        for network in (self.networks, self.discriminator):
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.networks).requires_grad_(False)
        rate, betas = settings.learning_rate, (0.0, 0.99)
        self.generator_optimiser = torch.optim.Adam(self.networks.parameters(), rate, betas)
        self.discriminator_optimiser = torch.optim.Adam(
            self.discriminator.parameters(), rate, betas
        )
        self.step_number = 0

    def set_rate(self, factor: float) -> None:
        """Multiply the step size that was set by ``factor``."""
        for optimiser in (self.generator_optimiser, self.discriminator_optimiser):
            for group in optimiser.param_groups:
                group["lr"] = factor * self.settings.learning_rate

    def step(self, batch: PairBatch, random: np.random.Generator) -> dict[str, float]:
        """Do one step and return the losses by name."""
        small = [reduce_to(images, self.settings.image_size) for images in batch.images]
        generated, losses = self._train_generators(batch, small, random)
        losses |= self._train_discriminator(small, generated)
        self._update_average()
        self.step_number += 1
        return losses

    def _changed(self, way: int, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the images in the other class, and the change on a range of 2."""
        change = 2 * self.networks[WAYS[way]](images).float()
        return (images + change).clamp(-1, 1), change

    def _train_generators(
        self, batch: PairBatch, small: list[Tensor], random: np.random.Generator
    ) -> tuple[list[Tensor], dict[str, float]]:
        weights = self.settings.weights
        parts: dict[str, list[Tensor]] = {}
        generated: list[Tensor] = []
        self.discriminator.requires_grad_(False)
        for way in (A, B):
            here, there = small[way], 1 - way
            with autocast(self.device, self.dtype):
                made, change = self._changed(way, here)
                domain = torch.full((len(made),), there, device=self.device)
                judged = self.discriminator(made, domain)
                parts.setdefault("adversarial", []).append(looks_real(judged))
                # both ask for an image of the data itself, and take turns since each costs a pass
                if weights.cycle and (self.step_number % 2 == 0 or not weights.identity):
                    back, _ = self._changed(there, made)
                    parts.setdefault("cycle", []).append((back - here).abs().mean())
                elif weights.identity:
                    _, needless = self._changed(way, small[there])
                    parts.setdefault("identity", []).append(needless.abs().mean())
            if weights.sparsity:
                parts.setdefault("sparsity", []).append((made - here).abs().mean())
            if weights.guidance:
                full = batch.images[way] + enlarge_to(change, batch.images[way].shape[-1])
                full = (full.clamp(-1, 1) + 1) / 2
                for guide, indices in self.guides:
                    wanted = torch.full((len(full),), indices[there], device=self.device)
                    parts.setdefault("guidance", []).append(guidance(guide, full, wanted, random))
            generated.append(made.detach())
        means = {
            name: torch.stack([v.float() for v in each]).mean() for name, each in parts.items()
        }
        loss = torch.stack([getattr(weights, name) * mean for name, mean in means.items()]).sum()
        self.generator_optimiser.zero_grad()
        loss.backward()
        self.generator_optimiser.step()
        self.discriminator.requires_grad_(True)
        return generated, {name: mean.item() for name, mean in means.items()}

    def _train_discriminator(
        self, small: list[Tensor], generated: list[Tensor]
    ) -> dict[str, float]:
        n = len(small[A])
        domains = torch.arange(2, device=self.device).repeat_interleave(n)
        real = torch.cat(small)
        made = torch.cat([generated[B], generated[A]])  # what was made of B looks like A
        with autocast(self.device, self.dtype):
            judged = self.discriminator(torch.cat([real, made]), domains.repeat(2))
            real_logits, made_logits = judged.chunk(2)
        return self._learn_to_tell(real_logits, made_logits, real, domains)
