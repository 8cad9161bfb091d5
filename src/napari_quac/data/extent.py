"""Sizes of images and volumes in words."""

from __future__ import annotations

from collections.abc import Sequence


def extent(size: Sequence[int]) -> str:
    """Return ``128 × 128 pixels`` or ``16 × 160 × 160 voxels``."""
    return " × ".join(map(str, size)) + (" voxels" if len(size) == 3 else " pixels")


def short_extent(size: Sequence[int]) -> str:
    """Return ``128 × 128 px`` or ``16 × 160 × 160 vx``."""
    return " × ".join(map(str, size)) + (" vx" if len(size) == 3 else " px")
