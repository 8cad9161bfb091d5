"""Errors with a message that a biologist can act on.

None of these derives from ``RuntimeError``, which is what PyTorch raises for everything.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing import Self


class QuacError(Exception):
    """An error that the user can correct; its message names the cause and the remedy.

    Attributes
    ----------
    action : str
        Name of the action of the window that the message suggests, see
        :data:`napari_quac.live.failure.ACTIONS`; empty for none.
    """

    action = ""

    def suggesting(self, action: str) -> Self:
        """Return the error with an action that a window offers as a button."""
        self.action = action
        return self


class DataError(QuacError):
    """An unusable image, folder or table."""


class ShapeError(DataError):
    """A mismatch of shapes between images, or between an image and a network.

    Attributes
    ----------
    image_shape : tuple of int or None
        Shape (C, *S) of the image that a network refused.
    network_input : (channels, size) or None
        Input of the network; its size is None where any size is accepted.
    """

    def __init__(
        self,
        message: str,
        image_shape: tuple[int, ...] | None = None,
        network_input: tuple[int, tuple[int, ...] | None] | None = None,
    ) -> None:
        super().__init__(message)
        self.image_shape, self.network_input = image_shape, network_input


class SeveralArraysError(DataError):
    """A file with several images, of which one has to be named.

    Attributes
    ----------
    names : tuple of str
        Of the images in it.
    """

    def __init__(self, message: str, names: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.names = tuple(names)


class ValueRangeError(DataError):
    """Values outside of their declared range."""


class StorageError(DataError):
    """A failure to write results to a full, read-only or missing disk; no file is incomplete.

    Attributes
    ----------
    concerns_all : bool
        True for a full or read-only disk, to which nothing else can be written.
    """

    def __init__(self, message: str, concerns_all: bool = False) -> None:
        super().__init__(message)
        self.concerns_all = concerns_all


class CheckpointError(QuacError):
    """A file without the requested network.

    Attributes
    ----------
    cell : str
        Code for the notebook of the network that makes a readable file; empty if none helps.
    """

    def __init__(self, message: str, cell: str = "") -> None:
        super().__init__(message)
        self.cell = cell


class NetworkError(QuacError):
    """A failure of a network during its computation."""


class OutOfMemoryError(NetworkError):
    """Too little memory on a device, even for a batch of one image."""


class NotFiniteError(NetworkError):
    """NaN or infinity in the output of a network."""


class UnknownNameError(QuacError):
    """An unknown name of a class, a method or a device."""


class MethodUnavailableError(QuacError):
    """An attribution method that is not applicable to a network."""


class MethodFailedError(MethodUnavailableError):
    """A failure inside a method of another package: an exception, or no map."""


class NoCounterfactualError(QuacError):
    """A lack of any proposal of the generator for a query and a target.

    Attributes
    ----------
    best : Pair or None
        The best pair of the search so far.
    """

    def __init__(self, message: str, best: Any = None) -> None:
        super().__init__(message)
        self.best = best


class PreliminaryError(QuacError):
    """An attempt to save, export or count a preliminary explanation."""


class CancelledError(QuacError):
    """A cancellation by the user; finished results are preserved."""


def shorten(text: str, limit: int = 60) -> str:
    """Return a text of a file for a message: in one line, cut to ``limit`` characters."""
    text = " ".join(text.split())
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


_OUT_OF_MEMORY = (
    "out of memory", "can't allocate memory", "cannot allocate memory", "alloc_cpu", "bad_alloc",
    "can't start new thread", "failed to map segment", "unable to allocate",
)  # fmt: skip


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error of Python or a library means that memory ran out."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return True
    text = str(error).lower()
    kinds = RuntimeError, ImportError, SystemError
    return isinstance(error, kinds) and any(phrase in text for phrase in _OUT_OF_MEMORY)


def concerns_one_sample(error: BaseException) -> bool:
    """Return whether work on other samples can continue after an error in one of them."""
    if isinstance(error, StorageError):
        return not error.concerns_all
    is_ours = isinstance(error, QuacError) and not isinstance(error, CancelledError)
    return is_ours or is_out_of_memory(error)


def one_line(error: BaseException, limit: int | None = 160) -> str:
    """Return the message of an error in one line, of at most ``limit`` characters.

    Errors without a message are represented by the name of their class.
    """
    text = " ".join(str(error).split()) or type(error).__name__
    return text if limit is None else shorten(text, limit)
