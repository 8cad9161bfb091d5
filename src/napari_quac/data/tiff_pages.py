"""Pages of TIFF files: which of them are the image, and their values with 0 as black.

Both readers, of images and of volumes, go through :func:`find_layout` and :func:`read_page`.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_quac.data.assumptions import Assumption
from napari_quac.errors import DataError, ShapeError

ALPHA = (1, 2)
"""Values of the tag ExtraSamples that mean alpha, premultiplied or not."""
FURTHER_IMAGES = Assumption(
    "image axes",
    "Further images in TIFF files, such as small previews, are not read; the first of the largest "
    "is.",
)
TIME = Assumption("image axes", "Time points of TIFF files are read as sections of a volume.")
LOOKUP_TABLE = Assumption(
    "image range",
    "The colors of an ImageJ lookup table are ignored; the stored gray values are read.",
)
PALETTE = Assumption("image axes", "The numbers of a TIFF file with a palette are read as RGB.")
_COLORS = {"MINISWHITE": "", "MINISBLACK": "", "RGB": "", "YCBCR": "", "PALETTE": "palette",
           "SEPARATED": "CMYK", "CIELAB": "CIELAB", "ICCLAB": "CIELAB", "ITULAB": "CIELAB",
           "CFA": "raw sensor", "LOGL": "logarithmic", "LOGLUV": "logarithmic"}  # fmt: skip
MAX_BYTES = 1 << 30
"""Of an image in memory; larger ones are read in parts, as volumes."""
LARGEST_RATIO = 2048
"""Bytes of pixels per packed byte; the usual packings reach about a thousand."""
PACKED_BYTES = 1 << 26
_NATIVE_BITS = (8, 16, 32, 64)


def check_memory(path: Path, n_bytes: int) -> None:
    """Refuse an image that does not belong into memory.

    Raises
    ------
    DataError
        If its pixels have more than :data:`MAX_BYTES`.
    """
    if n_bytes > MAX_BYTES:
        raise DataError(
            f"'{path.name}' holds {n_bytes >> 20} MB of pixels, more than an image in memory "
            f"may have ({MAX_BYTES >> 20} MB). Open it as a volume."
        )


@dataclass(frozen=True)
class TiffLayout:
    """The pages of a file that hold the image.

    Attributes
    ----------
    pages : ndarray of int
        Numbers of the pages; its shape is that of the axes before those of a page.
    series : int or None
        Series to which the numbers refer; None if they count all pages of the file.
    axes : str
        Letters of all axes without those of length 1: Y and X, S for the samples of a pixel, C for
        channels, Z for sections and pages, T for time.
    shape : tuple of int
    dtype : numpy dtype
        Type of the values that :func:`read_page` returns.
    keyframe : tifffile.TiffPage
        The page that describes all of them.
    assumptions : tuple of Assumption
    """

    pages: NDArray[np.intp]
    series: int | None
    axes: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    keyframe: Any
    assumptions: tuple[Assumption, ...] = ()


def find_layout(file: Any, path: Path) -> TiffLayout:
    """Return the pages that hold the image: neither thumbnails nor masks nor further images.

    Parameters
    ----------
    file : tifffile.TiffFile
        Open.
    path : Path
        For messages.

    Raises
    ------
    ShapeError
        If its colors are neither gray nor RGB.
    DataError
        If a compression needs a package that is not installed.
    """
    # errors report what is wrong with a file; the log of tifffile would repeat it
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    series = list(file.series)
    full = [s for s in series if not (s.keyframe.is_reduced or s.keyframe.is_mask)]
    if not full:
        raise DataError(
            f"'{path.name}' holds only a thumbnail (a reduced image). Export it as plain TIFF."
        )
    best = max(full, key=_area)  # the first of the largest
    alike = [s for s in full if (s.shape, s.dtype, s.axes) == (best.shape, best.dtype, best.axes)]
    keyframe = best.keyframe
    notes = list(_check_colors(keyframe, file, path))
    is_separate = len(alike) > 1 and len(best.pages) == 1 and not file.is_ome
    others = len(full) - (len(alike) if is_separate else 1)
    if others:
        notes.append(FURTHER_IMAGES)
    axes, shape = best.axes, tuple(int(n) for n in best.shape)
    n_outer = len(shape) - len(keyframe.shape)
    if is_separate:
        numbers = np.array([s.pages[0].index for s in alike], dtype=np.intp)
        axes, shape, which = f"Z{axes}", (len(alike), *shape), None
    else:
        numbers = np.arange(len(best.pages), dtype=np.intp)
        which = series.index(best)
        if len(numbers) == 1 and n_outer:  # tifffile writes a stack as one page, cut into parts
            n_outer = 0
        numbers = numbers.reshape(shape[:n_outer])
    _check_sizes(keyframe, path)
    _check_decoding(keyframe, path)
    return TiffLayout(numbers, which, _letters(axes), shape, value_type(keyframe), keyframe,
                      tuple(notes))  # fmt: skip


def _area(series: Any) -> int:
    return int(series.keyframe.imagelength) * int(series.keyframe.imagewidth)


def _letters(axes: str) -> str:
    """Return the axes in our letters; those that only count pages become sections."""
    return "".join(letter if letter in "YXSCT" else "Z" for letter in axes)


def _check_colors(page: Any, file: Any, path: Path) -> tuple[Assumption, ...]:
    photometric = page.photometric.name
    colors = _COLORS.get(photometric, photometric)
    if photometric == "PALETTE":
        if gray_palette(page) is not None:
            return ()
        if file.is_imagej:
            return (LOOKUP_TABLE,)
        if color_palette(page, file) is not None and len(file.pages) == 1:
            return (PALETTE,)
        raise ShapeError(f"'{path.name}' has palette colors. Save the image in gray or RGB.")
    if colors:
        raise ShapeError(f"'{path.name}' has {colors} colors. Save the image in gray or RGB.")
    if photometric == "YCBCR" and page.compression.name not in ("JPEG", "OJPEG", "ALT_JPEG"):
        raise ShapeError(f"'{path.name}' has YCbCr colors. Save the image in gray or RGB.")
    if is_white_zero(page) and value_type(page).kind not in "bu":
        raise DataError(
            f"'{path.name}' declares 0 as white, which has no meaning for {page.dtype} values. "
            "Invert the image and save it with 0 as black."
        )
    return ()


def is_white_zero(page: Any) -> bool:
    """Return True for pages with 0 as white, as faxes and ImageJ's inverted images have."""
    return bool(page.photometric.name == "MINISWHITE")


