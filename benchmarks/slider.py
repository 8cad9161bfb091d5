"""Time 200 moves of the threshold slider in the real window, by real key events.

Run with a display, or under Xvfb::

    python benchmarks/slider.py [--sizes 128 512] [--moves 200] [--sections]

Printed are the milliseconds from the key event to layers, bars, marker and text being set (p50,
p95, largest; also without the time in which other programs had the processor), and of the drawing
that follows. After every move it is checked that mask, hybrid, bars, marker and text agree and
that no network was asked.
"""

from __future__ import annotations

import argparse
import os
import time

os.environ.setdefault("NAPARI_CONFIG", "")

import napari
import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_quac.gui.dock import QuacDock
from napari_quac.live.choices import ReadySamples
from napari_quac.networks.classifier import Classifier
from napari_quac.testing import CornerSamples, ReadyNetwork, corner_classifier, corner_generator


def wait(condition, seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        QApplication.processEvents()
        time.sleep(0.001)
        if time.monotonic() > end:
            raise TimeoutError("the window did not get ready")


def explained_dock(viewer: napari.Viewer, size: int) -> QuacDock:
    """Open the dock and explain a sample of that size."""
    dock = QuacDock(viewer)
    viewer.window.add_dock_widget(dock, name="QuAC", area="right")
    dock.choices.update_settings(methods=("residual", "random"))
    dock.choices.shown_method = "random"
    dock.choices.update_settings(max_tries=4)
    dock.choices.classifier = ReadyNetwork(corner_classifier(size))
    dock.choices.generator = ReadyNetwork(corner_generator(size))
    dock.choices.samples = ReadySamples(CornerSamples(size=size))
    wait(lambda: dock.results.prediction is not None and len(dock.layers.layers) == 5)
    finished = []
    dock.explained.connect(lambda: finished.append(True))
    QTest.mouseClick(dock.search.explain_button, Qt.MouseButton.LeftButton)
    wait(lambda: finished)
    return dock


def disagreement(dock: QuacDock) -> str:
    """Say what does not agree; empty if all does."""
    shown = dock.results.displayed_hybrid
    layers, hybrid = dock.layers.layers, shown.hybrid
    pair = shown.explanation.pair
    if not np.array_equal(layers["mask"].data, hybrid.mask.numpy()[0]):
        return "mask layer"
    if not np.array_equal(layers["hybrid"].data, hybrid.image.numpy()[0]):
        return "hybrid layer"
    if dock.curve_dock.plot.marker != (hybrid.mask_size, hybrid.score_change):
        return "marker"
    bar = dock.predictions.bars["hybrid", pair.target].property("probability")
    if bar != float(hybrid.prediction[pair.target]):
        return "bars"
    if f"mask {hybrid.mask_size:.1%}" not in dock.threshold.line.text():
        return "text line"
    position = dock.threshold.slider.value()
    if shown.explanation.curve.distinct()[position] != shown.index:
        return "slider"
    return ""


def measure(size: int, moves: int, sections: bool = False) -> None:
    viewer = napari.Viewer()
    viewer.window.resize(1366, 768)
    dock = explained_dock(viewer, size)
    if sections:
        dock.regions.button.click()
        dock.morphometry.button.click()
        wait(lambda: dock.results.regions is not None and dock.results.morphometry is not None)
    calls = []
    predict = Classifier.predict
    Classifier.predict = lambda *a, **k: calls.append(1) or predict(*a, **k)
    slider = dock.threshold.slider
    slider.setValue(slider.minimum())
    set_times, own_times, draw_times, wrong = [], [], [], []
    key = Qt.Key.Key_Right
    for _ in range(moves):
        if slider.value() == slider.maximum():
            key = Qt.Key.Key_Left
        elif slider.value() == slider.minimum():
            key = Qt.Key.Key_Right
        start, own_start = time.perf_counter(), time.thread_time()
        QTest.keyClick(slider, key)
        own_times.append(1e3 * (time.thread_time() - own_start))
        set_times.append(1e3 * (time.perf_counter() - start))
        wrong.append(disagreement(dock))
        start = time.perf_counter()
        QApplication.processEvents()
        draw_times.append(1e3 * (time.perf_counter() - start))
    Classifier.predict = predict
    opened = ", regions and morphometry open" if sections else ""
    p50, p95 = np.percentile(set_times, [50, 95])
    o50, o95 = np.percentile(own_times, [50, 95])
    d50, d95 = np.percentile(draw_times, [50, 95])
    print(
        f"{size} px{opened}, {moves} moves over {slider.maximum() + 1} positions: "
        f"set p50 {p50:.1f} ms, "
        f"p95 {p95:.1f} ms, largest {max(set_times):.1f} ms (computing alone p50 {o50:.1f} ms, "
        f"p95 {o95:.1f} ms); drawing p50 {d50:.0f} ms, "
        f"p95 {d95:.0f} ms; network calls {len(calls)}; disagreements {sum(map(bool, wrong))}"
    )
    viewer.close()
    QApplication.processEvents()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 512])
    parser.add_argument("--moves", type=int, default=200)
    parser.add_argument(
        "--sections", action="store_true", help="also with the sections that follow the slider open"
    )
    arguments = parser.parse_args()
    for side in arguments.sizes:
        measure(side, arguments.moves)
        if arguments.sections:
            measure(side, arguments.moves, sections=True)
