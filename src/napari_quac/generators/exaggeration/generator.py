"""Bin-conditional generators: one proposal for each bin, the least changed first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from napari_quac.errors import DataError, ShapeError
from napari_quac.generators.forward import (
    assumed_positive,
    call_network,
    convert_images,
    positive_index,
    stored_range,
)
from napari_quac.networks.architectures.stargan_v2_shapes import (
    read_class_names,
    read_metadata,
    read_size,
)
from napari_quac.networks.generator import BinTraversal, ConversionRequest, Generator, Proposals
from napari_quac.networks.value_range import ValueRange

ARCHITECTURE = "exaggeration"


@dataclass(frozen=True)
class BinLayout:
    """Meaning of the bins and the images of a bin-conditional generator.

    Attributes
    ----------
    positive : str or int
        The class whose probability rises with the bin.
    negative : str
        The class that the lowest bin looks like, if the file names it; else empty.
    value_range : ValueRange
        Input range of the network.
    residual : bool
        The network predicts half the change on a range of [-1, 1], and not the whole image.
    image_size : int or None
        Height and width, pixels, at which it works; None for that of the query.
    """

    positive: str | int = 1
    negative: str = ""
    value_range: ValueRange = field(default_factory=ValueRange)
    residual: bool = False
    image_size: int | None = None


def stored_layout(metadata: Mapping[str, str]) -> BinLayout:
    """Return the layout in the metadata of a file; by default that of the published networks."""
    names, size = read_class_names(metadata), read_size(metadata, "network_size")
    negative, positive = names if len(names) == 2 else ("", 1)
    residual = read_metadata(metadata, "residual") is True
    return BinLayout(positive, negative, stored_range(metadata), residual, size)


def bin_metadata(layout: BinLayout, training: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metadata of a safetensors file."""
    return {
        "architecture": ARCHITECTURE,
        "class_names": [layout.negative, layout.positive],
        "network_size": layout.image_size,
        "range": [layout.value_range.low, layout.value_range.high],
        "residual": layout.residual,
        "training": dict(training),
    }


class BinConditional(Protocol):
    """Network that returns an image for each bin.

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


@dataclass(frozen=True, eq=False)
class BinPath:
    """The images of all bins; there is nothing in between.

    Attributes
    ----------
    steps : (n_bins, C, *S) Tensor, float32 in [0, 1]
        From the source class to the target class.
    """

    steps: Tensor

    kind = "bins"
    meaning = "bins of the generator"
    caution = ""

    def image(self, alpha: float) -> Tensor:
        """Return the image of the nearest bin."""
        last = len(self.steps) - 1
        return self.steps[min(last, max(0, round(alpha * last)))]

    def is_off_manifold(self, alpha: float) -> bool:
        """Return False: all bins were trained."""
        del alpha
        return False


class ExaggerationGenerator(Generator):
    """A live bin-conditional generator; see :class:`~napari_quac.networks.generator.Generator`.

    Parameters
    ----------
    network : BinConditional
        Images and bins to images, or to changes.
    layout : BinLayout
        Meaning of its bins and images.
    name : str
        Shown to the user.
    device : torch.device
        Where it computes.
    """

    def __init__(
        self, network: BinConditional, layout: BinLayout, name: str, device: torch.device
    ) -> None:
        self.network, self.layout, self.name, self.device = network, layout, name, device
        self.n_bins: int = network.n_bins
        self.assumptions = assumed_positive(layout.positive)
        ends = (layout.negative, layout.positive)
        self.class_names = tuple(name for name in ends if isinstance(name, str) and name)
        if isinstance(layout.positive, str) and layout.positive.isdecimal():
            self.class_names = ()  # the number of a class of the classifier
        self.description: Mapping[str, str] = {
            "Kind": "progressive exaggeration",
            "Bins": str(network.n_bins),
            "Bins mean": f"probability of {layout.positive}",
            "Channels": "any" if network.channels is None else str(network.channels),
        }

    def path(self, request: ConversionRequest, origin: Mapping[str, Any]) -> BinPath | None:
        """Return the images of all bins, from the source class to the target class."""
        if "bin" not in origin:
            return None
        images = self.traversal(request.query)
        is_falling = request.source == request.classifier.class_index(self.layout.positive)
        return BinPath(images.flip(0) if is_falling else images)

    def traverse(self, query: Tensor) -> BinTraversal:
        """Return the images of a query in all bins."""
        return BinTraversal(self.traversal(query), self.layout.positive, self.layout.negative)

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
        queries = query[None].to(self.device).expand(self.n_bins, *query.shape)
        bins = torch.arange(self.n_bins, device=self.device)

        def generate() -> Tensor:
            layout = self.layout
            return convert_images(
                lambda images: self.network(images, bins),
                queries,
                layout.value_range,
                layout.residual,
                layout.image_size,
            )

        return call_network(f"The generator {self.name}", generate, tuple(queries.shape)).cpu()

    def propose(self, request: ConversionRequest, first: int, n: int) -> Proposals:
        """Return the images of bins towards the target, the least exaggerated first.

        Proposal *i* is the *i*-th bin, counted from the one of the source: upwards if the target
        is the class that the bins mean, else downwards.
        """
        title, negative = f"The generator {self.name}", self.layout.negative
        positive = positive_index(request, self.layout.positive, title)
        names = request.classifier.class_names
        other = names[request.source if request.target == positive else request.target]
        if negative and other != negative:
            raise DataError(
                f"{title} was trained on '{negative}' and '{names[positive]}'; it has not seen "
                f"'{other}'. Choose a sample and a target of these two classes."
            )
        bins = list(range(self.n_bins))
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
                "n_bins": self.n_bins,
                "desired": (index + 0.5) / self.n_bins,
            }
            for number, index in enumerate(chosen)
        )
        return Proposals(images, origins)

    def _check(self, query: Tensor) -> None:
        channels, multiple = self.network.channels, self.network.multiple
        if channels is None:  # a program, which refuses by itself
            return
        if self.layout.image_size is not None:
            multiple = 1  # the query is brought to the network's size
        fits = query.ndim == 3 and all(side % multiple == 0 for side in query.shape[1:])
        if fits and self.layout.residual and query.shape[1] != query.shape[2]:
            raise ShapeError(
                f"The query has {query.shape[1]} × {query.shape[2]} pixels; the generator "
                f"{self.name} works on squares. Crop the images."
            )
        if query.shape[0] != channels or not fits:
            raise ShapeError(
                f"The query has shape {tuple(query.shape)}, but the generator {self.name} takes "
                f"{channels} channel(s) and a multiple of {multiple} pixels. Crop the images."
            )
