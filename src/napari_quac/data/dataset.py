"""Samples and datasets: images with their labels and places, read one at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from napari_quac.data.place import Place

if TYPE_CHECKING:
    from torch import Tensor

    from napari_quac.data.remote.address import Address


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
    path : Path or Address or None
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
    path: Path | Address | None = None
    place: Place | None = None


@runtime_checkable
class Dataset(Protocol):
    """A sequence of samples that are read one at a time.

    Attributes
    ----------
    name : str
        Display name.
    classes : tuple of str
        Class names by label; empty for samples without labels.
    """

    name: str
    classes: tuple[str, ...]

    def __len__(self) -> int:
        """Return the number of samples."""

    def __getitem__(self, index: int) -> Sample:
        """Read one sample.

        Raises
        ------
        DataError
            If it cannot be read; the message names it.
        """

    def sample_id(self, index: int) -> str:
        """Return the id of a sample without reading its image."""

    def label(self, index: int) -> int | None:
        """Return the label of a sample without reading its image."""


def evenly_spaced(total: int, n: int | None) -> list[int]:
    """Return at most ``n`` positions below ``total``, the first and the last among them.

    Parameters
    ----------
    total : int
        Number of items.
    n : int or None
        Number of positions; None for all.

    Examples
    --------
    >>> evenly_spaced(10, 4)
    [0, 3, 6, 9]
    """
    if n is None or n >= total:
        return list(range(total))
    return sorted({round(i * (total - 1) / max(1, n - 1)) for i in range(n)})


def unique_names(ids: Sequence[str]) -> list[str]:
    """Return unique names; empty ones become the numbers of their points."""
    names = [str(name) or f"point {row}" for row, name in enumerate(ids)]
    if len(set(names)) == len(names):
        return names
    used, counts = set(names), Counter[str]()
    for row, name in enumerate(names):
        counts[name] += 1
        if counts[name] > 1:
            while f"{name} #{counts[name]}" in used:
                counts[name] += 1
            names[row] = f"{name} #{counts[name]}"
            used.add(names[row])
    return names
