"""What is minimised when a warping simulator is trained, and one step of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_quac.networks.architectures.warp_unet import WarpHyperparameters, WarpUNet
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.warp.sampling import warp
from napari_quac.train.images import ImagePool
from napari_quac.train.settings import check_positive


@dataclass(frozen=True, slots=True)
class WarpTraining:
    """How a simulator is trained.

    Attributes
    ----------
    minutes : float
        Time, at most.
    steps : int or None
        Steps, at most.
    batch_size : int
    learning_rate : float
        Of Adam.
    margin : float
        Shift of the logit that is asked for, in distances between the medians of the two classes.
    cycle, smoothness : float
        Weights of coming back to the query and of the field's steepness.
    widths : tuple of int
        Feature maps of the network.
    bottleneck : int
        Numbers at the narrowest place.
    decay : float
        Last part of the time, in [0, 1], in which the step size falls to a tenth.
    preview_seconds, checkpoint_minutes : float
        Time between two pictures, and between two files.
    seed : int
        All randomness comes from it.
    """

    minutes: float = 5.0
    steps: int | None = None
    batch_size: int = 16
    learning_rate: float = 1e-3
    margin: float = 1.0
    cycle: float = 5.0
    smoothness: float = 0.5
    widths: tuple[int, ...] = (8, 16, 32, 16, 16)
    bottleneck: int = 64
    decay: float = 0.5
    preview_seconds: float = 20.0
    checkpoint_minutes: float = 2.0
    seed: int = 0

    def __post_init__(self) -> None:
        names = {"minutes", "batch_size", "learning_rate", "margin", "bottleneck",
                 "preview_seconds", "checkpoint_minutes"}  # fmt: skip
        check_positive(self, names if self.steps is None else {*names, "steps"})


@dataclass(frozen=True, eq=False)
class WarpBatch:
    """What one step is made of.

    Attributes
    ----------
    images : (N, C, S, S) Tensor, in [0, 1]
    options : (N,) Tensor, float32
        +1 where the pattern of the positive class is to be added, -1 where it is to be removed.
    """

    images: Tensor
    options: Tensor


class LogitDifference:
    """The logit of one class minus that of another, differentiable in the image."""

    def __init__(self, classifier: Classifier, positive: int, negative: int) -> None:
        self.classifier, self.positive, self.negative = classifier, positive, negative

    def __call__(self, images: Tensor) -> Tensor:
        """Return the difference (N,) for images (N, C, *S) in [0, 1]."""
        logits = self.classifier.logits(images)
        return logits[:, self.positive] - logits[:, self.negative]


def spread_of(logit: LogitDifference, pool: ImagePool) -> float:
    """Return how far apart the medians of the classes 0 and 1 lie, in logits; at least 1."""
    medians = []
    with torch.no_grad():
        for label, sign in ((1, 1), (0, -1)):
            images = pool.images(pool.of_class(label)[:64]).to(logit.classifier.device)
            medians.append(sign * float(logit(images).median()))
    return max(sum(medians), 1.0)


def _loss(
    network: WarpUNet,
    logit: LogitDifference,
    images: Tensor,
    option: Tensor,
    spread: float,
    settings: WarpTraining,
) -> tuple[Tensor, float]:
    """Return what is minimised, and the shift of the logit relative to the spread."""
    field = network(images, option[:, None])
    moved = warp(images, field)
    shift = (logit(moved) - logit(images)) * option / spread
    back = network(moved, -option[:, None])
    cycle = F.mse_loss(warp(moved, back), images)
    loss = F.relu(settings.margin - shift).mean() + settings.cycle * cycle
    loss = loss + settings.smoothness * (_steepness(field) + _steepness(back)) / 2
    return loss, float(shift.detach().mean())


def _steepness(field: Tensor) -> Tensor:
    """Return the mean absolute forward difference, averaged over the axes."""
    parts = [field.diff(dim=axis).abs().mean() for axis in range(2, field.ndim)]
    return torch.stack(parts).mean()


class WarpTrainer:
    """Network and optimiser.

    Parameters
    ----------
    pool : ImagePool
        Images of the two classes, the positive one with label 1.
    logit : LogitDifference
        What is to move.
    settings : WarpTraining
        Sizes, weights and rates.
    """

    def __init__(self, pool: ImagePool, logit: LogitDifference, settings: WarpTraining) -> None:
        self.settings, self.logit, self.device = settings, logit, logit.classifier.device
        self.spread = spread_of(logit, pool)
        torch.manual_seed(settings.seed)
        hyper = WarpHyperparameters(
            2, pool.image_size, pool.channels, settings.widths, 3, settings.bottleneck
        )
        self.network = WarpUNet(hyper).to(self.device)
        nn.init.zeros_(self.network.output.conv.weight)  # begins with no displacement
        self.optimiser = torch.optim.Adam(
            self.network.parameters(), settings.learning_rate, weight_decay=1e-4
        )
        self.step_number = 0

    def set_rate(self, factor: float) -> None:
        """Multiply the step size that was set by ``factor``."""
        for group in self.optimiser.param_groups:
            group["lr"] = factor * self.settings.learning_rate

    def step(self, batch: WarpBatch, random: np.random.Generator) -> dict[str, float]:
        """Do one step and return the loss, and the shift in distances between the classes."""
        self.network.train()
        loss, shift = _loss(
            self.network, self.logit, batch.images, batch.options, self.spread, self.settings
        )
        self.optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimiser.step()
        self.step_number += 1
        return {"loss": loss.item(), "shift": shift}

    def state(self) -> dict[str, Any]:
        """Return all that is needed to go on later."""
        return {
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step_number,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a state; raises KeyError or RuntimeError if it does not fit."""
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step_number = int(state["step"])
