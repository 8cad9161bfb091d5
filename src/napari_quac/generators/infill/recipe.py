"""The recipe of an infill as a generator: which image stands in for a generated one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from napari_quac.generators.family import GeneratorFamily
from napari_quac.networks.fido import ImageInfill

if TYPE_CHECKING:
    import torch

    from napari_quac.generators.infill.generator import InfillGenerator

INFILL_METHODS = ("d-ig", "ablation", "random", "fido-sdr")
"""Methods without a generator: quick ones first, and last one that refines its map for long."""


@dataclass(frozen=True)
class InfillRecipe(GeneratorFamily):
    """An infill of the query in place of a generated image: no generator is needed.

    Attributes
    ----------
    infill : str
        The query blurred, its mean color, a gray value, or noise.
    sigma : float or None
        Standard deviation of the blur, pixels; None for 10 pixels at a longer side of 224.
    level : float
        Gray value of the infill gray, 0 is black and 1 is white.
    """

    id = "infill"
    title = "Infill, without a generator"
    summary = "A blurred copy of the query, its mean color, gray or noise; needs no training."
    outcome = "lose their class"
    explicit = ("infill",)
    default_methods = INFILL_METHODS
    files = ()

    infill: ImageInfill = "blur"
    sigma: Annotated[float | None, {"min": 0.1, "max": 1000.0}] = None
    level: Annotated[float, {"min": 0.0, "max": 1.0, "step": 0.05}] = 0.5

    def load(self, device: str | torch.device = "auto") -> InfillGenerator:
        """Return the generator; the device has no effect."""
        from napari_quac.generators.infill.generator import InfillGenerator

        del device
        return InfillGenerator(self)
