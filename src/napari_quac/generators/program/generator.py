"""Programs with two inputs as generators: warping simulators and bin-conditional generators.

The output for the first query, a field or images, decides between both.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from napari_quac.errors import CheckpointError, ShapeError
from napari_quac.generators.exaggeration.generator import BinLayout, ExaggerationGenerator
from napari_quac.generators.forward import assumed_positive
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
FAILURES = (RuntimeError, IndexError, ValueError, TypeError, AssertionError, ShapeError)


class ProgramBinNetwork(nn.Module):
    """A program as a bin-conditional network.

    Parameters
    ----------
    program : torch module
        ``(image, bin) -> image``, or a tuple that begins with the image.
    n_bins : int
    """

    channels: int | None = None  # any number
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
        Its form, known after the first query.
    """

    def __init__(
        self, program: nn.Module, recipe: ProgramRecipe, name: str, device: torch.device
    ) -> None:
        self.program, self.recipe, self.name, self.device = program, recipe, name, device
        self.inner: WarpGenerator | ExaggerationGenerator | None = None
        self.assumptions = assumed_positive(recipe.positive)
        self.description: Mapping[str, str] = {
            "Kind": "program of two inputs",
            "Makes": "fields or images of bins; the first query shows which",
        }

    def propose(self, request: ConversionRequest, first: int, n: int) -> Proposals:
        """Return the proposals of the simulator or bin-conditional generator.

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
            self.inner = self._simulator(query) or self._bin_generator(query)
            self.description = self.inner.description
        return self.inner

    def _simulator(self, query: Tensor) -> WarpGenerator | None:
        recipe, n_axes = self.recipe, query.ndim - 1
        value_range = recipe.value_range or ValueRange(0, 1)
        image = value_range.to_network(query[None].to(self.device))
        field, _ = self._run(image, torch.ones((1, 1), device=self.device))
        if field is None or tuple(field.shape) != (1, n_axes, *query.shape[1:]):
            return None
        if n_axes == len(query) and recipe.n_bins is not None:
            return None  # as many channels as axes: a recipe with bins is about images
        warp_recipe = WarpRecipe(
            recipe.path, self._positive, recipe.order, recipe.unit, value_range
        )
        return WarpGenerator(self.program, warp_recipe, self.name, self.device, None)

    def _bin_generator(self, query: Tensor) -> ExaggerationGenerator:
        value_range = self.recipe.value_range or ValueRange()
        image = value_range.to_network(query[None].to(self.device))
        output, problem = self._run(image, torch.zeros(1, dtype=torch.long, device=self.device))
        if output is None or output.shape != image.shape:
            problem = f"it returned {tuple(output.shape)}" if output is not None else problem
            raise CheckpointError(
                f"'{self.name}' is neither a warping simulator nor a bin-conditional generator of "
                f"images of {tuple(query.shape)}: {problem}. It has to return a field "
                "(N, axes, *S) for (image, option of +1 or -1), or an image for (image, bin)."
            )
        n_bins = self.recipe.n_bins or self._count_bins(image)
        network = ProgramBinNetwork(self.program, n_bins)
        layout = BinLayout(self._positive, value_range=value_range)
        return ExaggerationGenerator(network, layout, self.name, self.device)

    def _count_bins(self, image: Tensor) -> int:
        """Return the first bin that the program refuses; 10 if it takes any number."""
        if not self._refuses(image, MOST_BINS):
            return N_BINS
        refused = (index for index in range(1, MOST_BINS) if self._refuses(image, index))
        return next(refused, MOST_BINS)

    def _refuses(self, image: Tensor, index: int) -> bool:
        bins = torch.full((1,), index, dtype=torch.long, device=self.device)
        return self._run(image, bins)[0] is None

    @property
    def _positive(self) -> str | int:
        return 1 if self.recipe.positive is None else self.recipe.positive

    def _run(self, image: Tensor, second: Tensor) -> tuple[Tensor | None, str]:
        """Return the output of the program; or None, and the reason."""
        try:
            with torch.no_grad():
                return first_of(self.program(image, second)), ""
        except FAILURES as error:
            return None, str(error).strip().splitlines()[-1]


def first_of(outputs: Any) -> Tensor:
    """Return a tensor, or the first one of several.

    Raises
    ------
    ShapeError
        If there is none.
    """
    first = outputs[0] if isinstance(outputs, tuple | list) and outputs else outputs
    if not isinstance(first, Tensor):
        raise ShapeError(f"it returned {type(first).__name__}, and no tensor")
    return first
