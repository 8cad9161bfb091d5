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
from napari_quac.data.file_names import path_exists
from napari_quac.data.hdf5_file import open_hdf5
from napari_quac.data.links import local_store, require_inside, require_numbers
from napari_quac.data.npy_file import open_npy
from napari_quac.data.place import Transform
from napari_quac.data.tiff_volume import open_tiff
from napari_quac.data.volume import Level, Volume, check_channel
from napari_quac.data.volume_metadata import (
    FIRST_TIME,
    NO_VOXEL_SIZE,
    Grid,
    OmeImage,
    list_fields,
    read_axis_types,
    read_grid,
    read_ome,
)
from napari_quac.errors import DataError, QuacError, SeveralArraysError, one_line
from napari_quac.reading import (
    check_regular_file,
    is_folder,
    is_regular_file,
    read_bytes,
    reading_errors,
)

HDF5_SUFFIXES = frozenset({".h5", ".hdf5", ".hdf", ".he5"})
TIFF_SUFFIXES = frozenset({".tif", ".tiff"})
MAX_CHUNK = 1 << 30  # bytes
MAX_CHANNELS = 4
"""A last axis of at most this length holds channels rather than pixels."""
VOLUME_ENDINGS = ".zarr, .n5, .h5, .hdf5, .tif, .tiff, .npy"


