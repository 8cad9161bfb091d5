"""TIFF stacks that are read where they are asked for: mapped into memory, or page by page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_quac.errors import DataError


def open_tiff(path: Path) -> Any:
    """Return a TIFF stack as an array that reads only what is sliced.

    An uncompressed stack whose pages follow each other is mapped into memory; any other one is read
    a page at a time.

    Raises
    ------
    DataError
        If it is no stack of grey images.
    """
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            series = file.series[0]
            axes, shape = series.axes, series.shape
            contiguous = series.dataoffset is not None and series.keyframe.is_final
    except Exception as error:
        raise DataError(f"'{path.name}' cannot be read as TIFF ({error}).") from error
    if axes.endswith("S") or len(shape) not in (2, 3):
        raise DataError(
            f"'{path.name}' has the axes {axes} (shape {tuple(shape)}), expected a stack of grey "
            "images (Z, Y, X). Export one channel of it."
        )
    if contiguous:
        return tifffile.memmap(path, mode="r")
    return TiffPages(path)


class TiffPages:
    """A stack of pages (Z, Y, X) that reads only the pages that are asked for.

    Parameters
    ----------
    path : Path

    Attributes
    ----------
    shape, chunks : tuple of int
    dtype : numpy dtype
    """

    def __init__(self, path: Path) -> None:
        import tifffile

        self.path = path
        with tifffile.TiffFile(path) as file:
            series = file.series[0]
            self.shape = tuple(series.shape)
            self.dtype = np.dtype(series.dtype)
        self.ndim = len(self.shape)
        self.chunks = (1, *self.shape[1:]) if self.ndim == 3 else self.shape
        self._last: tuple[int, NDArray[Any]] | None = None

    def __getitem__(self, key: Any) -> NDArray[Any]:
        key = key if isinstance(key, tuple) else (key,)
        if self.ndim == 2:
            return np.asarray(self._page(0)[key])
        pages = np.arange(self.shape[0])[key[0]]
        if pages.ndim == 0:
            return np.asarray(self._page(int(pages))[key[1:]])
        parts = [self._page(int(number))[key[1:]] for number in pages]
        return np.stack(parts) if parts else np.empty((0, *self.shape[1:]), self.dtype)

    def _page(self, number: int) -> NDArray[Any]:
        if self._last is not None and self._last[0] == number:
            return self._last[1]
        import tifffile

        with tifffile.TiffFile(self.path) as file:
            page = np.asarray(file.series[0].pages[number].asarray())
        self._last = (number, page)
        return page
