"""TIFF stacks that are read on demand, and their voxel size in ImageJ, OME and plain tags."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from napari_quac.data.assumptions import Assumption
from napari_quac.data.image_array import orientation_assumption
from napari_quac.data.place import NM_PER_UNIT, unit_of_length
from napari_quac.data.tiff_chain import ALONE, open_tiff_file
from napari_quac.data.tiff_pages import (
    PALETTE,
    TIME,
    TiffLayout,
    blacken,
    find_layout,
    gray_palette,
    is_white_zero,
    orientation_of,
    read_page,
    value_type,
)
from napari_quac.data.volume import check_channel
from napari_quac.data.volume_metadata import Grid
from napari_quac.errors import DataError, QuacError, ShapeError, one_line

LARGE_PAGE = 32 * 2**20
"""Bytes; larger tiled pages are read tile by tile."""


@dataclass(frozen=True, eq=False)
class TiffStack:
    """A stack that is read on demand.

    Attributes
    ----------
    array : array-like, (Z, Y, X) or (Y, X)
        Reads only the sliced part, with 0 as black.
    grid : Grid or None
        Voxel size and unit, if the file contains them along all axes.
    n_channels : int
        Number of channels, of which ``array`` is one.
    assumptions : tuple of Assumption
    """

    array: Any
    grid: Grid | None
    n_channels: int
    assumptions: tuple[Assumption, ...]


def open_tiff(path: Path, channel: int = 0) -> TiffStack:
    """Open a stack of grayscale images.

    Uncompressed stacks with consecutive pages are mapped into memory; others are read page by page,
    and large tiled pages tile by tile.

    Parameters
    ----------
    path : Path
        A TIFF file of ImageJ, OME or any other program.
    channel : int
        Index of the channel, where there are several.

    Returns
    -------
    TiffStack

    Raises
    ------
    DataError
        If it is not a stack of grayscale images, or there is no such channel.
    """
    try:
        with open_tiff_file(path) as file:
            layout = find_layout(file, path)
            if PALETTE in layout.assumptions:
                raise ShapeError(f"'{path.name}' has palette colors. Save the stack in gray.")
            stack_axis, channel_axis = _axes(path, layout.axes, layout.shape)
            series = None if layout.series is None else file.series[layout.series]
            contiguous = series is not None and series.dataoffset is not None
            grid = read_tiff_grid(file, 2 if stack_axis is None else 3)
    except QuacError:
        raise
    except Exception as error:
        raise DataError(
            f"'{path.name}' is no TIFF ({one_line(error)}). Export it again."
        ) from error
    n_channels = 1 if channel_axis is None else layout.shape[channel_axis]
    check_channel(channel, n_channels, path.name)
    notes = [*layout.assumptions, *orientation_assumption(orientation_of(layout.keyframe))]
    if stack_axis is not None and layout.axes[stack_axis] == "T":
        notes.append(TIME)
    array = _lazy(path, layout, stack_axis, channel_axis, channel, contiguous)
    return TiffStack(array, grid, n_channels, tuple(notes))


def _lazy(
    path: Path, layout: TiffLayout, stack_axis: int | None, channel_axis: int | None, channel: int,
    contiguous: bool,
) -> Any:  # fmt: skip
    """Return one channel as an array that is read on demand."""
    import tifffile

    shape, keyframe = layout.shape, layout.keyframe
    index: tuple[Any, ...] = tuple(
        channel if axis == channel_axis else slice(None) for axis in range(len(shape) - 2)
    )
    if contiguous and keyframe.is_final and layout.dtype == np.dtype(keyframe.dtype):
        mapped = tifffile.memmap(path, mode="r", series=layout.series, **ALONE).reshape(shape)
        return _as_black(mapped[index], keyframe)
    has_sections_in_page = stack_axis is not None and layout.pages.ndim <= stack_axis
    is_large = keyframe.is_tiled and keyframe.nbytes > LARGE_PAGE
    if channel_axis is None and (is_large or has_sections_in_page):
        return _as_black(_tiles(path, layout.series), keyframe)
    pages = [int(number) for number in layout.pages[index[: layout.pages.ndim]].reshape(-1)]
    part = channel if channel_axis is not None and channel_axis >= layout.pages.ndim else None
    stack_shape = shape[-2:] if stack_axis is None else (shape[stack_axis], *shape[-2:])
    return TiffPages(path, pages, stack_shape, layout.dtype, layout.series, part)


def _as_black(array: Any, keyframe: Any) -> Any:
    """Return an array whose values have 0 as black."""
    if is_white_zero(keyframe) or gray_palette(keyframe) is not None:
        return BlackZero(array, keyframe)
    return array


class BlackZero:
    """An array with 0 as black, of a file with 0 as white; converted where it is read.

    Parameters
    ----------
    array : array-like
        Reads only the sliced part.
    keyframe : tifffile.TiffPage
        Describes the values.

    Attributes
    ----------
    shape : tuple of int
    dtype : numpy dtype
    """

    def __init__(self, array: Any, keyframe: Any) -> None:
        self._array, self._keyframe = array, keyframe
        self.shape = tuple(array.shape)
        self.dtype, self.ndim = value_type(keyframe), len(self.shape)
        self.chunks = getattr(array, "chunks", self.shape)

    def __getitem__(self, key: Any) -> NDArray[Any]:
        return np.asarray(blacken(np.asarray(self._array[key]), self._keyframe))


def _axes(path: Path, axes: str, shape: tuple[int, ...]) -> tuple[int | None, int | None]:
    """Return the axis of the sections, and the axis of the channels."""
    outer = axes[:-2]
    channels = [axis for axis, name in enumerate(outer) if name in "CS"]
    stacks = [axis for axis, name in enumerate(outer) if name not in "CS"]
    if axes[-2:] != "YX" or len(stacks) > 1 or len(channels) > 1:
        raise DataError(
            f"'{path.name}' has the axes {axes}, not those of one grayscale stack. Export one."
        )
    return (stacks[0] if stacks else None), (channels[0] if channels else None)


def _tiles(path: Path, series: int | None) -> Any:
    """Return the finest level of a tiled file as an array that decodes single tiles."""
    import tifffile
    import zarr

    store: Any = tifffile.imread(path, aszarr=True, level=0, series=series or 0, **ALONE)
    return zarr.open(store, mode="r")


class TiffPages:
    """A stack of pages (Z, Y, X), or one page (Y, X), that are read on demand.

    Parameters
    ----------
    path : Path
    pages : sequence of int
        Numbers of the pages, one for each section.
    shape : tuple of int
    dtype : numpy dtype
    series : int, optional
        Series to which the numbers refer; by default they count all pages of the file.
    part : int, optional
        Channel of the pages that is read, if a page holds all of them, one after the other.

    Attributes
    ----------
    shape, chunks : tuple of int
    dtype : numpy dtype
    """

    def __init__(
        self,
        path: Path,
        pages: list[int],
        shape: tuple[int, ...],
        dtype: Any,
        series: int | None = None,
        part: int | None = None,
    ) -> None:
        self.path, self._pages, self._series, self._part = path, pages, series, part
        self.shape = tuple(shape) if len(pages) == 1 else (len(pages), *shape[-2:])
        self.dtype = np.dtype(dtype)
        self.ndim = len(self.shape)
        self.chunks = (1, *self.shape[1:]) if self.ndim == 3 else self.shape
        self._last: tuple[int, NDArray[Any]] | None = None

    def __getitem__(self, key: Any) -> NDArray[Any]:
        key = key if isinstance(key, tuple) else (key,)
        if self.ndim == 2:
            return np.asarray(self._page(0)[key])
        sections = np.arange(self.shape[0])[key[0]]
        if sections.ndim == 0:
            return np.asarray(self._page(int(sections))[key[1:]])
        parts = [self._page(int(number))[key[1:]] for number in sections]
        return np.stack(parts) if parts else np.empty((0, *self.shape[1:]), self.dtype)

    def _page(self, section: int) -> NDArray[Any]:
        if self._last is not None and self._last[0] == section:
            return self._last[1]
        import tifffile

        with tifffile.TiffFile(self.path, **ALONE) as file:
            pages = file.pages if self._series is None else file.series[self._series].pages
            page = read_page(pages[self._pages[section]])
            page = page if self._part is None else page[self._part]
        self._last = (section, page)
        return page


NM_PER_RESOLUTION_UNIT = {2: 25.4e6, 3: 1e7}  # inch, centimeter
LARGEST_NM = 10_000.0
"""Larger pixels come from the dots per inch of a printer or a screen, not of a microscope."""


def read_tiff_grid(file: Any, n_axes: int) -> Grid | None:
    """Read the voxel size of a file.

    Parameters
    ----------
    file : tifffile.TiffFile
        Open.
    n_axes : int
        2 for an image, 3 for a stack.

    Returns
    -------
    Grid or None
        None if the size along an axis is missing; there is no default.
    """
    for read in (_of_ome, _of_imagej, _of_tags):
        grid = read(file)
        if grid is not None:
            sizes, unit = grid
            scale = tuple(float(size) for size in sizes[-n_axes:] if size is not None and size > 0)
            if len(scale) == n_axes:
                return Grid(scale, (0.0,) * n_axes, unit)
    return None


Sizes = tuple[float | None, float | None, float | None]


def _of_ome(file: Any) -> tuple[Sizes, str | None] | None:
    if not file.is_ome:
        return None
    try:
        root = ElementTree.fromstring(file.ome_metadata)  # noqa: S314 - expat refuses entity bombs
    except (ElementTree.ParseError, ValueError):
        return None
    pixels = next((e for e in root.iter() if e.tag.rsplit("}", 1)[-1] == "Pixels"), None)
    if pixels is None or "PhysicalSizeX" not in pixels.attrib:
        return None
    units = [unit_of_length(pixels.get(f"PhysicalSize{axis}Unit", "µm")) for axis in "ZYX"]
    unit = units[-1]
    if unit is None:
        return None
    sizes = []
    for axis, axis_unit in zip("ZYX", units, strict=True):
        text = pixels.get(f"PhysicalSize{axis}")
        factor = NM_PER_UNIT[axis_unit] / NM_PER_UNIT[unit] if axis_unit else None
        sizes.append(float(text) * factor if text is not None and factor else None)
    return (sizes[0], sizes[1], sizes[2]), unit


def _of_imagej(file: Any) -> tuple[Sizes, str | None] | None:
    metadata = file.imagej_metadata
    if not metadata or "unit" not in metadata:
        return None
    unit = unit_of_length(str(metadata["unit"]).replace("\\u00B5", "µ").replace("\\u00b5", "µ"))
    horizontal, vertical = file.pages[0].resolution
    if unit is None or horizontal <= 0 or vertical <= 0:
        return None
    spacing = metadata.get("spacing")
    return (None if spacing is None else float(spacing), 1 / vertical, 1 / horizontal), unit


def _of_tags(file: Any) -> tuple[Sizes, str | None] | None:
    """Return the size in the plane; tags do not contain the distance of sections."""
    page = file.pages[0]
    nm = NM_PER_RESOLUTION_UNIT.get(int(page.resolutionunit))
    horizontal, vertical = page.resolution
    if file.imagej_metadata or nm is None or horizontal <= 0 or vertical <= 0:
        return None
    if nm / min(horizontal, vertical) > LARGEST_NM:
        return None
    return (None, nm / vertical, nm / horizontal), "nm"
