"""Trainings against a discriminator: its step and the running average of the weights."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

import torch
from torch import Tensor, nn

from napari_quac.networks.classifier import Classifier
from napari_quac.train.images import ImagePool
from napari_quac.train.losses import Discriminator, adversarial_loss, r1_penalty
from napari_quac.train.precision import choose_precision
from napari_quac.train.settings import AdversarialTrainingSettings
from napari_quac.train.task import B, TrainingTask

A = TypeVar("A", bound=AdversarialTrainingSettings)
Network = TypeVar("Network", bound=nn.Module)
BETAS = (0.0, 0.99)


class AdversarialTask(TrainingTask[A, B]):
    """Training task of a network against a discriminator.

    A subclass builds its network, calls :meth:`prepare`, and creates ``optimizer``.

    Parameters
    ----------
    pool, settings, classifier, device
        See :class:`~napari_quac.train.task.TrainingTask`.
    """

    STATE_KEYS: ClassVar[Mapping[str, str]] = {
        "network": "networks",
        "average": "average",
        "discriminator": "discriminator",
        "optimizer": "generator_optimiser",
        "discriminator_optimizer": "discriminator_optimiser",
    }

    network: Any
    average: Any
    optimizer: torch.optim.Optimizer

    def __init__(
        self, pool: ImagePool, settings: A, classifier: Classifier | None, device: torch.device
    ) -> None:
        super().__init__(pool, settings, classifier, device)
        self.dtype = choose_precision(settings.precision, device)
        torch.manual_seed(settings.seed)

    def prepare(
        self, network: nn.Module, n_domains: int, width: int, max_width: int, decay: float = 0.0
    ) -> None:
        """Take the network, and build its running average and the discriminator.

        Parameters
        ----------
        network : Module
            With its first weights.
        n_domains : int
            Domains of the discriminator.
        width, max_width : int
            Feature maps of the discriminator at full resolution, and at most.
        decay : float
            Weight decay of the discriminator.
        """
        settings = self.settings
        self.network = network.to(self.device)
        self.discriminator = initialize(
            Discriminator(self.pool.channels, n_domains, settings.image_size, width, max_width)
        ).to(self.device)
        for module in (self.network, self.discriminator):
            module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.network).requires_grad_(False)
        self.discriminator_optimizer = torch.optim.Adam(
            self.discriminator.parameters(), settings.learning_rate, BETAS, weight_decay=decay
        )

    def set_rate(self, factor: float) -> None:
        """Multiply the learning rates of the settings by ``factor``."""
        for optimizer in (self.optimizer, self.discriminator_optimizer):
            for group in optimizer.param_groups:
                group["lr"] = factor * group.get("faster", 1.0) * self.settings.learning_rate

    def generator_step(self, losses: Mapping[str, Tensor], max_norm: float | None = None) -> None:
        """Update the network by the weighted sum of its losses.

        Parameters
        ----------
        losses : mapping of str to Tensor
            By the names of the weights.
        max_norm : float, optional
            Upper limit of the gradient's norm.
        """
        weights = self.settings.weights
        terms = [getattr(weights, name) * term.float() for name, term in losses.items()]
        self.optimizer.zero_grad()
        torch.stack(terms).sum().backward()
        if max_norm is not None:
            nn.utils.clip_grad_norm_(self.network.parameters(), max_norm)
        self.optimizer.step()

    def discriminator_step(self, logits: Tensor, real: Tensor, domains: Tensor) -> dict[str, float]:
        """Update the discriminator.

        Parameters
        ----------
        logits : (2N,) Tensor
            Output of the discriminator for real images, then for generated ones.
        real : (N, C, S, S) Tensor
            The real images.
        domains : (N,) Tensor, int64
            Their domains.
        """
        settings = self.settings
        of_real, of_generated = logits.chunk(2)
        loss = adversarial_loss(of_real, real=True) + adversarial_loss(of_generated, real=False)
        losses = {"discriminator": loss.item()}
        if settings.weights.r1 and self.step_number % settings.r1_every == 0:
            penalty = r1_penalty(self.discriminator, real, domains)
            loss = loss + settings.weights.r1 * settings.r1_every * penalty
            losses["r1"] = penalty.item()
        self.discriminator_optimizer.zero_grad()
        loss.backward()
        self.discriminator_optimizer.step()
        return losses

    def finish_step(self) -> None:
        """Update the running average and count the step."""
        n = self.step_number
        keep = min(self.settings.average, (1 + n) / (10 + n))  # early weights are soon forgotten
        with torch.no_grad():
            new = self.network.state_dict()
            for name, average in self.average.state_dict().items():
                average.lerp_(new[name], 1 - keep)
        self.step_number += 1


def initialize(network: Network) -> Network:
    """Draw the weights as He et al. do for rectified units; a last layer of zeros stays so."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear) and bool(module.weight.any()):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return network
