"""Neuroglancer links: the images and points that one shows, and a link to a point.

A link is a web address whose part behind ``#!`` is the state of the viewer as JSON, or the address
of a file with that state (https://github.com/google/neuroglancer, the documentation of its JSON
state).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote, unquote

import numpy as np
from numpy.typing import NDArray

from napari_quac.data.remote.access import read_description
from napari_quac.data.remote.address import Address, is_address
from napari_quac.data.remote.link_space import (
    Placement,
    old_scales,
    placement_of,
    scales_of,
    to_nm,
    triple_scales,
)
from napari_quac.errors import DataError, shorten
from napari_quac.reading import parse_json, reading_errors

VIEWER = "https://neuroglancer-demo.appspot.com"
_POINTS = {"point": ("point",), "line": ("pointA", "pointB"), "ellipsoid": ("center",),
           "axis_aligned_bounding_box": ("pointA", "pointB")}  # fmt: skip
"""Fields with positions, by the type of an annotation."""
_STATE_FILE = re.compile(r"[?&]json_url=([^&#]+)")
_STRING = re.compile(r"""('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")""")


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
        Their texts and tags; empty for none.
    segments : tuple of str
        The first segment of each, such as its neuron; empty if none has one.
    properties : mapping of str to tuple of str
        Their further properties by name.
    """

    name: str
    positions: NDArray[np.float64]
    ends: NDArray[np.float64]
    ids: tuple[str, ...]
    descriptions: tuple[str, ...]
    segments: tuple[str, ...] = ()
    properties: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, eq=False)
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
    placement : Placement or None
        Where the link places it; None where it is.
    """

    name: str
    address: Address | None
    problem: str = ""
    placement: Placement | None = None

    @property
    def voxel_nm(self) -> tuple[float, ...] | None:
        """Voxel size along z, y, x as the link states it, or None."""
        return self.placement.voxel_nm if self.placement is not None else None


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

    def placed_in(self, address: Address) -> Link:
        """Return the link with points and position as an image has them, which it may move."""
        layers = [image for image in self.images if image.address == address]
        placement = layers[0].placement if layers else None
        if placement is None:
            return self
        moved = [
            replace(layer, positions=placement.to_source(layer.positions),
                    ends=placement.to_source(layer.ends))
            for layer in self.annotations
        ]  # fmt: skip
        position = None if self.position is None else placement.to_source(self.position)
        return replace(self, annotations=tuple(moved), position=position)


def is_link(text: str) -> bool:
    """Tell a link or the JSON of a state from an address or a path."""
    text = text.strip()
    return (
        "#!" in text or text.startswith(("{", "!{", "!%7B")) or _STATE_FILE.search(text) is not None
    )


def state_address(text: str) -> list[Address]:
    """Return the address of the file with the state, if a link names one."""
    place = _fragment(text) if is_link(text) else ""
    return [Address(place)] if is_address(place) and not _needs_sign_in(place) else []


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
    if not is_link(text):
        return None
    fragment = _fragment(text)
    if not fragment.startswith("{"):
        if not is_address(fragment):
            raise DataError(f"'{shorten(fragment)}' behind '#!' is no state. Copy the link again.")
        if _needs_sign_in(fragment):
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
            state = _parse_state(fragment)
        except ValueError as error:
            raise DataError(
                f"The state of the link is incomplete ({error}). Copy it again."
            ) from error
    if not isinstance(state, Mapping):
        raise DataError("The state of the link is not that of Neuroglancer. Copy it again.")
    return state


def _fragment(text: str) -> str:
    """Return the state, or the address of its file, in a link."""
    text = text.strip()
    if text.startswith("{"):
        return text
    file = _STATE_FILE.search(text)
    if "#!" in text:
        text = text.partition("#!")[2].removeprefix("+")
    elif text.startswith("!"):
        text = text[1:]
    elif file is not None:
        text = file[1]
    text = unquote(text)
    # mail programs encode what is encoded
    return text if text.startswith("{") or is_address(text) else unquote(text)


def _needs_sign_in(place: str) -> bool:
    """Tell whether a state is kept by a service of CAVE."""
    return place.startswith("middleauth+") or "/nglstate/" in place


def _parse_state(text: str) -> Any:
    """Return the value of JSON, or of the form that Neuroglancer writes into links.

    That form has single quotes, and ``_`` or ``&`` in place of commas.
    """
    try:
        return parse_json(text)
    except ValueError as error:
        first = error
    parts = _STRING.split(text)
    for number, part in enumerate(parts):
        if not number % 2:
            parts[number] = re.sub("[_&]", ",", part)
        elif part.startswith("'"):
            inside = part[1:-1].replace("\\'", "'")
            parts[number] = '"' + re.sub(r'(\\.)|"', lambda m: m[1] or '\\"', inside) + '"'
    try:
        return parse_json("".join(parts))
    except ValueError:
        raise first from None


def _link_of(state: Mapping[str, Any]) -> Link:
    scales = scales_of(state.get("dimensions")) or old_scales(state)
    images, annotations, others = [], [], []
    for name, layer in _layers(state):
        kind = layer.get("type", "")
        if kind in ("annotation", "pointAnnotation") and (
            isinstance(layer.get("annotations"), list) or isinstance(layer.get("points"), list)
        ):
            annotations.append(_annotations(name, layer, scales))
        elif kind == "image" or (kind in ("", "auto", "new") and "source" in layer):
            images.append(_image(name, layer, scales))
        else:
            others.append(f"{name} (on a machine)" if kind == "annotation" else name)
    navigation = state.get("navigation")
    pose = navigation.get("pose", {}).get("position", {}) if isinstance(navigation, Mapping) else {}
    position = state.get("position", pose.get("voxelCoordinates"))
    center = None if position is None else to_nm([position], scales)[0]
    return Link(tuple(images), tuple(annotations), tuple(others), center)


def _layers(state: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the layers with their names; the older form has a mapping of them."""
    layers = state.get("layers", ())
    if isinstance(layers, Mapping):
        layers = [{"name": name, **layer} for name, layer in layers.items()]
    for number, layer in enumerate(layers):
        if isinstance(layer, Mapping):
            yield str(layer.get("name", f"layer {number}")), layer


def _sources(layer: Mapping[str, Any]) -> list[Any]:
    """Return the sources of a layer: at least one, which may be None."""
    source = layer.get("source")
    sources = source if isinstance(source, list) else [source]
    return sources or [None]


def _image(name: str, layer: Mapping[str, Any], scales: Mapping[str, float]) -> ImageLayer:
    """Return the first source of a layer that can be read, or why the first one cannot."""
    problems = []
    for source in _sources(layer):
        url = source.get("url") if isinstance(source, Mapping) else source
        if isinstance(url, Mapping):
            url = url.get("url")
        transform = source.get("transform") if isinstance(source, Mapping) else None
        try:
            address = Address(str(url or ""))
        except DataError as error:
            problems.append(str(error))
            continue
        try:
            placement = placement_of(transform or layer.get("transform"), address.kind, scales)
        except (DataError, ValueError, TypeError, IndexError) as error:
            reason = error if isinstance(error, DataError) else "its matrix is damaged"
            problems.append(f"The image '{name}' cannot be placed: {reason}.")
            continue
        return ImageLayer(name, address, "", placement)
    return ImageLayer(name, None, problems[0])


def _annotations(
    name: str, layer: Mapping[str, Any], scales: Mapping[str, float]
) -> AnnotationLayer:
    source, properties = _sources(layer)[0], _properties(layer)
    transform = source.get("transform") if isinstance(source, Mapping) else None
    inner = triple_scales(layer.get("voxelSize"))
    if isinstance(transform, Mapping):
        own = scales_of(transform.get("inputDimensions"))
        inner = inner or own or scales_of(transform.get("outputDimensions"))
    tags = {tag.get("id"): str(tag.get("label", "")) for tag in layer.get("annotationTags", ())}
    entries = [{"point": place} for place in layer.get("points", ())]  # of before 2019
    first, last, ids, descriptions, segments = [], [], [], [], []
    columns: dict[str, list[str]] = {name: [] for name in properties}
    for number, entry in enumerate([*layer.get("annotations", ()), *entries]):
        fields = [entry[key] for key in _POINTS.get(entry.get("type", "point"), ()) if key in entry]
        if not fields:
            continue
        first.append(fields[0])
        last.append(fields[-1])
        ids.append(str(entry.get("id", number)))
        descriptions.append(_description(entry, tags))
        segments.append(_first_of(entry.get("segments")))
        values = [*entry.get("props", ()), *[""] * len(properties)]
        for (column, labels), value in zip(properties.items(), values, strict=False):
            columns[column].append(labels.get(value, str(value)))
    placement = placement_of(transform, "", inner or scales)
    first_nm, last_nm = (to_nm(places, inner or scales) for places in (first, last))
    return AnnotationLayer(
        name, placement.to_link(first_nm), placement.to_link(last_nm), tuple(ids),
        tuple(descriptions), tuple(segments) if any(segments) else (),
        {column: tuple(texts) for column, texts in columns.items()},
    )  # fmt: skip


def _description(entry: Mapping[str, Any], tags: Mapping[Any, str]) -> str:
    """Return the text of an annotation, and its tags."""
    texts = [str(entry.get("description") or "")]
    texts += [tags[tag] for tag in entry.get("tagIds", ()) if tag in tags]
    return ", ".join(filter(None, texts))


def _properties(layer: Mapping[str, Any]) -> dict[str, dict[Any, str]]:
    """Return the names of the properties of annotations, each with the names of its values."""
    properties = {}
    for entry in layer.get("annotationProperties", ()):
        pairs = zip(entry.get("enum_values", ()), entry.get("enum_labels", ()), strict=False)
        properties[str(entry["id"])] = {value: str(label) for value, label in pairs}
    return properties


def _first_of(segments: Any) -> str:
    """Return the first id of the segments of an annotation; layers may have a list each."""
    while isinstance(segments, list) and segments:
        segments = segments[0]
    return str(segments) if isinstance(segments, str | int) else ""


def link_to(
    address: Address,
    voxel_nm: Sequence[float],
    position_nm: Sequence[float],
    points_nm: Sequence[Sequence[float]] = (),
    descriptions: Sequence[str] = (),
    ids: Sequence[str] = (),
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
    ids : sequence of str, optional
        Their names, which have to differ; by default their numbers.
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
            {"type": "point", "point": voxel(place), "id": name, "description": text}
            for place, text, name in zip(
                points_nm,
                descriptions or [""] * len(points_nm),
                ids or map(str, range(len(points_nm))),
                strict=True,
            )
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
