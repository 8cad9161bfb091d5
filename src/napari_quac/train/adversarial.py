"""Trainings against a discriminator: losses, steps, and the running average of the weights."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_quac.networks.architectures.stargan_v2 import convolutional_trunk
from napari_quac.networks.classifier import Classifier
from napari_quac.train.images import resize_for, turn
from napari_quac.train.precision import autocast, choose_precision
from napari_quac.train.settings import AdversarialTrainingSettings
from napari_quac.train.task import B, TrainingTask

A = TypeVar("A", bound=AdversarialTrainingSettings)
N = TypeVar("N", bound=nn.Module)
BETAS = (0.0, 0.99)
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class AdversarialTask(TrainingTask[A, B], Generic[A, B, N]):
    """Training task of a network against a discriminator.

    A subclass builds its network and calls :meth:`prepare`.

    Parameters
    ----------
    pool, settings, classifier, device
        See :class:`~napari_quac.train.task.TrainingTask`.
    """

    STATE_KEYS: ClassVar[Mapping[str, str]] = {
        "network": "networks",
        "average": "average",
        "discriminator": "discriminator",
        "optimizer": "generator_optimiser",  # wording: key in files of before
        "discriminator_optimizer": "discriminator_optimiser",  # wording: key in files of before
    }

    def prepare(
        self,
        network: N,
        n_domains: int,
        width: int,
        max_width: int = 128,
        groups: Sequence[dict[str, Any]] = (),
        decay: float = 0.0,
    ) -> None:
        """Take the network, and build its running average, the discriminator and both optimizers.

        Parameters
        ----------
        network : Module
            With its first weights.
        n_domains : int
            Domains of the discriminator.
        width, max_width : int
            Feature maps of the discriminator at full resolution, and at most.
        groups : sequence of dict
            Parameters of the network with learning rates of their own; by default all are alike.
        decay : float
            Weight decay.
        """
        settings = self.settings
        with torch.random.fork_rng(devices=[]):
            self.dtype = choose_precision(settings.precision, self.device)
        self.network = network.to(self.device)
        self.discriminator = initialize(
            Discriminator(self.pool.channels, n_domains, settings.image_size, width, max_width)
        ).to(self.device)
        for module in (self.network, self.discriminator):
            module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.network).requires_grad_(False)
        self.optimizer, self.discriminator_optimizer = (
            torch.optim.Adam(parameters, settings.learning_rate, BETAS, weight_decay=decay)
            for parameters in (
                list(groups) or self.network.parameters(),
                self.discriminator.parameters(),
            )
        )
        self.discriminator.requires_grad_(False)

    def set_rate(self, factor: float) -> None:
        """Multiply the learning rates of the settings by ``factor``."""
        for optimizer in (self.optimizer, self.discriminator_optimizer):
            for group in optimizer.param_groups:
                group["lr"] = factor * group.get("faster", 1.0) * self.settings.learning_rate

    def generator_step(
        self, losses: Mapping[str, Tensor], max_norm: float | None = None
    ) -> dict[str, float]:
        """Update the network by the weighted sum of its losses, and return their values.

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
        return {name: term.item() for name, term in losses.items()}

    def discriminator_step(
        self, real: Tensor, generated: Tensor, domains: Tensor, generated_domains: Tensor
    ) -> dict[str, float]:
        """Update the discriminator, and return its losses.

        Parameters
        ----------
        real, generated : (N, C, S, S) Tensor
            Real images, and generated ones without gradient.
        domains, generated_domains : (N,) Tensor, int64
            Their domains.
        """
        settings = self.settings
        self.discriminator.requires_grad_(True)
        with autocast(self.device, self.dtype):
            images = torch.cat([real, generated])
            logits = self.discriminator(images, torch.cat([domains, generated_domains]))
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
        self.discriminator.requires_grad_(False)
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

    def state(self) -> dict[str, Any]:
        """Return the state to resume from."""
        return {**super().state(), "precision": str(self.dtype).removeprefix("torch.")}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take a state; the measured precision is that of the earlier run."""
        super().load_state(state)
        if self.settings.precision == "auto":
            self.dtype = PRECISIONS.get(state.get("precision", ""), self.dtype)


def initialize(network: N) -> N:
    """Draw the weights as He et al. do for rectified units; a last layer of zeros stays so."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear) and bool(module.weight.any()):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return network


