"""Closes the dock or napari's window at random moments of each kind of work.

``python tests/gui/close_anywhere.py --count 50`` closes 50 docks and 50 windows, and ends with 1 if
a closing call takes too long, an exception or a warning of Qt occurs, or anything is left over.
"""

from __future__ import annotations

import argparse
import faulthandler
import gc
import json
import multiprocessing
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    os.environ["NAPARI_CONFIG"] = tempfile.mkdtemp() + "/settings.yaml"
    os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp()  # napari writes the icons of themes there
    sys.path.insert(0, str(Path(__file__).parent.parent))

import napari
import torch
from napari._qt.dialogs.confirm_close_dialog import ConfirmCloseDialog
from qtpy.QtCore import QEvent, QSettings, Qt, QTimer
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QPushButton

from gui.random_walk import Faults
from gui.works import WORKS, Desk, draw_files
from napari_quac.gui.dock import QuacDock
from napari_quac.gui.window import dock_of

MOST_MS, END_SECONDS, DOCKS_EACH = 200, 10.0, 10
SECONDS_EACH = 240
LATEST = 0.9
"""Share of the usual duration of some work until which it is closed."""


def leftovers(timers: set[str]) -> list[str]:
    """Return threads, child processes and timers that are not those of napari alone."""
    found = [f"thread {t.name}" for t in threading.enumerate() if t.name.startswith("quac")]
    found += [f"process {child.name}" for child in multiprocessing.active_children()]
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    if children.exists():
        found += [f"process {number}" for number in children.read_text().split()]
    return found + [f"timer {timer}" for timer in running_timers() - timers]


def running_timers() -> set[str]:
    """Return the active timers that Python knows."""
    timers = [thing for thing in gc.get_objects() if type(thing).__name__ == "QTimer"]
    names = set()
    for timer in timers:
        try:
            if timer.isActive():
                names.add(f"{id(timer)} {timer.interval()} ms of {timer.parent()}")
        except RuntimeError:  # deleted
            continue
    return names


class Clock:
    """Measures a closing call; a question that is answered meanwhile starts it again."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Measure from here."""
        self._begun, self._processor = time.perf_counter(), time.thread_time()
        self._queued = queued_seconds()

    def stop(self) -> dict[str, float]:
        """Return milliseconds.

        By the clock, of the processor, in the queue for a processor, and of waiting for anything
        else: threads of this process, the display and the disk.
        """
        ms = 1000 * (time.perf_counter() - self._begun)
        cpu_ms = 1000 * (time.thread_time() - self._processor)
        queue_ms = 1000 * (queued_seconds() - self._queued)
        wait_ms = max(0.0, ms - cpu_ms - queue_ms)
        return {"ms": ms, "cpu_ms": cpu_ms, "queue_ms": queue_ms, "wait_ms": wait_ms}


def queued_seconds() -> float:
    """Return how long this thread was ready without a processor; 0 where Linux is not there."""
    try:
        return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9
    except OSError:
        return 0.0


def timed(call: Any) -> dict[str, Any]:
    """Call, and return its milliseconds; a question of napari is answered at once."""
    clock, questions = Clock(), []

    def answer() -> None:
        if isinstance(dialog := QApplication.activeModalWidget(), ConfirmCloseDialog):
            questions.append(dialog.windowTitle())
            clock.restart()
            dialog.close_btn.click()

    QTimer.singleShot(0, answer)  # runs while a dialog waits, and after the call otherwise
    call()
    return {**clock.stop(), "question": bool(questions)}


def measure_steps(dock: QuacDock, outcome: dict[str, Any]) -> None:
    """Note what the dock itself does when it is closed; in a window, after the closing call."""
    steps = dock._closing_steps

    def closing_steps(window_closes: bool) -> Iterator[Callable[[], Any]]:
        clock = Clock()
        yield from steps(window_closes)
        outcome["dock_ms"] = clock.stop()["cpu_ms"]

    dock._closing_steps = closing_steps  # type: ignore[method-assign]


def close_by_click(desk: Desk, outcome: dict[str, Any]) -> None:
    """Click the close button of the dock, and answer the question."""
    button = dock_of(desk.dock).titleBarWidget().findChild(QPushButton, "QTitleBarCloseButton")
    dock = desk.dock
    outcome.update(timed(lambda: QTest.mouseClick(button, Qt.MouseButton.LeftButton)))
    if (box := dock.close_guard.box) is not None:
        close = box.findChild(QPushButton, "close_close")
        outcome.update(timed(lambda: QTest.mouseClick(close, Qt.MouseButton.LeftButton)))


