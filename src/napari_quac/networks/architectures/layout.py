"""A network whose structure was read off its state dict."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn


@dataclass(frozen=True, eq=False)
class Layout:
    """An architecture that fits a state dict.

    Attributes
    ----------
    name : str
        Name of the architecture, as in :data:`recognise.ARCHITECTURES`.
    build : callable
        Returns the module, with weights yet to be loaded.
    channels, n_classes : int
        Channels of its input, and number of its outputs.
    image_size : tuple of int or None
        Spatial size that it needs; None if any will do, or if it is not known (see ``problem``).
    parameters : Mapping[str, Any]
        The rest of what was found, JSON-ready.
    notes : tuple of str
        What was assumed, in sentences.
    problem : str
        Why it cannot be built without being told more; empty if it can.
    """

    name: str
    build: Callable[[], nn.Module]
    channels: int
    n_classes: int
    image_size: tuple[int, ...] | None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    problem: str = ""


def numbered(tensors: Mapping[str, Tensor], part: str) -> dict[int, Tensor]:
    """Return the weights ``part.NUMBER.weight`` by their number, in ascending order."""
    found = {}
    for name, tensor in tensors.items():
        pieces = name.split(".")
        if len(pieces) == 3 and pieces[0] == part and pieces[2] == "weight" and pieces[1].isdigit():
            found[int(pieces[1])] = tensor
    return dict(sorted(found.items()))