def gray_palette(page: Any) -> NDArray[np.uint8] | None:
    """Return the gray value of each number of a palette; None if it has colors."""
    colors = page.colormap if page.photometric.name == "PALETTE" else None
    if colors is None or not (colors[0] == colors[1:]).all():
        return None
    grays = (colors[0] >> 8).astype(np.uint8)
    steps = np.diff(grays.astype(int))
    return grays if len(grays) and ((steps > 0).all() or (steps < 0).all()) else None


def color_palette(page: Any, file: Any) -> NDArray[np.uint8] | None:
    """Return the colors (3, N) of a palette; None for grays, and for lookup tables of ImageJ."""
    is_palette = page.photometric.name == "PALETTE" and page.colormap is not None
    if not is_palette or file.is_imagej or gray_palette(page) is not None:
        return None
    return np.asarray(page.colormap >> 8).astype(np.uint8)


def orientation_of(page: Any) -> int:
    """Return the orientation that a page declares; 1 for the stored rows and columns."""
    tag = page.tags.get(274)
    return int(tag.value) if tag is not None and isinstance(tag.value, int) else 1


def has_alpha(page: Any) -> bool:
    """Return True if the last sample of a pixel is alpha."""
    extra = tuple(page.extrasamples)
    return bool(extra) and (page.photometric.name == "RGB" or int(extra[-1]) in ALPHA)


def value_type(page: Any) -> np.dtype[Any]:
    """Return the type of the values of :func:`read_page`."""
    return np.dtype(np.uint8) if _is_narrow(page) else np.dtype(page.dtype)


def white_value(page: Any) -> int:
    """Return the largest value of an unsigned page: 4095 for 12 bits in 16."""
    return 255 if _is_narrow(page) else int(2 ** _bits(page) - 1)


def _bits(page: Any) -> int:
    bits = page.bitspersample
    return int(max(bits) if isinstance(bits, tuple) else bits)


def _is_narrow(page: Any) -> bool:
    """Return True for 2 to 7 bits, which are widened to 8."""
    return 1 < _bits(page) < 8 and np.dtype(page.dtype).kind == "u"


