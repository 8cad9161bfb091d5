"""Neuroglancer links: the images and points that one shows, and a link to a point.

A link is a web address whose part behind ``#!`` is the state of the viewer as JSON, or the address
of a file with that state (https://github.com/google/neuroglancer, the documentation of its JSON
state).
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

import numpy as np
from numpy.typing import NDArray

from napari_quac.data.remote.access import read_description
from napari_quac.data.remote.address import Address, is_address
from napari_quac.errors import DataError, shorten
from napari_quac.reading import parse_json, reading_errors

VIEWER = "https://neuroglancer-demo.appspot.com"
_NM = {"m": 1e9, "": 1.0}
_POINTS = {"point": ("point",), "line": ("pointA", "pointB"), "ellipsoid": ("center",),
           "axis_aligned_bounding_box": ("pointA", "pointB")}  # fmt: skip
"""Fields with positions, by the type of an annotation."""


@dataclass(frozen=True, eq=False)
class AnnotationLayer:
    """Points that a link contains.

    Attributes
    ----------
    name : str
        Of the layer.
    positions : (N, 3) ndarray
        In nm, along z, y, x. A line or a box has its first end here.
    ends : (N, 3) ndarray
        The second end of lines; the position itself for points.
    ids : tuple of str
        Of the annotations; their numbers where they have none.
    descriptions : tuple of str
        Their texts; empty for none.
    """

    name: str
    positions: NDArray[np.float64]
    ends: NDArray[np.float64]
    ids: tuple[str, ...]
    descriptions: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class ImageLayer:
    """An image that a link shows.

    Attributes
    ----------
    name : str
        Of the layer.
    address : Address or None
        None if the image cannot be read.
    problem : str
        Why not; empty if it can.
    """

    name: str
    address: Address | None
    problem: str = ""


@dataclass(frozen=True, eq=False)
class Link:
    """Images, points and place of a link.

    Attributes
    ----------
    images : tuple of ImageLayer
    annotations : tuple of AnnotationLayer
    others : tuple of str
        Names of layers that are neither, such as segmentations.
    position : (3,) ndarray or None
        The place in the middle of the view, in nm along z, y, x.
    """

    images: tuple[ImageLayer, ...]
    annotations: tuple[AnnotationLayer, ...] = ()
    others: tuple[str, ...] = ()
    position: NDArray[np.float64] | None = None


def is_link(text: str) -> bool:
    """Tell a link or the JSON of a state from an address or a path."""
    return "#!" in text or text.lstrip().startswith("{")


def state_address(text: str) -> list[Address]:
    """Return the address of the file with the state, if a link names one."""
    place = unquote(text.strip().partition("#!")[2])
    return [Address(place)] if is_address(place) and not place.startswith("middleauth+") else []


def read_link(text: str) -> Link:
    """Read a Neuroglancer link, its JSON, or the address of a volume.

    Parameters
    ----------
    text : str
        As it was copied.

    Raises
    ------
    HostError
        If the state is on a machine that the user has not agreed to contact.
    DataError
        If it is none of them.
    """
    text = text.strip()
    state = _state_in(text)
    if state is None:
        address = Address(text)
        return Link((ImageLayer(address.name, address),))
    with reading_errors("the link", "Copy it again."):
        return _link_of(state)


def _state_in(text: str) -> Mapping[str, Any] | None:
    """Return the state in a link or JSON; None for the address of a volume."""
    _, mark, fragment = text.partition("#!")
    if text.startswith("{"):
        fragment = text
    elif not mark:
        return None
    fragment = fragment if fragment.startswith("{") else unquote(fragment)
    if not fragment.startswith("{"):
        if not is_address(fragment):
            raise DataError(f"'{shorten(fragment)}' behind '#!' is no state. Copy the link again.")
        if fragment.startswith("middleauth+"):
            raise DataError(
                "The state of this link needs a sign-in. Open it in the browser, choose {} at the "
                "top (Edit JSON state), and paste the text instead."
            )
        folder, _, name = fragment.rpartition("/")
        state = read_description(Address(folder), name)
        if state is None:
            raise DataError(f"There is no state at '{fragment}'. Copy the link again.")
    else:
        try:
            state = parse_json(fragment)
        except ValueError as error:
            raise DataError(
                f"The state of the link is incomplete ({error}). Copy it again."
            ) from error
    if not isinstance(state, Mapping):
        raise DataError("The state of the link is not that of Neuroglancer. Copy it again.")
    return state


def _link_of(state: Mapping[str, Any]) -> Link:
    scales = _scales(state.get("dimensions")) or _voxel_sizes(state)
    images, annotations, others = [], [], []
    for name, layer in _layers(state):
        kind = layer.get("type", "")
        if kind == "annotation" and isinstance(layer.get("annotations"), list):
            annotations.append(_annotations(name, layer, scales))
        elif kind == "image" or (kind in ("", "auto", "new") and "source" in layer):
            images.append(_image(name, layer.get("source")))
        else:
            others.append(name)
    navigation = state.get("navigation")
    pose = navigation.get("pose", {}).get("position", {}) if isinstance(navigation, Mapping) else {}
    position = state.get("position", pose.get("voxelCoordinates"))
    center = None if position is None else _to_nm([position], scales)[0]
    return Link(tuple(images), tuple(annotations), tuple(others), center)


def _layers(state: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the layers with their names; the older form has a mapping of them."""
    layers = state.get("layers", ())
    if isinstance(layers, Mapping):
        layers = [{"name": name, **layer} for name, layer in layers.items()]
    for number, layer in enumerate(layers):
        if isinstance(layer, Mapping):
            yield str(layer.get("name", f"layer {number}")), layer


