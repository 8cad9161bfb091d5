"""Displacement fields: warping of images, and growth and shrinkage."""

from typing import Literal

AxisOrder = Literal["array", "reversed"]
Unit = Literal["voxel", "normalised"]  # wording: a value in plans