class Discriminator(nn.Module):
    """Network that distinguishes real from generated images, for each domain.

    Parameters
    ----------
    channels : int
        Channels of the images.
    n_domains : int
        Classes, or other sets of images to resemble.
    image_size : int
        Network resolution, pixels.
    width, max_width : int
        Feature maps at full resolution, and at most.
    """

    def __init__(
        self, channels: int, n_domains: int, image_size: int, width: int, max_width: int
    ) -> None:
        super().__init__()
        n_blocks = image_size.bit_length() - 3
        widths = [min(width * 2**i, max_width) for i in range(n_blocks + 1)]
        self.size = 4 * 2**n_blocks
        self.trunk = nn.Sequential(*convolutional_trunk(channels, widths))
        self.head = nn.Linear(widths[-1], n_domains)

    def forward(self, images: Tensor, domain: Tensor) -> Tensor:
        """Return logits (N,) of being real, for images (N, C, H, W) of the domains (N,)."""
        if images.shape[-1] != self.size:
            images = F.interpolate(images, (self.size, self.size), mode="bilinear")
        logits = self.head(self.trunk(images).flatten(1))
        return cast("Tensor", logits.gather(1, domain[:, None])[:, 0])


def adversarial_loss(logits: Tensor, *, real: bool) -> Tensor:
    """Return the non-saturating loss of logits (N,) that should be high if ``real``, else low."""
    return F.softplus(-logits.float() if real else logits.float()).mean()


def r1_penalty(discriminator: nn.Module, images: Tensor, domain: Tensor) -> Tensor:
    """Return half the squared gradient of the discriminator at real images (N, C, H, W).

    References
    ----------
    .. [1] Mescheder, Geiger, Nowozin, "Which training methods for GANs do actually converge?",
       2018, arXiv:1801.04406
    """
    images = images.detach().requires_grad_(True)
    logits = discriminator(images, domain)
    (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return 0.5 * gradient.square().sum(dim=(1, 2, 3)).mean()


def guidance(
    classifier: Classifier, images: Tensor, target: Tensor, random: np.random.Generator
) -> Tensor:
    """Return the cross entropy of the target class for generated images.

    The images are augmented first: otherwise the generator finds noise that convinces this
    classifier and no other.

    Parameters
    ----------
    classifier : Classifier
        Guidance classifier, which is not trained.
    images : (N, C, S, S) Tensor, in [0, 1]
        Generated images.
    target : (N,) Tensor, int64
        Target class of each image.
    random : numpy Generator
        Source of the augmentation.

    Returns
    -------
    loss : Tensor
        Mean cross entropy.
    """
    images = augment(resize_for(classifier, images), random)
    return F.cross_entropy(classifier.logits(images).float(), target)


def augment(images: Tensor, random: np.random.Generator) -> Tensor:
    """Shift, turn, blur and add noise to images (N, C, S, S) in [0, 1], differentiably."""
    reach = max(1, images.shape[-1] // 16)
    down, right = (int(value) for value in random.integers(0, 2 * reach + 1, 2))
    size = images.shape[-1]
    padded = F.pad(images, (reach, reach, reach, reach), mode="reflect")
    images = turn(padded[..., down : down + size, right : right + size], int(random.integers(8)))
    if random.random() < 0.5:
        images = F.avg_pool2d(F.pad(images, (1, 1, 1, 1), mode="replicate"), 3, 1)
    noise = torch.from_numpy(random.standard_normal(tuple(images.shape), np.float32))
    return (images + 0.04 * float(random.random()) * noise.to(images.device)).clamp(0, 1)
