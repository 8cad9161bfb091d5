"""Make the pictures of the documentation from the real window.

Run with a display, or under Xvfb::

    python docs/make_pictures.py [FOLDER]
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

os.environ.setdefault("NAPARI_CONFIG", "")

import napari
import numpy as np
from qtpy.QtWidgets import QApplication

from napari_quac.gui.demo import open_demo
from napari_quac.gui.dock import QuacDock

FOLDER = Path(__file__).parent / "images"


def pump(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.002)


def wait(condition, seconds: float = 300.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        pump(0.02)
        if time.monotonic() > end:
            raise TimeoutError("the window did not get ready")
    pump(1.5)


def picture(viewer: napari.Viewer, folder: Path, name: str) -> None:
    pump(0.8)
    viewer.window.screenshot(str(folder / f"{name}.png"), canvas_only=False, flash=False)
    print(folder / f"{name}.png")


def open_explained(viewer: napari.Viewer) -> QuacDock:
    """Open the dock with the example, and wait for its first explanation."""
    dock = open_demo(viewer, side_by_side=False)
    finished: list[bool] = []
    dock.explained.connect(lambda: finished.append(True))
    wait(lambda: finished or dock.status.failure)
    if dock.status.failure:
        raise SystemExit(dock.status.failure.sentence)
    return dock


def make_pictures(folder: Path, theme: str, suffix: str = "") -> None:
    """Go through the first walk and take a picture at each step."""
    viewer = napari.Viewer()
    viewer.theme = theme
    viewer.window.resize(1366, 768)
    start = QuacDock(viewer)
    viewer.window.add_dock_widget(start, name="QuAC", area="right", add_vertical_stretch=False)
    wait(lambda: not start.controller.running)
    picture(viewer, folder, f"start{suffix}")
    viewer.window.remove_dock_widget(start)
    start.deleteLater()
    pump(0.5)
    dock = open_explained(viewer)
    viewer.reset_view()
    bar = dock.scroll.verticalScrollBar()
    bar.setValue(0)
    picture(viewer, folder, f"explained{suffix}")
    dock.samples.set_open(False)
    dock.search.set_open(False)
    pump(0.5)
    bar.setValue(0)
    dock.comparison.set_side_by_side(True)
    picture(viewer, folder, f"side_by_side{suffix}")
    slider = dock.threshold.slider
    slider.setValue(max(0, slider.value() // 2))
    picture(viewer, folder, f"larger_mask{suffix}")
    bar.setValue(bar.maximum())
    picture(viewer, folder, f"verdict{suffix}")
    viewer.close()
    pump(0.3)


def measuring_pictures(folder: Path) -> None:
    """Take the pictures of regions and morphometry, of a mask larger than at the optimum."""
    viewer = napari.Viewer()
    viewer.window.resize(1366, 768)
    dock = open_explained(viewer)
    for panel in (dock.networks, dock.samples, dock.search):
        panel.set_open(False)
    curve = dock.results.displayed_hybrid.explanation.curve
    dock.threshold.pick(float(curve.thresholds[np.argmin(np.abs(curve.mask_sizes - 0.1))]))
    dock.regions.button.click()
    wait(lambda: dock.regions.displayed_regions is not None)
    dock.scroll.verticalScrollBar().setValue(0)
    dock.regions.table.setCurrentItem(dock.regions.table.topLevelItem(0))
    picture(viewer, folder, "regions")
    for panel in (dock.threshold, dock.regions, dock.predictions, dock.methods, dock.verdict):
        panel.set_open(False)
    pair, dataset = dock.results.pair, dock.results.loaded_samples
    truth = dataset.difference_mask(dock.choices.sample_index, pair.source)
    query = dock.layers.layers["query"]
    active = viewer.layers.selection.active
    viewer.add_labels(
        truth.astype(np.uint8), name="density", scale=query.scale, units=query.units, opacity=0.4
    )
    viewer.layers.selection.active = active
    dock.morphometry.button.click()
    menu = dock.morphometry.labels_menu
    menu.setCurrentIndex(menu.findData("density"))
    wait(lambda: dock.results.morphometry is not None)
    places = dock.morphometry.place_menu
    places.setCurrentIndex(places.findData("label 1"))
    picture(viewer, folder, "morphometry")
    viewer.close()
    pump(0.3)


def in_place_pictures(folder: Path, theme: str, suffix: str = "") -> None:
    """Take the picture of a synapse that is explained in its volume."""
    viewer = napari.Viewer()
    viewer.theme = theme
    viewer.window.resize(1366, 768)
    dock = QuacDock(viewer)
    viewer.window.add_dock_widget(dock, name="QuAC", area="right", add_vertical_stretch=False)
    dock.start.volume_button.click()
    wait(lambda: dock.results.prediction is not None and not dock.controller.running)
    for panel in (dock.networks, dock.samples):
        panel.set_open(False)
    dock.points_panel.explain_check.setChecked(True)
    dock.choices.sample_index = 9
    wait(lambda: not dock.controller.running)
    finished: list[bool] = []
    dock.explained.connect(lambda: finished.append(True))
    dock.search.explain_button.click()
    wait(lambda: finished or dock.status.failure)
    viewer.scene.camera.zoom = 0.7 * min(viewer.canvas.size) / (128 * 4)
    dock.scroll.ensureWidgetVisible(dock.points_panel)
    top = dock.points_panel.mapTo(dock.scroll.widget(), dock.points_panel.rect().topLeft())
    dock.scroll.verticalScrollBar().setValue(top.y())
    picture(viewer, folder, f"in_place{suffix}")
    viewer.close()
    pump(0.3)


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    target.mkdir(parents=True, exist_ok=True)
    make_pictures(target, "dark")
    make_pictures(target, "light", "_light")
    measuring_pictures(target)
    in_place_pictures(target, "dark")
    in_place_pictures(target, "light", "_light")
