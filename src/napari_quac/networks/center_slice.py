"""Generators of images, applied to the center slice of a volume."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from napari_quac.errors import ShapeError
from napari_quac.networks.generator import ConversionRequest, Generator, Proposals

APPLIED_TO = "applied_to"


class CenterSliceGenerator(Generator):
    """A generator of volumes, which changes only the center slice by a generator of images.

    The slice has the index ``D // 2``, on which patches are centered. Each origin records it under
    ``applied_to``.

    Parameters
    ----------
    generator : Generator
        A generator of images (C, H, W).
    """

    n_axes = 3

    def __init__(self, generator: Generator) -> None:
        self.generator = generator
        self.name = f"{generator.name}, center slice"
        self.description: Mapping[str, str] = {
            **generator.description,
            "Applied to": "the center slice of a volume",
        }

    def propose(self, request: ConversionRequest, first: int, n: int) -> Proposals:
        """Return proposals (n, C, D, H, W); see :class:`~.generator.Generator`.

        Raises
        ------
        ShapeError
            If the query is not a volume.
        """
        volume = request.query
        if volume.ndim != 4:
            raise ShapeError(
                f"A center slice needs a volume, but the query has shape {tuple(volume.shape)}. "
                "Use the generator itself."
            )
        depth = volume.shape[1]
        center = depth // 2
        slices = self.generator.propose(replace(request, query=volume[:, center]), first, n)
        if not len(slices.images):
            return Proposals(volume.new_empty((0, *volume.shape)), ())
        volumes = volume.to("cpu", torch.float32).repeat(len(slices.images), 1, 1, 1, 1)
        volumes[:, :, center] = slices.images
        place = {"slice": center, "of": depth}
        return Proposals(volumes, tuple({**o, APPLIED_TO: place} for o in slices.origins))


def adapt_to_query(generator: Generator, query: Tensor) -> Generator:
    """Return the generator, or for a volume one that applies it to the center slice.

    Parameters
    ----------
    generator : Generator
        Any generator.
    query : (C, *S) Tensor
        The image or volume.
    """
    if query.ndim == 4 and generator.n_axes == 2:
        return CenterSliceGenerator(generator)
    return generator


def describe_center_slice(origin: Mapping[str, Any]) -> str:
    """Return a sentence if only one slice of a volume was changed, else an empty text."""
    place = origin.get(APPLIED_TO)
    if not isinstance(place, Mapping):
        return ""
    return (
        f"The generator works on images: only slice {place['slice'] + 1} of {place['of']} (the "
        "center) was changed."
    )