def close_docks(names: list[str], seed: int, folder: Path) -> Iterator[dict[str, Any]]:
    """Close a dock during each of the works, and open another one in the same window."""
    rng = random.Random(seed)
    viewer = napari.Viewer()
    viewer.window.resize(1366, 768)
    desk = Desk(viewer, folder)
    desk.use_example()
    viewer.window.remove_dock_widget(dock_of(desk.dock))
    desk.rest(1)
    timers = running_timers()
    for name in names:
        faults = Faults()
        with faults.watch():
            desk.open_dock()
            try:
                outcome = close_dock(desk, name, rng, faults, timers)
            except Exception as error:  # noqa: BLE001 - reported with the others
                faults.note(f"{type(error).__name__}: {error}")
                outcome = {"work": name}
                desk.dock.shut_down()
        yield {**outcome, "faults": faults.texts}
    viewer.close()


def close_dock(
    desk: Desk, name: str, rng: random.Random, faults: Faults, timers: set[str]
) -> dict[str, Any]:
    """Close the dock at a random moment, and wait until nothing is left of it."""
    dock, work = desk.dock, WORKS[name]
    moment, by_click = rng.uniform(0, LATEST * work.seconds), rng.random() < 0.5
    outcome: dict[str, Any] = {"work": name, "moment": round(moment, 3)}
    work.prepare(desk)
    measure_steps(dock, outcome)
    faults.texts.clear()

    def close() -> None:
        window, parent = desk.viewer.window, dock_of(dock)
        if by_click and QApplication.activeModalWidget() is None:
            close_by_click(desk, outcome)
        else:
            outcome.update(timed(lambda: window.remove_dock_widget(parent)))

    QTimer.singleShot(int(1000 * moment), close)
    work.start(desk)
    end = time.monotonic() + END_SECONDS + moment
    while not dock.is_closed and time.monotonic() < end:
        pause()
    pause()
    close_popups()
    begun = time.monotonic()
    while (rest := leftovers(timers)) and time.monotonic() < begun + END_SECONDS:
        pause()
    faults.texts += rest if dock.is_closed else ["the dock does not close"]
    if "ms" not in outcome:
        faults.note("something else closed the dock")
    return {**outcome, "seconds": time.monotonic() - begun}


def pause() -> None:
    """Let the event loop run, and delete what waits for it."""
    QApplication.processEvents()
    QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    time.sleep(0.01)


def close_popups() -> None:
    """Close dialogs that a closed dock has left."""
    for widget in filter(
        None, (QApplication.activePopupWidget(), QApplication.activeModalWidget())
    ):
        widget.close()


def close_viewer(name: str, seed: int, folder: Path) -> Iterator[dict[str, Any]]:
    """Run napari until its window is closed in the middle of some work."""
    rng = random.Random(seed)
    work, faults = WORKS[name], Faults()
    moment = rng.uniform(0, LATEST * work.seconds)
    by_user = rng.random() < 0.5
    outcome: dict[str, Any] = {"work": name, "moment": round(moment, 3)}
    with faults.watch():
        viewer = napari.Viewer()
        viewer.window.resize(1366, 768)
        desk = Desk(viewer, folder)
        measure_steps(desk.dock, outcome)
        window = viewer.window._qt_window
        work.prepare(desk)
        faults.texts.clear()

        def close() -> None:
            dock = desk.dock
            if by_user and QApplication.activeModalWidget() is None:
                outcome.update(timed(lambda: window.close(quit_app=True, confirm_need=True)))
                if (box := dock.close_guard.box) is not None:
                    button = box.findChild(QPushButton, "close_close")
                    click = lambda: QTest.mouseClick(button, Qt.MouseButton.LeftButton)  # noqa: E731
                    outcome.update(timed(click))
            else:
                outcome.update(timed(viewer.close))

        QTimer.singleShot(0, lambda: work.start(desk))
        QTimer.singleShot(int(1000 * moment), close)
        napari.run()
        outcome["is_closed"] = desk.dock.is_closed
        if not desk.dock.is_closed:
            faults.note("the dock is not closed")
    yield {**outcome, "faults": faults.texts}


