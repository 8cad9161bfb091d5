"""What trainings against a discriminator share: its step, a running average, the way to resume."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from napari_quac.train.losses import looks_generated, looks_real, r1_penalty


class AdversarialTrainer:
    """The base of trainers; the names of ``PARTS`` are their attributes and the keys of a state.

    The running average follows the first of them.
    """

    PARTS: ClassVar[tuple[str, ...]] = (
        "networks",
        "average",
        "discriminator",
        "generator_optimiser",
        "discriminator_optimiser",
    )

    settings: Any
    average: Any
    discriminator: nn.Module
    discriminator_optimiser: torch.optim.Optimizer
    step_number: int

    def state(self) -> dict[str, Any]:
        """Return all that is needed to go on later."""
        parts = {name: getattr(self, name).state_dict() for name in self.PARTS}
        return {**parts, "step": self.step_number}

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a state; raises KeyError or RuntimeError if it does not fit."""
        for name in self.PARTS:
            getattr(self, name).load_state_dict(state[name])
        self.step_number = int(state["step"])

    def _learn_to_tell(
        self, real_logits: Tensor, made_logits: Tensor, real: Tensor, domains: Tensor
    ) -> dict[str, float]:
        """Let the discriminator learn from what it said of real (N, C, S, S) and made images."""
        settings = self.settings
        loss = looks_real(real_logits) + looks_generated(made_logits)
        losses = {"discriminator": loss.item()}
        if settings.weights.r1 and self.step_number % settings.r1_every == 0:
            penalty = r1_penalty(self.discriminator, real, domains)
            loss = loss + settings.weights.r1 * settings.r1_every * penalty
            losses["r1"] = penalty.item()
        self.discriminator_optimiser.zero_grad()
        loss.backward()
        self.discriminator_optimiser.step()
        return losses

    def _update_average(self) -> None:
        n = self.step_number
        keep = min(self.settings.average, (1 + n) / (10 + n))  # early weights are soon forgotten
        with torch.no_grad():
            new = getattr(self, self.PARTS[0]).state_dict()
            for name, value in self.average.state_dict().items():
                value.lerp_(new[name], 1 - keep)
