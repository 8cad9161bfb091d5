"""One image of a dataset, with its label and its place."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from napari_quac.data.place import Place


@dataclass(frozen=True, eq=False)
class Sample:
    """One image of a dataset.

    Attributes
    ----------
    id : str
        Name that is unique in its dataset, such as ``"synapse/s10_x0041.png"``.
    image : (C, *S) Tensor, float32 in [0, 1]
    label : int or None
        Index of its class; None if unknown.
    scale : tuple of float or None
        World units per pixel along each axis of ``*S``; None for one per pixel.
    translate : tuple of float or None
        World position of the first pixel's center along each axis of ``*S``.
    unit : str or None
        The world unit, such as ``"nm"``.
    path : Path or None
        File of the image.
    place : Place or None
        Place in the volume from which it was cut out, with all its axes and its rotation.
    """

    id: str
    image: Tensor
    label: int | None = None
    scale: tuple[float, ...] | None = None
    translate: tuple[float, ...] | None = None
    unit: str | None = None
    path: Path | None = None
    place: Place | None = None
