"""Read and write one image file, with an explicit range of values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_quac.data.assumptions import Assumption
from napari_quac.data.image_array import EQUAL_COLORS, ImageArray, has_equal_colors
from napari_quac.data.npy_file import open_npy
from napari_quac.data.picture_file import PICTURE_SUFFIXES, read_picture
from napari_quac.data.tiff_image import read_tiff
from napari_quac.data.tiff_pages import check_memory
from napari_quac.errors import DataError, QuacError, ShapeError, ValueRangeError, one_line
from napari_quac.large_files import check_size
from napari_quac.reading import check_regular_file, is_folder
from napari_quac.storage import encode, npy_bytes, write_file

TIFF_SUFFIXES = frozenset({".tif", ".tiff"})
IMAGE_SUFFIXES = frozenset({".npy", *TIFF_SUFFIXES, *PICTURE_SUFFIXES})
MAX_CHANNELS = 4
_SECONDS_PER_VALUE = 1e-8

PAGES = Assumption("image axes", "Pages of TIFF files are read as sections of a volume.")
FIRST_AXIS = Assumption(
    "image axes",
    "The first axis of arrays in npy files holds the channels, or the sections if there are more "
    f"than {MAX_CHANNELS}.",
)
LAST_AXIS = Assumption(
    "image axes", "The last axis of arrays (H, W, C) in npy files holds the channels."
)
KEPT_BYTES = Assumption(
    "image range", "8-bit images keep 0 as black and 255 as white beside images of more bits."
)
_ASSUMED_RANGES = {
    "u": Assumption(
        "image range",
        "0 is black and 255 is white, the range of 8 bits. Another range of the images "
        "(--image-range) changes it.",
    ),
    "f": Assumption(
        "image range",
        "0 is black and 1 is white in images of floating-point numbers. Another range "
        "of the images (--image-range) changes it.",
    ),
    "b": Assumption("image range", "False is black and True is white."),
}


def read_image(
    path: str | Path, image_range: tuple[float, float] | None = None, n_axes: int | None = 2
) -> Tensor:
    """Read an image or a volume as numbers in [0, 1].

    Parameters
    ----------
    path : path
        A png, jpg, bmp, webp, gif, pgm, ppm, tif or npy file; (H, W), (C, H, W) or (H, W, C) in
        npy. Pages of a tif are sections of a volume; only axes that are declared as channels are
        channels.
    image_range : (low, high), optional
        The values that become 0 and 1. By default 8-bit values are divided by 255 and floats are
        unchanged; other data types need this range. An 8-bit file among 16-bit ones keeps 0 to
        255, because a range beyond 8 bits cannot apply to it.
    n_axes : int or None
        2 for an image, 3 for a volume (D, H, W) or (C, D, H, W). None decides by the declared
        axes, and for npy by the shape: four axes, or more than four along the first of three, are
        a volume.

    Returns
    -------
    image : (C, H, W) or (C, D, H, W) Tensor, float32 in [0, 1]

    Raises
    ------
    DataError
        If the file cannot be read, or holds NaN or infinity.
    ShapeError
        If it is not one image, or has transparent pixels.
    ValueRangeError
        If values lie outside of the range.

    Notes
    -----
    The QuAC library stretches every image that is not 8-bit by its own minimum and maximum, so
    that two images of different brightness become equal. Nothing is stretched here.
    """
    return open_image(path, image_range, n_axes)[0]


def open_image(
    path: str | Path, image_range: tuple[float, float] | None = None, n_axes: int | None = 2
) -> tuple[Tensor, tuple[Assumption, ...]]:
    """Read an image as :func:`read_image` does, with the assumptions about its file."""
    path = Path(path)
    content = read_image_array(path)
    notes = list(content.assumptions)
    volume = n_axes == 3 or (n_axes is None and _is_volume(content))
    array = _channels_first(content, path, 3 if volume else 2)
    memory = array.nbytes + array.size * (12 if array.dtype.kind in "iu" else 4)
    seconds = array.size * _SECONDS_PER_VALUE
    check_size(path, array.nbytes, seconds, memory, path.parent)
    if has_equal_colors(content):
        notes.append(EQUAL_COLORS)
    if "Z" in content.axes:
        notes.append(PAGES)
    elif not content.axes and content.values.ndim > 2:
        notes.append(LAST_AXIS if not volume and _has_channels_last(content) else FIRST_AXIS)
    if image_range is not None and array.dtype == np.uint8 and image_range[1] > 255:
        image_range = None
        notes.append(KEPT_BYTES)
    elif image_range is None:
        notes += assumed_range(array.dtype)
    return torch.from_numpy(to_unit_range(array, image_range, path.name)), tuple(notes)


def assumed_range(dtype: np.dtype[Any]) -> tuple[Assumption, ...]:
    """Return the assumption about black and white that follows from a data type."""
    return (_ASSUMED_RANGES[dtype.kind],) if dtype.kind in _ASSUMED_RANGES else ()


def read_array(path: Path) -> NDArray[np.generic]:
    """Read the numbers of an image file without scaling; see :func:`read_image_array`."""
    return np.asarray(read_image_array(path).values)


def read_image_array(path: Path) -> ImageArray:
    """Read the numbers of an image file and the meaning of its axes, without scaling.

    Raises
    ------
    DataError
        If it is missing, damaged or in another format.
    ShapeError
        If its colors, pages or frames are not those of one image.
    """
    if is_folder(path):
        raise DataError(f"'{path}' is a folder, not an image. Choose a png, tif or npy file in it.")
    if check_regular_file(path) == 0:
        raise DataError(f"'{path.name}' is empty (0 bytes). Copy or export the image again.")
    suffix = path.suffix.lower()
    if suffix not in IMAGE_SUFFIXES:
        raise DataError(
            f"'{path.name}' has the ending '{suffix}', which is not a supported image format. "
            f"Convert it to one of {', '.join(sorted(IMAGE_SUFFIXES))}."
        )
    try:
        if suffix == ".npy":
            values = open_npy(path)
            check_memory(path, values.nbytes)
            content = ImageArray(np.array(values))
        else:
            content = (read_tiff if suffix in TIFF_SUFFIXES else read_picture)(path)
    except QuacError:
        raise
    except MemoryError as error:
        raise DataError(
            f"'{path.name}' declares more pixels than the memory of this machine can hold: it is "
            "damaged or too large. Export the image again, or open it as a volume."
        ) from error
    except Exception as error:
        raise DataError(
            f"'{path.name}' cannot be read as {suffix[1:]}: it is damaged or in another format "
            f"({one_line(error, 120)}). Copy or export the image again."
        ) from error
    if content.values.dtype.kind not in "buif":
        raise DataError(
            f"'{path.name}' holds values of type {content.values.dtype}, expected numbers. "
            "Export the image as 8-bit or float32."
        )
    return content


def _channels_first(content: ImageArray, path: Path, n_axes: int = 2) -> NDArray[np.generic]:
    """Return an image (C, H, W) or a volume (C, D, H, W), or refuse the array."""
    array = content.values
    kind, axes = ("image", "H, W") if n_axes == 2 else ("volume", "Z, Y, X")
    single_file = (
        "Open a stack as a napari layer instead."
        if n_axes == 2
        else "Save each volume in its own file, as npy or as a tif stack."
    )
    if content.axes and ("Z" in content.axes) != (n_axes == 3):
        pages = f"{array.shape[content.axes.find('Z')]} pages, which are sections or time points"
        what = pages if n_axes == 2 else "no sections"
        raise ShapeError(
            f"'{path.name}' holds {what} (shape {array.shape}), expected one {kind}. {single_file}"
        )
    if n_axes == 2 and _has_channels_last(content):
        array = np.moveaxis(array, -1, 0)
    if array.ndim == n_axes:
        array = array[None]
    if array.ndim != n_axes + 1:
        raise ShapeError(
            f"'{path.name}' holds an array of shape {array.shape}, expected one {kind} ({axes}) or "
            f"(C, {axes}). {single_file}"
        )
    if array.shape[0] > MAX_CHANNELS:
        channels_last = array.shape[-1] <= MAX_CHANNELS
        hint = f"The channels seem to be last: save it as (C, {axes})."
        raise ShapeError(
            f"'{path.name}' has shape {array.shape}, which would be {array.shape[0]} channels; "
            f"at most {MAX_CHANNELS} are expected. {hint if channels_last else single_file}"
        )
    if 0 in array.shape:
        raise ShapeError(f"'{path.name}' holds no pixels (shape {array.shape}). Export it again.")
    return array


def _has_channels_last(content: ImageArray) -> bool:
    """Tell an array (H, W, C) of an image from (C, H, W) by its shape, without declared axes."""
    shape = content.values.shape
    if content.axes or len(shape) != 3:
        return False
    return shape[-1] in (1, 3, 4) and shape[0] > MAX_CHANNELS and shape[1] > MAX_CHANNELS


def _is_volume(content: ImageArray) -> bool:
    """Recognize a volume by its axes or shape; channels last mean an image in the wrong order."""
    if content.axes:
        return "Z" in content.axes
    shape = content.values.shape
    if len(shape) == 3:
        return bool(min(shape[0], shape[-1]) > MAX_CHANNELS)
    return len(shape) == 4


def to_unit_range(
    array: NDArray[np.generic], image_range: tuple[float, float] | None, name: str
) -> NDArray[np.float32]:
    """Map values to [0, 1], and refuse values outside of the range.

    Parameters
    ----------
    array : ndarray of any shape
        The values.
    image_range : (low, high) or None
        Values that become 0 and 1; see :func:`read_image`.
    name : str
        Name of the array in messages.

    Returns
    -------
    ndarray of the same shape, float32 in [0, 1]
    """
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        n_invalid = int((~np.isfinite(array)).sum())
        raise DataError(
            f"'{name}' holds {n_invalid} values that are NaN or infinite. Repair or replace them."
        )
    lowest, highest = float(array.min()), float(array.max())
    if image_range is None:
        if array.dtype == np.uint8:
            return array.astype(np.float32) / np.float32(255)
        if array.dtype == np.bool_:
            return array.astype(np.float32)
        if array.dtype.kind != "f":
            raise ValueRangeError(
                f"'{name}' holds {array.dtype} values from {lowest:g} to {highest:g}, but the "
                "values for black and white are unknown. Enter the range of the images, for "
                f"instance {_usual_range(array.dtype)} (--image-range), or save them as 8-bit."
            )
        image_range = (0.0, 1.0)
    low, high = image_range
    if not high > low:
        raise ValueRangeError(
            f"The range from {low:g} to {high:g} is empty. Enter the lower end first."
        )
    slack = 1e-6 * (high - low)
    if lowest < low - slack or highest > high + slack:
        raise ValueRangeError(
            f"'{name}' holds values from {lowest:g} to {highest:g}, expected {low:g} to {high:g}. "
            "Enter the range of the images (--image-range), or rescale them."
        )
    if (low, high) == (0.0, 1.0):
        unit = array.astype(np.float32)
    else:
        unit = ((array.astype(np.float64) - low) / (high - low)).astype(np.float32)
    return np.clip(unit, 0, 1)


def _usual_range(dtype: np.dtype[Any]) -> str:
    limits = np.iinfo(dtype) if dtype.itemsize < 4 else np.iinfo(np.uint16)
    return f"{limits.min} to {limits.max}"


def write_image(path: str | Path, image: Tensor) -> None:
    """Write an image, in float32 to tif and npy, rounded to 8 bits to png.

    Parameters
    ----------
    path : path
        The ending is the format: .tif and .npy are lossless, .png is rounded.
    image : (C, H, W) Tensor, float32 in [0, 1]
        The image; or a volume (C, D, H, W), in tif and npy.

    Raises
    ------
    DataError
        If the ending is unknown, values or channels do not fit into a png, or the file cannot be
        written.
    """
    path = Path(path)
    write_file(path, encode_image(path.suffix.lower(), image, path.name))


def encode_image(suffix: str, image: Tensor, name: str = "") -> bytes:
    """Return the file of an image as bytes; see :func:`write_image`."""
    array = image.detach().cpu().numpy().astype(np.float32)
    if suffix == ".npy":
        return npy_bytes(array)
    elif suffix in {".tif", ".tiff"}:
        import tifffile

        photometric = "rgb" if array.shape[0] == 3 and array.ndim == 3 else "minisblack"
        page = array[0] if array.shape[0] == 1 else array
        axes = "CYX" if array.ndim == 3 else "CZYX"
        axes = axes[1:] if page.ndim < array.ndim else axes
        options = {"photometric": photometric, "metadata": {"axes": axes}}
        return encode(lambda file: tifffile.imwrite(file, page, **options))
    elif suffix == ".png":
        from PIL import Image

        if array.ndim != 3:
            raise ShapeError(f"'{name}': a volume does not fit into a png. Write a tif instead.")
        if array.shape[0] not in (1, 3):
            raise ShapeError(
                f"'{name}': {array.shape[0]} channels do not fit into a png, which takes 1 or "
                "3. Write a tif instead."
            )
        if array.min() < -1e-6 or array.max() > 1 + 1e-6:
            raise ValueRangeError(
                f"'{name}': values from {array.min():g} to {array.max():g} do not fit into an "
                "8-bit picture. Write a tif instead."
            )
        eight_bit = np.rint(np.clip(array, 0, 1) * 255).astype(np.uint8)
        picture = eight_bit[0] if array.shape[0] == 1 else np.moveaxis(eight_bit, 0, -1)
        return encode(lambda file: Image.fromarray(picture).save(file, "PNG"))
    raise DataError(f"Cannot write '{name}': choose the ending .tif, .npy or .png.")
