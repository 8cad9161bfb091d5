"""A walk through the whole window with real clicks and keys, on images that it draws itself.

Run it for a look: ``python tests/gui/whole_walk.py FOLDER --width 1366 --theme light``. It writes a
picture of every step, and ends with an error if a text is cut, an exception or a warning of Qt
occurs, or a step does not lead where it should.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

os.environ["NAPARI_CONFIG"] = tempfile.mkdtemp() + "/settings.yaml"
sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np
import torch
from PIL import Image
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QLineEdit, QPushButton

from gui.text_fit import cut_texts
from gui.walker import LEFT, Walk
from napari_quac.data.synthetic import SyntheticSynapses
from napari_quac.example.example import example_volume
from napari_quac.explain.size_axis import SIZE_AXES
from napari_quac.gui.camera import share_of
from napari_quac.gui.dock import QuacDock
from napari_quac.gui.keys_overlay import KeysOverlay
from napari_quac.gui.window import dock_of

NETWORKS = Path(sys.modules["napari_quac.example.example"].__file__ or "").parent / "networks"


def draw_folder(folder: Path, n_samples: int = 18) -> None:
    """Write drawn synapses as PNG files, one folder for each class."""
    dataset = SyntheticSynapses(n_samples, seed=5)
    for index in range(n_samples):
        sample = dataset[index]
        assert sample.label is not None
        place = folder / dataset.classes[sample.label]
        place.mkdir(parents=True, exist_ok=True)
        pixels = (sample.image[0].numpy() * 255).round().astype(np.uint8)
        Image.fromarray(pixels).save(place / f"patch_{index:02d}.png")


def first_class(dock: QuacDock) -> str:
    """Return the name of the first class; empty while the classifier is read."""
    classifier = dock.results.loaded_classifier
    return classifier.class_names[0] if classifier is not None else ""


def n_explained(dock: QuacDock) -> int:
    """Return the number of samples with an explanation."""
    status = dock.results.explanation_status
    return 0 if status is None else int((status.switched >= 0).sum())


def set_up(walk: Walk) -> None:
    """Choose networks and a folder, correct the class names, and predict."""
    dock, results = walk.dock, walk.dock.results
    walk.step("networks")
    walk.type(dock.networks.fields["classifier"].edit, str(walk.folder / "classifier.safetensors"))
    walk.wait(lambda: results.loaded_classifier, "the classifier")
    walk.type(dock.networks.fields["generator"].edit, str(walk.folder / "generator.safetensors"))
    walk.wait(lambda: results.loaded_generator, "the generator")
    walk.quiet()
    walk.step("samples")
    walk.type(dock.samples.field.edit, str(walk.folder / "images"))
    walk.wait(lambda: results.predictions and results.predictions.is_complete, "predictions")
    walk.quiet()
    walk.expect(results.sample_list and len(results.sample_list) == 18, "18 samples are expected")
    walk.expect(walk.dock.all_samples.isVisible(), "the table is hidden")
    walk.step("names")
    walk.click(dock.networks.details_button)
    field = walk.dock.findChild(QLineEdit, "class_names")
    walk.type(field, "tee-bar, density, plain")
    walk.wait(lambda: first_class(dock) == "tee-bar", "the new names")
    walk.quiet()
    walk.expect(field.text().startswith("tee-bar"), f"the names became '{field.text()}'")
    walk.step("names back")
    walk.type(field, "T-bar, PSD, plain")
    walk.wait(lambda: first_class(dock) == "T-bar", "the old names")
    walk.wait(lambda: results.predictions and results.predictions.is_complete, "predictions")
    walk.quiet()
    walk.step("names undone")
    QTest.keyClick(dock.stages.bar, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    walk.wait(lambda: first_class(dock) == "tee-bar", "Ctrl+Z to undo the names")
    walk.quiet()
    QTest.keyClick(dock.stages.bar, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    walk.wait(lambda: first_class(dock) == "T-bar", "Ctrl+Z to undo both changes")
    walk.wait(lambda: results.predictions and results.predictions.is_complete, "predictions")
    walk.quiet()
    walk.click(dock.networks.details_button)


def explore(walk: Walk) -> None:
    """Explain, slide, judge, look at regions and come back to an earlier sample."""
    dock, results, choices = walk.dock, walk.dock.results, walk.dock.choices
    walk.step("explain")
    walk.click(dock.explore_button)
    walk.expect(dock.stages.current == "explore", "Explore is not in front")
    walk.click(dock.search.explain_button)
    walk.wait(lambda: dock.session.is_explained, "an explanation")
    walk.quiet()
    bar = dock.stages.area.verticalScrollBar()
    if not (walk.options.font or walk.options.dock or walk.options.height < 768):
        walk.expect(bar.maximum() == 0, f"Explore scrolls by {bar.maximum()} pixels")
    walk.expect(dock.curve_dock.isVisible(), "the curve is hidden")
    walk.step("slide")
    before = results.displayed_hybrid
    place = dock.threshold.slider.rect()
    QTest.mouseClick(
        dock.threshold.slider, LEFT, pos=QPoint(place.width() * 3 // 4, place.center().y())
    )
    walk.rest(0.1)
    walk.expect(results.displayed_hybrid is not before, "the slider does not move the mask")
    threshold = choices.threshold
    walk.key(Qt.Key.Key_Comma)
    walk.expect(choices.threshold != threshold, "',' does not enlarge the mask")
    walk.step("optimum")
    walk.key(Qt.Key.Key_W)
    walk.expect(choices.threshold is None, "'W' does not go to the optimum")
    kept = results.explanations
    walk.step("next sample")
    walk.key(Qt.Key.Key_J)
    walk.wait(lambda: choices.sample_index == 1 and results.prediction, "the next sample")
    walk.quiet()
    walk.key(Qt.Key.Key_K)
    walk.wait(lambda: choices.sample_index == 0 and results.explanations, "the kept explanation", 5)
    walk.quiet()
    walk.expect(results.explanations is kept or results.explanations.is_complete,
                "the explanation is lost")  # fmt: skip
    walk.step("verdict")
    walk.show(dock.verdict.sentences[0])
    walk.quiet()
    walk.step("regions")
    walk.show(dock.regions.table)
    walk.wait(lambda: results.regions is not None, "regions")
    walk.quiet()
    walk.step("methods")
    walk.show(dock.methods.shown_menu)
    walk.pick(dock.methods.shown_menu, "residual")
    walk.expect(choices.shown_method == "residual", "the method is not shown")
    walk.step("display")
    walk.click(dock.threshold.display_button)
    walk.pick(dock.threshold.attribution_menu, "absolute")
    walk.pick(dock.threshold.mask_menu, "filled")
    walk.pick(dock.threshold.attribution_menu, "signed")
    walk.pick(dock.threshold.mask_menu, "outline")
    walk.click(dock.threshold.display_button)
    walk.step("side by side")
    walk.click(dock.threshold.side_by_side_button)
    walk.expect(dock.comparison.is_side_by_side, "the images are not side by side")
    walk.rest(0.3)
    walk.step("in place")
    walk.click(dock.threshold.side_by_side_button)
    walk.step("keys")
    walk.key(Qt.Key.Key_Question, Qt.KeyboardModifier.ShiftModifier)
    walk.rest(0.2)
    overlay = walk.window.findChild(KeysOverlay)
    walk.expect(overlay is not None and overlay.isVisible(), "'?' does not show the keys")
    if overlay is not None:
        walk.problems += [f"keys: {line}" for line in cut_texts(overlay)]
        overlay.grab().save(str(walk.folder / "keys.png"))
        QTest.keyClick(overlay, Qt.Key.Key_Escape)
    walk.rest(0.1)
    walk.step("size axis")
    dock.bottom_docks.raise_curve()
    axis = choices.size_axis
    for entry in (name for name in SIZE_AXES if name != axis):
        walk.pick(dock.curve_dock.axis_menu, entry)
        walk.rest(0.1)
        labels_inside(walk, dock.curve_dock.plot)
    walk.pick(dock.curve_dock.axis_menu, axis)
    labels_inside(walk, dock.curve_dock.plot)


def labels_inside(walk: Walk, plot: Any) -> None:
    """Measure the labels of the axes of a plot."""
    for side in ("bottom", "left"):
        label = plot.getPlotItem().getAxis(side).label
        margin = label.document().documentMargin()  # around the text, without anything in it
        place = label.sceneBoundingRect().adjusted(margin, margin, -margin, -margin)
        frame = plot.sceneRect().adjusted(-2, -2, 2, 2)
        walk.expect(frame.contains(place), f"the label of '{plot.objectName()}' {side} is cut")


def misprediction(walk: Walk) -> None:
    """Explain a misprediction with all controls of the loop in sight."""
    dock, results = walk.dock, walk.dock.results
    walk.step("misprediction")
    walk.click(dock.navigator.misprediction_button)
    walk.wait(lambda: results.prediction and results.prediction.is_mispredicted, "a misprediction")
    walk.quiet()
    walk.click(dock.search.explain_button)
    walk.wait(lambda: dock.session.is_explained, "an explanation")
    walk.quiet()
    dock.stages.area.verticalScrollBar().setValue(0)
    walk.rest(0.1)
    if not (walk.options.font or walk.options.dock or walk.options.height < 768):
        view = dock.stages.area.viewport()
        for part in (dock.search.explain_button, dock.threshold.slider, dock.predictions):
            bottom = part.mapTo(view, part.rect().bottomLeft()).y()
            walk.expect(bottom <= view.height(), f"'{part.objectName()}' lies below the page")
    walk.step("neighbors")
    walk.click(dock.search.question.neighbors_button)
    walk.rest(0.2)
    walk.step("neighbors folded")
    walk.click(dock.search.question.neighbors_button)


def study(walk: Walk) -> None:
    """Exaggerate, measure, explain several samples and look at all of them."""
    dock, results = walk.dock, walk.dock.results
    walk.step("exaggerate")
    walk.show(dock.exaggeration.button)
    button = dock.exaggeration.findChild(QPushButton, "exaggerate_button")
    walk.click(button)
    walk.wait(lambda: results.exaggeration, "the exaggeration")
    walk.quiet()
    exaggerated = next(layer for layer in walk.viewer.layers if "exagger" in layer.name)
    query = dock.layers.layers["query"]
    walk.expect(np.allclose(exaggerated.scale[-2:], query.scale[-2:]), "exaggerated lies elsewhere")
    walk.step("morphometry")
    walk.show(dock.morphometry.table)
    walk.wait(lambda: results.morphometry, "the morphometry")
    walk.quiet()
    walk.step("many")
    table = dock.all_samples
    dock.bottom_docks.raise_samples()
    walk.rest(0.1)
    walk.type(table.field, "number <= 4")
    walk.rest(0.6)
    walk.expect(results.order and len(results.order) == 4, "the filter leaves four samples")
    walk.click(table.many_button)
    walk.type(table.many_card.folder, str(walk.folder / "explanations"))
    walk.rest(0.2)
    walk.step("explain these")
    walk.click(table.findChild(QPushButton, "explain_many_start"))
    walk.wait(lambda: n_explained(dock) >= 4, "four explanations", 240)
    walk.quiet()
    walk.step("curves")
    walk.click(table.tabs["curves"])
    walk.rest(1.0)
    walk.step("matrix")
    walk.click(table.tabs["matrix"])
    walk.rest(0.3)
    walk.step("table")
    walk.click(table.tabs["table"])
    walk.type(table.field, "")


def volume(walk: Walk) -> None:
    """Explain a point over a volume, and exaggerate it in place."""
    dock, results = walk.dock, walk.dock.results
    walk.step("volume")
    image, points, voxel = example_volume()
    walk.viewer.add_image(image, name="volume", scale=voxel, units=("nm",) * 3)
    walk.viewer.add_points(
        points[["z", "y", "x"]].to_numpy(), name="synapses", scale=voxel, units=("nm",) * 3,
        features=points[["class"]], size=10,
    )  # fmt: skip
    walk.rest(0.3)
    panel = dock.points_panel
    walk.show(panel.use_button)
    walk.click(panel.use_button)
    walk.wait(lambda: results.sample is not None and results.sample.place is not None
              and results.prediction, "patches around points")  # fmt: skip
    walk.quiet()
    walk.step("point explained")
    walk.click(dock.search.explain_button)
    walk.wait(lambda: dock.session.is_explained, "an explanation")
    walk.quiet()
    walk.step("point exaggerated")
    walk.click(dock.exaggeration.findChild(QPushButton, "exaggerate_button"))
    walk.wait(lambda: results.exaggeration, "the exaggeration")
    walk.quiet()
    exaggerated = next(layer for layer in walk.viewer.layers if "exagger" in layer.name)
    hybrid = dock.layers.layers["hybrid"]
    walk.expect(
        np.allclose(exaggerated.extent.world, hybrid.extent.world), "exaggerated lies elsewhere"
    )


def stack(walk: Walk) -> None:
    """Use a stack as samples; napari's slider and the selection are one."""
    dock, results = walk.dock, walk.dock.results
    walk.step("stack")
    dataset = SyntheticSynapses(6, seed=9)
    images = np.stack([dataset[index].image[0].numpy() for index in range(6)])
    walk.viewer.add_image((images * 255).astype(np.uint8), name="stack")
    walk.rest(0.2)
    walk.show(dock.samples.use_layer_button)
    index = dock.samples.layer_menu.findText("stack")
    walk.pick(dock.samples.layer_menu, dock.samples.layer_menu.itemData(index))
    walk.click(dock.samples.use_layer_button)
    walk.wait(lambda: results.sample is not None and "stack" in results.sample.id, "the stack")
    walk.quiet()
    walk.step("stack explained")
    walk.click(dock.search.explain_button)
    walk.wait(lambda: dock.session.is_explained, "an explanation")
    walk.quiet()
    names = [layer.name for layer in walk.viewer.layers]
    walk.expect(names.index("hybrid") > names.index("stack"), "the stack hides the hybrid")
    walk.expect(sorted(set(names)) == sorted(names), f"layers have the same name: {names}")


