"""Displacement fields: how they move an image, and what they enlarge."""

from typing import Literal

AxisOrder = Literal["array", "reversed"]
Unit = Literal["voxel", "normalised"]
