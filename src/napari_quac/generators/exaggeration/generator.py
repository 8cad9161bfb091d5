"""Bin-conditional explainers as generators: one proposal for each bin, the least changed first."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from napari_quac.errors import DataError, NetworkError, NotFiniteError, ShapeError
from napari_quac.networks.architectures.stargan_v2_shapes import read_metadata
from napari_quac.networks.generator import BinTraversal, ConversionRequest, Generator, Proposals
from napari_quac.networks.resizing import resize
from napari_quac.networks.value_range import ValueRange

ARCHITECTURE = "exaggeration"


@dataclass(frozen=True)
class BinLayout:
    """What the bins and the images of an explainer mean.

    Attributes
    ----------
    positive : str or int
        The class whose probability rises with the bin.
    negative : str
        The class that the lowest bin looks like, where the file says it; else empty.
    value_range : ValueRange
        What the network was trained on.
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
    """Return what a safetensors file says about itself; what it leaves out is as published."""
    names, size = read_metadata(metadata, "class_names"), read_metadata(metadata, "network_size")
    limits, is_pair = read_metadata(metadata, "range"), isinstance(names, list) and len(names) == 2
    return BinLayout(
        str(names[1]) if is_pair else 1,
        str(names[0]) if is_pair else "",
        ValueRange(*limits) if isinstance(limits, list) and len(limits) == 2 else ValueRange(),
        read_metadata(metadata, "residual") is True,
        size if isinstance(size, int) else None,
    )


def explainer_metadata(layout: BinLayout, training: Mapping[str, Any]) -> dict[str, str]:
    """Return what goes into a safetensors file of ours beside the tensors."""
    values = {
        "class_names": [layout.negative, layout.positive],
        "network_size": layout.image_size,
        "range": [layout.value_range.low, layout.value_range.high],
        "residual": layout.residual,
        "training": dict(training),
    }
    texts = {key: json.dumps(value) for key, value in values.items()}
    return {"architecture": ARCHITECTURE, **texts}


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
    """A live explainer; see :class:`~napari_quac.networks.generator.Generator`.

    Parameters
    ----------
    network : BinConditional
        Images and bins to images, or to changes.
    layout : BinLayout
        What its bins and images mean.
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
        try:
            with torch.no_grad():
                made = explained(self.network, self.layout, queries, bins)
        except RuntimeError as error:
            raise NetworkError(
                f"The explainer {self.name} failed on an image of {tuple(query.shape)}: "
                f"{str(error).strip().splitlines()[-1]}"
            ) from error
        if made.shape != queries.shape:
            raise ShapeError(
                f"The explainer {self.name} returned {tuple(made.shape)} for {self.n_bins} images "
                f"of {tuple(query.shape)}; images of the same shape were expected."
            )
        if not torch.isfinite(made).all():
            raise NotFiniteError(f"The explainer {self.name} returned NaN or infinity.")
        return made.cpu()

    def propose(self, request: ConversionRequest, first: int, n: int) -> Proposals:
        """Return the images of bins towards the target, the least exaggerated first.

        Proposal *i* is the *i*-th bin, counted from the one of the source: upwards if the target
        is the class that the bins mean, else downwards.
        """
        positive = request.classifier.class_index(str(self.layout.positive))
        if positive not in (request.source, request.target):
            names = request.classifier.class_names
            raise DataError(
                f"The bins of the explainer {self.name} mean '{names[positive]}'; it cannot turn "
                f"'{names[request.source]}' into '{names[request.target]}'. Choose "
                f"'{names[positive]}' as target, or another generator."
            )
        self._check_negative(request, positive)
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

    def _check_negative(self, request: ConversionRequest, positive: int) -> None:
        """Refuse a class that the training has not seen, where the file tells which ones it has."""
        names = request.classifier.class_names
        other = names[request.source if request.target == positive else request.target]
        if self.layout.negative and other != self.layout.negative:
            raise DataError(
                f"The explainer {self.name} has learnt to turn '{self.layout.negative}' into "
                f"'{names[positive]}' and back; it has not seen '{other}'. Choose a sample of "
                "these two classes and the other one as target, or another generator."
            )

    def _check(self, query: Tensor) -> None:
        channels, multiple = self.network.channels, self.network.multiple
        if channels is None:  # a program, which says by itself what it cannot take
            return
        if self.layout.image_size is not None:
            multiple = 1  # the query is brought to the network's size
        fits = query.ndim == 3 and all(side % multiple == 0 for side in query.shape[1:])
        if fits and self.layout.residual and query.shape[1] != query.shape[2]:
            raise ShapeError(
                f"The query has {query.shape[1]} × {query.shape[2]} pixels; the explainer "
                f"{self.name} works on squares. Crop the images."
            )
        if query.shape[0] != channels or not fits:
            raise ShapeError(
                f"The query has shape {tuple(query.shape)}, but the explainer {self.name} takes "
                f"{channels} channel{'s' if channels != 1 else ''} and a multiple of {multiple} "
                "pixels. Crop the images, or choose another generator."
            )


def explained(
    network: BinConditional | torch.nn.Module, layout: BinLayout, queries: Tensor, bins: Tensor
) -> Tensor:
    """Return the images of queries (N, C, S, S) in [0, 1] at bins (N,), with the gradient."""
    inputs = layout.value_range.to_network(queries)
    if not layout.residual:
        made: Tensor = network(inputs, bins)
        return layout.value_range.from_network(made).clamp(0, 1)
    small = resize(inputs, layout.image_size or inputs.shape[-1])
    # the network predicts the change on our range of 1, from none to the whole of it
    return (queries + resize(network(small, bins), queries.shape[-1])).clamp(0, 1)