def images_again(walk: Walk) -> None:
    """Go back to the folder: the view shows the sample, and nothing of the volume."""
    dock, results = walk.dock, walk.dock.results
    walk.step("images again")
    walk.type(dock.samples.field.edit, str(walk.folder / "images"))
    walk.wait(lambda: results.loaded_samples and len(results.loaded_samples) == 18
              and results.sample is not None and results.sample.id.endswith(".png")
              and results.prediction, "the folder")  # fmt: skip
    walk.quiet()
    query = dock.layers.layers["query"]
    share = share_of(walk.viewer, np.ptp(query.extent.world, axis=0), walk.viewer.scene.camera.zoom)
    walk.expect(0.5 <= share <= 1.0, f"the sample fills {share:.2f} of the canvas")
    ours = {str(unit) for layer in dock.layers.layers.values() for unit in layer.units}
    walk.expect(len(ours) == 1, f"the results have the units {ours}")


def close_and_open(walk: Walk) -> None:
    """Close the dock during work, which asks once, and open it again."""
    dock = walk.dock
    walk.step("close")
    dock.stages.show_stage("explore")
    walk.click(dock.search.explain_button)
    walk.rest(0.05)
    bar = dock_of(dock).titleBarWidget()
    close = bar.findChild(QPushButton, "QTitleBarCloseButton")
    QTest.mouseClick(close, LEFT)
    walk.rest(0.1)
    box = dock.close_guard.box
    walk.expect(box is not None, "closing during work asks nothing")
    QTest.mouseClick(close, LEFT)
    walk.rest(0.05)
    walk.expect(dock.close_guard.box is box, "closing asks twice")
    if box is not None:
        walk.problems += [f"close: {line}" for line in cut_texts(box)]
        box.grab().save(str(walk.folder / "close_question.png"))
        QTest.mouseClick(box.findChild(QPushButton, "close_keep"), LEFT)
        walk.wait(lambda: dock.session.is_explained, "the explanation that goes on")
        walk.quiet()
        QTest.mouseClick(close, LEFT)
        walk.rest(0.1)
        QTest.mouseClick(dock.close_guard.box.findChild(QPushButton, "close_close"), LEFT)
    walk.wait(lambda: dock.is_closed, "the dock to close")
    names = [layer.name for layer in walk.viewer.layers]
    walk.rest(0.3)
    walk.dock = QuacDock(walk.viewer)
    walk.viewer.window.add_dock_widget(
        walk.dock, name="QuAC", area="right", add_vertical_stretch=False
    )
    walk.step_name = "reopened"
    walk.wait(lambda: walk.dock.results.displayed_hybrid, "the explanation of the closed dock", 20)
    walk.quiet()
    walk.expect([layer.name for layer in walk.viewer.layers] == names, "the layers have changed")
    walk.expect(walk.dock.stages.current == "explore", "another stage is in front")
    predictions = walk.dock.results.predictions
    walk.expect(predictions and predictions.is_complete, "the predictions are lost")


