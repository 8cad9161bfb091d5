"""The content of an image file: its numbers, the meaning of its axes, and what was assumed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_quac.data.assumptions import Assumption
from napari_quac.errors import ShapeError

OPAQUE = Assumption("channels", "Alpha channels that are opaque everywhere are left out.")
EQUAL_COLORS = Assumption(
    "channels",
    "Images with three equal colors, gray images that were stored as RGB, are read as RGB. Choose "
    "one channel or the average in the preprocessing to read them as gray.",
)
GRAY_PALETTE = Assumption("channels", "Images with a palette of grays are read as one channel.")


@dataclass(frozen=True, eq=False)
class ImageArray:
    """The content of an image file.

    Attributes
    ----------
    values : ndarray
        As stored, with 0 as black also where the file has 0 as white.
    axes : str
        ``"YX"``, ``"CYX"``, ``"ZYX"`` or ``"CZYX"``, where Z are sections or pages; empty if the
        file does not tell.
    assumptions : tuple of Assumption
    """

    values: NDArray[Any]
    axes: str = ""
    assumptions: tuple[Assumption, ...] = ()


def drop_opaque_alpha(values: NDArray[Any], opaque: float, name: str, mode: str) -> NDArray[Any]:
    """Drop the last channel of an image if it is opaque everywhere.

    Parameters
    ----------
    values : (C + 1, …) ndarray
        The last channel is alpha.
    opaque : float
        Value of opaque pixels.
    name, mode : str
        Name of the file and its kind of pixels, for the error.

    Raises
    ------
    ShapeError
        If a pixel is transparent.
    """
    if not (values[-1] == opaque).all():
        raise ShapeError(
            f"'{name}' has an alpha (transparency) channel ({mode}) with transparent pixels. Save "
            "the image in gray or RGB."
        )
    return values[0:-1] if len(values) > 2 else values[0]


def orientation_assumption(orientation: int) -> tuple[Assumption, ...]:
    """Return the assumption about a picture that its camera declares to be rotated.

    Notes
    -----
    Pillow, torchvision and therefore most training scripts read the stored rows and columns.
    """
    if orientation in (0, 1):
        return ()
    return (
        Assumption(
            "image axes",
            f"The rotation that files declare (EXIF orientation {orientation}) is not applied, as "
            "in torchvision's reader of folders. Rotate the files if the classifier needs it.",
        ),
    )


def has_equal_colors(image: ImageArray) -> bool:
    """Tell whether an image has three channels that are equal everywhere."""
    values = image.values
    if image.axes != "CYX" or len(values) != 3:
        return False
    return bool(np.array_equal(values[0], values[1]) and np.array_equal(values[0], values[2]))