def run_child(
    arguments: argparse.Namespace, names: list[str], seed: int
) -> Iterator[dict[str, Any]]:
    """Close in a process of its own, which has to end by itself."""
    command = [sys.executable, "-X", "faulthandler", __file__, "--works", *names]
    command += ["--seed", str(seed), "--folder", str(arguments.folder)]
    command += ["--viewer"] * arguments.viewer
    limit = SECONDS_EACH * len(names)
    outcome: dict[str, Any] = {"work": f"{names} (seed {seed})", "faults": []}
    with tempfile.TemporaryFile("w+") as errors:
        child = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True
        )
        end = threading.Timer(limit, os.killpg, (child.pid, signal.SIGKILL))
        end.start()
        last = None
        for line in child.stdout or ():
            if line.startswith("{"):
                if last is not None:
                    yield last
                last = json.loads(line)
        code, ended = child.wait(), time.time()
        end.cancel()
        if last is not None:
            outcome = {**last, "exit_seconds": ended - last["time"]}
            if outcome["exit_seconds"] > END_SECONDS:
                outcome["faults"].append("the process ended too late")
        if code or last is None:
            errors.seek(0)
            outcome["faults"].append(f"exit code {code}\n{errors.read()[-3000:]}")
    yield outcome


def own_ms(outcome: dict[str, Any]) -> float:
    """Return what a closing took without what other programs ran on the processors meanwhile."""
    return float(outcome.get("cpu_ms", 0) + outcome.get("wait_ms", 0))


def report(outcome: dict[str, Any]) -> str:
    """Return a line about a closing."""
    keys = ("ms", "cpu_ms", "queue_ms", "wait_ms", "dock_ms", "seconds", "exit_seconds")
    numbers = ", ".join(f"{key} {outcome[key]:.1f}" for key in keys if key in outcome)
    return f"{outcome['work']} after {outcome.get('moment')} s: {numbers}"


def main() -> int:
    """Close docks and windows, and print what was not right."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=("dock", "viewer", "both"), default="both")
    parser.add_argument("--works", nargs="+", default=[*WORKS], metavar="WORK")
    parser.add_argument("--viewer", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.folder is not None:
        return close_here(arguments)
    rng = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as folder:
        arguments.folder = Path(folder)
        draw_files(arguments.folder)
        plans = []
        for viewer in (False, True):
            if arguments.only == ("dock" if viewer else "viewer"):
                continue
            names = [arguments.works[n % len(arguments.works)] for n in range(arguments.count)]
            rng.shuffle(names)
            step = 1 if viewer else DOCKS_EACH
            plans += [(viewer, names[n : n + step]) for n in range(0, len(names), step)]
        outcomes, n_wrong = [], 0
        for number, (arguments.viewer, names) in enumerate(plans):
            for outcome in run_child(arguments, names, arguments.seed + number):
                kind = "window" if arguments.viewer else "dock"
                if (taken := own_ms(outcome)) > MOST_MS:
                    outcome["faults"].append(f"closing took {taken:.0f} ms")
                n_wrong += bool(outcome["faults"])
                outcomes.append({**outcome, "kind": kind})
                print(f"{kind}: {report(outcome)}", *outcome["faults"], sep="\n  ", flush=True)
    for kind in ("dock", "window"):
        of_kind = [o for o in outcomes if o["kind"] == kind and "ms" in o]
        if of_kind:
            print(f"{kind}: {len(of_kind)} closed")
            for name, values in {
                "ms by the clock": [o["ms"] for o in of_kind],
                "ms of the processor and of waiting": [own_ms(o) for o in of_kind],
                "ms of the processor in the dock": [o.get("dock_ms", 0) for o in of_kind],
            }.items():
                print(f"  {statistics.median(values):.0f}, at most {max(values):.0f} {name}")
    print(f"{n_wrong} of {len(outcomes)} not right")
    return 1 if n_wrong else 0


def close_here(arguments: argparse.Namespace) -> int:
    """Close in this process, and print the outcomes as JSON."""
    torch.set_num_threads(1)
    # what it waits for, if it does not end in time
    faulthandler.dump_traceback_later(SECONDS_EACH * len(arguments.works) - 20)
    QApplication.setAttribute(Qt.ApplicationAttribute.AA_DontUseNativeDialogs)
    settings = tempfile.mkdtemp(dir=arguments.folder)
    QSettings.setPath(QSettings.Format.NativeFormat, QSettings.Scope.UserScope, settings)
    if arguments.viewer:
        outcomes = close_viewer(arguments.works[0], arguments.seed, arguments.folder)
    else:
        outcomes = close_docks(arguments.works, arguments.seed, arguments.folder)
    for outcome in outcomes:
        print(json.dumps({**outcome, "time": time.time()}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
