"""Take the pictures of ``docs/systems`` in the real window; run it on a display or Xvfb.

python docs/make_system_pictures.py [dapi|fido|exaggeration|warp|train ...]
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import napari
from qtpy.QtWidgets import QApplication

from napari_quac.data.synthetic import SyntheticShapes
from napari_quac.example import load_example
from napari_quac.example.example import NETWORKS
from napari_quac.generators.stargan.recipe import StarGANRecipe
from napari_quac.generators.warp.recipe import WarpRecipe
from napari_quac.gui.dock import QuacDock
from napari_quac.live.choices import ReadySamples
from napari_quac.networks.classifier_recipe import ClassifierRecipe

IMAGES = Path(__file__).parent / "images"


def wait(condition: Any = lambda: False, seconds: float = 600) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            if seconds >= 600:
                raise TimeoutError("the window did not get ready")
            return
        QApplication.processEvents()
        time.sleep(0.005)


def opened(classifier: Any, generator: Any, dataset: Any, index: int, target: int) -> QuacDock:
    viewer = napari.Viewer(show=True)
    viewer.window._qt_window.resize(1366, 768)
    dock = QuacDock(viewer)
    viewer.window.add_dock_widget(dock, name="QuAC", area="right", add_vertical_stretch=False)
    dock.choices.methods = ("d-ig", "residual")
    dock.choices.classifier, dock.choices.generator = classifier, generator
    dock.choices.samples = ReadySamples(dataset)
    wait(lambda: dock.results.loaded_samples is not None)
    dock.choices.sample_index = index
    wait(
        lambda: (
            dock.results.prediction
            and dock.results.prediction.sample.id == dataset.sample_id(index)
            and dock.results.loaded_generator
            and len(dock.layers.layers) == 5
        )
    )
    dock.choices.target = target
    wait(lambda: not dock.controller.missing_for("pair"))
    dock.explain()
    wait(lambda: dock.results.pair is not None or dock.status.failure)
    wait(lambda: dock.results.explanations and len(dock.results.explanations.by_method) == 2)
    for name in ("networks", "samples", "search", "threshold", "predictions"):
        getattr(dock, name).set_open(False)
    return dock


def take(dock: QuacDock, name: str) -> None:
    wait(seconds=1.5)
    path = IMAGES / f"{name}.png"
    dock.viewer.window.screenshot(str(path), canvas_only=False, flash=False)
    print(path)


def close(dock: QuacDock) -> None:
    viewer = dock.viewer
    dock.shut_down()
    viewer.close()
    wait(seconds=0.3)


def example() -> tuple[Any, Any, Any]:
    found = load_example()
    return (
        ClassifierRecipe(found.classifier_path),
        StarGANRecipe(found.generator_path),
        found.dataset,
    )


def dapi() -> None:
    dock = opened(*example(), 1, 0)
    menu = dock.methods.preset_menu
    menu.setCurrentIndex(menu.findData("dapi"))
    wait(lambda: dock.choices.preset == "dapi")
    wait(
        lambda: (
            set(dock.choices.methods) <= set(dock.results.explanations.by_method)
            and not dock.controller.running
        ),
        seconds=300,
    )
    dock.choices.shown_method = "d-gc"
    for name in ("threshold", "predictions"):
        getattr(dock, name).set_open(True)
    dock.comparison.set_side_by_side(True)
    wait(seconds=1)
    dock.scroll.verticalScrollBar().setValue(0)
    take(dock, "dapi")
    close(dock)


def evolved_steps(dock: QuacDock) -> int:
    """Return how many steps the mask on show was optimised for, as its text says."""
    evolving = dock.results.explanations.evolving
    return int(evolving.text.split()[1]) if evolving is not None else 0


def fido() -> None:
    dock = opened(*example(), 1, 0)
    dock.scroll.ensureWidgetVisible(dock.methods)
    dock.methods.checks["fido"].click()
    wait(lambda: evolved_steps(dock) >= 40)
    take(dock, "fido_evolving")
    wait(lambda: "fido" in dock.results.explanations.by_method, seconds=300)
    take(dock, "fido")
    close(dock)


def exaggeration() -> None:
    dock = opened(*example(), 0, 2)
    dock.methods.set_open(False)
    dock.verdict.set_open(False)
    dock.exaggeration.start_button.click()
    wait(lambda: dock.results.exaggeration is not None)
    wanted = [frame.wanted for frame in dock.exaggeration.frames]
    dock.exaggeration.slider.setValue(wanted.index(0.65))
    dock.exaggeration.change_button.click()
    wait(seconds=0.5)
    dock.scroll.ensureWidgetVisible(dock.exaggeration.numbers)
    for name in ("mask", "hybrid", "attribution"):
        dock.viewer.layers[name].visible = False
    take(dock, "exaggeration")
    close(dock)


def warp() -> None:
    classifier = ClassifierRecipe(NETWORKS / "shape_classifier.safetensors")
    recipe = WarpRecipe(NETWORKS / "shape_warp.safetensors")
    dock = opened(classifier, recipe, SyntheticShapes(20), 0, 1)
    wait(lambda: dock.results.warp is not None)
    for name in ("mask", "hybrid", "attribution", "query"):
        dock.viewer.layers[name].visible = False
    dock.viewer.layers["generated"].visible = True
    for panel in (dock.methods, dock.verdict):
        panel.set_open(False)
    wait(seconds=0.5)
    dock.scroll.ensureWidgetVisible(dock.deformation)
    take(dock, "warp")
    close(dock)


def train() -> None:
    """Go on with the explainer in the folder TRAINED, or learn one for three minutes."""
    dock = opened(*example(), 0, 2)
    panel = dock.train
    folder = Path(os.environ.get("TRAINED") or tempfile.mkdtemp())
    panel.settings.folder.edit.setText(str(folder))
    panel.settings.folder.picked.emit(str(folder))
    panel.set_open(True)
    if panel._runs:
        panel.resume_button.click()
    else:
        menu = panel.settings.family_menu
        menu.setCurrentIndex(menu.findData("exaggeration"))
        panel.settings.first_menu.setCurrentText("plain")
        panel.settings.second_menu.setCurrentText("T-bar")
        panel.train_button.click()
        wait(seconds=180)
    wait(lambda: panel.picture.pixmap() and not panel.picture.pixmap().isNull(), 600)
    wait(lambda: dock.training.status.seconds_left is not None, 600)
    dock.scroll.verticalScrollBar().setValue(panel.y())
    take(dock, "train")
    close(dock)


if __name__ == "__main__":
    systems = {
        "dapi": dapi, "fido": fido, "exaggeration": exaggeration, "warp": warp, "train": train
    }  # fmt: skip
    for name in sys.argv[1:] or systems:
        systems[name]()
