"""From an attribution and a threshold to a mask: threshold, close, measure, soften."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

# OpenCV's fixed weights for small sizes; from 11 on it uses the formula
MAX_KERNEL = 101  # pixels; larger kernels are slow and erase any structure

_SMALL_KERNELS = {
    1: (1.0,),
    3: (0.25, 0.5, 0.25),
    5: (0.0625, 0.25, 0.375, 0.25, 0.0625),
    7: tuple(weight / 32 for weight in (1, 3.5, 7, 9, 7, 3.5, 1)),
    9: tuple(weight / 256 for weight in (4, 13, 30, 51, 60, 51, 30, 13, 4)),
}


@cache
def ellipse(size: int) -> NDArray[np.bool_]:
    """Return OpenCV's elliptic structuring element, which is not symmetric for even sizes.

    Parameters
    ----------
    size : int
        Side in pixels.
    """
    radius = size // 2
    element = np.zeros((size, size), dtype=bool)
    for row in range(size):
        dy = row - radius
        reach = round(radius * np.sqrt((radius**2 - dy**2) / radius**2)) if radius else 0
        element[row, max(radius - reach, 0) : min(radius + reach, size - 1) + 1] = True
    return element


@cache
def gaussian_kernel(size: int) -> NDArray[np.float64]:
    """Return OpenCV's Gaussian weights for a kernel of that (odd) size, sum 1."""
    if size in _SMALL_KERNELS:
        return np.array(_SMALL_KERNELS[size])
    sigma = 0.3 * ((size - 1) / 2 - 1) + 0.8
    offsets = np.arange(size) - size // 2
    weights = np.exp(-(offsets**2) / (2 * sigma**2))
    return np.asarray(weights / weights.sum())


@dataclass(frozen=True, slots=True)
class Masking:
    """Conversion of a threshold to a mask.

    Attributes
    ----------
    closing : int
        Side of the closing element in pixels; 1 for no closing.
    blur : int
        Size of the Gaussian kernel in pixels, odd; 1 for hard edges.
    channel_wise : bool
        Separate mask for each channel; otherwise a pixel counts in all channels if it does in one.
    centered : bool
        Close with a symmetric disk of the next odd size. The QuAC library's even element deletes
        single pixels and shifts blobs by one pixel; it is the default, so that scores are equal.

    Raises
    ------
    ValueError
        If ``closing`` is below 1, ``blur`` is not odd, or one is above 101.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}
    closing: Annotated[int, {"min": 1, "max": MAX_KERNEL}] = 10
    blur: Annotated[int, {"min": 1, "max": MAX_KERNEL, "step": 2}] = 11
    channel_wise: bool = True
    centered: bool = False

    def __post_init__(self) -> None:
        for kernel, size in (("closing element", self.closing), ("blur kernel", self.blur)):
            if not 1 <= size <= MAX_KERNEL:
                raise ValueError(f"The {kernel} must have 1 to {MAX_KERNEL} pixels, got {size}.")
        if self.blur % 2 == 0:
            raise ValueError(f"The blur kernel needs an odd size, got {self.blur}.")

    @property
    def name(self) -> str:
        """Name of the processor in reports."""
        if self == Masking():
            return "default"
        if self == Masking(blur=1):
            return "no_blur"
        channels = "" if self.channel_wise else "_any_channel"
        element = "_centered" if self.centered else ""
        return f"closing{self.closing}_blur{self.blur}{channels}{element}"

    def close(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Close a float map; thresholding it then equals closing the thresholded map.

        Gray-scale closing commutes with thresholding, so one call serves all thresholds, bit for
        bit.

        Parameters
        ----------
        values : (C, [D,] H, W) ndarray, float32
            Attribution in [0, 1].

        Returns
        -------
        closed : ndarray of the same shape
        """
        if not self.channel_wise:
            values = np.broadcast_to(values.max(axis=0, keepdims=True), values.shape)
        if self.closing == 1:
            return np.ascontiguousarray(values)
        size = self.closing
        if self.centered and size % 2 == 0:
            size += 1
        element = ellipse(size)
        flipped = element[::-1, ::-1]
        # OpenCV anchors the element at size // 2 and does not reflect it for the dilation
        origin = -1 if size % 2 == 0 else 0
        slices = values.reshape(-1, *values.shape[-2:])
        closed = np.empty_like(slices)
        n_done = 1 if not self.channel_wise and values.ndim == 3 else len(slices)
        for index in range(n_done):
            dilated = ndimage.grey_dilation(  # wording: name in scipy
                slices[index], footprint=flipped, origin=origin, mode="constant", cval=-np.inf
            )
            closed[index] = ndimage.grey_erosion(  # wording: name in scipy
                dilated, footprint=element, mode="constant", cval=np.inf
            )
        closed[n_done:] = closed[0]
        return closed.reshape(values.shape)

    def hard(self, closed: NDArray[np.float32], threshold: float) -> NDArray[np.bool_]:
        """Return the pixels of a closed map above the threshold, compared in float64."""
        return np.asarray(closed.astype(np.float64) > threshold)

    def soften(self, hard: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Blur a mask slice by slice, with reflection at the border.

        Parameters
        ----------
        hard : (..., [D,] H, W) ndarray of bool
            The masks before softening.

        Returns
        -------
        mask : ndarray of the same shape, float32
            A full mask can be 1.0000001, as in OpenCV.
        """
        soft = hard.astype(np.float32)
        if self.blur == 1:
            return soft
        kernel = gaussian_kernel(self.blur)
        for axis in (-1, -2):
            soft = ndimage.correlate1d(soft, kernel, axis=axis, mode="mirror")
        return soft

    def mask(
        self, values: NDArray[np.float32], threshold: float
    ) -> tuple[NDArray[np.float32], float]:
        """Return the mask at a threshold and its size.

        Parameters
        ----------
        values : (C, [D,] H, W) ndarray, float32 in [0, 1]
            Normalized attribution.
        threshold : float
            Threshold of the attribution.

        Returns
        -------
        mask : ndarray of the same shape, float32 in [0, 1]
        mask_size : float
            Share of the image's values above the threshold, after closing and before blurring.
        """
        hard = self.hard(self.close(values), threshold)
        return self.soften(hard), float(hard.mean())


PRESETS: Mapping[str, Masking] = {
    "QuAC library 0.2": Masking(),
    "hard edge": Masking(blur=1),
    "small objects": Masking(closing=3, blur=5, centered=True),
    "centered": Masking(centered=True),
}
"""Named maskings. *Small objects* keeps structures that the 10-pixel element deletes."""