def read_page(page: Any) -> NDArray[Any]:
    """Read a page with 0 as black.

    Parameters
    ----------
    page : tifffile.TiffPage or TiffFrame
        A page of an open file, or of another file of the same data set.

    Returns
    -------
    ndarray
        Of the page's shape; 2 to 7 bits are widened to 8.
    """
    n_bytes = max(page.databytecounts, default=0)
    try:
        with _open_file(page):
            n_stored = page.parent.filehandle.size
            if n_bytes > max(n_stored, MAX_BYTES):
                raise ValueError(f"a part of {n_bytes} bytes in a file of {n_stored}")
            values = widen(np.asarray(page.asarray()), page.keyframe)
    except Exception as error:
        if not _names_codec(error):
            raise
        values = _read_by_pillow(page)
    return blacken(values, page.keyframe)


@contextmanager
def _open_file(page: Any) -> Iterator[None]:
    """Open the file of a page for a moment, if it is a closed one of several."""
    file = page.parent.filehandle
    was_closed = file.closed
    if was_closed:
        file.open()
    try:
        yield
    finally:
        if was_closed:
            file.close()


def widen(values: NDArray[Any], page: Any) -> NDArray[Any]:
    """Widen 2 to 7 bits to 8."""
    if not _is_narrow(page):
        return values
    return np.asarray(np.rint(values * (255 / (2 ** _bits(page) - 1))).astype(np.uint8))


def blacken(values: NDArray[Any], page: Any) -> NDArray[Any]:
    """Return values with 0 as black, from those of a page with 0 as white or a palette of grays."""
    grays = gray_palette(page)
    if grays is not None:
        return np.asarray(grays[values])
    if not is_white_zero(page):
        return values
    if values.dtype == np.bool_:
        return ~values
    return np.asarray(values.dtype.type(white_value(page)) - values)


def _check_sizes(page: Any, path: Path) -> None:
    """Refuse pages that are larger than their file can be."""
    parts = page.chunks if page.is_tiled else page.shape
    part_bytes = math.prod(int(n) for n in parts) * np.dtype(page.dtype).itemsize
    n_stored, n_bytes = path.stat().st_size, int(page.nbytes)
    is_packed = page.compression.name != "NONE"
    if not is_packed and n_bytes > 8 * n_stored:  # 1-bit pages have bytes in memory
        raise ValueError(f"{n_stored} bytes declare a page of {n_bytes} bytes")
    if is_packed and max(n_bytes, part_bytes) > max(PACKED_BYTES, LARGEST_RATIO * n_stored):
        raise ValueError(f"{n_stored} packed bytes declare a page of {n_bytes} bytes")
    if page.is_tiled and part_bytes > MAX_BYTES:
        raise ValueError(f"a tile of {part_bytes} bytes")


def _check_decoding(page: Any, path: Path) -> None:
    """Refuse a file with a compression that nothing here decodes.

    The first strip or tile is decoded, so that the missing package is named when a file is opened.
    """
    if page.compression.name == "NONE" and _bits(page) in (1, *_NATIVE_BITS):
        return
    try:
        next(iter(page.segments(maxworkers=1)), None)
    except Exception as error:  # noqa: BLE001 - of any decoder
        if not _names_codec(error):
            return  # damaged data are reported when they are read, with their place
        try:
            _read_by_pillow(page)
        except (OSError, ValueError, SyntaxError, EOFError) as other:
            compression = page.compression.name
            kind = f"{compression} compression" if compression != "NONE" else f"{_bits(page)} bits"
            raise DataError(
                f"'{path.name}' has {kind}, which needs the package imagecodecs. Install it: pip "
                "install 'napari-quac[codecs]', or save the image uncompressed."
            ) from other


def _names_codec(error: BaseException) -> bool:
    """Return True for a missing package, and for a version of it without this decoder."""
    text = str(error)
    is_unsupported = text.startswith("<COMPRESSION.") and text.endswith("not supported")
    return isinstance(error, ImportError) or "imagecodecs" in text or is_unsupported


def _read_by_pillow(page: Any) -> NDArray[Any]:
    """Read the numbers of a page as stored.

    Raises
    ------
    ValueError
        If Pillow would lose bits.
    """
    from PIL import Image

    with Image.open(page.parent.filehandle.path, formats=("TIFF",)) as picture:
        picture.seek(int(page.index))
        values = np.asarray(picture)
        mode = picture.mode
    dtype = np.dtype(page.keyframe.dtype)
    if values.dtype.itemsize < dtype.itemsize or values.shape != tuple(page.keyframe.shape):
        raise ValueError(f"Pillow reads {mode}, expected {dtype}")
    if is_white_zero(page.keyframe) and mode in ("L", "1"):
        values = ~values  # Pillow has inverted these modes, and no others
    return values if values.dtype.kind == "b" else values.astype(value_type(page.keyframe))
