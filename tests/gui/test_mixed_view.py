"""Curtain, difference and morph: pixels, place, and the display of before when they end."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_quac.gui.dock import QuacDock
from napari_quac.gui.mixed_images import curtain, difference, morph, symmetric_limit
from napari_quac.gui.mixed_view import EDGE_ROLE, HIGHEST_RATE, ROLE

from .conftest import explain, wait

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
