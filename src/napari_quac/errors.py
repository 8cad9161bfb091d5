"""What can go wrong on purpose, each with a sentence a biologist can act on.

None of these derives from ``RuntimeError``, which is what PyTorch raises for everything.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class QuacError(Exception):
    """Something the user can put right; the text says what and how."""


class DataError(QuacError):
    """An image, a folder or a table cannot be used as it is."""


class ShapeError(DataError):
    """Images, or an image and a network, do not fit each other in shape.

    Attributes
    ----------
    found : tuple of int or None
        Shape (C, *S) of the image, where a network refused it.
    wanted : (channels, size) or None
        What the network was trained for; its size is None where any will do.
    """

    def __init__(
        self,
        message: str,
        found: tuple[int, ...] | None = None,
        wanted: tuple[int, tuple[int, ...] | None] | None = None,
    ) -> None:
        super().__init__(message)
        self.found, self.wanted = found, wanted


class SeveralArraysError(DataError):
    """A file holds several images; one has to be named.

    Attributes
    ----------
    names : tuple of str
        Of the images in it.
    """

    def __init__(self, message: str, names: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.names = tuple(names)


class ValueRangeError(DataError):
    """Values lie outside of the range they are said to have."""


class StorageError(DataError):
    """Results cannot be written: the disk is full, read-only or gone; nothing is half-written."""


class CheckpointError(QuacError):
    """A file does not hold the network that was asked for."""


class NetworkError(QuacError):
    """A network failed while it was computing."""


class OutOfMemoryError(NetworkError):
    """A device had no memory left, even for a batch of one image."""


class NotFiniteError(NetworkError):
    """A network returned NaN or infinity."""


class UnknownNameError(QuacError):
    """A class, a method or a device was named that does not exist."""


class MethodUnavailableError(QuacError):
    """An attribution method cannot be computed on this network."""


class MethodFailedError(MethodUnavailableError):
    """A method of another package raised something, or returned no map."""


class NoCounterfactualError(QuacError):
    """No proposal of the generator could be made for this query and target.

    Attributes
    ----------
    best : Pair or None
        The best pair found so far, where there is one.
    """

    def __init__(self, message: str, best: Any = None) -> None:
        super().__init__(message)
        self.best = best


class CancelledError(QuacError):
    """The user stopped the work; what was finished is kept."""
