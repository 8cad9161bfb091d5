"""The recipe of FIDO as a generator: the infill, and the price of replacing the image."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari_quac.errors import DataError
from napari_quac.generators.family import GeneratorFamily
from napari_quac.networks.fido import PENALTY, InfillName

if TYPE_CHECKING:
    import torch

    from napari_quac.generators.fido.generator import FidoGenerator


@dataclass(frozen=True)
class FidoRecipe(GeneratorFamily):
    """FIDO as a generator: the smallest region whose replacement gives the target class.

    Attributes
    ----------
    infill : str
        Replacement: blur, mean, random, local or inpainter; there is no generated image yet.
    inpainter : Path or None
        TorchScript or .pt2 file (image, kept) -> image, for the infill by a network.
    level : float or None
        Grey of the infills mean and local; None for the mean of the query.
    penalty : float
        Price of replacing the whole image, in log-odds.
    n_steps : int
        Of the optimization.
    n_proposals : int
        Number of masks that are optimized, each with its own seed.
    """

    id = "fido"
    title = "FIDO infill"
    summary = "The query with the smallest region replaced that makes it the target class."
    files = ()

    infill: InfillName = "blur"
    inpainter: Path | None = None
    level: float | None = None
    penalty: float = PENALTY
    n_steps: int = 300
    n_proposals: int = 3

    def load(self, device: str | torch.device = "auto") -> FidoGenerator:
        """Return the generator; it computes on the device of the classifier.

        Raises
        ------
        DataError
            If the infill needs a generated image.
        """
        from napari_quac.generators.fido.generator import FidoGenerator

        del device
        if self.infill == "generated":
            raise DataError(
                "As a generator FIDO has no generated image to fill in. Choose another infill: "
                "mean, blur, random, local or inpainter; or use FIDO as a method."
            )
        return FidoGenerator(self)
