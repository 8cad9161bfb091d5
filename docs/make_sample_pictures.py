"""Make the pictures of the tutorial on all samples from the real window.

Run with a display, or under Xvfb::

    python docs/make_sample_pictures.py [FOLDER]
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("NAPARI_CONFIG", "")

import napari
from make_pictures import FOLDER, picture, pump, wait

from napari_quac.gui.dock import QuacDock


def make_pictures(folder: Path, store: Path) -> None:
    """Go through the tutorial and take a picture at each step."""
    viewer = napari.Viewer()
    viewer.window.resize(1366, 768)
    dock = QuacDock(viewer)
    viewer.window.add_dock_widget(dock, name="QuAC", area="right", add_vertical_stretch=False)
    dock.try_example()
    wait(lambda: dock.results.predictions is not None and dock.results.predictions.is_complete)
    wait(lambda: not dock.controller.running)
    dock.start.hide()
    samples = dock.all_samples
    samples.tabs["matrix"].click()
    samples.chips.chips["mispredicted"].click()
    dock.next_misprediction()
    wait(lambda: dock.results.neighbours is not None)
    picture(viewer, folder, "samples_matrix")
    samples.tabs["table"].click()
    samples.field.setText("wrong or confidence < 0.8")
    samples.field.apply()
    samples.many_button.click()
    samples.many_card.measure_button.click()
    wait(lambda: samples.many.seconds_per_sample is not None and not dock.controller.running)
    samples.many_card.folder.setText(str(store))
    samples.many_card.start_button.click()
    wait(lambda: samples.many.n_done >= 2 or samples.many.state != "running")
    picture(viewer, folder, "samples_running")
    wait(lambda: samples.many.state == "done")
    samples.tabs["curves"].click()
    picture(viewer, folder, "samples_curves")
    viewer.close()
    pump(0.3)


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    target.mkdir(parents=True, exist_ok=True)
    place = Path(tempfile.mkdtemp())
    try:
        make_pictures(target, place / "example-explained")
    finally:
        shutil.rmtree(place)
