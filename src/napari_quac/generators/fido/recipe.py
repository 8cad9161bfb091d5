"""FIDO as a generator: the query with the smallest region replaced that makes it the target."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from napari_quac.errors import DataError
from napari_quac.networks.fido.infill import InfillChoice, InfillName, make_infill
from napari_quac.networks.fido.optimize import optimize_mask
from napari_quac.networks.fido.settings import PENALTY, FidoSettings
from napari_quac.networks.generator import ConversionRequest, Proposals, proposal_seed


@dataclass(frozen=True)
class FidoRecipe:
    """FIDO as a generator: the smallest region whose replacement gives the target.

    Attributes
    ----------
    infill : str
        What replaces it: blur, mean, random, local or inpainter; there is no generated image yet.
    inpainter : Path or None
        TorchScript or .pt2 file (image, kept) -> image, for the infill by a network.
    level : float or None
        Grey of the infills mean and local; None for the mean of the query.
    penalty : float
        Price of replacing the whole image, in log-odds.
    n_steps : int
        Of the optimisation.
    n_proposals : int
        So many masks are optimised, each with a seed of its own.
    """

    infill: InfillName = "blur"
    inpainter: Path | None = None
    level: float | None = None
    penalty: float = PENALTY
    n_steps: int = 300
    n_proposals: int = 3

    def load(self, device: str | torch.device = "auto") -> FidoGenerator:
        """Return the generator; it computes where the classifier does.

        Raises
        ------
        DataError
            If the infill needs a generated image.
        """
        del device
        if self.infill == "generated":
            raise DataError(
                "As a generator FIDO has no generated image to fill in. Choose another infill: "
                "mean, blur, random, local or inpainter; or use FIDO as a method."
            )
        return FidoGenerator(self)


class FidoGenerator:
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
