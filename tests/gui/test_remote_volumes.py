"""A volume behind a server on this machine, opened in the window from a link."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QMenu

pytest.importorskip("tensorstore")

from napari_quac.data.place import Transform
from napari_quac.data.remote import access
from napari_quac.data.remote.address import Address
from napari_quac.data.remote.link import read_link
from napari_quac.data.remote.sign_in import allow_sign_in
from napari_quac.data.volume import Level, Volume
from napari_quac.data.volume_points import VolumePoints
from napari_quac.data.volume_points_recipe import VolumePointsRecipe
from napari_quac.gui.dock import QuacDock
from napari_quac.live.choices import ReadySamples
from napari_quac.live.session_state import SessionState
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
    assert dock.points_panel.link_row.isVisibleTo(dock.points_panel)
    assert server.requests == [], "nothing is read before Open"
    dock.points_panel.link_row.open_button.click()
    wait(lambda: server.requests)
    start = time.monotonic()
    dock.controller.cancel("volume")
    assert dock.controller.lane.wait_idle(2.0)
    assert time.monotonic() - start < 1.0
    server.delay = 0.0
    dock.points_panel.link_row.open_button.click()
    wait(lambda: "em (overview)" in dock.viewer.layers)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ftp://host/em", "is no address of a volume"),
        ("{url}/nothing", "There is no volume"),
        ('{"layers": []}', "Nothing in the link can be opened"),
        ("https://viewer.org/#!{", "of the link is incomplete"),
        ("https://viewer.org/#!ftp://host/state.json", "is no address of a volume"),
        ("https://viewer.org/#!{url}/state.json", "There is no state at"),
        ("https://viewer.org/?json_url=https://host/nglstate/1", "needs a sign-in"),
        ("https://viewer.org/#!middleauth+https://x/1", "needs a sign-in"),
    ],
)
def test_wrong_links_are_told_in_the_section(
    text: str, message: str, placed: QuacDock, server: VolumeServer
) -> None:
    enter(placed, text.replace("{url}", server.url))
    if text.startswith("{url}"):
        placed.points_panel.link_row.open_button.click()

    def shown() -> Any:
        return message in placed.points_panel.message.text()

    wait(shown)
    assert placed.points_panel.message.isVisibleTo(placed.points_panel)


def strip_of(dock: QuacDock) -> list[Any]:
    return [b for b in dock.points_panel.link_row.strip.buttons if not b.icon().isNull()]


def test_five_points_are_tried_before_anything_else_is_read(
    placed: QuacDock, server: VolumeServer
) -> None:
    card = placed.points_panel.link_row
    enter(placed, link(server))
    wait(lambda: not card.isHidden())
    assert card.facts.text() == "1 × 1 × 1 nm (x × y × z), as the link states."
    assert server.requests == []
    card.try_button.click()
    assert card.try_button.text() == "Cancel"
    wait(lambda: card.result.text())
    assert len(strip_of(placed)) == 5
    depth, height, width = made_volume()[0].shape
    assert card.facts.text() == (
        f"{width} × {height} × {depth} voxels of 4 × 4 × 40 nm (x × y × z), uint8, 2 resolutions."
    )
    text = card.result.text()
    assert text.startswith("Values ")
    assert " per patch. 6 points in 'em': less than 1 s, " in text
    assert text.endswith("B.")
    low, high = (int(n) for n in text.removeprefix("Values ").split(".")[0].split(" to "))
    assert 0 <= low < high <= 255
    assert not placed.viewer.layers, "patches are not layers"
    assert all(name == "em/info" or name.startswith("em/s0/") for name in server.requests)
    assert card.try_button.text() == "Try 5 points"


def test_a_trial_ends_at_once_when_it_is_canceled(placed: QuacDock, server: VolumeServer) -> None:
    card = placed.points_panel.link_row
    enter(placed, f"precomputed://{server.url}/em")
    server.delay = 3.0
    card.try_button.click()
    wait(lambda: server.requests)
    start = time.monotonic()
    card.try_button.click()
    assert placed.controller.lane.wait_idle(2.0)
    assert time.monotonic() - start < 1.0
    assert card.try_button.text() == "Try 5 points"
    server.delay = 0.0
    card.try_button.click()
    wait(lambda: card.result.text())
    assert "No points are chosen" in card.result.text()
    assert len(strip_of(placed)) == 5
    enter(placed, f"precomputed://{server.url}/nothing")
    assert not strip_of(placed)
    card.try_button.click()
    wait(lambda: card.result.text())
    assert "There is no precomputed volume" in card.result.text()
    assert card.result.tone == "bad"


def test_points_of_a_table_are_tried(
    placed: QuacDock, server: VolumeServer, tmp_path: Path
) -> None:
    panel = placed.points_panel
    rows = "\n".join(",".join(f"{n:.0f}" for n in place[::-1]) for place in world_points())
    (tmp_path / "points.csv").write_text(f"x,y,z\n{rows}\n")
    panel.open_table(tmp_path / "points.csv")
    wait(lambda: panel.table is not None)
    enter(placed, f"precomputed://{server.url}/em")
    panel.link_row.try_button.click()
    wait(lambda: panel.link_row.result.text())
    assert " 6 points in 'em': " in panel.link_row.result.text()


def test_the_image_whose_pixels_are_nearest_is_chosen(placed: QuacDock) -> None:
    def image(name: str, nm: float) -> dict[str, Any]:
        space = {axis: [nm * 1e-9, "m"] for axis in "xyz"}
        source = {"url": f"precomputed://gs://bucket/{name}",
                  "transform": {"outputDimensions": space}}  # fmt: skip
        return {"type": "image", "name": name, "source": source}

    state = {"layers": [image("a", 16), image("b_jpeg", 8), image("c", 4)]}
    card = placed.points_panel.link_row
    for trained, name in ((0.0, "a"), (8.0, "b_jpeg"), (3.0, "c"), (100.0, "a")):
        placed.points_panel.patch.network_spin.setValue(trained)
        enter(placed, json.dumps(state))
        wait(lambda: not card.isHidden())
        assert card.address is not None
        assert card.address.name == name
        assert bool(card.badge.text()) == ("jpeg" in name)


def test_public_data_sets_fill_the_field_and_contact_nothing(
    placed: QuacDock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = placed.points_panel
    own = tmp_path / "public_data.yaml"
    own.write_text(
        "- {name: Ours, image: 'precomputed://http://127.0.0.1:9/em', voxel_nm: [40, 8, 8],"
        " coordinates: [40, 4, 4], license: 'CC0 & more', unverified: 2026-11-29}\n"
    )
    monkeypatch.setattr("napari_quac.data.remote.public_data.own_list", lambda: own)
    menu = placed.findChild(QMenu, "points_volume_choose_public_data_sets")
    assert menu is not None
    menu.aboutToShow.emit()
    texts = [action.text() for action in menu.actions()]
    assert texts[0] == "Ours"
    assert "FlyWire (FAFB)" in texts
    menu.actions()[0].trigger()
    assert panel.volume_field.edit.text() == "precomputed://http://127.0.0.1:9/em"
    card = panel.link_row
    assert not card.isHidden()
    assert card.facts.text().startswith("Ours: 8 × 8 × 40 nm")
    assert "License: CC0 & more." in card.facts.text()
    assert "Unverified, as of 2026-11-29" in card.facts.text()
    assert not {"volume", "trial"} & set(placed.controller.running)
    (tmp_path / "points.csv").write_text("id,x,y,z\n1,100,200,30\n")
    panel.open_table(tmp_path / "points.csv")
    wait(lambda: panel.table is not None)
    values, _ = panel.table.positions(("z", "y", "x"))
    assert values.tolist() == [[1200.0, 800.0, 400.0]]
    assert any("4 × 4 nm" in fact for fact in panel.table.facts)
    (tmp_path / "nm.csv").write_text("id,x_nm,y_nm,z_nm\n1,100,200,30\n")
    panel.open_table(tmp_path / "nm.csv")
    wait(lambda: panel.table is not None and panel.table.name == "nm")
    assert panel.table.positions(("z_nm", "y_nm", "x_nm"))[0].tolist() == [[30, 200, 100]]
    own.write_text("- {name: Ours}\n")
    menu.aboutToShow.emit()
    wait(lambda: "voxel_nm (z, y, x)" in panel.message.text())


def test_a_sample_is_copied_as_a_link(placed: QuacDock, server: VolumeServer) -> None:
    dock, panel, copy = placed, placed.points_panel, placed.navigator.copy_link
    assert copy.isHidden()
    enter(dock, link(server))
    wait(lambda: not panel.link_row.isHidden())
    panel.link_row.open_button.click()
    wait(lambda: "synapses" in dock.viewer.layers)
    panel.use_button.click()
    wait(lambda: dock.results.prediction is not None)
    dock.controller.request("predictions")
    wait(lambda: dock.results.predictions is not None and dock.results.predictions.is_complete)
    dock.choices.sample_index = 2
    wait(lambda: dock.results.prediction.sample.id == "s2")
    assert copy.button.isEnabled()
    copy.button.click()
    pasted = read_link(QApplication.clipboard().text())
    assert pasted.images[0].address == f"precomputed://{server.url}/em"
    np.testing.assert_allclose(pasted.position, world_points()[2], atol=0.05)
    (layer,) = pasted.annotations
    assert layer.ids[0] == "s2"
    assert sorted(layer.ids) == [f"s{number}" for number in range(6)]
    order = [int(name[1:]) for name in layer.ids]
    np.testing.assert_allclose(layer.positions, world_points()[order], atol=0.05)
    table = dock.results.predictions
    for number, text in zip(order, layer.descriptions, strict=True):
        name = table.class_names[table.predicted[number]]
        assert text.startswith(f"{name} {table.confidence[number]:.2f}")
    distances = np.linalg.norm(layer.positions - layer.positions[0], axis=1)
    assert (np.diff(distances) >= 0).all()


def test_local_points_have_no_link(placed: QuacDock) -> None:
    volume, points = made_volume()
    transform = Transform((40.0, 4.0, 4.0), (0.0, 0.0, 0.0))
    local = Volume((Level(volume, transform),), "em", "nm", Path("em.npy"))
    placed.choices.samples = ReadySamples(
        VolumePoints(local, points * np.array(VOXEL_NM), (1, SIZE, SIZE))
    )
    wait(lambda: placed.results.prediction is not None)
    copy = placed.navigator.copy_link
    assert not copy.isHidden()
    assert not copy.button.isEnabled()
    assert "on this machine" in copy.button.toolTip()


def test_an_earlier_session_asks_before_its_machine_is_contacted(
    placed: QuacDock, server: VolumeServer, tmp_path: Path
) -> None:
    dock = placed
    rows = "\n".join(",".join(f"{n:.0f}" for n in place) for place in world_points())
    (tmp_path / "points.csv").write_text(f"z,y,x\n{rows}\n")
    address = Address(f"precomputed://{server.url}/em")
    recipe = VolumePointsRecipe(volume=address, points=tmp_path / "points.csv")
    dock.choices.samples = recipe
    state = replace(SessionState.of(dock.choices, dock.results), classifier=None, generator=None)
    dock.choices.samples = None
    wait(lambda: not dock.controller.running)
    before = list(server.requests)
    dock.opening.restore(state)
    card = dock.networks.consent.card
    wait(lambda: not card.isHidden())
    assert f"a machine to contact: '{address.host}'" in card.text.text()
    assert server.requests == before, "nothing is contacted before the answer"
    assert dock.choices.samples is None
    card.yes_button.click()
    wait(lambda: isinstance(dock.results.loaded_samples, VolumePoints))
    assert dock.choices.samples == recipe


def test_a_bucket_that_is_not_public_is_read_after_signing_in(
    placed: QuacDock, server: VolumeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TENSORSTORE_GCS_HTTP_URL", server.url)
    monkeypatch.setenv("GOOGLE_AUTH_TOKEN_FOR_TESTING", "a-secret")
    monkeypatch.setattr(access, "_known", {"storage.googleapis.com"})
    server.needs_account = True
    enter(placed, "gs://data/em")
    placed.points_panel.link_row.open_button.click()
    message = placed.points_panel.message
    wait(lambda: "is not public" in message.text())
    assert message.action_button.text() == "Sign in"
    try:
        message.action_button.click()
        wait(lambda: "em (overview)" in placed.viewer.layers)
    finally:
        allow_sign_in(False)
