"""Arrays of HDF5 files, which are looked at in another process first."""

from __future__ import annotations

from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from napari_quac.data.links import check_hdf5
from napari_quac.errors import DataError, SeveralArraysError
from napari_quac.file_probe import probe_file
from napari_quac.large_files import check_time
from napari_quac.reading import check_regular_file, reading_errors

MAX_ATTRIBUTES = 1000
"""Of an array or group; the other process reads as many."""
_MAX_NAMES = 1000


def open_hdf5(path: Path, dataset: str) -> tuple[Any, dict[str, Any], str]:
    """Open an array of a file.

    Parameters
    ----------
    path : Path
        The file.
    dataset : str
        Name of the array; unnecessary if there is only one.

    Returns
    -------
    array : h5py.Dataset
    attributes : dict
        Of the array and of all groups that contain it, at most :data:`MAX_ATTRIBUTES` of each.
    dataset : str

    Raises
    ------
    SeveralArraysError
        If there are several arrays, or none of this name.
    DataError
        If the file is damaged, or h5py is missing.
    """
    try:
        import h5py
    except ImportError as error:
        raise DataError(
            f"'{path.name}' needs the package h5py. Install it: pip install 'napari-quac[volumes]'."
        ) from error
    check_regular_file(path)
    advice = f"Copy it again, or name the array: {path.name}/ARRAY."
    probe_file(path, "hdf5", dataset, advice)
    with reading_errors(path.name):
        file = h5py.File(path, "r")
        try:
            names = [] if dataset else _array_names(file)
            dataset = names[0] if len(names) == 1 else dataset
            check_hdf5(file, dataset, path)
            array = file[dataset] if dataset and dataset in file else None
            if not isinstance(array, h5py.Dataset):
                content = f"no array '{dataset}'" if dataset else _number_of(names)
                names = names or _array_names(file)
                choices = ", ".join(names[:20]) or "none"
                message = f"'{path.name}' holds {content}. Name one as dataset: {choices}."
                raise SeveralArraysError(message, names)
            return array, _attributes(file, array), dataset
        except BaseException:
            file.close()
            raise


def _array_names(file: Any) -> list[str]:
    """Return the arrays that can be a volume; one that is damaged is skipped."""
    import h5py

    names: list[str] = []
    n_nodes = 0

    def note(name: str, node: Any) -> bool | None:
        nonlocal n_nodes
        n_nodes += 1
        check_time(f"{n_nodes} arrays and groups")
        with suppress(Exception):  # a type of values that h5py does not know
            is_volume = isinstance(node, h5py.Dataset) and node.ndim in (2, 3, 4)
            if is_volume and node.dtype.kind in "buif" and not name.startswith("annotations/"):
                names.append(name)
        return True if len(names) >= _MAX_NAMES else None

    try:
        file.visititems(note)
    except (RuntimeError, KeyError):
        if not names:
            raise
    return names


def _number_of(names: list[str]) -> str:
    return f"{len(names)} arrays" + " or more" * (len(names) >= _MAX_NAMES)


def _attributes(file: Any, array: Any) -> dict[str, Any]:
    attributes: dict[str, Any] = {}
    groups = array.name.strip("/").split("/")[:-1]
    nodes = [file["/".join(groups[:n]) or "/"] for n in range(len(groups) + 1)]
    for node in (*nodes, array):
        attributes |= {name: node.attrs[name] for name in islice(node.attrs, MAX_ATTRIBUTES)}
    return attributes
