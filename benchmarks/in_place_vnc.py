"""Ten real synapses, explained where they lie by clicks in the canvas; prints one line for each.

A generator is trained on patches of the same tissue first, for some minutes, or taken from an
earlier run. Data are those that the tests use; give their folder. Run it under a display, or under
Xvfb:

    python benchmarks/in_place_vnc.py DATA [--minutes 6] [--generator FOLDER] [--pictures FOLDER]
"""

from __future__ import annotations

import argparse
import csv
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("NAPARI_CONFIG", "")

import napari
import numpy as np
import tifffile
import torch
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_quac.data.image_datasets import ImageFolder
from napari_quac.generators.stargan.recipe import StarGANRecipe
from napari_quac.generators.stargan.training_settings import StarGANTrainingSettings
from napari_quac.gui.dock import QuacDock
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.classifier_recipe import ClassifierRecipe
from napari_quac.train.generator_trainer import train_generator

CLASSES = ("cytosol", "mitochondrion", "synapse")
VOXEL_NM = (45.0, 4.6, 4.6)


def pump(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.002)


def wait(condition: Callable[[], Any], seconds: float = 600.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        pump(0.005)
        if time.monotonic() > end:
            raise TimeoutError("the window did not get ready")


def train(data: Path, recipe: ClassifierRecipe, folder: Path, minutes: float) -> None:
    """Train a generator of changes at 64 pixels on patches of 128, guided by the classifier."""
    settings = StarGANTrainingSettings(image_size=64, minutes=minutes, evaluator_minutes=0.0)
    dataset = ImageFolder(data / "vnc_patches" / "train")
    last = ""
    for progress in train_generator(dataset, folder, settings, recipe.load("cpu")):
        if progress.text != last and progress.text[:12] != last[:12]:
            print(f"  {progress.text}", flush=True)
        last = progress.text


def click_at(viewer: napari.Viewer, world: np.ndarray) -> None:
    """Press and release the left button in the canvas where a world position is seen."""
    from vispy.app.backends._qt import CanvasBackendDesktop

    QApplication.processEvents()
    window = viewer.window._qt_window
    canvas = next(iter(window.centralWidget().findChildren(CanvasBackendDesktop)))
    height, width = viewer.canvas.size
    camera = viewer.scene.camera
    y = height / 2 + (world[-2] - camera.center[-2]) * camera.zoom
    x = width / 2 + (world[-1] - camera.center[-1]) * camera.zoom
    at = QPoint(round(x), round(y))
    QTest.mouseMove(canvas, at)
    QTest.mouseClick(canvas, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, at)


def use_table(dock: QuacDock, path: Path) -> None:
    """Type the path of a table, and press Use points."""
    panel = dock.points_panel
    panel.table = None
    panel.table_field.edit.setText(str(path))
    QTest.keyClick(panel.table_field.edit, Qt.Key.Key_Return)
    wait(lambda: panel.table is not None)
    QTest.mouseClick(panel.use_button, Qt.MouseButton.LeftButton)
    wait(lambda: dock.results.loaded_samples is dock.points.dataset)
    wait(lambda: dock.results.predictions is not None and dock.results.predictions.is_complete)
    wait(lambda: not dock.controller.running and not dock.points.has_pending_update)


def accuracy(dock: QuacDock, path: Path, sections: np.ndarray, classifier: Classifier) -> str:
    """Compare the predictions with those of patches cut at the same places by hand."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    patches = np.stack([
        np.pad(sections[int(r["z"])], 64)[int(r["y"]) : int(r["y"]) + 128,
                                          int(r["x"]) : int(r["x"]) + 128]
        for r in rows
    ])  # fmt: skip
    images = torch.from_numpy(patches.astype(np.float32) / np.float32(255))[:, None]
    dataset, table = dock.results.loaded_samples, dock.results.predictions
    same = all(torch.equal(dataset[i].image, images[i]) for i in range(len(rows)))
    by_hand = classifier.predict(images).argmax(dim=1).numpy()
    truth = np.array([CLASSES.index(r["class"]) for r in rows])
    equal = bool(np.array_equal(table.predicted, by_hand))
    return (
        f"{path.stem}: {len(rows)} points, accuracy {1 - table.mispredicted.mean():.3f}, by hand "
        f"{(by_hand == truth).mean():.3f}; arrays equal {same}, predictions equal {equal}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--minutes", type=float, default=6.0)
    parser.add_argument("--generator", type=Path, help="folder that is kept, or used again")
    parser.add_argument("--clicks", type=int, default=10)
    parser.add_argument("--tries", type=int, default=20)
    parser.add_argument("--pictures", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    recipe = ClassifierRecipe(
        arguments.data / "checkpoints" / "vnc_classifier_state_dict.pt", class_names=CLASSES
    )
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.generator or Path(temporary)
        if not (folder / StarGANTrainingSettings.FILES).exists():
            train(arguments.data, recipe, folder, arguments.minutes)
        explain_in_place(arguments, recipe, folder / StarGANTrainingSettings.FILES)


def explain_in_place(
    arguments: argparse.Namespace, recipe: ClassifierRecipe, generator: Path
) -> None:
    """Open the volume, import both tables, and click."""
    sections = tifffile.imread(arguments.data / "vnc_volume" / "stack1_sections00-13.tif")
    viewer = napari.Viewer()
    viewer.window.resize(1366, 768)
    dock = QuacDock(viewer)
    viewer.window.add_dock_widget(dock, name="QuAC", area="right", add_vertical_stretch=False)
    dock.choices.classifier, dock.choices.generator = recipe, StarGANRecipe(generator)
    dock.choices.update_settings(max_tries=arguments.tries)
    wait(lambda: dock.results.loaded_classifier and dock.results.loaded_generator)
    viewer.add_image(sections, name="ssTEM", scale=VOXEL_NM, units=("nm",) * 3)
    for name in ("mitochondria", "synapses"):
        path = arguments.data / "vnc_volume" / f"{name}.csv"
        use_table(dock, path)
        print(accuracy(dock, path, sections, dock.results.loaded_classifier), flush=True)
    dock.points_panel.explain_check.setChecked(True)
    done: list[bool] = []
    dock.explained.connect(lambda: done.append(True))
    marks, table = dock.points.layer, dock.results.predictions
    right = np.flatnonzero(~table.mispredicted)
    switched, scores, seconds = 0, [], []
    print("point        from -> to                  generated  hybrid  mask   score  seconds")
    for number, index in enumerate(right[:: max(1, len(right) // arguments.clicks)], 1):
        if number > arguments.clicks:
            break
        world = np.asarray(marks.data_to_world(marks.data[dock.points.dataset.rows[index]]))
        viewer.dims.set_point(0, world[0])
        start = time.monotonic()
        click_at(viewer, world)
        wait(lambda n=number: len(done) >= n or dock.status.failure is not None)
        if dock.status.failure is not None:
            raise SystemExit(dock.status.failure.sentence)
        wait(lambda: not dock.controller.running)
        seconds.append(time.monotonic() - start)
        shown, pair = dock.results.displayed_hybrid, dock.results.pair
        names = dock.results.loaded_classifier.class_names
        question = f"{names[pair.source]} -> {names[pair.target]}"
        score = shown.explanation.curve.quac_score
        scores.append(score)
        switched += pair.switches
        generated = float(pair.generated_prediction[pair.target])
        hybrid = float(shown.hybrid.prediction[pair.target])
        print(
            f"{pair.query.id:12s} {question:27s} {generated:9.2f} {hybrid:7.2f}"
            f" {shown.hybrid.mask_size:6.1%} {score:6.2f} {seconds[-1]:7.1f}",
            flush=True,
        )
        if arguments.pictures is not None and number in (1, 2, 5):
            zoom, sides = viewer.scene.camera.zoom, 128 * VOXEL_NM[1]
            viewer.scene.camera.zoom = 0.5 * min(viewer.canvas.size) / sides
            pump(1.0)
            where = arguments.pictures / f"in_place_{number}.png"
            viewer.window.screenshot(str(where), canvas_only=False, flash=False)
            viewer.scene.camera.zoom = zoom
    print(
        f"{switched} of {len(scores)} switch; median score {statistics.median(scores):.2f}, "
        f"median time {statistics.median(seconds):.1f} s"
    )
    viewer.close()
    pump(0.3)


if __name__ == "__main__":
    main()