def open_volume(
    path: str | Path,
    dataset: str = "",
    channel: int = 0,
    voxel_size: Sequence[float] | None = None,
    unit: str | None = None,
) -> Volume:
    """Open a volume, whose voxels are read on demand.

    Parameters
    ----------
    path : path
        A zarr (version 2 or 3, plain or OME-Zarr), N5, HDF5, TIFF or npy file or folder; the name
        of an array inside may follow, as in ``"em.h5/volumes/raw"``.
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
    path, inside = _split(Path(path).expanduser())
    with reading_errors(path.name):
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
        volume = _plain(stack.array, {}, path.stem, path, 0, grid=stack.grid)
        notes = (*stack.assumptions, *volume.assumptions)
        volume = replace(volume, n_channels=stack.n_channels, assumptions=notes)
    elif suffix == ".npy":
        volume = _plain(open_npy(path, "buif"), {}, path.stem, path, channel)
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


def _plain(
    array: Any,
    attributes: Mapping[str, Any],
    name: str,
    path: Path,
    channel: int,
    fastest_first: bool = False,
    grid: Grid | None = None,
) -> Volume:
    """Return the volume of an array without OME metadata; four axes mean channels first."""
    require_numbers(array, name)
    n_axes = len(array.shape)
    if n_axes == 4 and array.shape[-1] <= MAX_CHANNELS < array.shape[0]:
        raise DataError(
            f"'{name}' has shape {array.shape}, apparently with the channels last. Move them."
        )
    if n_axes not in (2, 3, 4) and not read_axis_types(attributes, n_axes, name):
        raise DataError(
            f"'{name}' has {n_axes} axes, but a volume has three (Z, Y, X), or four with channels."
        )
    types = read_axis_types(attributes, n_axes, name)
    if not types:
        types = ["channel"] * (n_axes == 4) + ["space"] * min(3, n_axes)
    fixed = [0] * (n_axes - types.count("space"))
    if types.count("channel") > 1:
        raise DataError(f"'{name}' has several axes of channels. Write it with one.")
    n_channels = 1
    if "channel" in types:
        n_channels = int(array.shape[types.index("channel")])
        check_channel(channel, n_channels, name)
        fixed[types.index("channel")] = channel
    n_spatial = types.count("space")
    for n_grid_axes in (n_spatial, n_axes):
        grid = grid or read_grid(attributes, n_grid_axes, fastest_first)
    notes = grid.assumptions if grid is not None else ()
    grid = grid or Grid((1.0,) * n_spatial, (0.0,) * n_spatial, None)
    if grid.unit is None:
        notes = (*notes, NO_VOXEL_SIZE)
    if "time" in types and array.shape[types.index("time")] > 1:
        notes = (*notes, FIRST_TIME)
    transform = Transform(grid.scale[-n_spatial:], grid.translate[-n_spatial:])
    level = Level(array, transform, tuple(fixed))
    return Volume((level,), name, grid.unit, path, n_channels, notes)


def _open_zarr(path: Path, dataset: str, channel: int) -> Volume:
    import zarr

    place = f"{path.name}/{dataset}" if dataset else path.name
    try:
        root: Any = zarr.open(local_store(path), mode="r")
        node: Any = root[dataset] if dataset else root
    except QuacError:
        raise
    except Exception as error:
        inside = _zarr_arrays(path)
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
    return _zarr_array(node, parent, last or path.name, path, place, channel, outer)


def _group_above(path: Path) -> Any:
    """Return the group that contains a folder, if there is one."""
    import zarr

    if not any(path_exists(path.parent / name) for name in (".zgroup", ".zattrs", "zarr.json")):
        return None
    return zarr.open_group(local_store(path.parent), mode="r")


def _attributes_above(path: Path) -> dict[str, Any]:
    """Return the attributes of all groups that contain a folder; the nearest ones count."""
    group = _group_above(path)
    return {} if group is None else {**_attributes_above(path.parent), **dict(group.attrs)}


def _zarr_array(
    array: Any, parent: Any, name: str, path: Path, place: str, channel: int,
    outer: Mapping[str, Any] | None = None,
) -> Volume:  # fmt: skip
    """Return an array as a volume, with the metadata of its groups."""
    attributes = {} if parent is None else dict(parent.attrs)
    ome = read_ome(attributes, place)
    if ome is not None:
        for number, level in enumerate(ome.levels):
            if level.path.strip("/") == name:
                ome_level = _ome_level(parent, ome, number, channel, place)
                n_channels = _n_channels(parent, ome)
                notes = _ome_notes(parent, ome)
                return Volume((ome_level,), _stem(place), ome.unit, path, n_channels, notes)
    attributes = {**(outer or {}), **attributes, **dict(array.attrs)}
    return _plain(array, attributes, _stem(place), path, channel)


def volume_from_zarr(node: Any, path: Path | None, place: str, channel: int = 0) -> Volume:
    """Return an open zarr array, or a group with an OME-Zarr image, as a volume."""
    if hasattr(node, "shape"):
        return _plain(node, dict(node.attrs), _stem(place), path or Path(place), channel)
    ome = read_ome(dict(node.attrs), place)
    if ome is not None:
        levels = [_ome_level(node, ome, 0, channel, place)]
        name, notes = ome.name.strip("/") or _stem(place), _ome_notes(node, ome)
        for number in range(1, len(ome.levels)):
            try:
                levels.append(_ome_level(node, ome, number, channel, place))
            except DataError as error:
                notes = (*notes, _unread_level(error))
        return Volume(tuple(levels), name, ome.unit, path, _n_channels(node, ome), notes)
    fields = list_fields(node)
    if fields is not None and len(fields) != 1:
        raise _choice_error(f"'{place}' is a plate or well with {len(fields)} fields", fields)
    if fields:
        return volume_from_zarr(node[fields[0]], path, f"{place}/{fields[0]}", channel)
    images = _zarr_images(node)
    if len(images) == 1:
        return volume_from_zarr(node[images[0]], path, f"{place}/{images[0]}", channel)
    names = [name for name, _ in node.arrays()]
    if len(names) == 1 and not images:
        return _zarr_array(node[names[0]], node, names[0], path or Path(place), place, channel)
    inside = images or names or (_zarr_arrays(path) if path else [])
    kind = "images" if images else "arrays and no OME-Zarr image"
    raise _choice_error(f"'{place}' holds {len(inside)} {kind}", inside)


def _zarr_images(group: Any, depth: int = 2) -> list[str]:
    """Return the OME-Zarr images below a group, without labels."""
    images = []
    for name, inner in group.groups():
        if name == "labels":
            continue
        attributes = dict(inner.attrs)
        if "multiscales" in attributes or "multiscales" in attributes.get("ome", {}):
            images.append(name)
        elif depth > 1:
            images += [f"{name}/{below}" for below in _zarr_images(inner, depth - 1)]
    return sorted(images)


def _n_channels(group: Any, ome: OmeImage) -> int:
    if ome.channel_axis is None:
        return 1
    return int(group[ome.levels[0].path].shape[ome.channel_axis])


def _ome_notes(group: Any, ome: OmeImage) -> tuple[Assumption, ...]:
    shape = group[ome.levels[0].path].shape
    n_outer = ome.n_axes - ome.n_spatial
    others = [n for axis, n in enumerate(shape[:n_outer]) if axis != ome.channel_axis]
    unknown = (NO_VOXEL_SIZE,) if ome.unit is None else ()
    return ((FIRST_TIME,) if any(n > 1 for n in others) else ()) + unknown


def _ome_level(group: Any, ome: OmeImage, number: int, channel: int, place: str) -> Level:
    entry = ome.levels[number]
    with reading_errors(f"{place}/{entry.path}"):
        try:
            array = group[entry.path]
        except KeyError as error:
            raise DataError(
                f"'{place}' lists the resolution '{entry.path}', which is missing. Copy it again."
            ) from error
        if len(array.shape) != ome.n_axes:
            raise ValueError(f"{len(array.shape)} axes, but its metadata describe {ome.n_axes}")
        require_numbers(array, f"{place}/{entry.path}")
    fixed = [0] * (ome.n_axes - ome.n_spatial)
    if ome.channel_axis is not None:
        check_channel(channel, array.shape[ome.channel_axis], place)
        fixed[ome.channel_axis] = channel
    return Level(array, Transform(entry.scale, entry.translate), tuple(fixed))


def _unread_level(error: DataError) -> Assumption:
    return Assumption("resolution", f"One resolution of the volume is not used. {error}")


def _zarr_arrays(path: Path) -> list[str]:
    arrays = []
    for depth in ("*", "*/*", "*/*/*"):
        for folder in sorted(path.glob(depth)):
            metadata = folder / "zarr.json"
            if path_exists(folder / ".zarray") or (
                is_regular_file(metadata) and b'"array"' in read_bytes(metadata)
            ):
                arrays.append(folder.relative_to(path).as_posix())
    return arrays[:20]


def _open_n5(path: Path, dataset: str, channel: int) -> Volume:
    folder = path / dataset
    require_inside(folder, path, path.name)
    if n5.is_array(folder):
        above = n5.read_attributes(folder.parent) if dataset else {}
        return _plain_n5(path, folder, above, _stem(dataset or path.name), channel)
    scales = [scale for scale in folder.glob("s[0-9]*") if re.fullmatch(r"s\d{1,3}", scale.name)]
    scales = [scale for scale in scales if path_exists(scale / "attributes.json")]
    scales.sort(key=lambda scale: int(scale.name[1:]))
    if scales:
        return _n5_pyramid(path, folder, scales, _stem(dataset or path.name), channel)
    inside = _n5_arrays(path)
    if len(inside) == 1 and not dataset:
        return _open_n5(path, inside[0], channel)
    place = f"{path.name}/{dataset}" if dataset else path.name
    raise _choice_error(f"'{place}' is not an N5 array", inside)


def _block_inside(container: Path, path: Path) -> bytes | None:
    require_inside(path, container, container.name)
    return n5.read_file(path)


def _n5_arrays(path: Path) -> list[str]:
    """Return the arrays of a container, place the levels s0, s1, … count as one."""
    arrays = set()
    for depth in ("*", "*/*", "*/*/*"):
        for folder in path.glob(depth):
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
                step = _step_of(level, number, first.finest, group)
                middle = tuple((k - 1) / 2 for k in step)
                place = first.finest.transform.at(middle, step)
                levels.append(Level(level.array, place, level.fixed))
        except DataError as error:
            notes = (*notes, _unread_level(error))
    return Volume(tuple(levels), name, first.unit, path, first.n_channels, notes)


def _plain_n5(
    path: Path, folder: Path, outer: Mapping[str, Any], name: str, channel: int
) -> Volume:
    array = n5.N5Array(folder, partial(_block_inside, path))
    return _plain(array, {**outer, **array.attributes}, name, path, channel, True)


def _step_of(
    level: Level, number: int, finest: Level, group: Mapping[str, Any]
) -> tuple[float, ...]:
    """Return how many voxels of the finest level are one of another level, along each axis."""
    factors, scales = level.array.attributes.get("downsamplingFactors"), group.get("scales")
    if factors is None and isinstance(scales, list) and number < len(scales):
        factors = scales[number]
    if factors is None:
        sides = zip(finest.shape, level.shape, strict=True)
        factors = [round(a / b) for a, b in sides][::-1]
    step = tuple(float(f) for f in reversed(factors))[-finest.transform.ndim :]
    if not all(0 < k < math.inf for k in step):
        raise ValueError(f"downsampling by {step}")
    return step


def _open_hdf5(path: Path, dataset: str, channel: int) -> Volume:
    array, attributes, dataset = open_hdf5(path, dataset)
    return _plain(array, attributes, _stem(dataset), path, channel)


def _choice_error(problem: str, names: list[str]) -> SeveralArraysError:
    choices = ", ".join(names[:20]) or "none"
    return SeveralArraysError(f"{problem}. Name one as dataset: {choices}.", names)


def _stem(name: str) -> str:
    last = name.rstrip("/").rsplit("/", 1)[-1]
    for ending in (".ome.zarr", ".zarr", ".n5"):
        last = last.removesuffix(ending)
    return last or "volume"
