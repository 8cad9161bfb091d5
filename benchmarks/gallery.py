"""Measure the gallery of all samples in the real window.

Run with a display, or under Xvfb::

    python benchmarks/gallery.py [--rows 100000] [--size 128]

It prints how long the page takes to open, how long the window needs for a step of scrolling from
end to end, how long visible cells wait for their pictures, and how much memory is added.
"""

from __future__ import annotations

import argparse
import os
import resource
import time

os.environ.setdefault("NAPARI_CONFIG", "")

import napari
import numpy as np
from qtpy.QtWidgets import QApplication

from napari_quac.gui.dock import QuacDock
from napari_quac.gui.samples.gallery_view import GalleryView
from napari_quac.live.choices import ReadySamples
from napari_quac.testing import CornerSamples


def wait(condition, seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        QApplication.processEvents()
        if time.monotonic() > end:
            raise TimeoutError("took too long")


def has_pictures(view: GalleryView) -> bool:
    return all(index in view.pictures for index in view.visible_indices())


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(n_rows: int, size: int, n_steps: int = 300) -> None:
    viewer = napari.Viewer()
    viewer.window.resize(1366, 768)
    dock = QuacDock(viewer)
    viewer.window.add_dock_widget(dock, name="QuAC", area="right", add_vertical_stretch=False)
    dock.choices.samples = ReadySamples(CornerSamples(n=n_rows, size=size))
    wait(lambda: dock.results.order is not None and len(dock.results.order) == n_rows)
    wait(lambda: not dock.controller.running)
    dock.bottom_docks.raise_samples()
    end = time.monotonic() + 1
    wait(lambda: time.monotonic() > end)
    before, start = peak_mb(), time.perf_counter()
    dock.all_samples.show_tab("gallery")
    QApplication.processEvents()
    view = dock.all_samples.gallery.view
    print(f"{n_rows} samples of {size} px; open: {1e3 * (time.perf_counter() - start):.0f} ms")
    wait(lambda: has_pictures(view))
    print(f"pictures of the first screen: {1e3 * (time.perf_counter() - start):.0f} ms")
    bar, times = view.verticalScrollBar(), []
    for step in range(n_steps):
        start = time.perf_counter()
        bar.setValue(bar.maximum() * step // n_steps)
        QApplication.processEvents()
        times.append(1e3 * (time.perf_counter() - start))
    print(
        f"scroll step over {n_rows // n_steps} samples: median {np.median(times):.1f} ms, p99 "
        f"{np.percentile(times, 99):.1f} ms, longest {max(times):.1f} ms"
    )
    waits = []
    for step in range(30):
        start = time.perf_counter()
        bar.setValue(bar.maximum() * (29 - step) // 30)
        wait(lambda: has_pictures(view))
        waits.append(1e3 * (time.perf_counter() - start))
    print(f"pictures of a new screen and of the next: median {np.median(waits):.0f} ms")
    print(f"memory: {peak_mb() - before:.0f} MB for {len(view.pictures)} cells")
    viewer.close()
    QApplication.processEvents()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--size", type=int, default=128)
    options = parser.parse_args()
    measure(options.rows, options.size)
