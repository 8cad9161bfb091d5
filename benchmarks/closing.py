"""Measure how long closing takes of the window's thread while work is running.

Run with a display, or under Xvfb::

    python benchmarks/closing.py [SCENARIO ...]

Scenarios: idle, fido, search, explain-many, training. For each, the dock of a new viewer with the
example is closed in the middle of the work. *own* is the time of ``QuacDock.shut_down``, *napari*
the rest of removing the dock, which is Qt's; *thread* the time until the compute thread has ended.
*processor* is the processor time of *own*, because a busy machine lengthens the others.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("NAPARI_CONFIG", "")

import napari
from qtpy.QtCore import QEvent
from qtpy.QtWidgets import QApplication

from napari_quac.generators.fido.recipe import FidoRecipe
from napari_quac.gui.dock import QuacDock

LIMIT_MS = 200
ROUNDS = 3


def wait(condition: Callable[[], Any], seconds: float = 300) -> None:
    """Let the event loop run until a condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        QApplication.processEvents()
        time.sleep(0.001)
        if time.monotonic() > end:
            raise TimeoutError("the work has not begun")


def work_for(seconds: float) -> None:
    """Let the event loop run for some time."""
    end = time.monotonic() + seconds
    wait(lambda: time.monotonic() > end)


def idle(dock: QuacDock) -> None:
    """Explain a sample and wait for its end."""
    dock.session.explain()
    wait(lambda: dock.results.explanations is not None and dock.session.is_explained)
    wait(lambda: not dock.controller.running)


def fido(dock: QuacDock) -> None:
    """Start a search whose single step took more than ten seconds."""
    dock.choices.generator = FidoRecipe()
    wait(lambda: not dock.controller.running)
    dock.session.explain()
    wait(lambda: "searched_pair" in dock.controller.running)


def search(dock: QuacDock) -> None:
    """Start a search with many tries, and close it in the middle."""
    dock.choices.update_settings(max_tries=1000)
    dock.choices.choose_target("plain")
    dock.session.explain()
    wait(lambda: dock.controller.running)


def explain_many(dock: QuacDock) -> None:
    """Start to explain all samples."""
    dock.all_samples.many.start(Path(tempfile.mkdtemp()) / "explained")
    wait(lambda: dock.all_samples.many.state == "running")


def training(dock: QuacDock) -> None:
    """Start to train a generator."""
    dock.train.set_open(True)
    dock.train.settings.folder.edit.setText(tempfile.mkdtemp())
    dock.train.train_button.click()
    wait(lambda: dock.training.is_running)


SCENARIOS = {
    "idle": idle,
    "fido": fido,
    "search": search,
    "explain-many": explain_many,
    "training": training,
}


def measure(start: Callable[[QuacDock], None], seconds: float) -> tuple[float, ...]:
    """Return the milliseconds of own time, its processor time, the rest, and of the thread."""
    viewer = napari.Viewer(show=True)
    dock = QuacDock(viewer)
    viewer.window.add_dock_widget(dock, name="QuAC", area="right", add_vertical_stretch=False)
    dock.try_example()
    wait(lambda: dock.results.prediction is not None and not dock.controller.running)
    start(dock)
    work_for(seconds)
    own: list[float] = []
    shut_down = dock.shut_down

    def timed(*arguments: Any) -> None:
        begun, processor = time.perf_counter(), time.thread_time()
        shut_down(*arguments)
        own.extend((time.perf_counter() - begun, time.thread_time() - processor))

    dock._window_watch.removed.disconnect()
    dock._window_watch.removed.connect(timed)
    lane, begun = dock.lane, time.perf_counter()
    viewer.window.remove_dock_widget(dock)
    total = time.perf_counter() - begun
    wait(lambda: not lane.is_alive)
    ended = time.perf_counter() - begun
    dock.deleteLater()
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    viewer.close()
    QApplication.processEvents()
    return own[0] * 1000, own[1] * 1000, (total - own[0]) * 1000, ended * 1000


def main() -> None:
    """Print a line for each scenario."""
    names = sys.argv[1:] or list(SCENARIOS)
    titles = ("own ms", "processor", "napari ms", "thread ms")
    print(f"{'scenario':14}", *(f"{title:>10}" for title in titles), f"  limit of own: {LIMIT_MS}")
    for name in names:
        results = [measure(SCENARIOS[name], 0.5 + 0.4 * number) for number in range(ROUNDS)]
        longest = [max(column) for column in zip(*results, strict=True)]
        print(f"{name:14}", *(f"{value:10.0f}" for value in longest), flush=True)


if __name__ == "__main__":
    main()
