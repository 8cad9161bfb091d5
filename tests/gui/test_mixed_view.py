"""Curtain, difference and morph: pixels, place, and the display of before when they end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QPushButton

from explain.small_networks import classifier_of
from napari_quac.data.dataset import Sample
from napari_quac.gui.dock import QuacDock
from napari_quac.gui.mixed_images import curtain, difference, morph, symmetric_limit
from napari_quac.gui.mixed_view import EDGE_ROLE, HIGHEST_RATE, ROLE
from napari_quac.gui.view import view
from napari_quac.live.choices import ReadySamples
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.generator import FunctionGenerator
from napari_quac.notebook import explain_image
from napari_quac.testing import ReadyNetwork, corner_classifier, corner_generator, corner_image

from .conftest import explain, wait
from .test_volumes import Volumes, brighten, looks_at_the_spot

MODES = ("curtain", "difference", "morph")


def pixels(dock: QuacDock, role: str = ROLE) -> Any:
    return np.squeeze(np.asarray(dock.layer_stack.layers[role].data))


def images(dock: QuacDock) -> tuple[Any, Any]:
    hybrid = dock.results.displayed_hybrid
    assert hybrid is not None and dock.results.sample is not None
    return dock.results.sample.image.numpy()[0], hybrid.hybrid.image.numpy()[0]


def visible(dock: QuacDock) -> dict[str, bool]:
    return {layer.name: bool(layer.visible) for layer in dock.viewer.layers}


@given(st.floats(1e-6, 1e4))
def test_limit_is_a_round_number_above_the_largest_value(largest: float) -> None:
    limit = symmetric_limit(np.array([0.0, -largest]))
    assert limit >= largest * (1 - 1e-6)
    assert limit <= max(1.1 * largest, 1e-3) * (1 + 1e-9)
    assert float(f"{limit:.2g}") == pytest.approx(limit)


def test_curtain_and_morph_of_known_images() -> None:
    zero, one = np.zeros((2, 4, 3), np.float32), np.ones((2, 4, 3), np.float32)
    image = curtain(zero, one, 1, -2)
    assert (image[:, 0] == 0).all() and (image[:, 1:] == 1).all()
    assert (zero == 0).all(), "the query itself was changed"
    assert np.allclose(morph(zero, one, 0.25), 0.25)
    assert (morph(zero, one, 0) == zero).all() and (morph(zero, one, 1) == one).all()
    assert difference(one, zero, rgb=True).shape == (2, 4)


@pytest.mark.parametrize("mode", MODES)
def test_a_button_shows_a_mode_and_returns(explained: QuacDock, mode: str) -> None:
    before = visible(explained)
    query, hybrid = images(explained)
    button = explained.threshold.compare.buttons[mode]
    button.click()
    expected = {
        "curtain": curtain(query, hybrid, query.shape[1] // 2, -1),
        "difference": hybrid - query,
        "morph": hybrid,
    }
    np.testing.assert_allclose(pixels(explained), expected[mode], atol=1e-6)
    assert explained.threshold.compare.isVisibleTo(explained.threshold) and button.isChecked()
    button.click()
    assert visible(explained) == before and explained.comparison.mode == ""
    assert not explained.threshold.compare.isVisibleTo(explained.threshold)


def test_limits_of_the_difference_are_symmetric_and_stated(explained: QuacDock) -> None:
    explained.comparison.set_mode("difference")
    layer = explained.layer_stack.layers[ROLE]
    low, high = layer.contrast_limits
    assert low == -high and np.abs(layer.data).max() <= high
    assert f"±{high:g}" in layer.name and layer.name_overlay.visible
    assert f"±{high:g}" in explained.threshold.compare.line.text()
    explained.threshold.slider.setValue(explained.threshold.slider.maximum())
    wait(lambda: not explained.comparison.mixed._later.isActive())
    assert tuple(layer.contrast_limits) == (low, high), "limits change with the mask"


def test_modes_exclude_each_other_and_side_by_side(explained: QuacDock) -> None:
    before = visible(explained)
    buttons = explained.threshold.compare.buttons
    for mode in ("curtain", "side by side", "morph", "difference", "side by side"):
        buttons[mode].click()
        assert [m for m, b in buttons.items() if b.isChecked()] == [mode]
        assert explained.comparison.is_side_by_side == (mode == "side by side")
        assert (ROLE in explained.layer_stack.layers) == (mode != "side by side")
    buttons["side by side"].click()
    QApplication.processEvents()
    assert visible(explained) == before


def test_key_goes_through_the_modes(explained: QuacDock) -> None:
    modes = []
    for _ in range(4):
        explained.next_mode()
        modes.append(explained.comparison.mode)
    assert modes == ["curtain", "difference", "morph", ""]


@pytest.mark.parametrize("mode", MODES)
def test_another_sample_is_compared_after_its_explanation(explained: QuacDock, mode: str) -> None:
    explained.comparison.set_mode(mode)
    explained.choices.sample_index = 1
    wait(lambda: explained.results.prediction and not explained.controller.running)
    wait(lambda: ROLE not in explained.layer_stack.layers)
    assert "Explain the sample" in explained.threshold.compare.line.text()
    explain(explained)
    wait(lambda: ROLE in explained.layer_stack.layers)
    query, hybrid = images(explained)
    wait(lambda: not explained.comparison.mixed._later.isActive())
    ends = {"curtain": query[:, 0], "difference": (hybrid - query)[:, 0], "morph": hybrid[:, 0]}
    np.testing.assert_allclose(pixels(explained)[:, 0], ends[mode], atol=1e-6)


@pytest.mark.parametrize("role", [ROLE, EDGE_ROLE])
def test_removing_a_layer_ends_the_mode(explained: QuacDock, role: str) -> None:
    explained.comparison.set_mode("curtain")
    explained.viewer.layers.remove(explained.layer_stack.layers[role])
    assert explained.comparison.mode == "" and ROLE not in explained.layer_stack.layers
    assert EDGE_ROLE not in explained.layer_stack.layers
    assert not explained.threshold.compare.buttons["curtain"].isChecked()


def test_images_are_compared_without_their_layers(explained: QuacDock) -> None:
    for name in ("query", "hybrid"):
        explained.viewer.layers.remove(explained.layers.layers[name])
    explained.comparison.set_mode("difference")
    query, hybrid = images(explained)
    np.testing.assert_allclose(pixels(explained), hybrid - query, atol=1e-6)


def test_closing_the_dock_removes_the_comparison(explained: QuacDock) -> None:
    before = visible(explained)
    explained.comparison.set_mode("curtain")
    explained.shut_down()
    assert visible(explained) == before
    assert not explained.comparison.mixed.is_playing


def test_blink_shows_the_query_below(explained: QuacDock) -> None:
    explained.comparison.set_mode("morph")
    QTest.mousePress(explained.threshold.blink_button, Qt.MouseButton.LeftButton)
    shown = [layer.name for layer in explained.viewer.layers if layer.visible]
    assert shown == ["query"]
    QTest.mouseRelease(explained.threshold.blink_button, Qt.MouseButton.LeftButton)
    assert explained.layer_stack.layers[ROLE].visible


def test_morph_plays_and_stops_with_the_sample(explained: QuacDock) -> None:
    box, mixed = explained.threshold.compare, explained.comparison.mixed
    explained.comparison.set_mode("morph")
    assert not mixed.is_playing
    box.play_button.click()
    assert mixed.is_playing and box.play_button.text() == "Pause"
    shares = set()
    wait(lambda: shares.add(round(mixed.share, 2)) or len(shares) > 3)
    mixed.set_rate(50)
    assert mixed.rate == HIGHEST_RATE
    explained.choices.sample_index = 1
    wait(lambda: not mixed.is_playing and not explained.controller.running)


class Press:
    """A press of the mouse that moves, as napari passes it to callbacks."""

    def __init__(self, position: Any) -> None:
        self.position, self.button, self.type = position, 1, "mouse_press"


def drag(dock: QuacDock, start: float, end: float) -> None:
    """Drag from one column of the sample to another one, both in pixels."""
    layer = dock.layer_stack.layers[ROLE]
    row = layer.data.shape[-2] / 2
    lead = [0.0] * (layer.ndim - 2)
    event = Press(layer.data_to_world([*lead, row, start]))
    steps = dock.comparison.mixed._on_press(dock.viewer, event)
    for _ in steps:
        event.type = "mouse_move" if event.type == "mouse_press" else "mouse_release"
        event.position = layer.data_to_world([*lead, row, end])


def test_edge_is_dragged_in_the_canvas(explained: QuacDock) -> None:
    explained.comparison.set_mode("curtain")
    mixed, camera = explained.comparison.mixed, explained.viewer.scene.camera
    drag(explained, 15.5, 7.5)
    assert mixed.edge == pytest.approx(8 / 32)
    assert explained.threshold.compare.slider.value() == 250
    query, hybrid = images(explained)
    np.testing.assert_allclose(pixels(explained), curtain(query, hybrid, 8, -1), atol=1e-6)
    drag(explained, 28.0, 20.0)
    assert mixed.edge == pytest.approx(8 / 32), "a press beside the edge moved it"
    assert camera.mouse_pan
    edge = explained.layer_stack.layers[EDGE_ROLE]
    assert np.allclose(np.asarray(edge.data)[:, 0, -1], 7.5)


@pytest.fixture
def volumes(dock: QuacDock) -> QuacDock:
    dock.choices.classifier = ReadyNetwork(looks_at_the_spot())
    dock.choices.generator = ReadyNetwork(FunctionGenerator(brighten, "brighten"))
    dock.choices.samples = ReadySamples(Volumes())
    dock.choices.update_settings(methods=("d-ingrad", "residual"))
    dock.choices.shown_method = "residual"
    wait(lambda: dock.results.prediction and not dock.controller.running)
    return dock


def same_place(dock: QuacDock) -> None:
    """Require that the comparison lies where the query does."""
    query, layer = dock.layer_stack.layers["query"], dock.layer_stack.layers[ROLE]
    np.testing.assert_allclose(layer.scale, query.scale)
    np.testing.assert_allclose(layer.translate, query.translate)
    np.testing.assert_allclose(layer.affine.affine_matrix, query.affine.affine_matrix)
    assert layer.units == query.units
    np.testing.assert_allclose(layer.extent.world, query.extent.world)


@pytest.mark.parametrize("mode", MODES)
def test_volumes_are_compared_in_every_slice(volumes: QuacDock, mode: str) -> None:
    explain(volumes)
    volumes.comparison.set_mode(mode)
    same_place(volumes)
    query, hybrid = images(volumes)
    expected = {
        "curtain": curtain(query, hybrid, query.shape[-1] // 2, -1),
        "difference": hybrid - query,
        "morph": hybrid,
    }
    np.testing.assert_allclose(pixels(volumes), expected[mode], atol=1e-6)
    volumes.viewer.dims.ndisplay = 3
    QApplication.processEvents()
    assert volumes.layer_stack.layers[ROLE].visible


def test_edge_follows_the_displayed_axes(volumes: QuacDock) -> None:
    explain(volumes)
    volumes.comparison.set_mode("curtain")
    volumes.viewer.dims.order = (1, 2, 0)  # z is horizontal
    wait(lambda: not volumes.comparison.mixed._later.isActive())
    query, hybrid = images(volumes)
    np.testing.assert_allclose(pixels(volumes), curtain(query, hybrid, 3, -3), atol=1e-6)
    lines = np.asarray(volumes.layer_stack.layers[EDGE_ROLE].data)
    assert len(lines) == query.shape[1], "one line in each slice"
    assert np.allclose(lines[:, 0, 0], 2.5)


@dataclass(frozen=True)
class ColorImages:
    """Images in colors, dark."""

    name: str = "colors"
    classes: tuple[str, ...] = ("class 0", "class 1")

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> Sample:
        noise = torch.rand((3, 24, 24), generator=torch.Generator().manual_seed(index))
        return Sample(self.sample_id(index), 0.3 * noise, 0)

    def sample_id(self, index: int) -> str:
        return f"image {index}"

    def label(self, index: int) -> int:
        return 0


def red_classifier() -> Classifier:
    def network(batch: torch.Tensor) -> torch.Tensor:
        value = 12 * (batch[:, 0, 4:12, 4:12].mean(dim=(1, 2)) - 0.4)
        return torch.stack([-value, value], dim=1)

    return classifier_of(network, 2, (3, 24, 24), form="callable")


def redden(query: torch.Tensor, source: int, target: int, seed: int) -> torch.Tensor:
    image = query.clone()
    image[0, 4:12, 4:12] = 0.9
    return image


def test_color_images(dock: QuacDock) -> None:
    dock.choices.classifier = ReadyNetwork(red_classifier())
    dock.choices.generator = ReadyNetwork(FunctionGenerator(redden, "redden"))
    dock.choices.samples = ReadySamples(ColorImages())
    dock.choices.update_settings(methods=("residual",))
    dock.choices.shown_method = "residual"
    wait(lambda: dock.results.prediction and not dock.controller.running)
    explain(dock)
    query = np.moveaxis(dock.results.sample.image.numpy(), 0, -1)
    hybrid = np.moveaxis(dock.results.displayed_hybrid.hybrid.image.numpy(), 0, -1)
    expected = {
        "curtain": curtain(query, hybrid, 12, -2),
        "difference": (hybrid - query).mean(axis=-1),
        "morph": hybrid,
    }
    for mode in MODES:
        dock.comparison.set_mode(mode)
        layer = dock.layer_stack.layers[ROLE]
        assert layer.rgb == (mode != "difference")
        np.testing.assert_allclose(pixels(dock), expected[mode], atol=1e-6)
        same_place(dock)


@pytest.mark.long
def test_comparison_lies_on_the_patch_of_a_volume(dock: QuacDock) -> None:
    dock.try_example_volume()
    dock.choices.update_settings(methods=("residual",), max_tries=1)
    dock.choices.shown_method = "residual"
    wait(lambda: dock.results.prediction and dock.results.loaded_generator)
    wait(lambda: not dock.controller.running)
    explain(dock)
    for mode in MODES:
        dock.comparison.set_mode(mode)
        same_place(dock)
    dock.comparison.set_mode("curtain")
    drag(dock, 63.5, 31.5)
    assert dock.comparison.mixed.edge == pytest.approx(32 / 128)
    dock.choices.sample_index = 3
    wait(lambda: dock.results.prediction and not dock.controller.running)
    explain(dock)
    wait(lambda: ROLE in dock.layer_stack.layers and not dock.layers.has_pending_update)
    same_place(dock)


def test_one_explanation_is_compared_without_the_dock(make_napari_viewer: Any) -> None:
    networks = corner_classifier(), corner_generator()
    explanations = explain_image(corner_image(0), *networks, "right", methods=["residual"])
    viewer = view(explanations, make_napari_viewer())
    button = viewer.window._qt_window.findChild(QPushButton, "difference_button")
    button.click()
    wait(lambda: any("−" in layer.name for layer in viewer.layers))
    button.click()
    assert not any("−" in layer.name for layer in viewer.layers)
