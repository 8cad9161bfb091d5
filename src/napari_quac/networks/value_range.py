"""The affine map between images in [0, 1] and the input range of a network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_quac.errors import ValueRangeError

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class ValueRange:
    """The input range of a network.

    Attributes
    ----------
    low, high : float
        Network inputs for black and white; -1 and 1 in the QuAC library.

    Raises
    ------
    ValueRangeError
        If ``high`` is not above ``low``.
    """

    low: float = -1.0
    high: float = 1.0

    def __post_init__(self) -> None:
        if not self.high > self.low:
            raise ValueRangeError(
                f"The upper end of a value range must be above {self.low:g}, got {self.high:g}."
            )

    def to_network(self, images: Tensor) -> Tensor:
        """Map images from [0, 1] to this range."""
        if self.low == 0 and self.high == 1:
            return images
        return images * (self.high - self.low) + self.low

    def from_network(self, images: Tensor) -> Tensor:
        """Map images from this range to [0, 1]; nothing is clipped."""
        if self.low == 0 and self.high == 1:
            return images
        return (images - self.low) / (self.high - self.low)

    def __str__(self) -> str:
        return f"[{self.low:g}, {self.high:g}]"
