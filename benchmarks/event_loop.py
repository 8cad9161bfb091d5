"""Measure the longest gap of the event loop while a search and an explanation run.

Run with a display, or under Xvfb::

    python benchmarks/event_loop.py CLASSIFIER GENERATOR SAMPLES [--threads 1 2] [--sample 200]

CLASSIFIER and GENERATOR are network files (or a folder of generated images), SAMPLES is a folder
with one subfolder per class. For each number of torch threads it prints the longest time between
two ticks of a 5 ms timer, how much of it the window's own thread was computing, and how long the
explanation took.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

os.environ.setdefault("NAPARI_CONFIG", "")

import napari
import numpy as np
import torch
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication

from napari_quac.data.image_datasets import ImageFolderRecipe
from napari_quac.generators.opening import recognize_network
from napari_quac.gui import dock as dock_module
from napari_quac.live.lane import lower_priority


def wait(condition, seconds: float = 600.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        QApplication.processEvents()
        time.sleep(0.0005)
        if time.monotonic() > end:
            raise TimeoutError("took too long")


def measure(arguments: argparse.Namespace, threads: int) -> None:
    def prepare() -> None:
        lower_priority()
        torch.set_num_threads(threads)

    dock_module.prepare_lane = prepare
    viewer = napari.Viewer()
    viewer.window.resize(1366, 768)
    dock = dock_module.QuacDock(viewer)
    viewer.window.add_dock_widget(dock, name="QuAC", area="right")
    dock.choices.classifier = recognize_network(arguments.classifier).recipe
    dock.choices.generator = recognize_network(arguments.generator).recipe
    dock.choices.samples = ImageFolderRecipe(arguments.samples)
    wait(lambda: dock.results.prediction is not None and dock.results.loaded_generator is not None)
    dock.choices.sample_index = arguments.sample
    wait(lambda: not dock.controller.running and len(dock.layers.layers) == 5)
    end = time.monotonic() + 1.5
    wait(lambda: time.monotonic() > end)
    ticks: list[tuple[float, float]] = []
    timer = QTimer()
    timer.timeout.connect(lambda: ticks.append((time.perf_counter(), time.thread_time())))
    finished: list[bool] = []
    dock.explained.connect(lambda: finished.append(True))
    timer.start(5)
    start = time.perf_counter()
    dock.search.explain_button.click()
    wait(lambda: finished or dock.status.failure)
    took = time.perf_counter() - start
    timer.stop()
    gaps = 1e3 * np.diff(np.array(ticks), axis=0)
    longest = int(gaps[:, 0].argmax())
    print(
        f"{threads} torch thread(s): longest gap {gaps[longest, 0]:.0f} ms (own computing "
        f"{gaps[longest, 1]:.0f} ms), largest own computing {gaps[:, 1].max():.0f} ms, "
        f"p99 {np.percentile(gaps[:, 0], 99):.0f} ms; explained in {took:.1f} s"
        + (f"; FAILED: {dock.status.line.text()}" if dock.status.failure else "")
    )
    viewer.close()
    QApplication.processEvents()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("classifier", type=Path)
    parser.add_argument("generator", type=Path)
    parser.add_argument("samples", type=Path)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--sample", type=int, default=200)
    given = parser.parse_args()
    for number in given.threads:
        measure(given, number)
