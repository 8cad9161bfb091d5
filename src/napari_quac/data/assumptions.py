"""Assumptions about files that do not state what is needed to use them.

An assumption is shown on the card or in the message line, and stands in the JSON and in the record.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ASSUMPTIONS: Mapping[str, str] = {
    "input range": "no file or user gives the input range or normalization of the classifier",
    "class names": "no file or user names the classes, or their order",
    "image size": "the input size follows from the weights or from a trial",
    "output": "the output of the classifier is inferred from its values",
    "evaluation": "the answer of the classifier for an image depends on the other images",
    "architecture": "the weights do not hold pooling, strides, activations or similar parts",
    "conversion": "a network of other software is converted, and not compared with the original",
    "weights": "a file holds several sets of weights, or tensors that are not used",
    "channels": "images have other channels than the classifier",
    "image range": "the values of the images that are black and white follow from their type",
    "image axes": "the axes or pages of an image file can be read in several ways",
    "labels": "labels of images follow from names of folders or files",
    "baseline": "no generator is there, so that an infill of the query takes its place",
    "voxel size": "no file gives voxel size, offset or unit",
    "resolution": "a coarse resolution of a volume is damaged, and not used",
    "missing blocks": "blocks of a volume on another machine may be stored nowhere",
    "coordinates": "columns, order or unit of a table of coordinates follow from its names",
}
"""Kind of assumption to the situation in which it is made."""


@dataclass(frozen=True)
class Assumption:
    """A property that was assumed, because neither the file nor the user states it.

    Attributes
    ----------
    kind : str
        One of :data:`ASSUMPTIONS`.
    sentence : str
        Full sentence for the card, the JSON and the record; it names the value that is assumed
        and, where there is one, the setting that changes it.
    """

    kind: str
    sentence: str

    def __post_init__(self) -> None:
        if self.kind not in ASSUMPTIONS:
            raise ValueError(f"'{self.kind}' is no kind of assumption")

    def __str__(self) -> str:
        return self.sentence


def assumptions_of(source: Any) -> tuple[Assumption, ...]:
    """Return the assumptions about a dataset or network; empty if it declares none."""
    return tuple(getattr(source, "assumptions", ()))
