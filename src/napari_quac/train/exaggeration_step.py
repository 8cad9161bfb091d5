"""The networks of an explainer's training, and one step of it."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_quac.networks.classifier import Classifier
from napari_quac.train.adversarial import AdversarialTrainer
from napari_quac.train.exaggeration_net import TrainableExplainer
from napari_quac.train.exaggeration_settings import ExaggerationTraining
from napari_quac.train.images import ImagePool, enlarge_to, reduce_to, turn
from napari_quac.train.losses import (
    Discriminator,
    disturb,
    looks_real,
)
from napari_quac.train.precision import autocast
from napari_quac.train.settings import StarGANTraining
from napari_quac.train.stargan_networks import initialised

FASTER = 3.0  # the norms of an image's bin; else all bins become alike before they differ
EITHER = 2  # the discriminator's domain of images of both classes


@dataclass(frozen=True, eq=False)
class BinBatch:
    """What one step is made of.

    Attributes
    ----------
    images : (N, C, S, S) Tensor, in [-1, 1]
        Of both classes, at their full size.
    labels : (N,) Tensor, int64
        0 for the negative class, 1 for the positive one.
    bins : (N,) Tensor, int64
        To which each is to be taken.
    """

    images: Tensor
    labels: Tensor
    bins: Tensor


def draw_bin_batch(
    pool: ImagePool, settings: ExaggerationTraining, random: np.random.Generator, device: Any
) -> BinBatch:
    """Draw images of both classes of a pool, and two bins for each: (a, b, …, a, b, …).

    The same image in two bins tells the network at once what the bin has to change.
    """
    n = max(1, settings.batch_size // 2)
    indices = np.tile(pool.draw(n, random), 2)
    images = pool.images(indices).to(device) * 2 - 1
    if settings.symmetries:
        images = turn(images, int(random.integers(8)))
    one = random.integers(0, settings.n_bins, n)
    other = (one + random.integers(1, settings.n_bins, n)) % settings.n_bins
    bins = np.concatenate([one, other])
    labels = torch.from_numpy(pool.labels[indices]).to(device)
    return BinBatch(images, labels, torch.from_numpy(bins).to(device))


class Posterior:
    """The log-odds of the positive class against all others, and what the others get.

    Parameters
    ----------
    classifier : Classifier
        The one to explain.
    negative, positive : int
        Its indices of the two classes.
    """

    def __init__(self, classifier: Classifier, negative: int, positive: int) -> None:
        self.classifier, self.negative, self.positive = classifier, negative, positive
        self.rest = [i for i in range(classifier.n_classes) if i != positive]

    def logits(self, images: Tensor) -> Tensor:
        """Return the logits (N, K) of images (N, C, S, S) in [0, 1], brought to its size."""
        if self.classifier.image_size is not None:
            size = self.classifier.image_size[0]
            here = images.shape[-1]
            images = reduce_to(images, size) if here > size else enlarge_to(images, size)
        return self.classifier.logits(images).float()

    def log_odds(self, logits: Tensor) -> Tensor:
        """Return the log-odds (N,) of the positive class."""
        return logits[:, self.positive] - logits[:, self.rest].logsumexp(dim=1)

    def of_others(self, logits: Tensor) -> Tensor:
        """Return minus the log probability (N,) of being either of the two classes."""
        return logits.logsumexp(1) - logits[:, [self.negative, self.positive]].logsumexp(1)


def consistency_loss(log_odds: Tensor, bins: Tensor, n_bins: int) -> Tensor:
    """Return how far probabilities are from the centres of their bins.

    The Huber distance of the log-odds, so that all bins weigh alike. The first and the last bin
    are open: what lies beyond their centre is as good.

    Parameters
    ----------
    log_odds : (N,) Tensor
        Of the probabilities that came out.
    bins : (N,) Tensor, int64
        What was asked for.
    n_bins : int
        How many there are.

    Returns
    -------
    loss : Tensor
        A number, 0 or more.
    """
    desired = ((bins + 0.5) / n_bins).logit()
    off = log_odds - desired
    open_below, open_above = bins == 0, bins == n_bins - 1
    off = torch.where(open_below, off.clamp(min=0), off)
    off = torch.where(open_above, off.clamp(max=0), off)
    return F.smooth_l1_loss(off, torch.zeros_like(off))


def order_loss(log_odds: Tensor, bins: Tensor, n_bins: int) -> Tensor:
    """Return how far the two images of a query are from lying as far apart as their bins.

    Where both are still far from what was asked for, :func:`consistency_loss` draws them the same
    way and does not tell them apart; this does.

    Parameters
    ----------
    log_odds : (2N,) Tensor
        Of the probabilities that came out; query n has the images n and N + n.
    bins : (2N,) Tensor, int64
        What was asked for.
    n_bins : int
        How many there are.

    Returns
    -------
    loss : Tensor
        A number, 0 or more; lying further apart is no fault.
    """
    desired = ((bins + 0.5) / n_bins).logit()
    (one, other), (one_asked, other_asked) = log_odds.chunk(2), desired.chunk(2)
    asked = other_asked - one_asked
    short = F.relu(asked.abs() - (other - one) * asked.sign())
    return F.smooth_l1_loss(short, torch.zeros_like(short))


def bins_of(posteriors: Tensor, n_bins: int) -> Tensor:
    """Return the bins (N,) of probabilities (N,); 1.0 belongs to the last one."""
    return (n_bins * posteriors).floor().long().clamp(0, n_bins - 1)


def _groups(network: TrainableExplainer) -> list[dict[str, Any]]:
    """Return the parameters, those that tell the bins apart with a larger step size."""
    of_bins = [p for name, p in network.named_parameters() if name.endswith((".gamma", ".beta"))]
    others = [p for p in network.parameters() if all(p is not other for other in of_bins)]
    return [{"params": others}, {"params": of_bins, "faster": FASTER}]


class ExaggerationTrainer(AdversarialTrainer):
    """Network, discriminator, optimisers and running average.

    Parameters
    ----------
    channels : int
        Of the images.
    settings : ExaggerationTraining
        Sizes, weights and rates.
    posterior : Posterior
        What the bins are bins of.
    device : torch.device
    dtype : torch.dtype
        float32, or bfloat16 for mixed arithmetic.
    """

    PARTS = ("network", "average", "discriminator", "optimiser", "discriminator_optimiser")

    def __init__(
        self,
        channels: int,
        settings: ExaggerationTraining,
        posterior: Posterior,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        torch.manual_seed(settings.seed)
        self.settings, self.posterior, self.device, self.dtype = settings, posterior, device, dtype
        network = TrainableExplainer(channels, settings.n_bins, settings.width, settings.blocks)
        self.network = initialised(network).to(device)
        trunk = StarGANTraining(settings.image_size, base_channels=settings.width, max_channels=128)
        self.discriminator = initialised(Discriminator(trunk.hyperparameters(channels, 3)))
        self.discriminator.to(device)
        for module in (self.network, self.discriminator):
            module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average: TrainableExplainer = copy.deepcopy(self.network).requires_grad_(False).eval()
        rate, betas = settings.learning_rate, (0.0, 0.99)
        self.optimiser = torch.optim.Adam(_groups(self.network), rate, betas)
        self.discriminator_optimiser = torch.optim.Adam(
            self.discriminator.parameters(), rate, betas
        )
        self.step_number = 0

    def set_rate(self, factor: float) -> None:
        """Multiply the step size that was set by ``factor``; below 1 the norms keep their means."""
        self.network.keep_means(factor < 1)
        for optimiser in (self.optimiser, self.discriminator_optimiser):
            for group in optimiser.param_groups:
                group["lr"] = factor * group.get("faster", 1.0) * self.settings.learning_rate

    def step(self, batch: BinBatch, random: np.random.Generator) -> dict[str, float]:
        """Do one step and return the losses by name."""
        small = reduce_to(batch.images, self.settings.image_size)
        made, losses = self._train_network(batch, small, random)
        losses |= self._train_discriminator(batch, small, made, random)
        self._update_average()
        self.step_number += 1
        return losses

    def _changed(self, images: Tensor, bins: Tensor) -> tuple[Tensor, Tensor]:
        """Return the images at their bins, and the change on a range of 2."""
        change = 2 * self.network(images, bins).float()
        return (images + change).clamp(-1, 1), change

    def _train_network(
        self, batch: BinBatch, small: Tensor, random: np.random.Generator
    ) -> tuple[Tensor, dict[str, float]]:
        settings, weights = self.settings, self.settings.weights
        losses: dict[str, Tensor] = {}
        with torch.no_grad():
            asked = self.posterior.log_odds(self.posterior.logits((batch.images + 1) / 2))
            own = bins_of(asked.sigmoid(), settings.n_bins)
        self.discriminator.requires_grad_(False)
        with autocast(self.device, self.dtype):
            made, change = self._changed(small, batch.bins)
            if weights.adversarial:
                judged = self.discriminator(made, self._domains(batch.bins))
                losses["adversarial"] = looks_real(judged)
            # both ask for an image of the data itself, and take turns since each costs a pass
            if weights.cycle and (self.step_number % 2 == 0 or not weights.identity):
                back, _ = self._changed(made, own)
                losses["cycle"] = (back - small).abs().mean()
            elif weights.identity:
                _, needless = self._changed(small, own)
                losses["identity"] = needless.abs().mean()
        losses["sparsity"] = (made - small).abs().mean()
        full = batch.images + enlarge_to(change, batch.images.shape[-1])
        full = (full.clamp(-1, 1) + 1) / 2
        # exact in half of the steps; in the others no noise can convince this classifier alone
        disturbed = disturb(full, random) if self.step_number % 4 < 2 else full
        logits = self.posterior.logits(disturbed)
        log_odds = self.posterior.log_odds(logits)
        losses["consistency"] = consistency_loss(log_odds, batch.bins, settings.n_bins)
        losses["order"] = order_loss(log_odds, batch.bins, settings.n_bins)
        losses["others"] = self.posterior.of_others(logits).mean()
        loss = torch.stack([getattr(weights, name) * part for name, part in losses.items()]).sum()
        self.optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 10.0)
        self.optimiser.step()
        self.discriminator.requires_grad_(True)
        return made.detach(), {name: part.item() for name, part in losses.items()}

    def _domains(self, bins: Tensor) -> Tensor:
        """Return what an image of each bin is to look like."""
        domains = torch.full_like(bins, EITHER)
        domains[bins == 0] = 0
        domains[bins == self.settings.n_bins - 1] = 1
        return domains

    def _train_discriminator(
        self, batch: BinBatch, small: Tensor, made: Tensor, random: np.random.Generator
    ) -> dict[str, float]:
        settings = self.settings
        if not settings.weights.adversarial:
            return {}
        share = 2 / settings.n_bins  # as often as generated images are of a class
        of_class = torch.from_numpy(random.random(len(small)) < max(share, 0.5))
        seen = torch.where(of_class.to(self.device), batch.labels, EITHER)
        domains = torch.cat([seen, self._domains(batch.bins)])
        with autocast(self.device, self.dtype):
            judged = self.discriminator(torch.cat([small, made]), domains)
            real_logits, made_logits = judged.chunk(2)
        return self._learn_to_tell(real_logits, made_logits, small, seen)
