"""Open npy files without reading them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_quac.errors import DataError, one_line
from napari_quac.reading import check_regular_file

_ZIP = b"PK"


def open_npy(path: Path, kinds: str = "") -> NDArray[Any]:
    """Map an array of a file into memory.

    A file that is shorter than its header states is refused before memory is taken.

    Parameters
    ----------
    path : Path
        The file.
    kinds : str
        Kinds of NumPy's data types that are accepted; by default all but objects.

    Raises
    ------
    DataError
        If it is damaged, an archive, or holds values of other types.
    """
    check_regular_file(path)
    try:
        with path.open("rb") as file:
            if file.read(2) == _ZIP:
                raise ValueError("an archive of several arrays, npz")
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
        if kinds and array.dtype.kind not in kinds:
            raise TypeError(f"values of type {array.dtype}")
    except (Exception, MemoryError) as error:
        raise DataError(
            f"'{path.name}' cannot be read as npy: it is damaged, in another format or holds no "
            f"numbers ({one_line(error, 120)}). Copy or export it again with numpy.save."
        ) from error
    return array
