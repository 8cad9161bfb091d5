"""FIDO as a generator: the query with the smallest region replaced that makes it the target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from napari_quac.networks.fido.optimize import optimize_mask
from napari_quac.networks.fido.settings import FidoSettings, InfillChoice, make_infill
from napari_quac.networks.generator import ConversionRequest, Generator, Proposals, proposal_seed

if TYPE_CHECKING:
    from napari_quac.generators.fido.recipe import FidoRecipe


class FidoGenerator(Generator):
    """Optimises what to replace; see :class:`~napari_quac.networks.generator.Generator`."""

    def __init__(self, recipe: FidoRecipe) -> None:
        self.recipe = recipe
        self.name = f"FIDO, infill {recipe.infill}"
        self.description: Mapping[str, str] = {
            "Kind": "optimised infill (FIDO)",
            "Infill": recipe.infill,
            "Proposals": str(recipe.n_proposals),
        }

    def propose(self, request: ConversionRequest, first: int, n: int) -> Proposals:
        """Return the hybrids number ``first`` to ``first + n - 1``; see :class:`Generator`."""
        recipe = self.recipe
        choice = InfillChoice(recipe.infill, recipe.level, recipe.inpainter)
        infill = make_infill(choice, request.query, device=request.classifier.device)
        settings = FidoSettings("conversion", penalty=recipe.penalty, n_steps=recipe.n_steps)
        images, origins = [], []
        for number in range(first, min(first + n, recipe.n_proposals)):
            seed = proposal_seed(request.seed, number)
            state = optimize_mask(
                request.query,
                request.source,
                request.target,
                request.classifier,
                infill,
                replace(settings, seed=seed),
            ).result()
            images.append(state.hybrid)
            origins.append({**state.record(), "infill": recipe.infill, "proposal": number})
        stacked = torch.stack(images) if images else torch.empty((0, *request.query.shape))
        return Proposals(stacked, tuple(origins))
