"""Uses the window for an hour in one process, and measures what grows.

``python -m tests.gui.soak --minutes 60`` performs random work in rounds. At the end of each round
the dock is closed, what it leaves behind is removed, the rest is measured, and another dock is
opened.
It ends with 1 if work fails, an exception or a warning of Qt occurs, or something grows beyond the
limits below after the first rounds.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import os
import random
import shutil
import sys
import tempfile
import threading
import time
import warnings
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

if __name__ == "__main__":
    os.environ["NAPARI_CONFIG"] = tempfile.mkdtemp() + "/settings.yaml"
    os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp()  # napari writes the icons of themes there
    sys.path.insert(0, str(Path(__file__).parent.parent))

import napari
import numpy as np
import torch
from napari.utils import resize_dask_cache
from qtpy.QtCore import QObject, QSettings, Qt
from qtpy.QtWidgets import QApplication

from gui.random_walk import Faults
from gui.window_faults import UNFIT, Bench
from gui.works import WORKS
from napari_quac.gui.closing import take_closed_session
from napari_quac.gui.window import dock_of

WARM_UP = 0.3
"""Share of the rounds that is not measured: caches fill, and modules are imported."""
MOST_SECONDS = 900
"""For one action, on a machine that is busy with other work."""
LIMITS = {"memory": 25.0, "threads": 0.5, "files": 1.0, "objects": 150.0, "widgets": 5.0}
"""Most growth in 100 actions: MB that are resident, and numbers of the others."""


@dataclass(frozen=True)
class Measurement:
    """What the process holds after a number of actions.

    Attributes
    ----------
    actions : int
    memory : float
        Resident MB after garbage collections, without what was freed: the C library keeps freed
        memory between blocks in use, and returns it when asked.
    resident : float
        The same with it.
    cached : float
        MB of layers of dask in the cache of napari, which keeps those of removed layers, up to a
        quarter of all memory. It is emptied before memory is measured.
    threads, files, objects, widgets : int
        Threads, open files, objects of Qt that Python knows, and widgets of the application.
    """

    actions: int
    memory: float
    resident: float
    cached: float
    threads: int
    files: int
    objects: int
    widgets: int


def measure(actions: int) -> Measurement:
    """Measure this process."""
    for _ in range(3):
        gc.collect()
    resident, cache = resident_mb(), resize_dask_cache().cache
    cached = cache.total_bytes / 1e6
    cache.clear()
    with suppress(OSError, AttributeError):  # not glibc
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    memory = resident_mb()
    files = len(os.listdir("/proc/self/fd"))
    n_objects = sum(isinstance(thing, QObject) for thing in gc.get_objects())
    n_widgets = len(QApplication.allWidgets())
    n_threads = threading.active_count()
    return Measurement(actions, memory, resident, cached, n_threads, files, n_objects, n_widgets)


def resident_mb() -> float:
    """Return the resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def growth(measurements: Sequence[Measurement], name: str) -> float:
    """Return the growth in 100 actions, by a line through the measurements after the warm-up."""
    later = measurements[int(WARM_UP * len(measurements)) :]
    if len(later) < 3:
        return 0.0
    actions = [measurement.actions for measurement in later]
    values = [getattr(measurement, name) for measurement in later]
    return 100 * float(np.polyfit(actions, values, 1)[0])


def close_dock(bench: Bench) -> None:
    """Close the dock."""
    desk = bench.desk
    desk.viewer.window.remove_dock_widget(dock_of(desk.dock))
    desk.rest(0.3)


def open_dock(bench: Bench) -> None:
    """Open another dock."""
    desk = bench.desk
    desk.open_dock()
    desk.rest(0.5)
    desk.wait(lambda: desk.is_idle, "rest")


def end_round(bench: Bench, actions: int) -> Measurement:
    """Close the dock, remove all it leaves behind, measure, and open another dock."""
    desk = bench.desk
    close_dock(bench)
    # samples, networks and explanations are kept for the next dock: as much as was last used
    take_closed_session(desk.viewer)
    desk.viewer.layers.clear()
    for path in desk.folder.iterdir():
        if path.name.startswith(("explained", "trained", "path", "regions", "plan", "kept")):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    desk.rest(2)
    measurement = measure(actions)
    open_dock(bench)
    return measurement


def soak(
    bench: Bench, minutes: float, seed: int, length: int, names: list[str], faults: Faults
) -> list[Measurement]:
    """Perform random work for some minutes; return the measurements after each round."""
    rng, counts = random.Random(seed), Counter[str]()
    measurements, actions = [], 0
    end = time.monotonic() + 60 * minutes
    while time.monotonic() < end:
        for number, name in enumerate(rng.choices(names, k=length)):
            if number == length // 2:  # the next dock shows what this one showed
                close_dock(bench)
                open_dock(bench)
            try:
                WORKS[name].prepare(bench.desk)
                bench.perform(name, WORKS[name], MOST_SECONDS)
            except TimeoutError as error:
                faults.note(f"{name}: {error}")
                bench.desk.dock.controller.cancel()
            failure = bench.desk.dock.status.failure
            if failure is not None:
                faults.note(f"{name}: {failure.details}")
            actions, counts[name] = actions + 1, counts[name] + 1
            bench.desk.viewer.theme = rng.choice(["dark", "light"])
        measurements.append(end_round(bench, actions))
        print(measurements[-1], *faults.texts, sep="\n  ", flush=True)
        bench.problems += faults.texts
        faults.texts.clear()
    print(dict(counts))
    return measurements


def main() -> int:
    """Use the window, and print what grows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0)
    works = [name for name in WORKS if name not in UNFIT]
    parser.add_argument("--works", nargs="+", default=works, metavar="WORK")
    parser.add_argument("--length", type=int, default=10, help="actions of a round")
    arguments = parser.parse_args()
    warnings.simplefilter("default")
    torch.set_num_threads(1)
    QApplication.setAttribute(Qt.ApplicationAttribute.AA_DontUseNativeDialogs)
    folder = Path(tempfile.mkdtemp())
    QSettings.setPath(QSettings.Format.NativeFormat, QSettings.Scope.UserScope, str(folder))
    (folder / "files").mkdir()
    bench, faults = Bench(napari.Viewer(), folder / "files"), Faults()
    with faults.watch():
        measurements = soak(
            bench, arguments.minutes, arguments.seed, arguments.length, arguments.works, faults
        )
    n_wrong = len(bench.problems)
    for name, limit in LIMITS.items():
        slope = growth(measurements, name)
        n_wrong += slope > limit
        print(f"{name}: {slope:+.2f} in 100 actions, at most {limit}")
    print(f"{measurements[-1].actions} actions, {len(bench.problems)} problems")
    shutil.rmtree(folder, ignore_errors=True)
    sys.stdout.flush()
    os._exit(1 if n_wrong else 0)  # what napari leaves behind is not part of it


if __name__ == "__main__":
    main()
