"""Measure what 200 explanations in a row leave behind in the dock.

Run with a display, or under Xvfb::

    python benchmarks/dock_memory.py [--n 200] [--warm-up 20]

The example, or with ``--tiny`` the corner images of the tests, is explained sample after sample in
the real window. It prints resident memory, and the
numbers of layers, threads, widgets and of the package's own objects, after the first explanations
and at the end. It ends with 1 if memory grew by more than 50 MB or something was left over.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import threading
import time
from collections import Counter
from pathlib import Path

os.environ.setdefault("NAPARI_CONFIG", "")

import napari
from qtpy.QtWidgets import QApplication

from napari_quac.gui.dock import QuacDock
from napari_quac.live.choices import ReadySamples
from napari_quac.testing import CornerSamples, ReadyNetwork, corner_classifier, corner_generator

GROWTH_MB = 50
KINDS = ("Explanation", "Pair", "Curve", "Attribution", "Sample", "Hybrid", "SampleOrder")


def wait(condition, seconds: float = 300.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        QApplication.processEvents()
        time.sleep(0.001)
        if time.monotonic() > end:
            raise TimeoutError("took too long")


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def counted(viewer: napari.Viewer) -> dict[str, int]:
    gc.collect()
    kinds = Counter(type(found).__name__ for found in gc.get_objects())
    return {
        "layers": len(viewer.layers),
        "threads": threading.active_count(),
        "widgets": len(QApplication.allWidgets()),
        **{kind: kinds[kind] for kind in KINDS},
    }


def measure(n: int, warm_up: int, tiny: bool) -> bool:
    viewer = napari.Viewer()
    viewer.window.resize(1366, 768)
    dock = QuacDock(viewer)
    viewer.window.add_dock_widget(dock, name="QuAC", area="right", add_vertical_stretch=False)
    if tiny:
        dock.choices.classifier = ReadyNetwork(corner_classifier(64))
        dock.choices.generator = ReadyNetwork(corner_generator(64))
        dock.choices.samples = ReadySamples(CornerSamples(n=60, size=64))
        dock.choices.update_settings(methods=("d-ig", "d-ingrad", "residual", "random"))
    else:
        dock.try_example()
    wait(lambda: dock.results.predictions is not None and dock.results.predictions.is_complete)
    wait(lambda: not dock.controller.running and len(dock.layers.layers) == 5)
    finished: list[bool] = []
    dock.explained.connect(lambda: finished.append(True))
    memory: list[float] = []
    before: dict[str, int] = {}
    n_samples = len(dock.results.loaded_samples)
    for number in range(n):
        finished.clear()
        dock.choices.sample_index = None
        dock.choices.update_settings(seed=number // n_samples)
        dock.choices.sample_index = number % n_samples
        wait(lambda: dock.search.explain_button.isEnabled() and dock.results.sample is not None)
        wait(lambda: not dock.controller.running)
        dock.search.explain_button.click()
        wait(lambda: finished)
        wait(lambda: not dock.controller.running)
        memory.append(resident_mb())
        if number + 1 == warm_up:
            before = counted(viewer)
            print(f"after {number + 1}: {memory[-1]:.0f} MB, {before}", flush=True)
        elif (number + 1) % 20 == 0:
            print(f"after {number + 1}: {memory[-1]:.0f} MB", flush=True)
    after = counted(viewer)
    start = memory[warm_up - 1]
    growth = memory[-1] - start
    print(f"after {n}: {memory[-1]:.0f} MB, {after}")
    more = {key: after[key] - before[key] for key in after if after[key] > before[key]}
    print(
        f"growth {growth:.1f} MB (at most {max(memory[warm_up - 1 :]) - start:.1f}), more: {more}"
    )
    viewer.close()
    QApplication.processEvents()
    left = [thread.name for thread in threading.enumerate() if thread.name == "quac-lane"]
    print(f"threads of the dock after closing: {left or 'none'}")
    return growth <= GROWTH_MB and not more and not left


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=200)
    parser.add_argument("--warm-up", type=int, default=20)
    parser.add_argument("--tiny", action="store_true", help="small images, small networks")
    given = parser.parse_args()
    sys.exit(0 if measure(given.n, given.warm_up, given.tiny) else 1)
