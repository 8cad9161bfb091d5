"""The preset DAPI in the window: the query is copied back into the generated image."""

from __future__ import annotations

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_quac.gui.dock import QuacDock

from .conftest import wait


def pick(dock: QuacDock, name: str) -> None:
    """Choose a preset by the keyboard, as a user does, and wait for its curves."""
    menu = dock.methods.preset_menu
    key = Qt.Key.Key_Down if menu.findData(name) > menu.currentIndex() else Qt.Key.Key_Up
    QTest.keyClick(menu, key)
    assert menu.currentData() == name
    wait(lambda: not dock.controller.running and dock.results.displayed_hybrid)
    wait(lambda: dock.curve_dock.plot.property("ordinate") == dock.curve_dock.ordinate)


def test_dapi_copies_the_query_back(explained: QuacDock) -> None:
    dock = explained
    before = dock.results.displayed_hybrid
    pair = dock.results.pair
    assert dock.curve_dock.plot.property("ordinate") == "score change"
    pick(dock, "dapi")
    shown = dock.results.displayed_hybrid
    assert shown is not None and shown.explanation.pair.is_swapped
    assert dock.results.pair is pair
    source = dock.results.loaded_classifier.class_names[pair.source]
    assert dock.curve_dock.plot.property("ordinate") == f"p({source}) regained"
    assert f"p({source})" in dock.threshold.line.text()
    assert not dock.choices.settings.masking.channel_wise
    assert len(shown.explanation.curve.thresholds) == 201
    # where the mask is empty the hybrid is the generated image
    wait(lambda: np.array_equal(dock.layers.layers["hybrid"].data, shown.hybrid.image[0].numpy()))
    outside = dock.layers.layers["mask"].data == 0
    assert outside.any()
    hybrid, generated = (dock.layers.layers[name].data for name in ("hybrid", "generated"))
    assert np.array_equal(hybrid[outside], generated[outside])
    # methods that cannot enter this network say so, the others go on
    assert dock.methods.scores["d-gc"].text() == "not available"
    assert "d-gc" in dock.choices.settings.methods
    pick(dock, "quac")
    after = dock.results.displayed_hybrid
    assert after is not None and not after.explanation.pair.is_swapped
    assert after.hybrid.mask_size == before.hybrid.mask_size
    assert dock.choices.settings.masking.channel_wise