def _image(name: str, source: Any) -> ImageLayer:
    first = source[0] if isinstance(source, list) and source else source
    url = first.get("url") if isinstance(first, Mapping) else first
    if isinstance(url, Mapping):
        url = url.get("url")
    try:
        return ImageLayer(name, Address(str(url or "")))
    except DataError as error:
        return ImageLayer(name, None, str(error))


def _scales(dimensions: Any) -> dict[str, float]:
    """Return nm for each of the axes x, y, z, in the order of positions; empty if unknown."""
    if not isinstance(dimensions, Mapping):
        return {}
    scales = {}
    for axis, entry in dimensions.items():
        size, unit = entry if isinstance(entry, list) and len(entry) == 2 else (1.0, "?")
        scales[str(axis)] = float(size) * _NM.get(str(unit), math.nan)
    return scales


def _voxel_sizes(state: Mapping[str, Any]) -> dict[str, float]:
    """Return nm for each axis as states of before 2020 have them."""
    navigation = state.get("navigation")
    pose = navigation.get("pose", {}) if isinstance(navigation, Mapping) else {}
    sizes = pose.get("position", {}).get("voxelSize", state.get("voxelSize"))
    if isinstance(sizes, list) and len(sizes) == 3:
        return dict(zip("xyz", map(float, sizes), strict=True))
    return {}


def _to_nm(positions: Sequence[Any], scales: Mapping[str, float]) -> NDArray[np.float64]:
    """Return positions in nm along z, y, x; (N, 3).

    Raises
    ------
    DataError
        If the state has no size of voxels, or no three axes.
    """
    axes = list(scales)
    if not {"x", "y", "z"} <= set(axes):
        raise DataError(
            "The link does not give the size of its voxels (dimensions). Copy it again."
        )
    places = [axes.index(axis) for axis in "zyx"]
    values = np.array([[float(position[n]) for n in places] for position in positions], dtype=float)
    return np.asarray(values.reshape(-1, 3) * [scales[axis] for axis in "zyx"])


def _annotations(
    name: str, layer: Mapping[str, Any], scales: Mapping[str, float]
) -> AnnotationLayer:
    source = layer.get("source")
    source = source[0] if isinstance(source, list) and source else source
    transform = source.get("transform") if isinstance(source, Mapping) else None
    own = _scales(transform.get("outputDimensions")) if isinstance(transform, Mapping) else {}
    sizes = layer.get("voxelSize")
    if isinstance(sizes, list) and len(sizes) == 3:
        own = dict(zip("xyz", map(float, sizes), strict=True))
    first, last, ids, descriptions = [], [], [], []
    for number, entry in enumerate(layer["annotations"]):
        fields = [entry[key] for key in _POINTS.get(entry.get("type", "point"), ()) if key in entry]
        if not fields:
            continue
        first.append(fields[0])
        last.append(fields[-1])
        ids.append(str(entry.get("id", number)))
        descriptions.append(str(entry.get("description", "")))
    scales = own or scales
    return AnnotationLayer(
        name, _to_nm(first, scales), _to_nm(last, scales), tuple(ids), tuple(descriptions)
    )


def link_to(
    address: Address,
    voxel_nm: Sequence[float],
    position_nm: Sequence[float],
    points_nm: Sequence[Sequence[float]] = (),
    descriptions: Sequence[str] = (),
    viewer: str = VIEWER,
) -> str:
    """Return a Neuroglancer link to a place.

    Parameters
    ----------
    address : Address
        Of the image.
    voxel_nm : (z, y, x)
        Its voxel size in nm.
    position_nm : (z, y, x)
        The place that is shown, in nm.
    points_nm : sequence of (z, y, x), optional
        Points for a layer of annotations, in nm.
    descriptions : sequence of str, optional
        Their texts, such as predictions.
    viewer : str
        Web address of a Neuroglancer.

    Examples
    --------
    >>> link = link_to(Address("precomputed://gs://bucket/em"), (40, 4, 4), (400, 80, 40))
    >>> read_link(link).position
    array([400.,  80.,  40.])
    """
    sizes = dict(zip("xyz", reversed([float(size) for size in voxel_nm]), strict=True))

    def voxel(place: Sequence[float]) -> list[float]:
        values = zip(reversed(list(place)), sizes.values(), strict=True)
        return [round(float(nm) / size, 3) for nm, size in values]

    layers: list[dict[str, Any]] = [
        {"type": "image", "source": str(address), "name": address.name or "image"}
    ]
    if len(points_nm):
        annotations = [
            {"type": "point", "point": voxel(place), "id": str(number), "description": text}
            for number, (place, text) in enumerate(zip(points_nm, descriptions, strict=True))
        ]
        source = {"url": "local://annotations", "transform": {"outputDimensions": _si(sizes)}}
        layers.append({
            "type": "annotation", "source": source, "annotations": annotations,
            "name": "predictions",
        })  # fmt: skip
    state = {
        "dimensions": _si(sizes),
        "position": voxel(position_nm),
        "layers": layers,
        "layout": "xy",
    }
    return f"{viewer}/#!{quote(json.dumps(state, separators=(',', ':')))}"


def _si(sizes: Mapping[str, float]) -> dict[str, list[Any]]:
    return {axis: [size * 1e-9, "m"] for axis, size in sizes.items()}
