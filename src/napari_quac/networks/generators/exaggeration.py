"""Bin-conditional explainers as generators: one proposal for each bin, the least changed first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from napari_quac.errors import DataError, NetworkError, NotFiniteError, ShapeError
from napari_quac.networks.architectures.exaggeration_net import load_explainer
from napari_quac.networks.device import resolve_device
from napari_quac.networks.generator import ConversionRequest, Proposals
from napari_quac.networks.tensor_file import flat, read_tensors
from napari_quac.networks.value_range import ValueRange


@dataclass(frozen=True)
class ExaggerationRecipe:
    """A bin-conditional explainer and the class whose probability its bins mean.

    Attributes
    ----------
    checkpoint : Path
        A state dict of the Luab port or of derm_audit.
    positive : str or int
        The class whose probability rises with the bin, by name or index.
    value_range : ValueRange
        What the network was trained on.
    """

    checkpoint: Path
    positive: str | int = 1
    value_range: ValueRange = field(default_factory=ValueRange)

    def load(self, device: str | torch.device = "cpu") -> ExaggerationGenerator:
        """Read the file.

        Raises
        ------
        CheckpointError
            If it holds no such explainer.
        """
        path = Path(self.checkpoint)
        device = resolve_device(device) if isinstance(device, str) else device
        network = load_explainer(flat(read_tensors(path)[0]), path.name)
        return ExaggerationGenerator(network.to(device), self, path.name, device)


class BinConditional(Protocol):
    """What makes an image for each bin.

    ``channels`` is None where any number will do.
    """

    @property
    def n_bins(self) -> int: ...  # noqa: D102

    @property
    def channels(self) -> int | None: ...  # noqa: D102

    @property
    def multiple(self) -> int: ...  # noqa: D102

    def __call__(self, images: Tensor, bins: Tensor, /) -> Tensor:
        """Return images for images and bins (N,)."""


class ExaggerationGenerator:
    """A live explainer; see :class:`~napari_quac.networks.generator.Generator`."""

    def __init__(
        self, network: BinConditional, recipe: ExaggerationRecipe, name: str, device: torch.device
    ) -> None:
        self.network, self.recipe, self.name, self.device = network, recipe, name, device
        self.description: Mapping[str, str] = {
            "Kind": "progressive exaggeration",
            "Bins": str(network.n_bins),
            "Bins mean": f"probability of {recipe.positive}",
            "Channels": "any" if network.channels is None else str(network.channels),
        }

    def traversal(self, query: Tensor) -> Tensor:
        """Return the images of all bins, (n_bins, C, H, W) in [0, 1], by rising bin.

        Raises
        ------
        ShapeError
            If the query does not fit.
        NotFiniteError
            If the network returns NaN or infinity.
        """
        self._check(query)
        n = self.network.n_bins
        image = self.recipe.value_range.to_network(query[None].to(self.device))
        try:
            with torch.no_grad():
                bins = torch.arange(n, device=self.device)
                made = self.network(image.expand(n, *query.shape), bins)
        except RuntimeError as error:
            raise NetworkError(
                f"The explainer {self.name} failed on an image of {tuple(query.shape)}: "
                f"{str(error).strip().splitlines()[-1]}"
            ) from error
        if tuple(made.shape) != (n, *query.shape):
            raise ShapeError(
                f"The explainer {self.name} returned {tuple(made.shape)} for {n} images of "
                f"{tuple(query.shape)}; images of the same shape were expected."
            )
        if not torch.isfinite(made).all():
            raise NotFiniteError(f"The explainer {self.name} returned NaN or infinity.")
        return self.recipe.value_range.from_network(made).clamp(0, 1).cpu()

    def propose(self, request: ConversionRequest, first: int, n: int) -> Proposals:
        """Return the images of bins towards the target, the least exaggerated first.

        Proposal *i* is the *i*-th bin, counted from the one of the source: upwards if the target
        is the class that the bins mean, else downwards.
        """
        positive = request.classifier.class_index(str(self.recipe.positive))
        if positive not in (request.source, request.target):
            names = request.classifier.class_names
            raise DataError(
                f"The bins of the explainer {self.name} mean '{names[positive]}'; it cannot turn "
                f"'{names[request.source]}' into '{names[request.target]}'. Choose "
                f"'{names[positive]}' as target, or another generator."
            )
        n_bins = self.network.n_bins
        bins = list(range(n_bins))
        if request.source == positive:
            bins.reverse()
        chosen = bins[first : first + n]
        if not chosen:
            return Proposals(torch.empty((0, *request.query.shape)), ())
        images = self.traversal(request.query)[chosen]
        origins = tuple(
            {
                "generator": self.name,
                "proposal": first + number,
                "bin": index,
                "n_bins": n_bins,
                "desired": (index + 0.5) / n_bins,
            }
            for number, index in enumerate(chosen)
        )
        return Proposals(images, origins)

    def _check(self, query: Tensor) -> None:
        channels, multiple = self.network.channels, self.network.multiple
        if channels is None:  # a program, which says by itself what it cannot take
            return
        fits = query.ndim == 3 and all(side % multiple == 0 for side in query.shape[1:])
        if query.shape[0] != channels or not fits:
            raise ShapeError(
                f"The query has shape {tuple(query.shape)}, but the explainer {self.name} takes "
                f"{channels} channel{'s' if channels != 1 else ''} and a multiple of {multiple} "
                "pixels. Crop the images, or choose another generator."
            )
