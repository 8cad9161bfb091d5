"""Annotations in the HDF5 file of a volume, as the CREMI challenge stores them.

``annotations`` holds ``ids`` (N,), ``types`` (N,) and ``locations`` (N, 3) in nm along z, y, x,
relative to the attribute ``offset``; ``annotations/presynaptic_site/partners`` (M, 2) holds the ids
of the presynaptic and the postsynaptic site of each synapse (https://cremi.org/data).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from napari_quac.data.links import check_hdf5
from napari_quac.data.tables.batches import WholeTable
from napari_quac.data.tables.cells import as_text
from napari_quac.errors import DataError
from napari_quac.file_probe import probe_file
from napari_quac.reading import is_regular_file, reading_errors

GROUP = "annotations"
PARTNERS = "annotations/presynaptic_site/partners"
NEEDED, TYPES = (f"{GROUP}/locations", f"{GROUP}/ids"), f"{GROUP}/types"
MAX_POINTS = 5_000_000


def has_annotations(path: Path) -> bool:
    """Tell whether a file is HDF5, was looked at already, and holds annotations."""
    if path.suffix.lower() not in (".h5", ".hdf5", ".hdf") or not is_regular_file(path):
        return False
    try:
        with _opened(path) as file:
            return all(_holds(file, name, path) for name in NEEDED)
    except DataError:
        return False


def read_annotations(path: Path) -> WholeTable:
    """Read synapses with the positions of both sites; without partners, all annotations.

    Raises
    ------
    DataError
        If the file is damaged, or holds no annotations.
    """
    for name in (*NEEDED, TYPES, PARTNERS):
        probe_file(path, "hdf5", name)
    with _opened(path) as file:
        if not all(_holds(file, name, path) for name in NEEDED):
            raise DataError(
                f"'{path.name}' has no annotations (annotations/ids and annotations/locations). "
                "Choose a table of points."
            )
        locations = np.asarray(_read(file, f"{GROUP}/locations", path), dtype=float)
        ids = np.asarray(_read(file, f"{GROUP}/ids", path)).reshape(-1)
        types = _read(file, TYPES, path) if _holds(file, TYPES, path) else None
        partners = _read(file, PARTNERS, path) if _holds(file, PARTNERS, path) else None
        offset = np.asarray(file[GROUP].attrs.get("offset", (0.0, 0.0, 0.0)), dtype=float)
    if locations.shape != (len(ids), 3) or offset.shape != (3,):
        raise DataError(
            f"'{path.name}' has {len(ids)} ids of annotations for locations of the shape "
            f"{locations.shape}. Copy it again."
        )
    locations = locations + offset
    if partners is not None and len(partners):
        return WholeTable(path, _of_partners(path, ids, locations, np.asarray(partners)))
    columns = {"id": _texts(ids)}
    if types is not None and len(types) == len(ids):
        columns["type"] = tuple(_text(kind) for kind in types)
    columns |= {f"{axis}_nm": _texts(locations[:, i]) for i, axis in enumerate("zyx")}
    return WholeTable(path, columns)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        import h5py
    except ImportError as error:
        raise DataError(
            f"'{path.name}' needs the package h5py. Install it: pip install 'napari-quac[volumes]'."
        ) from error
    with reading_errors(path.name, "Copy it again."), h5py.File(path, "r") as file:
        yield file


def _of_partners(path: Path, ids: Any, locations: Any, partners: Any) -> dict[str, tuple[str, ...]]:
    place = {int(number): row for row, number in enumerate(ids)}
    try:
        rows = np.array([[place[int(one)] for one in pair] for pair in partners]).reshape(-1, 2)
    except KeyError as error:
        raise DataError(
            f"The partner {error} in '{path.name}' is no annotation. Copy the file again."
        ) from error
    columns = {"id": _texts(np.arange(len(rows)))}
    for side, name in enumerate(("pre", "post")):
        columns[f"{name}_id"] = _texts(ids[rows[:, side]])
        for i, axis in enumerate("zyx"):
            columns[f"{name}_{axis}_nm"] = _texts(locations[rows[:, side], i])
    return columns


def _holds(file: Any, name: str, path: Path) -> bool:
    """Return whether there is such an array; links out of the folder of the file are refused."""
    check_hdf5(file, name, path)
    return name in file


def _read(file: Any, name: str, path: Path) -> Any:
    array = file[name]
    if getattr(array, "shape", None) is None or len(array.shape) == 0:
        raise DataError(f"'{name}' in '{path.name}' is no array. Copy the file again.")
    if array.shape[0] > MAX_POINTS or np.prod(array.shape[1:]) > 3:
        raise DataError(
            f"'{path.name}' has {array.shape} values in '{name}', more than {MAX_POINTS} points. "
            "Export those of interest as CSV."
        )
    return array[()]


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _texts(values: Any) -> tuple[str, ...]:
    return tuple(as_text(value) for value in np.asarray(values).tolist())
