"""The generator protocol: requests for images of another class, proposals, and paths to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Generator as Iterating
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

import torch
from torch import Tensor

from napari_quac.errors import NetworkError, QuacError, ShapeError, is_out_of_memory
from napari_quac.networks.class_match import request_for
from napari_quac.stepwise import Progress, stepwise

if TYPE_CHECKING:
    from napari_quac.data.dataset import Sample
    from napari_quac.networks.classifier import Classifier


class ImagePath(Protocol):
    """Images between alpha 0, the source, and alpha 1, the generated image, and beyond.

    Attributes
    ----------
    kind : str
        Name of this kind of path in records, such as ``"style"``.
    meaning : str
        Noun phrase for the window: the quantity that alpha changes.
    caution : str
        Meaning of :meth:`is_off_manifold` for the window; empty if it is always False.
    steps : (n, C, *S) Tensor or None
        All images of a path without images in between; None for a continuous path.
    """

    @property
    def kind(self) -> str: ...  # noqa: D102

    @property
    def meaning(self) -> str: ...  # noqa: D102

    @property
    def caution(self) -> str: ...  # noqa: D102

    @property
    def steps(self) -> Tensor | None: ...  # noqa: D102

    def image(self, alpha: float) -> Tensor:
        """Return the image (C, *S) in [0, 1] at alpha."""

    def is_off_manifold(self, alpha: float) -> bool:
        """Tell whether the image at alpha has to be read with care."""


@dataclass(frozen=True, eq=False)
class BinTraversal:
    """Images of one query in all bins of a bin-conditional generator.

    Attributes
    ----------
    images : (n_bins, C, *S) Tensor, float32 in [0, 1]
        By rising bin.
    positive : str or int
        The class whose probability rises with the bin.
    negative : str
        The class that the lowest bin looks like; empty if it is unknown.
    """

    images: Tensor
    positive: str | int
    negative: str = ""


@dataclass(frozen=True, eq=False)
class ConversionRequest:
    """A query, and the class to turn it into.

    Attributes
    ----------
    query : (C, *S) Tensor, float32 in [0, 1]
    source, target : int
        Class of the query, and class to reach.
    classifier : Classifier
        Names the classes, in the words of the generator if it has names; otherwise for generators
        that optimize against it.
    seed : int
        Seed of all randomness.
    query_id : str
        Id of the query's sample, for generators that look images up.
    references : tuple of Sample
        Images of the target class to take styles from, instead of the generator's; for generators
        whose ``takes_references`` is True.
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
        JSON-ready values that reproduce each image; part of the record.
    """

    images: Tensor
    origins: tuple[Mapping[str, Any], ...]


@runtime_checkable
class Generator(Protocol):
    """A live generator; derive from this class to inherit the defaults.

    Proposals are an indexed sequence: number *i* depends on the query, source, target, seed and
    *i* alone. So the batch size changes no result, a search can be continued, and an image can be
    generated again from its record.

    Attributes
    ----------
    name : str
        Shown to the user.
    description : Mapping[str, str]
        Label to value, for the card: kind, classes, image size, ...
    n_axes : int or None
        2 for images alone, 3 for volumes alone, None for both.
    n_bins : int or None
        Number of bins of a bin-conditional generator; None for any other.
    class_names : tuple of str
        Classes that it knows; empty if it takes any, or if they have no names.
    n_classes : int or None
        Number of its classes, where they have no names.
    class_map : Mapping[str, str]
        Class of the classifier for some of its classes, as the user has matched them; empty for
        one that is not used. The others are matched by name; see
        :mod:`~napari_quac.networks.class_match`.
    takes_references : bool
        Whether styles can be taken from ``ConversionRequest.references``.
    source_basis : {"prediction", "label"}
        As for :class:`~napari_quac.generators.family.GeneratorFamily`.
    """

    name: str
    description: Mapping[str, str]
    n_axes: int | None = None
    n_bins: int | None = None
    class_names: tuple[str, ...] = ()
    n_classes: int | None = None
    class_map: Mapping[str, str] = {}
    takes_references: bool = False
    source_basis: Literal["prediction", "label"] = "prediction"

    def propose(self, request: ConversionRequest, first: int, n: int) -> Proposals:
        """Return proposals number ``first`` to ``first + n - 1``; fewer if there are no more.

        Raises
        ------
        QuacError
            If the query does not fit, or the target is unknown to this generator.
        """
        ...

    def path(self, request: ConversionRequest, origin: Mapping[str, Any]) -> ImagePath | None:
        """Return the path from the query to a generated image; None if there is none.

        Parameters
        ----------
        request : ConversionRequest
            Query and classes.
        origin : Mapping
            Origin of the generated image, as in :class:`Proposals`.
        """
        del request, origin
        return None

    def traverse(self, query: Tensor) -> BinTraversal | None:
        """Return the images of a query (C, *S) in all bins; None for a generator without bins."""
        del query
        return None


class FunctionGenerator(Generator):
    """A generator from any function, for simulators and notebooks.

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
            shape = tuple(request.query.shape)
            if not isinstance(image, Tensor) or image.shape != shape:
                kind = tuple(image.shape) if isinstance(image, Tensor) else type(image).__name__
                raise NetworkError(f"'{self.name}' returned {kind}, not a tensor of shape {shape}.")
            images.append(image.detach().to("cpu", torch.float32))
            origins.append({"function": self.name, "seed": seed, "proposal": number})
        return Proposals(torch.stack(images), tuple(origins))


