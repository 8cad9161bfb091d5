"""The options for the preprocessing of a classifier, in all commands."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari_quac.commands.arguments import decimal_numbers, side_or_size, standardization
from napari_quac.registry import unknown_name

if TYPE_CHECKING:
    from napari_quac.data.preprocessing import Preprocessing

PREPROCESSING_OPTIONS = """
    --value-range LO HI       input range of the classifier (default: that in the file, or -1 1)
    --mean A,B,C              mean of its normalization, for images from 0 to 1; one number for all
                              channels, or one for each
    --std A,B,C               standard deviation of its normalization, likewise
    --standardize STEP        standardization of each image: zscore, or percentile:LO,HI, which
                              become 0 and 1
    --normalization PRESET    a usual one: quac (-1 to 1), unit (0 to 1), bytes (0 to 255),
                              imagenet, imagenet-gray or zscore
    --gray-to-rgb             repeat gray images in the 3 channels of the classifier
    --rgb-to-gray average|luminance  reduce color images to the 1 channel of the classifier
    --resize N                resize images for the classifier: N pixels along the shorter side, as
                              in torchvision, or H,W
    --crop N                  crop the center to N pixels, or H,W, after resizing
    --interpolation bilinear|bicubic  of --resize (default: bilinear)
    --round-8bit              round as the resizing of 8-bit images does
    """


ARGUMENTS: dict[str, dict[str, Any]] = {
    "mean": {"type": decimal_numbers},
    "std": {"type": decimal_numbers},
    "standardize": {"type": standardization},
    "resize": {"type": side_or_size},
    "crop": {"type": side_or_size},
}
"""Types of the arguments of the options."""


def read(options: argparse.Namespace) -> Preprocessing | None:
    """Return the preprocessing of the classifier that the options describe; None without any.

    Raises
    ------
    DataError
        If they contradict each other, or a number is impossible.
    """
    from napari_quac.data.preprocessing import PRESETS, Preprocessing

    names = ("value_range", "mean", "std", "standardize", "interpolation")
    changes = {name: getattr(options, name) for name in names if getattr(options, name, None)}
    for name in ("resize", "crop"):
        if size := getattr(options, name, None):
            changes[name] = size[0] if len(size) == 1 else size
    if getattr(options, "gray_to_rgb", False):
        changes["channels"] = "repeat"
    if choice := getattr(options, "rgb_to_gray", None):
        changes["channels"] = choice
    if getattr(options, "round_8bit", False):
        changes["eight_bit"] = True
    preset = getattr(options, "normalization", None)
    if preset is not None and preset not in PRESETS:
        raise unknown_name("normalization", preset, list(PRESETS))
    if not changes and preset is None:
        return None
    return replace(PRESETS[preset] if preset else Preprocessing(), **changes)
