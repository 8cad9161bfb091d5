"""TIFF stacks that are read on demand, and their voxel size in ImageJ, OME and plain tags."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from napari_quac.data.place import NM_PER_UNIT, unit_of_length
from napari_quac.data.volume import check_channel
from napari_quac.data.volume_metadata import Grid
from napari_quac.errors import DataError, one_line

LARGE_PAGE = 32 * 2**20
"""Bytes; larger tiled pages are read tile by tile."""


def open_tiff(path: Path, channel: int = 0) -> tuple[Any, Grid | None, int]:
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
    array : array-like, (Z, Y, X) or (Y, X)
        Reads only the sliced part.
    grid : Grid or None
        Voxel size and unit, if the file contains them along all axes.
    n_channels : int
        Number of channels, of which ``array`` is one.

    Raises
    ------
    DataError
        If it is not a stack of grayscale images, or there is no such channel.
    """
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            series = file.series[0]
            separate = _separate_pages(path, file)
            if separate is not None:
                return separate, None, 1
            axes, shape = series.axes, tuple(series.shape)
            stack_axis, channel_axis = _axes(path, axes, shape)
            contiguous = series.dataoffset is not None and series.keyframe.is_final
            large = series.keyframe.is_tiled and series.keyframe.nbytes > LARGE_PAGE
            grid = read_tiff_grid(file, 2 if stack_axis is None else 3)
            numbers = np.arange(len(series.pages)).reshape(shape[:-2])
            dtype = np.dtype(series.dtype)
    except DataError:
        raise
    except Exception as error:
        raise DataError(
            f"'{path.name}' is no TIFF ({one_line(error)}). Export it again."
        ) from error
    n_channels = 1 if channel_axis is None else shape[channel_axis]
    check_channel(channel, n_channels, path.name)
    index: tuple[Any, ...] = tuple(
        channel if axis == channel_axis else slice(None) for axis in range(len(shape) - 2)
    )
    if contiguous:
        mapped = tifffile.memmap(path, mode="r").reshape(shape)
        return mapped[index], grid, n_channels
    if large and channel_axis is None:
        return _tiles(path), grid, 1
    pages = [int(number) for number in numbers[index].reshape(-1)]
    stack_shape = shape[-2:] if stack_axis is None else (shape[stack_axis], *shape[-2:])
    return TiffPages(path, pages, stack_shape, dtype, series=0), grid, n_channels


def _separate_pages(path: Path, file: Any) -> TiffPages | None:
    """Return the stack of a file whose pages were written one by one, each as its own series."""
    first = file.series[0]
    alike = all((s.shape, s.dtype) == (first.shape, first.dtype) for s in file.series)
    if len(first.shape) != 2 or len(file.series) < 2 or not alike:
        return None
    return TiffPages(path, [s.pages[0].index for s in file.series], first.shape, first.dtype)


def _axes(path: Path, axes: str, shape: tuple[int, ...]) -> tuple[int | None, int | None]:
    """Return the axis of the sections, and the axis of the channels."""
    outer = axes[:-2]
    channel_axis = outer.index("C") if "C" in outer else None
    stacks = [axis for axis, name in enumerate(outer) if name != "C"]
    if axes[-2:] != "YX" or len(stacks) > 1 or outer.count("C") > 1:
        raise DataError(
            f"'{path.name}' has the axes {axes}, not those of one grayscale stack. Export one."
        )
    return (stacks[0] if stacks else None), channel_axis


def _tiles(path: Path) -> Any:
    """Return the finest level of a tiled file as an array that decodes single tiles."""
    import tifffile
    import zarr

    store: Any = tifffile.imread(path, aszarr=True, level=0)
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
    ) -> None:
        self.path, self._pages, self._series = path, pages, series
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

        with tifffile.TiffFile(self.path) as file:
            pages = file.pages if self._series is None else file.series[self._series].pages
            page = np.asarray(pages[self._pages[section]].asarray())
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
    except ElementTree.ParseError:
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
