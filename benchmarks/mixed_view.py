"""Measure curtain, difference and morph in the real window, on images of several sizes.

Run with a display, or under Xvfb::

    python benchmarks/mixed_view.py [--sizes 128 512]

It prints how long a step takes in Python, and until it is drawn.
"""

from __future__ import annotations

import argparse
import os
import time

os.environ.setdefault("NAPARI_CONFIG", "")

import napari
import numpy as np
from qtpy.QtWidgets import QApplication

from napari_quac.gui.dock import QuacDock
from napari_quac.live.choices import ReadySamples
from napari_quac.testing import CornerSamples, ReadyNetwork, corner_classifier, corner_generator

N_STEPS = 60


def wait(condition, seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        QApplication.processEvents()
        if time.monotonic() > end:
            raise TimeoutError("took too long")


def measure(dock: QuacDock, size: int) -> None:
    choices, mixed = dock.choices, dock.comparison.mixed
    choices.classifier = ReadyNetwork(corner_classifier(size))
    choices.generator = ReadyNetwork(corner_generator(size))
    choices.samples = ReadySamples(CornerSamples(size=size))
    choices.update_settings(methods=("residual",), max_tries=1)
    choices.shown_method = "residual"
    wait(lambda: dock.results.prediction and not dock.controller.running)
    explained = []
    dock.explained.connect(lambda: explained.append(True))
    dock.explain()
    wait(lambda: explained and not dock.controller.running)
    steps = {
        "curtain": lambda share: mixed.set_edge(share),
        "difference": lambda share: mixed._draw(),
        "morph": lambda share: mixed.set_share(share),
    }
    for mode, step in steps.items():
        dock.comparison.set_mode(mode)
        end = time.monotonic() + 0.5
        wait(lambda end=end: time.monotonic() > end)
        own, drawn = [], []
        for number in range(N_STEPS):
            start = time.perf_counter()
            step(number / N_STEPS)
            own.append(1e3 * (time.perf_counter() - start))
            QApplication.processEvents()
            drawn.append(1e3 * (time.perf_counter() - start))
        print(
            f"{size} px, {mode}: {np.median(own):.1f} ms in Python, {np.median(drawn):.0f} ms "
            f"until drawn, p95 {np.percentile(drawn, 95):.0f} ms"
        )
    dock.comparison.set_mode("")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[128, 512])
    sizes = parser.parse_args().sizes
    viewer = napari.Viewer()
    viewer.window.resize(1366, 768)
    dock = QuacDock(viewer)
    viewer.window.add_dock_widget(dock, name="QuAC", area="right", add_vertical_stretch=False)
    for size in sizes:
        measure(dock, size)
    viewer.close()
    QApplication.processEvents()
