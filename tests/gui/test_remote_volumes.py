"""A volume behind a server on this machine, opened in the window from a link."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

pytest.importorskip("tensorstore")

from napari_quac.data.remote import access
from napari_quac.data.remote.sign_in import allow_sign_in
from napari_quac.data.volume_points import VolumePoints
from napari_quac.gui.dock import QuacDock
from napari_quac.testing import ReadyNetwork, corner_classifier, corner_generator
from served.server import VolumeServer, serve
from served.volumes import OFFSET, VOXEL_NM, write_precomputed

from .conftest import explain, wait
from .test_points import SIZE, made_volume


@pytest.fixture
def server(tmp_path: Path) -> Iterator[VolumeServer]:
    write_precomputed(tmp_path / "em", made_volume()[0])
    with serve(tmp_path) as running:
        yield running


@pytest.fixture
def placed(dock: QuacDock) -> QuacDock:
    dock.choices.classifier = ReadyNetwork(corner_classifier(SIZE))
    dock.choices.generator = ReadyNetwork(corner_generator(SIZE))
    wait(lambda: dock.results.loaded_classifier and dock.results.loaded_generator)
    dock.points_panel.set_open(True)
    return dock


def enter(dock: QuacDock, text: str) -> None:
    edit = dock.points_panel.volume_field.edit
    edit.setText(text)
    QTest.keyClick(edit, Qt.Key.Key_Return)


def world_points() -> np.ndarray:
    return (made_volume()[1] + OFFSET) * VOXEL_NM


def link(server: VolumeServer) -> str:
    annotations = [
        {"type": "point", "point": list(place[::-1]), "id": f"s{number}"}
        for number, place in enumerate(world_points())
    ]
    nm = {axis: [1e-9, "m"] for axis in "xyz"}
    layers = [
        {"type": "image", "name": "tissue", "source": f"precomputed://{server.url}/em"},
        {"type": "segmentation", "name": "cells", "source": "graphene://https://host/x"},
        {"type": "annotation", "name": "synapses", "source": {"url": "local://annotations"},
         "annotations": annotations},
    ]  # fmt: skip
    state = {"dimensions": nm, "layers": layers}
    return f"https://viewer.org/#!{quote(json.dumps(state))}"


def test_a_link_becomes_an_explained_synapse(placed: QuacDock, server: VolumeServer) -> None:
    dock, panel = placed, placed.points_panel
    enter(dock, link(server))
    wait(lambda: not panel.link_row.isHidden())
    assert panel.link_row.line.text().startswith("127.0.0.1:")
    assert "6 points in 'synapses'" in panel.link_row.line.text()
    assert "cells" in panel.link_row.line.text()
    assert server.requests == [], "nothing is read before Open"
    panel.link_row.open_button.click()
    wait(lambda: "synapses" in dock.viewer.layers)
    image = dock.viewer.layers[panel.volume_menu.currentData()]
    assert isinstance(image.data, np.ndarray)
    assert image.name == "em (overview)"
    marks = dock.viewer.layers["synapses"]
    placed_at = marks.data * marks.scale + marks.translate
    np.testing.assert_allclose(placed_at, world_points(), atol=1e-6)
    panel.use_button.click()
    wait(lambda: isinstance(dock.results.loaded_samples, VolumePoints))
    wait(lambda: dock.results.prediction is not None)
    explain(dock)
    query = next(layer for layer in dock.layers.layers.values() if layer.name.startswith("query"))
    middle = np.array(query.data.shape[-2:]) // 2 * query.scale[-2:] + query.translate[-2:]
    assert (np.abs(middle - world_points()[dock.choices.sample_index][1:]) <= 2.0).all()
    wait(lambda: "em (around the point)" in dock.viewer.layers)
    around = dock.viewer.layers["em (around the point)"]
    volume, _ = made_volume()
    start = np.rint((around.translate - np.array(OFFSET) * VOXEL_NM) / VOXEL_NM).astype(int)
    box = tuple(slice(a, a + n) for a, n in zip(start, around.data.shape, strict=True))
    np.testing.assert_array_equal(around.data, volume[box])


def test_an_address_is_read_where_it_is_and_can_be_left(
    placed: QuacDock, server: VolumeServer
) -> None:
    dock = placed
    server.delay = 3.0
    enter(dock, f"precomputed://{server.url}/em")
    wait(lambda: server.requests)
    start = time.monotonic()
    dock.controller.cancel("volume")
    assert dock.controller.lane.wait_idle(2.0)
    assert time.monotonic() - start < 1.0
    server.delay = 0.0
    enter(dock, f"precomputed://{server.url}/em")
    wait(lambda: "em (overview)" in dock.viewer.layers)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ftp://host/em", "is no address of a volume"),
        ("{url}/nothing", "There is no volume"),
        ('{"layers": []}', "Nothing in the link can be opened"),
        ("https://viewer.org/#!{", "of the link is incomplete"),
        ("https://viewer.org/#!middleauth+https://x/1", "needs a sign-in"),
    ],
)
def test_wrong_links_are_told_in_the_section(
    text: str, message: str, placed: QuacDock, server: VolumeServer
) -> None:
    enter(placed, text.replace("{url}", server.url))

    def shown() -> Any:
        return message in placed.points_panel.message.text()

    wait(shown)
    assert placed.points_panel.message.isVisibleTo(placed.points_panel)


def test_a_bucket_that_is_not_public_is_read_after_signing_in(
    placed: QuacDock, server: VolumeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TENSORSTORE_GCS_HTTP_URL", server.url)
    monkeypatch.setenv("GOOGLE_AUTH_TOKEN_FOR_TESTING", "a-secret")
    monkeypatch.setattr(access, "_known", {"storage.googleapis.com"})
    server.needs_account = True
    enter(placed, "gs://data/em")
    message = placed.points_panel.message
    wait(lambda: "is not public" in message.text())
    assert message.action_button.text() == "Sign in"
    try:
        message.action_button.click()
        wait(lambda: "em (overview)" in placed.viewer.layers)
    finally:
        allow_sign_in(False)
