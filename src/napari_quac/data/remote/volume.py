"""Open a volume on another machine: its description is read at once, voxels when they are needed.

Precomputed volumes, N5 and zarr of both versions, plain or OME-Zarr.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from napari_quac.data.assumptions import Assumption
from napari_quac.data.place import Transform
from napari_quac.data.remote.access import read_description
from napari_quac.data.remote.address import Address
from napari_quac.data.remote.array import DTYPES, RemoteArray
from napari_quac.data.remote.listing import list_names
from napari_quac.data.volume import Level, Volume, check_channel
from napari_quac.data.volume_layout import (
    choice_error,
    plain_volume,
    stem_of,
    step_of,
    unread_level,
    volume_from_zarr,
)
from napari_quac.errors import DataError
from napari_quac.reading import reading_errors

MAX_LEVELS = 20
MISSING_BLOCKS = Assumption(
    "missing blocks",
    "Blocks of the volume that are not stored are read as 0; a patch without any stored block is "
    "refused.",
)
JPEG = Assumption(
    "image range",
    "The voxels of this copy are JPEG: their gray values differ from those of the microscope.",
)


def open_remote(address: Address, dataset: str = "", channel: int = 0) -> Volume:
    """Open a volume on another machine.

    Parameters
    ----------
    address : Address
        Of the volume, or of the container that holds it.
    dataset : str
        Array or group below the address; empty for the address itself.
    channel : int
        Index of the channel.

    Raises
    ------
    HostError
        If the user has not agreed to contact the machine.
    DataError
        If there is no such volume, or it cannot be reached.
    """
    place = address.at(dataset) if dataset else address
    with reading_errors(str(address)):
        for kind, name, opener in (
            ("precomputed", "info", _precomputed),
            ("zarr", "zarr.json", _zarr_3),
            ("zarr", ".zarray", _zarr_2_array),
            ("zarr", ".zattrs", _zarr_2_group),
            ("n5", "attributes.json", _n5),
        ):
            if place.kind not in ("", kind):
                continue
            description = read_description(place, name)
            if description is None:
                continue
            if not isinstance(description, dict):
                raise DataError(f"'{place.at(name)}' is no description of a volume.")
            volume = opener(place.of_kind(kind), description, channel)
            content = json.dumps(description, sort_keys=True).encode()
            return replace(
                volume,
                assumptions=(*volume.assumptions, MISSING_BLOCKS),
                metadata_sha256=hashlib.sha256(content).hexdigest(),
            )
    raise DataError(_nothing_there(place))


def _nothing_there(place: Address) -> str:
    kind = f"{place.kind} volume" if place.kind else "volume"
    names = list_names(place)
    if names:
        return f"'{place}' is not a {kind}: this folder holds {', '.join(names)}. Choose one."
    return f"There is no {kind} at '{place}'. Check the address: it is that of a folder."


def _precomputed(address: Address, info: Mapping[str, Any], channel: int) -> Volume:
    """Return the scales of a precomputed volume; their sizes come from its description."""
    if info.get("type") == "segmentation":
        raise DataError(f"'{address}' is a segmentation, not an image. Choose the image.")
    if not isinstance(info.get("scales"), list) or not info["scales"]:
        raise DataError(f"'{address}' is described by 'info' as {info.get('@type')}, not an image.")
    kind, n_channels = info.get("data_type"), info.get("num_channels", 1)
    if kind not in DTYPES or type(n_channels) is not int:
        raise DataError(f"'{address}' holds values of the type {kind}, which are no image.")
    check_channel(channel, n_channels, address.name)
    scales = [_Scale(number, entry) for number, entry in enumerate(info["scales"])]
    scales.sort(key=lambda scale: math.prod(scale.resolution))
    levels = []
    for scale in scales:
        shape, chunks = (n_channels, *scale.shape), (1, *scale.chunks)
        spec = {"driver": "neuroglancer_precomputed", "scale_index": scale.number}
        array = RemoteArray(address, spec, shape, chunks, kind, is_reversed=True)
        place = scale.translate(scales[0].resolution)
        levels.append(Level(array, Transform(scale.resolution, place), (channel,)))
    notes = (JPEG,) if any(scale.encoding == "jpeg" for scale in scales) else ()
    return Volume(tuple(levels), address.name, "nm", address, n_channels, notes)


class _Scale:
    """A resolution of a precomputed volume; all triples from z to x."""

    def __init__(self, number: int, entry: Mapping[str, Any]) -> None:
        self.number = number
        self.shape = _triple(entry["size"])
        self.resolution = tuple(map(float, _triple(entry["resolution"])))
        self.offset = _triple(entry.get("voxel_offset", [0, 0, 0]))
        self.chunks = _triple(entry["chunk_sizes"][0])
        self.encoding = entry.get("encoding", "raw")
        if min(*self.shape, *self.chunks, *self.resolution) <= 0:
            raise ValueError(f"resolution {number} has sizes that are not positive")

    def translate(self, finest: Sequence[float]) -> tuple[float, ...]:
        """Return the world position of the center of its first voxel."""
        return tuple(
            offset * size + (size - smallest) / 2
            for offset, size, smallest in zip(self.offset, self.resolution, finest, strict=True)
        )


def _triple(numbers: Any) -> tuple[Any, ...]:
    is_triple = isinstance(numbers, list) and len(numbers) == 3
    if not is_triple or not all(type(n) in (int, float) and math.isfinite(n) for n in numbers):
        raise ValueError(f"{numbers!r} are not three numbers")
    return tuple(reversed(numbers))


class _Group:
    """A group of zarr on another machine, as the functions of local ones use it."""

    def __init__(self, address: Address, attributes: Mapping[str, Any]) -> None:
        self.address, self.attrs = address, attributes

    def __getitem__(self, name: str) -> Any:
        place = self.address.at(name)
        description = read_description(place, "zarr.json")
        if description is not None:
            if description.get("node_type") == "group":
                return _Group(place, description.get("attributes") or {})
            return _array_3(place, description)
        description = read_description(place, ".zarray")
        if description is not None:
            return _array_2(place, description)
        attributes = read_description(place, ".zattrs")
        if attributes is None:
            raise KeyError(name)
        return _Group(place, attributes)

    def _members(self) -> Iterator[tuple[str, Any]]:
        for name in list_names(self.address):
            try:
                yield name, self[name]
            except KeyError:
                continue

    def groups(self) -> Iterator[tuple[str, Any]]:
        """Yield the groups, where the machine can list them."""
        return ((name, node) for name, node in self._members() if not hasattr(node, "shape"))

    def arrays(self) -> Iterator[tuple[str, Any]]:
        """Yield the arrays, where the machine can list them."""
        return ((name, node) for name, node in self._members() if hasattr(node, "shape"))


def _zarr_3(address: Address, description: Mapping[str, Any], channel: int) -> Volume:
    is_group = description.get("node_type") == "group"
    attributes = description.get("attributes") or {}
    node = _Group(address, attributes) if is_group else _array_3(address, description)
    return volume_from_zarr(node, address, address.name, channel)


def _zarr_2_array(address: Address, description: Mapping[str, Any], channel: int) -> Volume:
    array = _array_2(address, description)
    array.attrs = read_description(address, ".zattrs") or {}
    return volume_from_zarr(array, address, address.name, channel)


def _zarr_2_group(address: Address, attributes: Mapping[str, Any], channel: int) -> Volume:
    return volume_from_zarr(_Group(address, attributes), address, address.name, channel)


def _array_2(address: Address, description: Mapping[str, Any]) -> RemoteArray:
    shape, chunks = description["shape"], description["chunks"]
    return RemoteArray(address, {"driver": "zarr"}, shape, chunks, description["dtype"])


def _array_3(address: Address, description: Mapping[str, Any]) -> RemoteArray:
    grid = description["chunk_grid"]["configuration"]["chunk_shape"]
    for codec in description.get("codecs", []):
        if codec.get("name") == "sharding_indexed":
            grid = codec["configuration"]["chunk_shape"]
    array = RemoteArray(
        address, {"driver": "zarr3"}, description["shape"], grid, description["data_type"]
    )
    array.attrs = description.get("attributes") or {}
    return array


def _n5(address: Address, attributes: Mapping[str, Any], channel: int) -> Volume:
    """Return an array of N5, or the levels s0, s1, … of a group."""
    if "dimensions" in attributes:
        return _n5_array(address, attributes, {}, channel)
    descriptions = []
    for number in range(MAX_LEVELS):
        entry = read_description(address.at(f"s{number}"), "attributes.json")
        if not isinstance(entry, dict) or "dimensions" not in entry:
            break
        descriptions.append(entry)
    if not descriptions:
        raise choice_error(f"'{address}' is not an N5 array", list_names(address))
    first = _n5_array(address.at("s0"), descriptions[0], attributes, channel)
    levels, notes = [first.finest], first.assumptions
    for number, entry in enumerate(descriptions[1:], start=1):
        try:
            with reading_errors(f"{address}/s{number}"):
                place = address.at(f"s{number}")
                level = _n5_array(place, entry, attributes, channel).finest
                step = step_of(level, number, first.finest, attributes)
                middle = tuple((k - 1) / 2 for k in step)
                levels.append(
                    Level(level.array, first.finest.transform.at(middle, step), level.fixed)
                )
        except DataError as error:
            notes = (*notes, unread_level(error))
    name = stem_of(address.name)
    return Volume(tuple(levels), name, first.unit, address, first.n_channels, notes)


def _n5_array(
    address: Address, own: Mapping[str, Any], outer: Mapping[str, Any], channel: int
) -> Volume:
    shape, chunks = reversed(own["dimensions"]), reversed(own["blockSize"])
    array = RemoteArray(
        address, {"driver": "n5"}, tuple(shape), tuple(chunks), own["dataType"], is_reversed=True
    )
    array.attributes = dict(own)
    name = stem_of(address.name)
    return plain_volume(array, {**outer, **own}, name, address, channel, True)
