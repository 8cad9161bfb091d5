"""Generators of images, applied to the centre slice of a volume."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from napari_quac.errors import ShapeError
from napari_quac.networks.generator import ConversionRequest, Generator, Proposals, axes_of

APPLIED_TO = "applied_to"


class CenterSliceGenerator:
    """Changes one slice of a volume by a generator of images; the others stay as they are.

    The slice is number ``D // 2``, counted from 0: the one on which a patch is centred. Each
    origin says so under ``applied_to``.

    Parameters
    ----------
    generator : Generator
        A generator of images (C, H, W).
    """

    n_axes = 3

    def __init__(self, generator: Generator) -> None:
        self.generator = generator
        self.name = f"{generator.name}, centre slice"
        self.description: Mapping[str, str] = {
            **generator.description,
            "Applied to": "the centre slice of a volume",
        }

    def propose(self, request: ConversionRequest, first: int, n: int) -> Proposals:
        """Return proposals (n, C, D, H, W); see :class:`~.generator.Generator`.

        Raises
        ------
        ShapeError
            If the query is no volume.
        """
        volume = request.query
        if volume.ndim != 4:
            raise ShapeError(
                f"A centre slice needs a volume, the query has shape {tuple(volume.shape)}. Use "
                "the generator itself."
            )
        depth = volume.shape[1]
        centre = depth // 2
        found = self.generator.propose(replace(request, query=volume[:, centre]), first, n)
        if not len(found.images):
            return Proposals(volume.new_empty((0, *volume.shape)), ())
        volumes = volume.to("cpu", torch.float32).repeat(len(found.images), 1, 1, 1, 1)
        volumes[:, :, centre] = found.images
        place = {"slice": centre, "of": depth}
        return Proposals(volumes, tuple({**o, APPLIED_TO: place} for o in found.origins))


def fitting(generator: Generator, query: Tensor) -> Generator:
    """Return the generator, or for a volume one that applies it to the centre slice.

    Parameters
    ----------
    generator : Generator
        Any generator.
    query : (C, *S) Tensor
        The image or volume that it will be asked about.
    """
    if query.ndim == 4 and axes_of(generator) == 2:
        return CenterSliceGenerator(generator)
    return generator


def describe_center_slice(origin: Mapping[str, Any]) -> str:
    """Return what is said about an image that was changed in one slice; else nothing."""
    place = origin.get(APPLIED_TO)
    if not isinstance(place, Mapping):
        return ""
    return (
        f"The generator works on images: only slice {place['slice'] + 1} of {place['of']} (the "
        "centre) was changed."
    )
