"""Samples and datasets: images with their labels and places, read one at a time."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from napari_quac.data.place import Place
from napari_quac.errors import QuacError

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


@runtime_checkable
class Prefetching(Protocol):
    """Optional methods of a dataset whose samples lie on another machine.

    Several requests at once take little longer than one, so work on many samples requests the next
    ones while it processes the present ones.
    """

    @property
    def can_prefetch(self) -> bool:
        """False if these samples lie on this machine after all."""

    def prefetch(self, indices: Sequence[int]) -> Callable[[], None]:
        """Request samples that will be read soon, without waiting for them.

        Errors of a request are raised when its sample is read.

        Returns
        -------
        callable
            Cancels the requests of samples that have not been read.
        """

    def reading_order(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the indices in an order in which samples of the same block are neighbors."""


def can_prefetch(dataset: Dataset) -> bool:
    """Tell whether samples can be requested before they are read."""
    return isinstance(dataset, Prefetching) and dataset.can_prefetch


def prefetch(dataset: Dataset, indices: Sequence[int]) -> Callable[[], None]:
    """Request samples where the dataset can; see :class:`Prefetching`."""
    if isinstance(dataset, Prefetching):
        return dataset.prefetch(indices)
    return nothing_to_cancel


def nothing_to_cancel() -> None:
    """Cancel no request: there is none."""


def reading_order(dataset: Dataset, indices: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the order in which samples are read; see :class:`Prefetching`."""
    return dataset.reading_order(indices) if isinstance(dataset, Prefetching) else indices


class ReadAhead:
    """Requests for the next samples of a sequence, while the present ones are processed.

    Parameters
    ----------
    dataset : Dataset
        Any; those without the methods of :class:`Prefetching` are read as before.
    indices : sequence of int
        Samples in the order in which they are read.
    n_ahead : int
        Number of samples that are requested before they are read.
    """

    def __init__(self, dataset: Dataset, indices: Sequence[int], n_ahead: int) -> None:
        self._dataset, self._indices, self._n_ahead = dataset, indices, n_ahead
        self._n_requested = 0
        self._cancels: deque[tuple[int, Callable[[], None]]] = deque()

    def __enter__(self) -> ReadAhead:
        return self

    def __exit__(self, *_: object) -> None:
        while self._cancels:
            self._cancels.popleft()[1]()

    def advance(self, position: int) -> None:
        """Request samples from a position on, as many as are read ahead."""
        while self._cancels and self._cancels[0][0] < position:
            self._cancels.popleft()[1]()
        first = max(position, self._n_requested)
        self._n_requested = min(position + self._n_ahead, len(self._indices))
        for number in range(first, self._n_requested):
            index = int(self._indices[number])
            if 0 <= index < len(self._dataset):
                with suppress(QuacError):  # which is raised again when the sample is read
                    self._cancels.append((number, prefetch(self._dataset, [index])))


def groups_of(dataset: Dataset) -> tuple[str, ...]:
    """Return the group of each sample, such as the neuron of a synapse; empty without groups."""
    group_of = getattr(dataset, "group", None)
    groups = tuple(group_of(index) for index in range(len(dataset))) if group_of else ()
    return groups if any(groups) else ()


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
