"""States as Neuroglancer, nglui, CAVE, neuPrint and CATMAID users' tools write them.

Shapes follow the public code of Neuroglancer (its tests of the state of layers, and the encoding of
its links), of nglui and of CAVE; names and numbers are our own.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest

pytest.importorskip("tensorstore")

from napari_quac.data.remote.link import Link, is_link, read_link
from napari_quac.errors import DataError

EM = "precomputed://gs://bucket/em"
FLY = {"x": [4e-9, "m"], "y": [4e-9, "m"], "z": [4e-8, "m"]}
POINT_NM = [[400.0, 80.0, 40.0]]
"""Of x, y, z = 10, 20, 10 voxels of 4, 4, 40 nm; along z, y, x."""


def points_of(link: Link) -> Any:
    (layer,) = link.annotations
    return layer


def state_of(annotations: dict[str, Any], image: Any = EM, **more: Any) -> dict[str, Any]:
    layers = [
        {"type": "image", "source": image, "tab": "source", "name": "em"},
        {"type": "annotation", "name": "synapses", **annotations},
    ]
    return {"dimensions": FLY, "position": [10.5, 20, 10], "layers": layers, **more}


NGLUI = {
    "source": {"url": "local://annotations", "transform": {"outputDimensions": FLY}},
    "tool": "annotatePoint",
    "annotationProperties": [
        {"id": "class", "type": "uint8", "enum_values": [0, 1], "enum_labels": ["ach", "gaba"]},
        {"id": "score", "type": "float32"},
    ],
    "annotations": [
        {"point": [10, 20, 10], "type": "point", "id": "a1", "description": "bouton",
         "segments": [["720575940600000001"], []], "props": [1, 0.5]},
    ],
    "linkedSegmentationLayer": {"pre": "cells"},
    "filterBySegmentation": ["pre"],
    "shader": "void main() { setColor(defaultColor()); }",
}  # fmt: skip


def test_nglui_states_keep_segments_and_properties() -> None:
    segmentation = {
        "type": "segmentation", "name": "cells", "segments": ["720575940600000001"],
        "source": [{"url": "graphene://middleauth+https://host/segmentation/table/x",
                    "subsources": {"default": True, "graph": True}},
                   "precomputed://middleauth+https://host/skeletons"],
    }  # fmt: skip
    state = state_of(NGLUI, [{"url": EM, "subsources": {"default": True}}])
    state["layers"].append(segmentation)
    state |= {"layout": "xy-3d", "selectedLayer": {"layer": "synapses", "visible": True},
              "crossSectionScale": 0.5, "projectionOrientation": [0, 0, 0, 1]}  # fmt: skip
    link = read_link(json.dumps(state, indent=2))
    layer = points_of(link)
    np.testing.assert_allclose(layer.positions, POINT_NM)
    assert link.images[0].address == EM
    assert link.others == ("cells",)
    assert layer.segments == ("720575940600000001",)
    assert layer.properties == {"class": ("gaba",), "score": ("0.5",)}
    assert layer.descriptions == ("bouton",)
    assert link.images[0].voxel_nm == (40.0, 4.0, 4.0)
    np.testing.assert_allclose(link.position, [400, 80, 42])


OLD = {
    "layers": {
        "em": {"type": "image", "source": EM},
        "synapses": {
            "type": "annotation", "voxelSize": [4, 4, 40], "tool": "annotatePoint",
            "annotationTags": [{"id": 1, "label": "pre, it's \"t-bar\""}, {"id": 2, "label": "b"}],
            "annotations": [{"point": [10, 20, 10], "type": "point", "id": "a1", "tagIds": [1, 2],
                             "segments": ["720575940600000001"], "description": "a_b & c"}],
        },
        "cells": {"type": "segmentation_with_graph", "source": "graphene://https://host/x"},
    },
    "navigation": {"pose": {"position": {"voxelSize": [4, 4, 40],
                                         "voxelCoordinates": [10, 20, 10]}}, "zoomFactor": 4},
    "layout": "xy",
}  # fmt: skip


def url_safe(value: Any) -> str:
    """Return JSON as links of Neuroglancer contained it: single quotes, ``_`` between entries."""
    if isinstance(value, dict):
        inside = "_".join(f"{url_safe(key)}:{url_safe(entry)}" for key, entry in value.items())
        return "{" + inside + "}"
    if isinstance(value, list):
        return "[" + "_".join(map(url_safe, value)) + "]"
    if isinstance(value, str):
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return json.dumps(value)


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(OLD),
        "https://host/#!" + quote(json.dumps(OLD)),
        "https://host/v/1/#!" + quote(json.dumps(OLD), safe="{}[]:,'\"/"),
        "https://host/#!" + json.dumps(OLD),
        "https://host/#!" + url_safe(OLD),
        "https://host/#!" + quote(url_safe(OLD), safe="{}[]:,'_"),
        "https://host/#!" + quote(quote(json.dumps(OLD))),
        "!" + quote(json.dumps(OLD)),
        "!" + json.dumps(OLD),
        "  https://host/#!" + quote(json.dumps(OLD)) + "\n",
        "https://host/#!+" + quote(json.dumps(OLD)),
    ],
    ids=["json", "quoted", "half quoted", "plain", "url-safe", "quoted url-safe", "twice",
         "fragment", "plain fragment", "blanks",
         "added"],
)  # fmt: skip
def test_old_states_are_read_in_every_encoding(text: str) -> None:
    assert is_link(text)
    link = read_link(text)
    layer = points_of(link)
    np.testing.assert_allclose(layer.positions, POINT_NM)
    np.testing.assert_allclose(link.position, POINT_NM[0])
    assert link.images[0].address == EM
    assert layer.descriptions == ('a_b & c, pre, it\'s "t-bar", b',)
    assert layer.segments == ("720575940600000001",)
    assert link.others == ("cells",)


@pytest.mark.parametrize(
    "layer",
    [
        {"type": "pointAnnotation", "points": [[10, 20, 10]]},
        {"type": "annotation", "points": [[10, 20, 10]]},
        {"annotations": [{"pointA": [10, 20, 10], "pointB": [11, 20, 10], "type": "line",
                          "id": "a"}]},
        {"annotations": [{"center": [10, 20, 10], "radii": [1, 1, 1], "type": "ellipsoid",
                          "id": "a"}, {"type": "collection", "id": "b", "entries": ["a"]}]},
        {"source": "local://annotations", "annotations": [{"point": [10, 20, 10]}]},
        {"source": [{"url": "local://annotations",
                     "transform": {"outputDimensions": {axis: [1, "nm"] for axis in "xyz"}}}],
         "annotations": [{"point": [40, 80, 400], "type": "point", "id": "a", "props": []}]},
        {"source": {"url": "local://annotations", "transform": {
            "matrix": [[1, 0, 0, 10], [0, 1, 0, 20], [0, 0, 1, 10]], "outputDimensions": FLY}},
         "annotations": [{"point": [0, 0, 0], "type": "point", "id": "a", "segments": []}]},
        {"source": {"url": "local://annotations", "transform": {
            "inputDimensions": {"x": [8e-9, "m"], "y": [8e-9, "m"], "z": [4e-8, "m"]},
            "matrix": [[2, 0, 0, 0], [0, 2, 0, 0], [0, 0, 1, 0]], "outputDimensions": FLY}},
         "annotations": [{"point": [5, 10, 10], "type": "point", "id": "a"}]},
    ],
)  # fmt: skip
def test_annotations_are_placed_as_the_link_shows_them(layer: dict[str, Any]) -> None:
    np.testing.assert_allclose(
        points_of(read_link(json.dumps(state_of(layer)))).positions, POINT_NM
    )


IDENTITY = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]
COARSE = {"x": [8e-9, "m"], "y": [8e-9, "m"], "z": [4e-8, "m"]}


@pytest.mark.parametrize(
    ("transform", "place"),
    [
        (None, POINT_NM),
        ({"outputDimensions": FLY}, POINT_NM),
        ({"outputDimensions": {"c^": [1, ""]}, "inputDimensions": {"c'": [1, ""]}}, POINT_NM),
        ({"matrix": IDENTITY, "outputDimensions": FLY}, POINT_NM),
        # the volume is shifted by 3 voxels along x, so its own coordinates are smaller
        ({"matrix": [[1, 0, 0, 3], *IDENTITY[1:]], "outputDimensions": FLY}, [[400, 80, 28]]),
        # x is mirrored, as in FlyWire's space beside FAFB's
        ({"matrix": [[-1, 0, 0, 30], *IDENTITY[1:]], "outputDimensions": FLY}, [[400, 80, 80]]),
        # voxels of 8 nm are written as such, and placed where they are
        ({"matrix": [[2, 0, 0, 0], [0, 2, 0, 0], [0, 0, 1, 0]], "outputDimensions": FLY,
          "inputDimensions": COARSE}, POINT_NM),
        # voxels of 8 nm are shown as voxels of 4 nm
        ({"outputDimensions": FLY, "inputDimensions": COARSE}, [[400, 160, 80]]),
        # with a channel, as multichannel volumes have
        ({"matrix": [[1, 0, 0, 0, 3], [0, 1, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, 1, 0]],
          "outputDimensions": {**FLY, "c^": [1, ""]}}, [[400, 80, 28]]),
        # states of before 2020: nm, in a matrix with four rows
        ([[1, 0, 0, 12], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]], [[400, 80, 28]]),
    ],
)  # fmt: skip
def test_points_are_where_a_moved_image_has_them(transform: Any, place: Any) -> None:
    annotations = {"annotations": [{"point": [10, 20, 10], "type": "point", "id": "a"}]}
    source = {"url": EM, "transform": transform} if transform is not None else EM
    link = read_link(json.dumps(state_of(annotations, source)))
    address = link.images[0].address
    assert address is not None
    np.testing.assert_allclose(points_of(link.placed_in(address)).positions, place)
    np.testing.assert_allclose(points_of(link).positions, POINT_NM)


def test_axes_of_zarr_without_names_are_those_of_the_array() -> None:
    array = {"d0": [4e-8, "m"], "d1": [4e-9, "m"], "d2": [4e-9, "m"]}
    transform = {"matrix": [[0, 0, 1, 3], [0, 1, 0, 0], [1, 0, 0, 0]], "outputDimensions": FLY,
                 "inputDimensions": array}  # fmt: skip
    annotations = {"annotations": [{"point": [10, 20, 10], "type": "point", "id": "a"}]}
    source = {"url": "gs://bucket/em.zarr/|zarr2:", "transform": transform}
    link = read_link(json.dumps(state_of(annotations, source)))
    address = link.images[0].address
    assert address is not None
    assert link.images[0].voxel_nm == (40.0, 4.0, 4.0)
    np.testing.assert_allclose(points_of(link.placed_in(address)).positions, [[400, 80, 28]])


def test_the_first_source_that_can_be_read_is_used() -> None:
    sources = ["dvid://https://host/a/b", {"url": "middleauth+https://host/em"}, {"url": EM}]
    link = read_link(json.dumps(state_of(NGLUI, sources)))
    assert link.images[0].address == EM


def test_states_of_neuprint_and_catmaid_name_what_is_not_read() -> None:
    """The image is precomputed; bodies and synapses come from services that are not read."""
    eight = {axis: [8e-9, "m"] for axis in "xyz"}
    layers = [
        {"name": "emdata", "type": "image", "source": {"url": f"{EM}/clahe_yz/jpeg"},
         "shader": "#uicontrol invlerp normalized\nvoid main() { emitGrayscale(normalized()); }"},
        {"name": "segmentation", "type": "segmentation", "segments": ["1234"], "source": {
            "url": "dvid://https://host/uuid/segmentation?dvid-service=https://host",
            "subsources": {"default": True, "meshes": True}, "enableDefaultSubsources": False}},
        {"name": "synapses", "type": "annotation",
         "source": "dvid://https://host/uuid/synapses?usertag=true"},
        {"name": "skeletons", "type": "segmentation", "source": "catmaid://https://host/1"},
        {"name": "connectors", "type": "annotation", "source": "catmaid://https://host/1",
         "tab": "annotations"},
        {"name": "annotations", "type": "annotation", "source": {"url": "local://annotations",
         "transform": {"outputDimensions": eight}},
         "annotations": [{"point": [5, 10, 50], "type": "point", "id": "1f", "prop": {}}]},
    ]  # fmt: skip
    link = read_link(json.dumps({"dimensions": eight, "layers": layers, "showSlices": False}))
    assert [str(image.address) for image in link.images] == [f"{EM}/clahe_yz/jpeg"]
    assert link.images[0].voxel_nm == (8.0, 8.0, 8.0)
    assert link.others == (
        "segmentation", "synapses (on a machine)", "skeletons", "connectors (on a machine)",
    )  # fmt: skip
    np.testing.assert_allclose(points_of(link).positions, [[400, 80, 40]])


def test_annotations_on_a_machine_are_named() -> None:
    state = state_of({"source": "precomputed://gs://bucket/synapses"})
    link = read_link(json.dumps(state))
    assert not link.annotations
    assert link.others == ("synapses (on a machine)",)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("https://host/#!middleauth+https://global.host/nglstate/api/v1/12", "needs a sign-in"),
        ("https://host/?json_url=https://global.host/nglstate/api/v1/12", "needs a sign-in"),
        ("https://host/?json_url=https%3A%2F%2Fglobal.host%2Fnglstate%2F12", "needs a sign-in"),
        ("https://host/#!https://global.host/nglstate/api/v1/12", "needs a sign-in"),
        ("https://host/#!%7B%22layers%22:%5B", "is incomplete"),
        ("https://host/#!{'layers':[}", "is incomplete"),
        ("https://host/#!+", "is no state"),
        (json.dumps(state_of({"annotations": [{"point": [1, 2]}]})), "."),
        (json.dumps(state_of({"annotations": [3]})), "."),
        (
            json.dumps(state_of({"annotations": [{"point": [1, 2, 3]}]})).replace("3]", "1e999]"),
            "not finite",
        ),
        (json.dumps(state_of({"annotationProperties": [{}], "annotations": []})), "."),
        (json.dumps(state_of({"annotations": [{"point": [1, 2, 3], "props": 4}]})), "."),
        (json.dumps({**state_of(NGLUI), "dimensions": {}, "position": [1, 2, 3]}), "voxels"),
        (json.dumps({**state_of(NGLUI), "dimensions": {"x": [0, "m"]}}), "voxels"),
    ],
)
def test_other_states_are_refused_in_a_sentence(text: str, part: str) -> None:
    with pytest.raises(DataError, match=part) as error:
        read_link(text)
    assert len(str(error.value)) < 300
    assert str(error.value).endswith(".")


@pytest.mark.parametrize(
    "transform",
    [
        {"matrix": [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]], "outputDimensions": FLY},
        {"matrix": [[1, 0], [0, 1]], "outputDimensions": FLY},
        {"matrix": "one", "outputDimensions": FLY},
        {"matrix": [[1, 0, 0, 0]] * 3, "outputDimensions": {"a": [1, ""], "b": [1, ""]}},
        [[1, 2], [3]],
        {"matrix": [[1, 0, 0, float("inf")], *IDENTITY[1:]], "outputDimensions": FLY},
    ],
)
def test_images_that_cannot_be_placed_say_why(transform: Any) -> None:
    state = state_of(NGLUI, {"url": EM, "transform": transform})
    (image,) = read_link(json.dumps(state)).images
    assert image.address is None
    assert image.problem.startswith("The image 'em' cannot be placed: ")
