"""Read png, jpg, bmp, webp, gif, pgm and ppm with Pillow, with all 16 bits of a png."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_quac.data.assumptions import Assumption
from napari_quac.data.image_array import (
    GRAY_PALETTE,
    OPAQUE,
    ImageArray,
    drop_opaque_alpha,
    orientation_assumption,
)
from napari_quac.errors import DataError, ShapeError

PICTURE_SUFFIXES = frozenset(
    {".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif", ".pgm", ".ppm", ".pnm"}
)
FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "GIF", "PPM")
"""Formats that Pillow decodes by itself (MPO as JPEG); for PostScript it runs another program."""
FURTHER_FRAMES = Assumption(
    "image axes", "Of photographs with further images, such as depth maps, the first one is read."
)
MOST_PIXELS = 1 << 26  # of files that may declare more than they hold
LARGEST_RATIO = 16384  # pixels of a byte; an empty png of two colors has half of that
_ORIENTATION = 274  # tag of EXIF
_ALPHA_MODES = frozenset({"RGBA", "LA", "PA", "La", "RGBa"})
_NUMBERS = frozenset({"1", "L", "I", "F", "RGB", "I;16", "I;16B", "I;16L", "I;16N"})
_HIGH_AND_LOW = {  # Pillow keeps one byte of each 16-bit color; little-endian is the other one
    "RGB;16B": ("RGB;16B", "RGB;16L"),
    "RGBA;16B": ("RGBA;16B", "RGBA;16L"),
}


def read_picture(path: Path) -> ImageArray:
    """Read a picture of one frame.

    Parameters
    ----------
    path : Path
        A file that Pillow can read.

    Returns
    -------
    ImageArray
        (H, W) or (3, H, W).

    Raises
    ------
    ShapeError
        If it has several frames, transparent pixels, or colors other than gray and RGB.
    """
    from PIL import Image

    with Image.open(path, formats=FORMATS) as file:
        picture: Any = file
        _check_size(path, picture.size)
        n_frames = int(getattr(picture, "n_frames", 1))
        has_more = n_frames > 1 and picture.format == "MPO"  # a photograph with its depth map
        if n_frames > 1 and not has_more:
            raise ShapeError(
                f"'{path.name}' is an animation of {n_frames} frames, expected one image. Save "
                "each frame in its own file."
            )
        raw_mode = _raw_mode(picture)  # before the EXIF, which may load the pixels
        notes = orientation_assumption(int(picture.getexif().get(_ORIENTATION, 1)))
        notes = (*notes, FURTHER_FRAMES) if has_more else notes
        transparent = picture.info.get("transparency")
        if raw_mode in {*_HIGH_AND_LOW, "LA;16B"}:
            values = _sixteen_bits(path, raw_mode)
            if raw_mode != "RGB;16B":
                values = drop_opaque_alpha(values, 65535, path.name, f"{picture.mode}, 16 bits")
                notes = (*notes, OPAQUE)
            elif transparent is not None:
                values = _without_key(values, transparent, path.name)
                notes = (*notes, OPAQUE)
            return ImageArray(values, _axes(values), notes)
        picture.load()
        if transparent is not None and picture.mode in {"1", "L", "RGB"}:
            picture = picture.convert("RGBA" if picture.mode == "RGB" else "LA")
        elif picture.mode == "P":
            picture = picture.convert("RGB" if transparent is None else "RGBA")
            colors = np.asarray(picture)
            if (colors[..., :1] == colors[..., 1:3]).all():
                picture = picture.convert("L" if transparent is None else "LA")
                notes = (*notes, GRAY_PALETTE)
        values = np.asarray(picture)
        if transparent is not None and picture.mode in {"I;16", "I"}:
            values = _without_key(values[None], (transparent,), path.name)[0]
            notes = (*notes, OPAQUE)
        if picture.mode not in _NUMBERS | _ALPHA_MODES:
            raise ShapeError(
                f"'{path.name}' has {picture.mode} colors. Save the image in gray or RGB."
            )
        values = np.moveaxis(values, -1, 0) if values.ndim == 3 else values
        if picture.mode in _ALPHA_MODES:
            values = drop_opaque_alpha(values, 255, path.name, picture.mode)
            notes = (*notes, OPAQUE)
        return ImageArray(values, _axes(values), notes)


def _check_size(path: Path, size: tuple[int, int]) -> None:
    """Refuse a small file that declares many pixels, before memory is taken for them."""
    n_stored, n_pixels = path.stat().st_size, math.prod(size)
    if n_pixels > max(MOST_PIXELS, LARGEST_RATIO * n_stored):
        raise ValueError(f"{n_stored} bytes declare {n_pixels} pixels")


def _axes(values: NDArray[Any]) -> str:
    return "CYX" if values.ndim == 3 else "YX"


def _raw_mode(picture: Any) -> str:
    """Return how the pixels of a png are stored; empty for other formats."""
    if picture.format != "PNG" or not picture.tile:
        return ""
    arguments = picture.tile[0].args
    return str(arguments if isinstance(arguments, str) else arguments[0])


def _sixteen_bits(path: Path, raw_mode: str) -> NDArray[np.uint16]:
    """Read all bits of a png of 16 bits per color, which Pillow reduces to 8; (C, H, W)."""
    from PIL import Image

    def decoded(stored_as: str, mode: str = "") -> NDArray[np.uint16]:
        with Image.open(path, formats=FORMATS) as picture:
            picture._mode = mode or picture.mode
            picture.tile = [tile._replace(args=stored_as) for tile in picture.tile]
            return np.asarray(picture).astype(np.uint16)

    if raw_mode == "LA;16B":  # four bytes: gray and alpha, the high byte first
        octets = decoded("RGBA", "RGBA")
        values = octets[..., 0::2] * np.uint16(256) + octets[..., 1::2]
    else:
        high, low = (decoded(stored_as) for stored_as in _HIGH_AND_LOW[raw_mode])
        values = high * np.uint16(256) + low
    return np.moveaxis(values, -1, 0)


def _without_key(values: NDArray[Any], key: Any, name: str) -> NDArray[Any]:
    """Refuse an image with pixels of the color that stands for transparent."""
    if not isinstance(key, tuple) or len(key) != len(values):
        raise DataError(f"'{name}' declares an unknown transparent color. Export it again.")
    is_key = np.logical_and.reduce([channel == k for channel, k in zip(values, key, strict=True)])
    if is_key.any():
        raise ShapeError(
            f"'{name}' has transparent pixels (of the color {key}). Save the image in gray or RGB."
        )
    return values
