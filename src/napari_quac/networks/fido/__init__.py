"""Mask optimization against a classifier: pixels to keep, and pixels to drop and fill in."""

from typing import Literal

InfillName = Literal["generated", "mean", "blur", "random", "local", "inpainter"]
ImageInfill = Literal["blur", "mean", "gray", "noise"]
"""Infills that are one image, made from the query alone; see :mod:`~.networks.infill_image`."""

PENALTY = 1e-3 * 224**2
"""The paper's price of 0.001 per pixel, at its image size."""
