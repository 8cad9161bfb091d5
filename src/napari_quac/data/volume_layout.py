"""Volumes of open arrays and groups, with the place in the world that their metadata give."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from napari_quac.data.assumptions import Assumption
from napari_quac.data.links import require_numbers
from napari_quac.data.place import Transform
from napari_quac.data.remote.address import Address
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
from napari_quac.errors import DataError, SeveralArraysError
from napari_quac.large_files import check_time
from napari_quac.reading import is_regular_file, path_exists, read_bytes, reading_errors

MAX_CHOICES = 20
MAX_MEMBERS = 1000
"""Arrays and groups in a group; a volume in a larger one has to be named."""
MAX_CHANNELS = 4
"""A last axis of at most this length holds channels rather than pixels."""


def plain_volume(
    array: Any,
    attributes: Mapping[str, Any],
    name: str,
    path: Path | Address,
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


def volume_of_array(
    array: Any, parent: Any, name: str, path: Path | Address, place: str, channel: int,
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
                return Volume((ome_level,), stem_of(place), ome.unit, path, n_channels, notes)
    attributes = {**(outer or {}), **attributes, **dict(array.attrs)}
    return plain_volume(array, attributes, stem_of(place), path, channel)


def volume_from_zarr(
    node: Any, path: Path | Address | None, place: str, channel: int = 0
) -> Volume:
    """Return an open zarr array, or a group with an OME-Zarr image, as a volume."""
    if hasattr(node, "shape"):
        return plain_volume(node, dict(node.attrs), stem_of(place), path or Path(place), channel)
    ome = read_ome(dict(node.attrs), place)
    if ome is not None:
        levels = [_ome_level(node, ome, 0, channel, place)]
        name, notes = ome.name.strip("/") or stem_of(place), _ome_notes(node, ome)
        for number in range(1, len(ome.levels)):
            try:
                levels.append(_ome_level(node, ome, number, channel, place))
            except DataError as error:
                notes = (*notes, unread_level(error))
        return Volume(tuple(levels), name, ome.unit, path, _n_channels(node, ome), notes)
    fields = list_fields(node)
    if fields is not None and len(fields) != 1:
        raise choice_error(f"'{place}' is a plate or well with {len(fields)} fields", fields)
    if fields:
        return volume_from_zarr(node[fields[0]], path, f"{place}/{fields[0]}", channel)
    _refuse_many_members(node, path, place)
    images = _zarr_images(node)
    if len(images) == 1:
        return volume_from_zarr(node[images[0]], path, f"{place}/{images[0]}", channel)
    names = [name for name, _ in node.arrays()]
    if len(names) == 1 and not images:
        return volume_of_array(node[names[0]], node, names[0], path or Path(place), place, channel)
    inside = images or names or (zarr_arrays(path) if isinstance(path, Path) else [])
    kind = "images" if images else "arrays and no OME-Zarr image"
    raise choice_error(f"'{place}' holds {len(inside)} {kind}", inside)


def _zarr_images(group: Any, depth: int = 2) -> list[str]:
    """Return the OME-Zarr images below a group, without labels."""
    images: list[str] = []
    for name, inner in group.groups():
        check_time(f"{len(images)} images")
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


def unread_level(error: DataError) -> Assumption:
    """Return the note that one resolution is not used."""
    return Assumption("resolution", f"One resolution of the volume is not used. {error}")


def step_of(
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


def choice_error(problem: str, names: list[str]) -> SeveralArraysError:
    """Return an error that names the arrays to choose from."""
    choices = ", ".join(names[:MAX_CHOICES]) or "none"
    return SeveralArraysError(f"{problem}. Name one as dataset: {choices}.", names)


def stem_of(name: str) -> str:
    """Return the last part of a path without the ending of a container, for display."""
    last = name.rstrip("/").rsplit("/", 1)[-1]
    for ending in (".ome.zarr", ".zarr", ".n5"):
        last = last.removesuffix(ending)
    return last or "volume"


def _refuse_many_members(group: Any, path: Path | Address | None, place: str) -> None:
    """Refuse a group of more than a thousand files and folders, which takes long to list."""
    if not isinstance(path, Path):
        return
    try:
        with os.scandir(path / str(group.path)) as entries:
            n_members = sum(1 for _ in islice(entries, MAX_MEMBERS + 1))
    except OSError:  # such as a group in an archive
        return
    if n_members > MAX_MEMBERS:
        raise choice_error(f"'{place}' holds more than {MAX_MEMBERS} arrays", zarr_arrays(path))


def zarr_arrays(path: Path) -> list[str]:
    """Return the arrays in a folder, at most twenty, down to the third level."""
    arrays: list[str] = []
    for depth in ("*", "*/*", "*/*/*"):
        if len(arrays) >= MAX_CHOICES:
            break
        for folder in sorted(path.glob(depth)):
            check_time(f"{len(arrays)} arrays")
            if len(arrays) >= MAX_CHOICES:
                break
            metadata = folder / "zarr.json"
            if path_exists(folder / ".zarray") or (
                is_regular_file(metadata) and b'"array"' in read_bytes(metadata)
            ):
                arrays.append(folder.relative_to(path).as_posix())
    return arrays
