"""The images of an array in memory, or of a lazily loaded one, such as a napari layer."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from napari_quac.data.image_file import to_unit_range
from napari_quac.data.sample import Sample
from napari_quac.errors import DataError, ShapeError


def usual_range(
    dtype: np.dtype[Any], contrast_range: tuple[float, float] | None = None
) -> tuple[float, float]:
    """Return the values of black and white for a data type.

    Parameters
    ----------
    dtype : numpy dtype
        Type of the numbers.
    contrast_range : (low, high), optional
        Range of the contrast slider, for types without a usual range.
    """
    if dtype == np.uint8:
        return 0.0, 255.0
    if dtype == np.bool_:
        return 0.0, 1.0
    if contrast_range is None:
        return (0.0, 1.0) if dtype.kind == "f" else (0.0, float(np.iinfo(dtype).max))
    low, high = map(float, contrast_range)
    if dtype.kind == "f" and low >= -1 and high <= 1:
        return (0.0, 1.0) if low >= 0 else (-1.0, 1.0)
    # rounded outwards to the three decimals of the fields, so that no value lies outside
    return math.floor(low * 1000) / 1000, math.ceil(high * 1000) / 1000


class ImageStack:
    """A stack of images without labels.

    Parameters
    ----------
    images : (N, H, W) or (H, W) array, or with 3 colors last when ``rgb``
        A NumPy or dask array; it is read one image at a time. A stack of volumes is (N, D, H, W).
    value_range : (low, high)
        The values that become 0 and 1.
    scale, translate : tuple of float, optional
        World units per pixel and position of the first pixel along each axis of ``images``
        without colors.
    unit : str, optional
        The world unit, such as ``"nm"``.
    name : str
        Display name.
    rgb : bool
        True if the last axis is color.
    image_axes : int
        2 if each sample is an image, 3 if it is a volume.

    Raises
    ------
    ShapeError
        If the array is neither an image nor a stack of images.
    """

    classes: tuple[str, ...] = ()

    def __init__(
        self,
        images: Any,
        value_range: tuple[float, float],
        scale: tuple[float, ...] | None = None,
        translate: tuple[float, ...] | None = None,
        unit: str | None = None,
        name: str = "stack",
        rgb: bool = False,
        image_axes: int = 2,
    ) -> None:
        n_axes = images.ndim - int(rgb)
        kind, axes = ("image", "H, W") if image_axes == 2 else ("volume", "D, H, W")
        if n_axes not in (image_axes, image_axes + 1):
            raise ShapeError(
                f"'{name}' has {n_axes} axes (shape {tuple(images.shape)}), expected one {kind} "
                f"({axes}) or a stack of {kind}s (N, {axes}). Choose another layer, or one channel "
                "of it."
            )
        if 0 in images.shape:
            raise ShapeError(
                f"'{name}' has no pixels (shape {tuple(images.shape)}). Choose another layer."
            )
        self.name = name
        self.value_range = value_range
        self._images = images if n_axes > image_axes else images[None]
        last = slice(-image_axes, None)
        self._scale = tuple(map(float, scale[last])) if scale is not None else None
        self._translate = tuple(map(float, translate[last])) if translate is not None else None
        self._unit = unit
        self._rgb = rgb

    def __len__(self) -> int:
        return int(self._images.shape[0])

    def __getitem__(self, index: int) -> Sample:
        array = self._read(index)
        channels = np.moveaxis(array, -1, 0) if self._rgb else array[None]
        if self._rgb and len(channels) == 4:
            raise ShapeError(
                f"'{self.name}' has an alpha (transparency) channel. Choose a layer without one."
            )
        image = to_unit_range(channels, self.value_range, self.sample_id(index))
        return Sample(
            id=self.sample_id(index),
            image=torch.from_numpy(np.ascontiguousarray(image)),
            scale=self._scale,
            translate=self._translate,
            unit=self._unit,
        )

    def sample_id(self, index: int) -> str:
        """Return the name of the stack with the number of the image, counted from 0."""
        return f"{self.name}[{index}]" if len(self) > 1 else self.name

    def label(self, index: int) -> None:
        """Return None, since images of a stack have no labels."""
        return None

    def _read(self, index: int) -> NDArray[Any]:
        try:
            return np.asarray(self._images[index])
        except Exception as error:
            raise DataError(
                f"Image {index} of '{self.name}' cannot be read ({error}). Check that its file "
                "still exists."
            ) from error
