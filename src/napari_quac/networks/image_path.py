"""Paths of images from a query to its target class, as generators offer them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


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
