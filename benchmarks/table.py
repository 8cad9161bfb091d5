"""Measure the table of all samples in the real window.

Run with a display, or under Xvfb::

    python benchmarks/table.py [--rows 100000]

It prints how long it takes until the rows are there, until a filter and a sorting show, and how
long the window needs for a frame while the table is scrolled from end to end.
"""

from __future__ import annotations

import argparse
import os
import time

os.environ.setdefault("NAPARI_CONFIG", "")

import napari
import numpy as np
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication

from napari_quac.explain.prediction_table import PredictionTable
from napari_quac.gui.dock import QuacDock
from napari_quac.gui.samples import samples_dock
from napari_quac.gui.samples.sample_table import SampleTable
from napari_quac.live.choices import ReadySamples
from napari_quac.testing import CLASSES, CornerSamples

OWN: list[float] = []


class Timed(SampleTable):
    """Notes how long the table itself draws, without the window around it."""

    def paintEvent(self, event) -> None:
        start = time.perf_counter()
        super().paintEvent(event)
        OWN.append(1e3 * (time.perf_counter() - start))


samples_dock.SampleTable = Timed
FILTERS = (
    "wrong",
    "wrong and confidence < 0.6",
    'id ~ "77" or p(left) > 0.9',
    "label != predicted",
)
COLUMNS = ("confidence", "id", "wrong", "p:1")


def wait(condition, seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        QApplication.processEvents()
        if time.monotonic() > end:
            raise TimeoutError("took too long")


def predictions(n_rows: int) -> PredictionTable:
    random = np.random.default_rng(0)
    probabilities = random.dirichlet([1.0, 1.0, 1.0], n_rows).astype(np.float32)
    return PredictionTable(CLASSES, probabilities, np.arange(n_rows) % 3)


def settled() -> None:
    """Let everything be drawn that waits to be drawn."""
    end = time.monotonic() + 0.3
    wait(lambda: time.monotonic() > end)


def drawn(dock: QuacDock, change) -> float:
    """Return how long it takes, in ms, until a change is on the screen."""
    table = dock.all_samples.table
    settled()
    start, before = time.perf_counter(), len(OWN)
    change()
    table.viewport().update()
    wait(lambda: len(OWN) > before)
    return 1e3 * (time.perf_counter() - start)


def frames(dock: QuacDock, n: int = 120) -> list[float]:
    """Scroll in steps and return the time of each turn of the event loop, in ms."""
    bar = dock.all_samples.table.verticalScrollBar()
    times: list[float] = []
    steps = np.linspace(0, bar.maximum(), n).astype(int).tolist()
    done: list[bool] = []

    def step() -> None:
        if not steps:
            done.append(True)
            timer.stop()
            return
        bar.setValue(steps.pop(0))

    timer = QTimer()
    timer.timeout.connect(step)
    timer.start(16)
    while not done:
        start = time.perf_counter()
        QApplication.processEvents()
        times.append(1e3 * (time.perf_counter() - start))
    return [took for took in times if took > 1]  # turns in which something was drawn


def measure(n_rows: int) -> None:
    viewer = napari.Viewer()
    viewer.window.resize(1366, 768)
    dock = QuacDock(viewer)
    viewer.window.add_dock_widget(dock, name="QuAC", area="right")
    wait(lambda: not dock.controller.running)
    dock.choices.samples = ReadySamples(CornerSamples(n=9))
    wait(lambda: not dock.controller.running and len(dock.layers.layers) == 5)
    start = time.perf_counter()
    dock.choices.samples = ReadySamples(CornerSamples(n=n_rows))
    wait(lambda: dock.results.order is not None and len(dock.results.order) == n_rows)
    dock.all_samples.table.viewport().repaint()
    print(f"{n_rows} rows")
    print(f"open: {1e3 * (time.perf_counter() - start):.0f} ms")
    wait(lambda: not dock.controller.running and len(dock.layers.layers) == 5)
    dock.results.predictions = predictions(n_rows)
    for text in FILTERS:
        took = drawn(dock, lambda text=text: setattr(dock.choices, "filter_text", text))
        print(f"filter {text!r}: {took:.0f} ms, {len(dock.results.order)} rows")
    took = drawn(dock, lambda: setattr(dock.choices, "filter_text", ""))
    print(f"filter '': {took:.0f} ms")
    for name in COLUMNS:
        took = drawn(dock, lambda name=name: setattr(dock.choices, "sort_by", name))
        print(f"sort by {name}: {took:.0f} ms")
    frames(dock, 10)
    OWN.clear()
    times = frames(dock)
    print(
        f"scroll: median {np.median(times):.1f} ms, p99 {np.percentile(times, 99):.1f} ms, "
        f"longest {max(times):.1f} ms for a frame; of it the table's own drawing: median "
        f"{np.median(OWN):.1f} ms, longest {max(OWN):.1f} ms"
    )
    viewer.close()
    QApplication.processEvents()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    measure(parser.parse_args().rows)
