"""Warping simulators as generators: the query, deformed more and more towards the target."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from napari_quac.errors import ShapeError
from napari_quac.generators.forward import assumed_positive, call_network, positive_index
from napari_quac.networks.generator import ConversionRequest, Generator, Proposals
from napari_quac.networks.warp.field import determinant, folding, in_voxels, warp

if TYPE_CHECKING:
    from napari_quac.generators.warp.recipe import WarpRecipe

STRENGTHS = tuple(round(0.1 * step, 1) for step in range(1, 16))
Simulator = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class WarpPath:
    """The query, deformed more and more.

    Attributes
    ----------
    simulator : WarpGenerator
    query : (C, *S) Tensor
    option : int
        Direction of the deformation, +1 or -1.
    strength : float
        That of the generated image.
    full_field : (n, *S) Tensor
        Pull field at strength 1, voxels.
    """

    simulator: WarpGenerator
    query: Tensor
    option: int
    strength: float
    full_field: Tensor

    kind = "warp"
    meaning = "strength of the deformation"
    caution = "the deformation folds"
    steps = None

    @property
    def field(self) -> Tensor:
        """Pull field of the generated image (n, *S), voxels."""
        return self.strength * self.full_field

    def image(self, alpha: float) -> Tensor:
        """Return the query under alpha times the field."""
        return warp(self.query[None], alpha * self.field[None])[0].clamp(0, 1)

    def is_off_manifold(self, alpha: float) -> bool:
        """Return True if the field folds somewhere."""
        return bool(folding(determinant(alpha * self.field.numpy())).any())


class WarpGenerator(Generator):
    """A live simulator; see :class:`~napari_quac.networks.generator.Generator`.

    Parameters
    ----------
    simulator : callable
        ``(images, options) -> fields``.
    recipe : WarpRecipe
        Meaning of its fields.
    name : str
        Shown to the user.
    device : torch.device
        Where it computes.
    shape : tuple of int or None
        (C, *S) that it needs, where that is known.
    """

    def __init__(
        self,
        simulator: Simulator,
        recipe: WarpRecipe,
        name: str,
        device: torch.device,
        shape: tuple[int, ...] | None,
    ) -> None:
        self._simulator, self.recipe = simulator, recipe
        self.name, self.device, self.shape = name, device, shape
        positive = recipe.positive
        self.assumptions = assumed_positive(positive)
        is_name = isinstance(positive, str) and not positive.isdecimal()
        self.class_names = (str(positive),) if is_name else ()
        self.description: Mapping[str, str] = {
            "Kind": "warping simulator",
            "Image size": "any" if shape is None else " × ".join(map(str, shape[1:])),
            "Adds the pattern of": str(recipe.positive),
            "Field": f"{recipe.order} axes, {recipe.unit}",
        }

    def path(self, request: ConversionRequest, origin: Mapping[str, Any]) -> WarpPath | None:
        """Return the query under rising strength of the deformation."""
        if "strength" not in origin:
            return None
        option, strength = int(origin["option"]), float(origin["strength"])
        return WarpPath(self, request.query, option, strength, self.field(request.query, option))

    def option(self, request: ConversionRequest) -> int:
        """Return +1 if the target is the positive class, -1 if the source is.

        Raises
        ------
        DataError
            If neither is.
        """
        positive = positive_index(request, str(self.recipe.positive), f"The simulator {self.name}")
        return 1 if request.target == positive else -1

    def field(self, query: Tensor, option: int) -> Tensor:
        """Return the pull field (n, *S) in voxels at full strength.

        Raises
        ------
        ShapeError
            If the query does not fit, or the simulator returns something else than a field.
        NotFiniteError
            If it returns NaN or infinity.
        """
        if self.shape is not None and tuple(query.shape) != self.shape:
            raise ShapeError(
                f"The query has shape {tuple(query.shape)}, but the simulator {self.name} was "
                f"trained on {self.shape} (channels, pixels). Crop the images."
            )
        image = self.recipe.value_range.to_network(query[None].to(self.device))
        options = torch.full((1, 1), float(option), device=self.device)
        shape = (1, query.ndim - 1, *query.shape[1:])
        field = call_network(
            f"The simulator {self.name}", lambda: self._simulator(image, options), shape
        )
        return in_voxels(field.float().cpu(), self.recipe.order, self.recipe.unit)[0]

    def propose(self, request: ConversionRequest, first: int, n: int) -> Proposals:
        """Return the query under strengths number ``first`` to ``first + n - 1``, rising."""
        strengths = STRENGTHS[first : first + n]
        if not strengths:
            return Proposals(torch.empty((0, *request.query.shape)), ())
        option = self.option(request)
        full = self.field(request.query, option)
        fields = torch.stack([strength * full for strength in strengths])
        images = warp(request.query.expand(len(fields), *request.query.shape), fields)
        origins = tuple(
            {
                "generator": self.name,
                "proposal": first + number,
                "strength": strength,
                "option": option,
                "largest_displacement": float(fields[number].norm(dim=0).max()),
                "folded": float(folding(determinant(fields[number].numpy())).mean()),
            }
            for number, strength in enumerate(strengths)
        )
        return Proposals(images.clamp(0, 1), origins)
