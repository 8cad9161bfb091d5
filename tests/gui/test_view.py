"""``napari_quac.view`` shows an explanation with the slider, layers and curve of the dock."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtWidgets import QLabel, QPushButton, QSlider

import napari_quac as nq
from napari_quac.testing import corner_classifier, corner_generator, corner_image

LAYERS = {"query", "generated", "hybrid", "attribution", "mask"}


@pytest.fixture(scope="module")
def explanations() -> nq.Explanations:
    networks = corner_classifier(), corner_generator()
    return nq.explain_image(corner_image(0), *networks, "right", methods=["d-ig", "random"])


def test_slider_moves_mask_hybrid_and_numbers(make_napari_viewer, qtbot, explanations) -> None:
    viewer = nq.view(explanations, make_napari_viewer())
    qtbot.waitUntil(lambda: {layer.name for layer in viewer.layers} == LAYERS, timeout=10000)
    window = viewer.window._qt_window
    slider = window.findChild(QSlider, "threshold_slider")
    line = window.findChild(QLabel, "threshold_line")
    best = explanations["d-ig"].counterfactual
    np.testing.assert_array_equal(viewer.layers["hybrid"].data, best.image[0])
    assert "p(right)" in line.text()
    before = line.text()
    slider.setValue(slider.minimum())
    qtbot.waitUntil(lambda: line.text() != before)
    np.testing.assert_array_equal(viewer.layers["mask"].data, explanations["d-ig"].at(-1.0).mask[0])


def test_one_explanation_can_be_shown_and_blinks(make_napari_viewer, qtbot, explanations) -> None:
    viewer = nq.view(explanations["random"], make_napari_viewer())
    qtbot.waitUntil(lambda: {layer.name for layer in viewer.layers} == LAYERS, timeout=10000)
    button = viewer.window._qt_window.findChild(QPushButton, "blink_button")
    button.pressed.emit()
    assert not viewer.layers["hybrid"].visible
    button.released.emit()
    assert viewer.layers["hybrid"].visible


def test_no_explanation_is_an_error(make_napari_viewer, explanations) -> None:
    empty = nq.Explanations(explanations.pair, explanations.settings)
    with pytest.raises(nq.QuacError, match="no explanation to show"):
        nq.view(empty, make_napari_viewer())
