"""An infill of the query as the only proposal of a generator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from napari_quac.data.assumptions import Assumption
from napari_quac.networks.generator import ConversionRequest, Generator, Proposals, proposal_seed
from napari_quac.networks.infill_image import INFILL_KEY, NOUNS, default_sigma, infill_image

if TYPE_CHECKING:
    from napari_quac.generators.infill.recipe import InfillRecipe


class InfillGenerator(Generator):
    """An image without the details of the query; see :class:`~.networks.generator.Generator`.

    Attributes
    ----------
    assumptions : tuple of Assumption
        The infill that explanations are made against.
    """

    def __init__(self, recipe: InfillRecipe) -> None:
        self.recipe = recipe
        self.name = f"infill {recipe.infill}"
        self.description: Mapping[str, str] = {
            "Kind": f"without a generator: {NOUNS[recipe.infill]}",
            "Infill": recipe.infill,
        }
        self.assumptions = (
            Assumption(
                "baseline",
                f"Without a generator, images are explained against {NOUNS[recipe.infill]}: the "
                "maps show pixels that the classifier needs for the class, not what another class "
                "looks like. Another infill gives other maps.",
            ),
        )

    def propose(self, request: ConversionRequest, first: int, n: int) -> Proposals:
        """Return the infill as proposal 0, and no other; see :class:`Generator`."""
        query, recipe = request.query, self.recipe
        if first > 0 or n < 1:
            return Proposals(torch.empty((0, *query.shape)), ())
        seed = proposal_seed(request.seed, 0)
        values = infill_image(
            recipe.infill, query, sigma=recipe.sigma, level=recipe.level, seed=seed
        )
        origin: dict[str, Any] = {INFILL_KEY: recipe.infill, "proposal": 0}
        if recipe.infill == "blur":
            origin["sigma"] = default_sigma(query.shape) if recipe.sigma is None else recipe.sigma
        elif recipe.infill == "gray":
            origin["level"] = recipe.level
        elif recipe.infill == "noise":
            origin["seed"] = seed
        return Proposals(values[None].clamp(0, 1).float().cpu(), (origin,))
