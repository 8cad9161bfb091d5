"""What makes images of another class from a query, and how it is asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from napari_quac.errors import NetworkError, QuacError

if TYPE_CHECKING:
    from napari_quac.data.sample import Sample
    from napari_quac.networks.classifier import Classifier


@dataclass(frozen=True, eq=False)
class ConversionRequest:
    """A query that is to be turned into another class.

    Attributes
    ----------
    query : (C, *S) Tensor, float32 in [0, 1]
    source, target : int
        Class to leave and class to reach.
    classifier : Classifier
        For generators that optimise against it; the others leave it alone.
    seed : int
        All randomness comes from it.
    query_id : str
        Id of the query's sample, for generators that look images up.
    references : tuple of Sample
        Images of the target class to take styles from, in place of the generator's own ones; for
        generators whose ``takes_references`` is True.
    """

    query: Tensor
    source: int
    target: int
    classifier: Classifier
    seed: int = 0
    query_id: str = ""
    references: tuple[Sample, ...] = ()


@dataclass(frozen=True, eq=False)
class Proposals:
    """Images that a generator offers, before the classifier has seen them.

    Attributes
    ----------
    images : (n, C, *S) Tensor, float32 in [0, 1], on the CPU
    origins : tuple of mappings
        How each came about, as JSON-ready values; goes into the record.
    """

    images: Tensor
    origins: tuple[Mapping[str, Any], ...]


@runtime_checkable
class Generator(Protocol):
    """A live generator.

    Proposals are an indexed sequence: number *i* depends on the query, source, target, seed and
    *i* alone. So the batch size changes no result, a search can go on later, and a kept image can
    be made again from its record.

    Attributes
    ----------
    name : str
        Shown to the user.
    description : Mapping[str, str]
        Label to value, for the card: kind, classes, image size, ...
    """

    name: str
    description: Mapping[str, str]

    def propose(self, request: ConversionRequest, first: int, n: int) -> Proposals:
        """Return proposals number ``first`` to ``first + n - 1``; fewer if there are no more.

        Raises
        ------
        QuacError
            If the query does not fit, or the target is unknown to this generator.
        """


def axes_of(generator: Generator) -> int | None:
    """Return 2 for a generator of images alone, 3 for one of volumes, None for one of both.

    A generator says so by an attribute ``n_axes``; without it, it is asked as it is.
    """
    n_axes: int | None = getattr(generator, "n_axes", None)
    return n_axes


class FunctionGenerator:
    """A generator made of any function, for simulators and notebooks.

    Parameters
    ----------
    function : callable
        ``function(query, source, target, seed)`` with ``query`` a (C, *S) Tensor in [0, 1];
        returns a (C, *S) Tensor in [0, 1]. ``seed`` differs from proposal to proposal.
    name : str
        Shown to the user.
    """

    def __init__(
        self, function: Callable[[Tensor, int, int, int], Tensor], name: str = "function"
    ) -> None:
        self._function = function
        self.name = name
        self.description: Mapping[str, str] = {"Kind": f"function '{name}'"}

    def propose(self, request: ConversionRequest, first: int, n: int) -> Proposals:
        """Call the function ``n`` times; see :class:`Generator`."""
        images, origins = [], []
        for number in range(first, first + n):
            seed = proposal_seed(request.seed, number)
            image = self._function(request.query, request.source, request.target, seed)
            if not isinstance(image, Tensor):
                raise NetworkError(
                    f"The generator '{self.name}' returned {type(image).__name__}; a tensor of the "
                    "query's shape is needed."
                )
            if image.shape != request.query.shape:
                raise NetworkError(
                    f"The generator '{self.name}' returned an image of shape "
                    f"{tuple(image.shape)} for a query of {tuple(request.query.shape)}."
                )
            images.append(image.detach().to("cpu", torch.float32))
            origins.append({"function": self.name, "seed": seed, "proposal": number})
        return Proposals(torch.stack(images), tuple(origins))


def ask_generator(
    generator: Generator, request: ConversionRequest, first: int, n: int
) -> Proposals:
    """Ask a generator for proposals, and say in a sentence what one of another package did wrong.

    Parameters
    ----------
    generator : Generator
        Any generator.
    request : ConversionRequest
        What is asked.
    first, n : int
        As for :meth:`Generator.propose`.

    Raises
    ------
    NetworkError
        If it raises anything that is no error of ours, or returns something else than proposals.
    """
    try:
        found = generator.propose(request, first, n)
    except (QuacError, MemoryError):
        raise
    except Exception as error:  # another package may fail in any way
        module = type(generator).__module__
        if module.startswith("napari_quac.") and not isinstance(generator, FunctionGenerator):
            raise
        raise NetworkError(
            f"The generator '{generator.name}' failed: {type(error).__name__}: {error}"
        ) from error
    if not isinstance(found, Proposals) or not isinstance(found.images, Tensor):
        raise NetworkError(
            f"The generator '{generator.name}' returned {type(found).__name__}; Proposals with a "
            "tensor of images are needed."
        )
    return found


def proposal_seed(seed: int, number: int) -> int:
    """Return the seed of one proposal, the same on every machine.

    Neighbouring seeds and numbers give unrelated results (a splitmix64 step).
    """
    mask = (1 << 64) - 1
    value = (seed * 0x9E3779B97F4A7C15 + number + 1) & mask
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & mask
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & mask
    return (value ^ (value >> 31)) & ((1 << 63) - 1)
