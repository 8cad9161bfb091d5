"""Open a volume in a file or folder; only its metadata are read at once."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from napari_quac.data import n5
from napari_quac.data.assumptions import Assumption
from napari_quac.data.hdf5_file import MAX_ATTRIBUTES, open_hdf5
from napari_quac.data.links import local_store, require_inside
from napari_quac.data.npy_file import open_npy
from napari_quac.data.place import Transform
from napari_quac.data.remote.address import Address, is_address
from napari_quac.data.tiff_volume import open_tiff
from napari_quac.data.volume import Level, Volume
from napari_quac.data.volume_layout import (
    MAX_MEMBERS,
    choice_error,
    plain_volume,
    stem_of,
    step_of,
    unread_level,
    volume_from_zarr,
    volume_of_array,
    zarr_arrays,
)
from napari_quac.errors import DataError, QuacError, SeveralArraysError, one_line
from napari_quac.large_files import check_time, time_limit
from napari_quac.reading import (
    check_regular_file,
    is_folder,
    is_regular_file,
    path_exists,
    reading_errors,
)

HDF5_SUFFIXES = frozenset({".h5", ".hdf5", ".hdf", ".he5"})
TIFF_SUFFIXES = frozenset({".tif", ".tiff"})
MAX_CHUNK = 1 << 30  # bytes
VOLUME_ENDINGS = ".zarr, .n5, .h5, .hdf5, .tif, .tiff, .npy"


def open_volume(
    path: str | Path | Address,
    dataset: str = "",
    channel: int = 0,
    voxel_size: Sequence[float] | None = None,
    unit: str | None = None,
) -> Volume:
    """Open a volume, whose voxels are read on demand.

    Parameters
    ----------
    path : path or address
        A zarr (version 2 or 3, plain or OME-Zarr), N5, HDF5, TIFF or npy file or folder; the name
        of an array inside may follow, as in ``"em.h5/volumes/raw"``. Or the address of a volume on
        another machine, such as ``"precomputed://gs://bucket/em"``.
    dataset : str
        Array or group inside of it, such as ``"volumes/raw"``; unnecessary if there is only one.
    channel : int
        Index of the channel, place there are several.
    voxel_size : sequence of float, optional
        World units along the spatial axes; by default those of the file.
    unit : str, optional
        The world unit; by default that of the file, and nanometers for a ``voxel_size``.

    Raises
    ------
    SeveralArraysError
        If the file holds several volumes and none is named.
    DataError
        If there is no such volume.
    """
    if is_address(path):
        from napari_quac.data.remote.volume import open_remote

        volume = open_remote(Address(str(path)), dataset, channel)
        volume = _with_voxel_size(volume, voxel_size, unit)
        _check_chunks(volume)
        return volume
    path, inside = _split(Path(path).expanduser())
    with time_limit(path), reading_errors(path.name):
        volume = _open(path, dataset or inside, channel)
        volume = _with_voxel_size(volume, voxel_size, unit)
        _check_chunks(volume)
    return volume


def _open(path: Path, dataset: str, channel: int) -> Volume:
    suffix = path.suffix.lower()
    if suffix in HDF5_SUFFIXES:
        volume = _open_hdf5(path, dataset, channel)
    elif suffix in TIFF_SUFFIXES:
        stack = open_tiff(path, channel)
        volume = plain_volume(stack.array, {}, path.stem, path, 0, grid=stack.grid)
        notes = (*stack.assumptions, *volume.assumptions)
        volume = replace(volume, n_channels=stack.n_channels, assumptions=notes)
    elif suffix == ".npy":
        volume = plain_volume(open_npy(path, "buif"), {}, path.stem, path, channel)
    elif is_folder(path):
        is_n5 = suffix == ".n5" or path_exists(path / "attributes.json")
        volume = (_open_n5 if is_n5 else _open_zarr)(path, dataset, channel)
    else:
        raise DataError(f"'{path.name}' is not a volume. Choose one of {VOLUME_ENDINGS}.")
    return volume


def _check_chunks(volume: Volume) -> None:
    """Refuse blocks that need more than a gigabyte to read one voxel."""
    for level in volume.levels:
        chunks = getattr(level.array, "chunks", None)
        if not isinstance(chunks, tuple) or not all(isinstance(n, int) for n in chunks):
            continue
        n_bytes = math.prod(chunks) * level.dtype.itemsize
        if n_bytes > MAX_CHUNK:
            raise DataError(
                f"'{volume.name}' is stored in blocks of {chunks} voxels ({n_bytes / 1e9:.0f} GB), "
                "each of which is read as a whole. Write it in smaller blocks (chunks)."
            )


def _with_voxel_size(volume: Volume, size: Sequence[float] | None, unit: str | None) -> Volume:
    notes = tuple(note for note in volume.assumptions if note.kind != "voxel size")
    if size is None:
        notes = notes if unit else volume.assumptions
        return replace(volume, unit=unit or volume.unit, assumptions=notes)
    finest = volume.finest.transform
    if len(size) != finest.ndim or min(size) <= 0:
        raise DataError(
            f"The voxel size {tuple(size)} does not fit the {finest.ndim} axes of '{volume.name}'."
        )
    factors = [new / abs(old) for new, old in zip(size, finest.scale, strict=True)]
    levels = []
    for level in volume.levels:
        transform = Transform(
            tuple(s * f for s, f in zip(level.transform.scale, factors, strict=True)),
            tuple(t * f for t, f in zip(level.transform.translate, factors, strict=True)),
        )
        levels.append(Level(level.array, transform, level.fixed, level.rgb))
    return replace(volume, levels=tuple(levels), unit=unit or "nm", assumptions=notes)


def _split(path: Path) -> tuple[Path, str]:
    """Split a path into a file or folder and the name of an array inside: ``em.h5/volumes/raw``."""
    if is_regular_file(path) or is_folder(path):
        return path, ""
    for above in path.parents:
        if is_regular_file(above) or above.suffix.lower() in (".zarr", ".n5"):
            if is_regular_file(above) or is_folder(above):
                return above, path.relative_to(above).as_posix()
    check_regular_file(path)
    raise DataError(f"'{path}' does not exist. Check the path.")


def _open_zarr(path: Path, dataset: str, channel: int) -> Volume:
    import zarr

    place = f"{path.name}/{dataset}" if dataset else path.name
    try:
        # not the copy of all metadata, which takes seconds where there are many arrays
        root: Any = zarr.open(local_store(path), mode="r", use_consolidated=False)
        node: Any = root[dataset] if dataset else root
    except QuacError:
        raise
    except Exception as error:
        inside = zarr_arrays(path)
        hint = f" Arrays in it: {', '.join(inside)}." if inside else ""
        raise SeveralArraysError(
            f"'{place}' cannot be opened as zarr ({one_line(error)}).{hint}", inside
        ) from error
    if not hasattr(node, "shape"):
        return volume_from_zarr(node, path, place, channel)
    above, _, last = dataset.rpartition("/")
    parent = root[above] if above else root if dataset else _group_above(path)
    outer = _attributes_above(path if dataset else path.parent)
    steps = [above[: match.start()] for match in re.finditer("/", above)]
    for group in ([root] if dataset else []) + [root[step] for step in steps]:
        outer |= dict(group.attrs)
    return volume_of_array(node, parent, last or path.name, path, place, channel, outer)


def _group_above(path: Path) -> Any:
    """Return the group that contains a folder, if there is one."""
    import zarr

    if not any(path_exists(path.parent / name) for name in (".zgroup", ".zattrs", "zarr.json")):
        return None
    return zarr.open_group(local_store(path.parent), mode="r", use_consolidated=False)


def _attributes_above(path: Path) -> dict[str, Any]:
    """Return the attributes of all groups that contain a folder; the nearest ones count."""
    group = _group_above(path)
    return {} if group is None else {**_attributes_above(path.parent), **dict(group.attrs)}


def _open_n5(path: Path, dataset: str, channel: int) -> Volume:
    folder = path / dataset
    require_inside(folder, path, path.name)
    if n5.is_array(folder):
        above = n5.read_attributes(folder.parent) if dataset else {}
        return _plain_n5(path, folder, above, stem_of(dataset or path.name), channel)
    scales = [scale for scale in folder.glob("s[0-9]*") if re.fullmatch(r"s\d{1,3}", scale.name)]
    scales = [scale for scale in scales if path_exists(scale / "attributes.json")]
    scales.sort(key=lambda scale: int(scale.name[1:]))
    if scales:
        return _n5_pyramid(path, folder, scales, stem_of(dataset or path.name), channel)
    inside = _n5_arrays(path)
    if len(inside) == 1 and not dataset:
        return _open_n5(path, inside[0], channel)
    place = f"{path.name}/{dataset}" if dataset else path.name
    raise choice_error(f"'{place}' is not an N5 array", inside)


def _block_inside(container: Path, path: Path) -> bytes | None:
    require_inside(path, container, container.name)
    return n5.read_file(path)


def _n5_arrays(path: Path) -> list[str]:
    """Return the arrays of a container, place the levels s0, s1, … count as one."""
    arrays: set[str] = set()
    for depth in ("*", "*/*", "*/*/*"):
        for number, folder in enumerate(path.glob(depth)):
            check_time(f"{number} files and folders")
            if len(arrays) >= MAX_MEMBERS:
                return sorted(arrays)
            if _is_n5_array(folder):
                is_level = re.fullmatch(r"s\d+", folder.name) and path_exists(folder.parent / "s0")
                whole = folder.parent if is_level and folder.parent != path else folder
                arrays.add(whole.relative_to(path).as_posix())
    return sorted(arrays)


def _is_n5_array(folder: Path) -> bool:
    try:
        return n5.is_array(folder)
    except DataError:  # a damaged one costs only itself
        return False


def _n5_pyramid(path: Path, folder: Path, scales: list[Path], name: str, channel: int) -> Volume:
    """Return the levels s0, s1, … whose voxels are whole multiples of those of s0."""
    group = n5.read_attributes(folder)
    first = _plain_n5(path, scales[0], group, name, channel)
    levels, notes = [first.finest], first.assumptions
    for number, scale in enumerate(scales[1:], start=1):
        try:
            with reading_errors(f"{path.name}/{scale.name}"):
                level = _plain_n5(path, scale, group, name, channel).finest
                step = step_of(level, number, first.finest, group)
                middle = tuple((k - 1) / 2 for k in step)
                place = first.finest.transform.at(middle, step)
                levels.append(Level(level.array, place, level.fixed))
        except DataError as error:
            notes = (*notes, unread_level(error))
    return Volume(tuple(levels), name, first.unit, path, first.n_channels, notes)


def _plain_n5(
    path: Path, folder: Path, outer: Mapping[str, Any], name: str, channel: int
) -> Volume:
    array = n5.N5Array(folder, partial(_block_inside, path))
    return plain_volume(array, {**outer, **array.attributes}, name, path, channel, True)


def _open_hdf5(path: Path, dataset: str, channel: int) -> Volume:
    array, attributes, dataset = open_hdf5(path, dataset)
    volume = plain_volume(array, attributes, stem_of(dataset), path, channel)
    if len(attributes) < MAX_ATTRIBUTES:
        return volume
    note = Assumption(
        "voxel size",
        f"Only {MAX_ATTRIBUTES} attributes of '{path.name}' are read. If the voxel size is among "
        "the others, give it (--voxel-size).",
    )
    return replace(volume, assumptions=(*volume.assumptions, note))
