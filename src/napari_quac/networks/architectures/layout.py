"""Layouts: the structure of a network, read off its state dict."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from napari_quac.data.assumptions import Assumption


@dataclass(frozen=True, eq=False)
class Layout:
    """An architecture that fits a state dict.

    Attributes
    ----------
    name : str
        Name of the architecture, as in :data:`recognition.ARCHITECTURES`.
    build : callable
        Returns the module, with weights yet to be loaded.
    channels, n_classes : int
        Channels of its input, and number of its outputs.
    image_size : tuple of int or None
        Spatial size that it needs; None if any will do, or if it cannot be determined (see
        ``problem``).
    parameters : Mapping[str, Any]
        Further properties, JSON-ready.
    notes : tuple of str
        Assumptions, in sentences.
    problem : str
        The reason why it cannot be built without further settings; empty if it can.
    assumptions : tuple of Assumption
        Parts that the weights do not hold, and how they were chosen.
    tensors : Mapping[str, Tensor] or None
        The weights under the names of the module; None if the file uses the same names.
    smallest_size : int
        Smallest length of an image along each axis.
    size_is_exact : bool
        True if the weights determine ``image_size``, and no other size will do.
    """

    name: str
    build: Callable[[], nn.Module]
    channels: int
    n_classes: int
    image_size: tuple[int, ...] | None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    problem: str = ""
    assumptions: tuple[Assumption, ...] = ()
    tensors: Mapping[str, Tensor] | None = None
    smallest_size: int = 1
    size_is_exact: bool = False


Tensors = Mapping[str, Tensor]
Recognizer = Callable[[Tensors, "tuple[int, ...] | None", Mapping[str, str]], "Layout | None"]


@dataclass(frozen=True)
class Naming:
    """Names that a library uses for the tensors of an architecture.

    Attributes
    ----------
    library : str
        Name of the library, for messages.
    markers : tuple of str
        Names that every network of this kind has; they are looked up first, which is fast.
    head : str
        Name of the module after pooling.
    renames : tuple of (pattern, replacement)
        Regular expressions that turn its names into those of our module, applied in turn.
    convert : callable, optional
        Applied after them, where regular expressions do not suffice.
    place : str
        Place of the head in the head of our module; empty if it is all of it.
    """

    library: str
    markers: tuple[str, ...]
    head: str
    renames: tuple[tuple[str, str], ...] = ()
    convert: Callable[[dict[str, Tensor]], dict[str, Tensor]] | None = None
    place: str = ""

    def align(self, tensors: Mapping[str, Tensor], head: str) -> dict[str, Tensor] | None:
        """Return the weights under the names of our module; None for another kind of network.

        Parameters
        ----------
        tensors : Mapping[str, Tensor]
            A state dict. The network may be the body of another module, with a head beside it.
        head : str
            Name of the head in our module.
        """
        ends = (name for name in tensors if name.endswith(self.markers[0]))
        prefixes = (name[: -len(self.markers[0])] for name in ends)
        for prefix in prefixes:
            if prefix and not prefix.endswith("."):
                continue
            if all(prefix + marker in tensors for marker in self.markers):
                return self._aligned(tensors, prefix, head)
        return None

    def _aligned(
        self, tensors: Mapping[str, Tensor], prefix: str, head: str
    ) -> dict[str, Tensor] | None:
        body = {name[len(prefix) :]: t for name, t in tensors.items() if name.startswith(prefix)}
        beside = {name: t for name, t in tensors.items() if not name.startswith(prefix)}
        inside = {name: t for name, t in body.items() if _is_part(name, self.head)}
        if beside and inside:
            return None  # two heads: what lies between them is unknown
        ends = {name: tensor for name, tensor in body.items() if name not in inside}
        renamed = rename(ends, self.renames)
        head += f".{self.place}" if self.place else ""
        if self.convert is not None:
            renamed = self.convert(renamed)
        renamed |= {head + name[len(self.head) :]: tensor for name, tensor in inside.items()}
        modules = {name.split(".")[0] for name in beside}
        shared = len(modules.pop()) + 1 if len(modules) == 1 else 0
        return renamed | {f"{head}.{name[shared:]}": tensor for name, tensor in beside.items()}


@dataclass(frozen=True, eq=False)
class Family:
    """Architectures that one recognizer builds.

    Attributes
    ----------
    names : tuple of str
        Names of its layouts.
    recognize : callable
        Takes the weights under the names of our module, the image size, where it is known, and
        the metadata of the file, to which ``library`` is added.
    head : str
        Name of the head of our module.
    namings : tuple of Naming
        Names in each library; without any, ``recognize`` decides by itself.
    """

    names: tuple[str, ...]
    recognize: Recognizer
    head: str = ""
    namings: tuple[Naming, ...] = ()


def rename(tensors: Mapping[str, Tensor], renames: Sequence[tuple[str, str]]) -> dict[str, Tensor]:
    """Apply regular expressions to the names of tensors, in turn."""
    patterns = [(re.compile(pattern), replacement) for pattern, replacement in renames]
    renamed = {}
    for name, tensor in tensors.items():
        for pattern, replacement in patterns:
            name = pattern.sub(replacement, name)
        renamed[name] = tensor
    return renamed


def count_parts(tensors: Mapping[str, Tensor], pattern: str) -> list[int]:
    """Count the parts of each stage; ``pattern`` has a group for the stage and one for the part."""
    expression = re.compile(pattern)
    parts: dict[int, set[int]] = {}
    for name in tensors:
        if match := expression.match(name):
            parts.setdefault(int(match[1]), set()).add(int(match[2]))
    return [len(parts[stage]) for stage in sorted(parts)]


def architecture_assumption(sentence: str) -> Assumption:
    """Return an assumption about parts that weights do not hold."""
    return Assumption("architecture", sentence)


def _is_part(name: str, module: str) -> bool:
    return bool(module) and name.startswith(f"{module}.")


def numbered(tensors: Mapping[str, Tensor], part: str) -> dict[int, Tensor]:
    """Return the weights ``part.NUMBER.weight`` by their number, in ascending order."""
    weights = {}
    for name, tensor in tensors.items():
        pieces = name.split(".")
        if len(pieces) == 3 and pieces[0] == part and pieces[2] == "weight" and pieces[1].isdigit():
            weights[int(pieces[1])] = tensor
    return dict(sorted(weights.items()))
