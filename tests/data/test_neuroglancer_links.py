"""Links and states as Neuroglancer and the services around it write them."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest

pytest.importorskip("tensorstore")

from napari_quac.data.remote.address import Address
from napari_quac.data.remote.link import link_to, read_link
from napari_quac.errors import DataError
from served.server import serve

EM = "precomputed://gs://bucket/em"
STATE = {
    "dimensions": {"x": [4e-9, "m"], "y": [4e-9, "m"], "z": [4e-8, "m"]},
    "position": [100.5, 200, 30],
    "layers": [
        {"type": "image", "source": EM, "name": "em"},
        {"type": "segmentation", "source": "graphene://https://host/seg", "name": "cells"},
        {
            "type": "annotation",
            "name": "synapses",
            "source": {
                "url": "local://annotations",
                "transform": {
                    "outputDimensions": {"x": [1e-9, "m"], "y": [1e-9, "m"], "z": [1e-9, "m"]}
                },
            },
            "annotations": [
                {"type": "point", "point": [400, 800, 1200], "id": "a", "description": "ach"},
                {"type": "line", "pointA": [0, 0, 40], "pointB": [8, 4, 80], "id": "b"},
                {"type": "polyline", "points": [], "id": "c"},
            ],
        },
    ],
}


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(STATE),
        f"https://neuroglancer-demo.appspot.com/#!{quote(json.dumps(STATE))}",
        f"https://ngl.flywire.ai/#!{json.dumps(STATE)}",
        f"  https://host.org/v2/#!{quote(json.dumps(STATE))}\n",
    ],
)
def test_states_show_images_and_points(text: str) -> None:
    link = read_link(text)
    assert [(image.name, image.address) for image in link.images] == [("em", EM)]
    assert link.others == ("cells",)
    assert link.position is not None
    assert link.position.tolist() == [1200, 800, 402]
    (layer,) = link.annotations
    assert layer.positions.tolist() == [[1200, 800, 400], [40, 0, 0]]
    assert layer.ends.tolist() == [[1200, 800, 400], [80, 4, 8]]
    assert (layer.ids, layer.descriptions) == (("a", "b"), ("ach", ""))


def test_states_of_before_2020_are_read() -> None:
    pose = {"position": {"voxelSize": [8, 8, 8], "voxelCoordinates": [10, 20, 30]}}
    old = {
        "layers": {
            "em": {"type": "image", "source": "precomputed://https://host/em"},
            "pts": {
                "type": "annotation", "voxelSize": [4, 4, 40],
                "annotations": [{"point": [1, 2, 3]}],
            },
        },
        "navigation": {"pose": pose},
    }  # fmt: skip
    link = read_link(json.dumps(old))
    assert link.images[0].address == "precomputed://https://host/em"
    assert link.position is not None and link.position.tolist() == [240, 160, 80]
    assert link.annotations[0].positions.tolist() == [[120, 8, 4]]
    assert link.annotations[0].ids == ("0",)


def test_state_behind_an_address_is_fetched(tmp_path: Path) -> None:
    (tmp_path / "states").mkdir()
    (tmp_path / "states" / "state.json").write_text(json.dumps(STATE))
    with serve(tmp_path) as server:
        link = read_link(f"https://viewer.org/#!{server.url}/states/state.json")
        assert link.images[0].address == EM
        with pytest.raises(DataError, match="no state at"):
            read_link(f"https://viewer.org/#!{server.url}/states/other.json")


def test_an_address_is_an_image() -> None:
    (image,) = read_link("gs://bucket/em/|neuroglancer-precomputed:").images
    assert (image.name, image.address) == ("em", EM)


def test_images_that_cannot_be_read_say_why() -> None:
    sources = [
        "brainmaps://a:b:c",
        {"url": "dvid://x/y"},
        [{"url": {"url": EM}}],
        None,
        ["nifti://x"],
    ]
    layers = [{"type": "image", "source": source, "name": "em"} for source in sources]
    images = read_link(json.dumps({"layers": layers})).images
    assert [bool(image.address) for image in images] == [False, False, True, False, False]
    assert all(bool(image.problem) != bool(image.address) for image in images)


@pytest.mark.parametrize(
    "text",
    [
        "", "em", "https://host/#!", "https://host/#!{", '{"layers": 3}', "{}[", "https://h/#!abc",
        "https://h/#!middleauth+https://x/1", '{"layers": [{"type": "annotation", "annotations": '
        '[{"point": [1, 2]}]}]}', '{"position": "here"}', '{"dimensions": {"x": [1, "s"]}, '
        '"position": [1]}', "[" * 9999, '{"a":' * 9999,
    ],
)  # fmt: skip
def test_damaged_links_are_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(DataError) as error:
        read_link(text)
    assert len(str(error.value)) < 300


def test_a_link_leads_back_to_its_points() -> None:
    voxel_nm, place = (40.0, 4.0, 4.0), (1200.0, 8000.0, 4000.0)
    url = link_to(Address(EM), voxel_nm, place, [place, (0, 4, 8)], ["gaba 0.91", "ach 0.8"])
    link = read_link(url)
    assert link.images[0].address == EM
    assert link.position is not None
    np.testing.assert_allclose(link.position, place)
    np.testing.assert_allclose(link.annotations[0].positions, [place, (0, 4, 8)])
    assert link.annotations[0].descriptions == ("gaba 0.91", "ach 0.8")
