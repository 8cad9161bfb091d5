"""The dock as napari opens it: with a viewer that only lets public names through."""

from __future__ import annotations

from typing import Any

import numpy as np
from qtpy.QtWidgets import QApplication

from napari_quac.gui.dock import QuacDock

from .conftest import explain, load, wait


def test_everything_works_with_the_viewer_that_plugins_get(make_napari_viewer_proxy: Any) -> None:
    viewer = make_napari_viewer_proxy()
    dock = QuacDock(viewer)
    viewer.window.add_dock_widget(dock, name="QuAC", area="right")
    dock.choices.update_settings(methods=("residual", "random"))
    dock.choices.shown_method = "random"
    dock.choices.update_settings(max_tries=2)
    viewer.add_image(np.zeros((40, 40)), name="something else")
    load(dock)
    explain(dock)
    assert dock.samples.layer_menu.count() == 1
    dock.threshold.slider.setValue(1)
    shown = dock.results.displayed_hybrid
    assert shown is not None
    np.testing.assert_array_equal(viewer.layers["mask"].data, shown.hybrid.mask.numpy()[0])
    viewer.layers.remove("generated")
    assert dock.layers.missing == ("generated",)
    dock.show_layers()
    wait(lambda: len(dock.layers.layers) == 5)
    names = [layer.name for layer in viewer.layers]
    assert names == ["something else", "query", "generated", "hybrid", "attribution", "mask"]
    dock.toggle_side_by_side()
    dock.blink(True)
    dock.blink(False)
    dock.toggle_side_by_side()
    viewer.theme = "light"
    viewer.theme = "dark"
    viewer.window.remove_dock_widget(dock)
    assert dock.is_closed
    wait(lambda: not dock.lane.is_alive)
    dock.deleteLater()
    QApplication.processEvents()