@stepwise
def ask_generator(
    generator: Generator, request: ConversionRequest, first: int, n: int
) -> Iterating[Progress, None, Proposals]:
    """Get proposals from a generator, with a clear error if one of another package fails.

    Parameters
    ----------
    generator : Generator
        Any generator.
    request : ConversionRequest
        Query and classes.
    first, n : int
        As for :meth:`Generator.propose`.

    Returns
    -------
    Steps of Proposals
        Several steps from a generator with a method ``propose_stepwise``, which takes the same and
        returns :class:`~napari_quac.stepwise.Steps`; for those that optimize each image.

    Raises
    ------
    NetworkError
        If it raises any other error than ours, or returns anything but proposals.
    DataError
        If it has none of the classes of the classifier.
    """
    request = request_for(generator, request)
    try:
        if hasattr(generator, "propose_stepwise"):
            proposals = yield from generator.propose_stepwise(request, first, n)
        else:
            proposals = generator.propose(request, first, n)
    except (QuacError, MemoryError):
        raise
    except Exception as error:  # another package may fail in any way
        is_ours = type(generator).__module__.startswith("napari_quac.")
        is_of_torch = isinstance(error, RuntimeError) and not is_out_of_memory(error)
        if is_ours and not is_of_torch and not isinstance(generator, FunctionGenerator):
            raise
        raise NetworkError(
            f"The generator '{generator.name}' failed: {type(error).__name__}: {error}"
        ) from error
    if not isinstance(proposals, Proposals) or not isinstance(proposals.images, Tensor):
        raise NetworkError(
            f"The generator '{generator.name}' returned {type(proposals).__name__}, not Proposals."
        )
    return proposals


def proposal_seed(seed: int, number: int) -> int:
    """Return the seed of one proposal, the same on every machine.

    Neighbouring seeds and numbers give unrelated results (a splitmix64 step).
    """
    mask = (1 << 64) - 1
    mixed = (seed * 0x9E3779B97F4A7C15 + number + 1) & mask
    mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & mask
    mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & mask
    return (mixed ^ (mixed >> 31)) & ((1 << 63) - 1)


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
        # a generator of another package may lack them
        self.class_names = getattr(generator, "class_names", ())
        self.n_classes = getattr(generator, "n_classes", None)
        self.class_map = getattr(generator, "class_map", {})
        applied_to = {"Applied to": "the center slice of a volume"}
        self.description: Mapping[str, str] = {**generator.description, **applied_to}

    def propose(self, request: ConversionRequest, first: int, n: int) -> Proposals:
        """Return proposals (n, C, D, H, W); see :class:`~.generator.Generator`.

        Raises
        ------
        ShapeError
            If the query is not a volume.
        """
        return self.propose_stepwise(request, first, n).result()

    @stepwise
    def propose_stepwise(
        self, request: ConversionRequest, first: int, n: int
    ) -> Iterating[Progress, None, Proposals]:
        """Return proposals in as many steps as those of the generator of images."""
        volume = request.query
        if volume.ndim != 4:
            raise ShapeError(
                f"A center slice needs a volume, not a query of shape {tuple(volume.shape)}."
            )
        depth = volume.shape[1]
        center = depth // 2
        request = replace(request, query=volume[:, center])
        slices = yield from ask_generator(self.generator, request, first, n)
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
    center = f"slice {place['slice'] + 1} of {place['of']} (the center)"
    return f"The generator works on images: only {center} was changed."
