"""Read an image or a stack from a TIFF file, with the axes that its metadata declare."""

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
from napari_quac.data.tiff_chain import open_tiff_file
from napari_quac.data.tiff_pages import (
    LARGEST_RATIO,
    PACKED_BYTES,
    TIME,
    TiffLayout,
    blacken,
    check_memory,
    color_palette,
    find_layout,
    gray_palette,
    has_alpha,
    orientation_of,
    read_page,
    white_value,
    widen,
)
from napari_quac.errors import ShapeError

MAX_CHANNELS = 4
CHANNELS_FIRST = Assumption(
    "image axes",
    "TIFF files with two axes of unknown meaning are read as channels and sections.",
)


def read_tiff(path: Path) -> ImageArray:
    """Read an image, with 0 as black.

    Parameters
    ----------
    path : Path
        Axes are taken from the metadata of ImageJ, OME and tifffile; pages without metadata are
        sections.

    Returns
    -------
    ImageArray
        (Y, X), (C, Y, X), (Z, Y, X) or (C, Z, Y, X).

    Raises
    ------
    ShapeError
        If it has several axes of sections or of channels, or transparent pixels.
    DataError
        If its compression needs a package that is not installed.
    """
    with open_tiff_file(path) as file:
        layout = find_layout(file, path)
        keyframe = layout.keyframe
        n_bytes = math.prod(layout.shape) * keyframe.dtype.itemsize
        if n_bytes > max(PACKED_BYTES, LARGEST_RATIO * path.stat().st_size):
            raise ValueError(f"{path.stat().st_size} bytes declare {n_bytes} bytes of pixels")
        check_memory(path, n_bytes)
        notes = [*layout.assumptions, *orientation_assumption(orientation_of(keyframe))]
        axes, values = _without_short_axes(layout.axes, _read_values(file, layout))
        mode = "".join(keyframe.photometric.name.split()) + " with alpha"
        if "S" in axes and has_alpha(keyframe):
            place = axes.index("S")
            opaque = 1.0 if values.dtype.kind == "f" else white_value(keyframe)
            values = drop_opaque_alpha(np.moveaxis(values, place, 0), opaque, path.name, mode)
            axes = axes.replace("S", "")
            axes = f"S{axes}" if values.ndim > len(axes) else axes
            notes.append(OPAQUE)
        palette = color_palette(keyframe, file)
        if palette is not None:
            axes, values = f"S{axes}", palette[:, values]
        if gray_palette(keyframe) is not None:
            notes.append(GRAY_PALETTE)
        if "T" in axes and "Z" not in axes:
            notes.append(TIME)
    return _arranged(axes, values, tuple(notes), path)


def _read_values(file: Any, layout: TiffLayout) -> NDArray[Any]:
    series = None if layout.series is None else file.series[layout.series]
    if series is not None and series.dataoffset is not None and layout.keyframe.is_final:
        values = np.asarray(series.asarray())  # also where only the first page is described
        return blacken(widen(values, layout.keyframe), layout.keyframe)
    pages = file.pages if series is None else series.pages
    parts = [read_page(pages[int(number)]) for number in layout.pages.reshape(-1)]
    return np.stack(parts).reshape(layout.shape)


def _without_short_axes(axes: str, values: NDArray[Any]) -> tuple[str, NDArray[Any]]:
    """Drop axes of length 1, except Y and X."""
    short = tuple(
        place
        for place, (letter, n) in enumerate(zip(axes, values.shape, strict=True))
        if n == 1 and letter not in "YX"
    )
    letters = "".join(letter for place, letter in enumerate(axes) if place not in short)
    return letters, values.squeeze(short)


def _arranged(
    axes: str, values: NDArray[Any], notes: tuple[Assumption, ...], path: Path
) -> ImageArray:
    """Return the values in the order C, Z, Y, X."""
    letters = axes.replace("S", "C").replace("T", "Z")
    if axes == "ZZYX" and values.shape[0] <= MAX_CHANNELS:  # as arrays (C, Z, Y, X) are written
        letters, notes = "CZYX", (*notes, CHANNELS_FIRST)
    if sorted(set(letters)) != sorted(letters) or not {"Y", "X"} <= set(letters):
        sizes = " × ".join(map(str, values.shape))
        raise ShapeError(
            f"'{path.name}' has the axes {axes} ({sizes}), not those of one image or stack. Export "
            "one channel or one time point."
        )
    order = "".join(letter for letter in "CZYX" if letter in letters)
    place = [letters.index(letter) for letter in order]
    return ImageArray(np.ascontiguousarray(values.transpose(place)), order, notes)
