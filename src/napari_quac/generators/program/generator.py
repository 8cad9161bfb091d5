"""Programs with two inputs as generators: warping simulators and bin-conditional explainers.

Which of both a program is shows in what it returns for the first query: a field, or images.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from napari_quac.errors import CheckpointError, ShapeError
from napari_quac.generators.exaggeration.generator import BinLayout, ExaggerationGenerator
from napari_quac.generators.warp.generator import WarpGenerator
from napari_quac.generators.warp.recipe import WarpRecipe
from napari_quac.networks.generator import (
    BinTraversal,
    ConversionRequest,
    Generator,
    ImagePath,
    Proposals,
)
from napari_quac.networks.value_range import ValueRange

if TYPE_CHECKING:
    from napari_quac.generators.program.recipe import ProgramRecipe

N_BINS, MOST_BINS = 10, 64
FAILURES = (RuntimeError, IndexError, ValueError, TypeError, AssertionError)


class ProgramExplainer(nn.Module):
    """A program as a bin-conditional explainer.

    Parameters
    ----------
    program : torch module
        ``(image, bin) -> image``, or a tuple that begins with the image.
    n_bins : int
    """

    channels: int | None = None  # whatever it takes
    multiple = 1
    n_bins: int

    def __init__(self, program: nn.Module, n_bins: int) -> None:
        super().__init__()
        self.program, self.n_bins = program, n_bins

    def forward(self, images: Tensor, bins: Tensor) -> Tensor:
        """Return images for images and bins (N,)."""
        return first_of(self.program(images, bins))


class ProgramGenerator(Generator):
    """A live program; see :class:`~napari_quac.networks.generator.Generator`.

    Attributes
    ----------
    inner : WarpGenerator, ExaggerationGenerator or None
        What it turned out to be, once it was asked for an image.
    """

    def __init__(
        self, program: nn.Module, recipe: ProgramRecipe, name: str, device: torch.device
    ) -> None:
        self.program, self.recipe, self.name, self.device = program, recipe, name, device
        self.inner: WarpGenerator | ExaggerationGenerator | None = None
        self.description: Mapping[str, str] = {
            "Kind": "program of two inputs",
            "Makes": "fields or images of bins; the first query shows which",
        }

    def propose(self, request: ConversionRequest, first: int, n: int) -> Proposals:
        """Return what the simulator or explainer proposes.

        Raises
        ------
        CheckpointError
            If the program returns neither a field nor an image.
        """
        return self.identify(request.query).propose(request, first, n)

    def path(self, request: ConversionRequest, origin: Mapping[str, Any]) -> ImagePath | None:
        """Return the path of the simulator or of the bins."""
        return self.identify(request.query).path(request, origin)

    def traverse(self, query: Tensor) -> BinTraversal | None:
        """Return the images of a query in all bins; None for a simulator."""
        return self.identify(query).traverse(query)

    def identify(self, query: Tensor) -> WarpGenerator | ExaggerationGenerator:
        """Return the generator that the program is, by its output for a query (C, *S)."""
        if self.inner is None:
            self.inner = self._simulator(query) or self._explainer(query)
            self.description = self.inner.description
        return self.inner

    def _simulator(self, query: Tensor) -> WarpGenerator | None:
        known = self.recipe.value_range or ValueRange(0, 1)
        image = known.to_network(query[None].to(self.device))
        option = torch.ones((1, 1), device=self.device)
        found, _ = self._asked(image, option)
        n_axes = query.ndim - 1
        if found is None or tuple(found.shape) != (1, n_axes, *query.shape[1:]):
            return None
        if n_axes == len(query) and self.recipe.n_bins is not None:
            return None  # as many channels as axes: whoever tells the bins means images
        recipe = WarpRecipe(
            self.recipe.path, self._positive, self.recipe.order, self.recipe.unit, known
        )
        return WarpGenerator(self.program, recipe, self.name, self.device, None)

    def _explainer(self, query: Tensor) -> ExaggerationGenerator:
        known = self.recipe.value_range or ValueRange()
        image = known.to_network(query[None].to(self.device))
        found, problem = self._asked(image, torch.zeros(1, dtype=torch.long, device=self.device))
        if found is None or found.shape != image.shape:
            returned = problem or f"it returned {tuple(found.shape) if found is not None else '?'}"
            raise CheckpointError(
                f"'{self.name}' is neither a warping simulator nor a bin-conditional explainer of "
                f"images of {tuple(query.shape)}: {returned}. It has to return a field "
                "(N, axes, *S) for (image, option of +1 or -1), or an image for (image, bin)."
            )
        n_bins = self.recipe.n_bins or self._count_bins(image)
        layout = BinLayout(self._positive, value_range=known)
        return ExaggerationGenerator(
            ProgramExplainer(self.program, n_bins), layout, self.name, self.device
        )

    def _count_bins(self, image: Tensor) -> int:
        """Return the first bin that the program refuses; 10 if it takes any number."""
        if not self._refuses(image, MOST_BINS):
            return N_BINS
        refused = (index for index in range(1, MOST_BINS) if self._refuses(image, index))
        return next(refused, MOST_BINS)

    def _refuses(self, image: Tensor, index: int) -> bool:
        bins = torch.full((1,), index, dtype=torch.long, device=self.device)
        return self._asked(image, bins)[0] is None

    @property
    def _positive(self) -> str | int:
        return 1 if self.recipe.positive is None else self.recipe.positive

    def _asked(self, image: Tensor, second: Tensor) -> tuple[Tensor | None, str]:
        """Return what the program says, or nothing and why."""
        try:
            with torch.no_grad():
                return first_of(self.program(image, second)), ""
        except ShapeError as error:
            return None, str(error)
        except FAILURES as error:
            return None, str(error).strip().splitlines()[-1]


def first_of(outputs: Any) -> Tensor:
    """Return a tensor, or the first one of several.

    Raises
    ------
    ShapeError
        If there is none.
    """
    found = outputs[0] if isinstance(outputs, tuple | list) and outputs else outputs
    if not isinstance(found, Tensor):
        raise ShapeError(f"it returned {type(found).__name__}, and no tensor")
    return found