PARTS = (
    set_up, explore, misprediction, study, volume, stack, images_again, close_and_open
)  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    """Walk, and print the problems."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--width", type=int, default=1366)
    parser.add_argument("--height", type=int, default=768)
    parser.add_argument("--theme", default="dark")
    parser.add_argument("--font", type=int, default=0)
    parser.add_argument("--dock", type=int, default=0)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    folder = options.folder
    folder.mkdir(parents=True, exist_ok=True)
    draw_folder(folder / "images")
    for name, source in (("classifier", "synapse_classifier"), ("generator", "synapse_stargan")):
        (folder / f"{name}.safetensors").write_bytes(
            (NETWORKS / f"{source}.safetensors").read_bytes()
        )
    walk = Walk(folder, options)
    walk.expect(walk.window.width() <= options.width, f"the window is {walk.window.width()} wide")
    try:
        for part in PARTS:
            part(walk)
        walk.step("end")
    except Exception:  # noqa: BLE001 - the problems so far are printed with it
        walk.problems.append(traceback.format_exc())
        walk.window.grab().save(str(folder / "failed.png"))
    print("\n".join(dict.fromkeys(walk.problems)))
    print(f"{walk.n_steps} steps, {len(walk.problems)} problems")
    sys.stdout.flush()
    os._exit(1 if walk.problems else 0)  # what napari leaves behind is not part of the walk


if __name__ == "__main__":
    main()
