"""FIDO as a generator: the query with the smallest region replaced that makes it the target."""

from __future__ import annotations

from collections.abc import Generator as Iterating
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import torch

from napari_quac.networks.fido.optimize import optimize_mask
from napari_quac.networks.fido.settings import FidoSettings, InfillChoice, make_infill
from napari_quac.networks.generator import ConversionRequest, Generator, Proposals, proposal_seed
from napari_quac.stepwise import Progress, stepwise

if TYPE_CHECKING:
    from napari_quac.generators.fido.recipe import FidoRecipe


class FidoGenerator(Generator):
    """Optimized infill; see :class:`~napari_quac.networks.generator.Generator`."""

    def __init__(self, recipe: FidoRecipe) -> None:
        self.recipe = recipe
        self.name = f"FIDO, infill {recipe.infill}"
        self.description: Mapping[str, str] = {
            "Kind": "optimized infill (FIDO)",
            "Infill": recipe.infill,
            "Proposals": str(recipe.n_proposals),
        }

    def propose(self, request: ConversionRequest, first: int, n: int) -> Proposals:
        """Return the hybrids number ``first`` to ``first + n - 1``; see :class:`Generator`."""
        return self.propose_stepwise(request, first, n).result()

    @stepwise
    def propose_stepwise(
        self, request: ConversionRequest, first: int, n: int
    ) -> Iterating[Progress, None, Proposals]:
        """Return the same, with one step for each step of the optimization."""
        recipe = self.recipe
        choice = InfillChoice(recipe.infill, recipe.level, recipe.inpainter)
        infill = make_infill(choice, request.query, device=request.classifier.device)
        settings = FidoSettings("conversion", penalty=recipe.penalty, n_steps=recipe.n_steps)
        images, origins = [], []
        for number in range(first, min(first + n, recipe.n_proposals)):
            seed = proposal_seed(request.seed, number)
            steps = optimize_mask(
                request.query,
                request.source,
                request.target,
                request.classifier,
                infill,
                replace(settings, seed=seed),
            )
            text = partial(_status, f"mask {number + 1} of {recipe.n_proposals}")
            state = yield from steps.within(number - first, n, text)
            images.append(state.hybrid)
            origins.append({**state.record(), "infill": recipe.infill, "proposal": number})
        stacked = torch.stack(images) if images else torch.empty((0, *request.query.shape))
        return Proposals(stacked, tuple(origins))


def _status(mask: str, step: Progress) -> str:
    return f"{mask}, step {step.done} of {step.total}"
