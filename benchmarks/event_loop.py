"""Measure the longest gap of the event loop during each kind of work, and what fills it.

Run with a display, or under Xvfb::

    python benchmarks/event_loop.py [SCENARIO ...] [--rows 100000] [--stacks LINES]

A gap lies between two ticks of a 2 ms timer, so that several events may share one. Each is divided
by samples of the stack of the window's thread, one per millisecond:

- *own*: Python of napari-quac, whatever it calls, except napari and drawing;
- *layers*: napari's Python that napari-quac called, nearly always to add or remove a layer, which
  cannot be divided (an image takes 65 ms without any plugin), so that each has a turn of its own;
- *drawing*: paint events, OpenGL and layout, whoever asked for them;
- *collection*: the garbage collector;
- *others*: napari, Qt and other libraries that napari-quac did not call.

Processor time of the window's thread stands beside the wall time, because a busy machine lengthens
the latter. For each scenario the longest gap and the gap with most *own* time are printed; with
``--stacks`` also the lines that were running in it.
"""

from __future__ import annotations

import argparse
import gc
import io
import os
import shutil
import sys
import tempfile
import threading
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

os.environ.setdefault("NAPARI_CONFIG", "")

import napari
import numpy as np
from PIL import Image
from qtpy.QtCore import QPoint, QSettings, Qt, QTimer
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QLineEdit

from napari_quac import large_files
from napari_quac.explain.pipeline import explain
from napari_quac.explain.prediction_table import PredictionTable
from napari_quac.explain.settings import ExplainSettings
from napari_quac.gui.dock import QuacDock
from napari_quac.live.choices import ReadySamples
from napari_quac.reports.record import explained_record, to_json
from napari_quac.reports.store import ExplanationStore
from napari_quac.reports.store_info import NetworkIdentity, StoreInfo
from napari_quac.testing import CLASSES, CornerSamples, corner_classifier, corner_generator

TICK_MS = 2
SAMPLE_SECONDS = 0.001
OWN_LIMIT, DRAWING_LIMIT = 50.0, 150.0
PACKAGE, NAPARI = f"{os.sep}napari_quac{os.sep}", f"{os.sep}napari{os.sep}"
DRAWS = {
    "paintEvent",
    "paintGL",
    "on_draw",
    "_on_draw",
    "draw",
    "swap_buffers",
    "grab",
    "screenshot",
}


@dataclass
class Gap:
    """Time between two ticks, in milliseconds, divided by what ran."""

    wall: float
    processor: float
    collection: float
    shares: Counter = field(default_factory=Counter)
    lines: Counter = field(default_factory=Counter)

    def part(self, kind: str) -> float:
        """Return the processor time of one kind."""
        total = sum(self.shares.values())
        rest = max(0.0, self.processor - self.collection)
        return rest * self.shares[kind] / total if total else 0.0

    def __str__(self) -> str:
        parts = [f"{kind} {self.part(kind):.0f}" for kind in ("own", "layers", "drawing", "others")]
        return (
            f"{self.wall:5.0f} ms (processor {self.processor:.0f}: {', '.join(parts)}, "
            f"collection {self.collection:.0f})"
        )


class Watchdog:
    """Notes ticks and garbage collections, and samples the stack of the main thread.

    Parameters
    ----------
    is_sampling : bool
        False for times alone: the samples themselves take Python's lock a thousand times a second.
    """

    def __init__(self, is_sampling: bool = True) -> None:
        self._is_sampling = is_sampling
        self._main = threading.main_thread().ident
        self.samples: list[tuple[float, str, str]] = []
        self.ticks: list[tuple[float, float]] = []
        self.collections: list[tuple[float, float]] = []
        self._begun = 0.0
        self._stopped = threading.Event()

    def __enter__(self) -> Watchdog:
        gc.callbacks.append(self._on_collection)
        self._thread = threading.Thread(target=self._sample, daemon=True, name="watchdog")
        self._timer = QTimer(timerType=Qt.TimerType.PreciseTimer, interval=TICK_MS)
        self._timer.timeout.connect(self.tick)
        if self._is_sampling:
            self._thread.start()
        self._timer.start()
        self.tick()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.stop()
        self.tick()
        self._stopped.set()
        if self._is_sampling:
            self._thread.join()
        gc.callbacks.remove(self._on_collection)

    def tick(self) -> None:
        """Note a return to the event loop."""
        self.ticks.append((time.perf_counter(), time.thread_time()))

    def _on_collection(self, phase: str, info: dict) -> None:
        if threading.get_ident() != self._main:
            return
        if phase == "start":
            self._begun = time.thread_time()
        else:
            self.collections.append((time.perf_counter(), time.thread_time() - self._begun))

    def _sample(self) -> None:
        while not self._stopped.wait(SAMPLE_SECONDS):
            # no name for the frame here: it would keep painters of a paint event alive
            self.samples.append(
                (time.perf_counter(), *_classified(sys._current_frames()[self._main]))
            )

    def gaps(self) -> list[Gap]:
        """Return all gaps longer than 5 ms."""
        times = [moment for moment, _, _ in self.samples]
        found = []
        for (begin, cpu_begin), (end, cpu_end) in zip(self.ticks, self.ticks[1:], strict=False):
            if end - begin < 0.005:
                continue
            inside = self.samples[bisect_left(times, begin) : bisect_left(times, end)]
            collected = sum(took for moment, took in self.collections if begin <= moment < end)
            gap = Gap(1e3 * (end - begin), 1e3 * (cpu_end - cpu_begin), 1e3 * collected)
            gap.shares.update(kind for _, kind, _ in inside)
            gap.lines.update(f"{kind:8s} {line}" for _, kind, line in inside)
            found.append(gap)
        return found


def _classified(frame) -> tuple[str, str]:
    """Return the kind of work of a stack, and its innermost and outermost lines of ours."""
    kind, own_line, line = "others", "", f"{frame.f_code.co_qualname}:{frame.f_lineno}"
    entry, in_napari = "", False
    while frame is not None:
        code = frame.f_code
        if code.co_name in DRAWS or code.co_name.startswith("paint"):
            return "drawing", line
        if PACKAGE in code.co_filename:
            entry = f"{code.co_qualname}:{frame.f_lineno}"
            if not own_line:
                place = code.co_filename.split(PACKAGE)[-1]
                kind = "layers" if in_napari else "own"
                own_line = f"{place}:{frame.f_lineno} {code.co_qualname}"
        in_napari |= NAPARI in code.co_filename
        frame = frame.f_back
    return kind, f"{own_line} from {entry}" if own_line else line


def wait(condition: Callable[[], object], seconds: float = 600.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        QApplication.processEvents()
        time.sleep(0.0005)
        if time.monotonic() > end:
            raise TimeoutError("took too long")


def rest(seconds: float = 1.0) -> None:
    end = time.monotonic() + seconds
    wait(lambda: time.monotonic() > end)


class Window:
    """A viewer with the dock, and the kinds of work in it."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.folder = Path(tempfile.mkdtemp())
        self.viewer = napari.Viewer()
        self.viewer.window.resize(1366, 768)
        rest(0.5)

    def open_dock(self) -> None:
        self.dock = QuacDock(self.viewer)
        self.viewer.window.add_dock_widget(self.dock, name="QuAC", area="right")
        rest()

    def open_example(self) -> None:
        self.dock.try_example()
        results = self.dock.results
        wait(lambda: results.prediction is not None and results.loaded_generator is not None)
        self._idle()

    def search_and_explain(self) -> None:
        self.dock.choices.sample_index = (self.dock.choices.sample_index or 0) + 1
        self._idle()
        self.dock.session.explain()
        wait(lambda: self.dock.session.is_explained or self.dock.status.failure)
        self._idle()

    def move_the_slider(self) -> None:
        slider = self.dock.threshold.slider
        for value in range(slider.minimum(), slider.maximum() + 1):
            slider.setValue(value)
            rest(0.01)

    def step_through_samples(self) -> None:
        for _ in range(10):
            self.dock.next_sample()
            rest(0.1)
        self._idle()

    def predict_all(self) -> None:
        self.dock.controller.request("predictions")
        self._idle()

    def explain_many(self) -> None:
        self.dock.choices.filter_text = "confidence > 0.9"
        rest(0.5)
        many = self.dock.all_samples.many
        many.start(self.folder / "many")
        wait(lambda: many.state != "running" or many.n_done >= 6)
        many.cancel()
        self.dock.choices.filter_text = ""
        self._idle()

    def compare_methods(self) -> None:
        self.dock.choices.sample_index = 1
        self._idle()
        self.dock.session.explain()
        self._idle()
        self.dock.compare_methods()
        end = time.monotonic() + 20
        wait(lambda: "comparison" not in self.dock.controller.running or time.monotonic() > end)
        self.dock.controller.cancel()
        self._idle()

    def fido(self) -> None:
        self.dock.choices.update_settings(methods=("d-ig", "fido"))
        self.dock.choices.shown_method = "fido"
        end = time.monotonic() + 8
        wait(lambda: "explanations" not in self.dock.controller.running or time.monotonic() > end)
        self.dock.controller.cancel()
        self.dock.choices.update_settings(methods=("d-ig", "d-deeplift", "d-ingrad", "residual"))
        self.dock.choices.shown_method = "d-ig"
        self._idle()

    def train(self) -> None:
        panel = self.dock.train
        panel.set_open(True)
        rest(0.5)
        panel.settings.folder.edit.setText(str(self.folder / "training"))
        panel.train_button.click()
        end = time.monotonic() + 15
        wait(lambda: time.monotonic() > end)
        self.dock.training.stop()
        wait(lambda: not self.dock.training.is_running)
        rest()

    def change_theme(self) -> None:
        for theme in ("light", "dark"):
            self.viewer.theme = theme
            rest(0.7)

    def open_volume(self) -> None:
        self.dock.try_example_volume()
        wait(lambda: self.dock.results.prediction is not None)
        self._idle()

    def open_large_files(self) -> None:
        """Open a folder of images, a container and a store that are large, and read them."""
        writing = threading.Thread(target=write_large_files, args=(self.folder, self.rows))
        writing.start()
        wait(lambda: not writing.is_alive())
        for name in ("arrays.n5", "images", "store"):
            self.dock.session.open_path(self.folder / name)
            self._idle()
            failure = self.dock.status.failure
            print(f"    {name}: {failure.sentence if failure else 'read'}", flush=True)
            if failure and failure.action == large_files.ACTION:
                self.dock.session.perform(large_files.ACTION)
                self._idle()

    def open_large_table(self) -> None:
        random = np.random.default_rng(0)
        probabilities = random.dirichlet([1.0, 1.0, 1.0], self.rows).astype(np.float32)
        table = PredictionTable(CLASSES, probabilities, np.arange(self.rows) % 3)
        self.dock.choices.predict_up_to = 0
        self.dock.choices.samples = ReadySamples(CornerSamples(self.rows))
        wait(lambda: self.dock.results.sample_list is not None)
        self._idle()
        self.dock.results.predictions = table
        self._idle()

    def type_a_filter(self) -> None:
        line = self.dock.all_samples.findChild(QLineEdit, "filter_edit")
        for letter in "mispredicted and confidence < 0.6":
            QTest.keyClicks(line, letter)
            rest(0.06)
        rest()
        line.clear()
        rest()

    def sort(self) -> None:
        header = self.dock.all_samples.table.horizontalHeader()
        for column in range(min(4, header.count())):
            place = QPoint(header.sectionViewportPosition(column) + 12, header.height() // 2)
            QTest.mouseClick(header.viewport(), Qt.MouseButton.LeftButton, pos=place)
            rest(0.4)

    def close_dock(self) -> None:
        self.viewer.window.remove_dock_widget(self.dock)
        rest()

    def close(self) -> None:
        self.viewer.close()
        QApplication.processEvents()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _idle(self) -> None:
        rest(0.3)
        wait(lambda: not self.dock.controller.running)
        rest(0.4)


def write_large_files(folder: Path, n: int) -> None:
    """Write a container, a folder of images and a store of so many parts."""
    image = io.BytesIO()
    Image.fromarray(np.zeros((16, 16), np.uint8)).save(image, "PNG")
    network = NetworkIdentity("a")
    settings = ExplainSettings(("residual",))
    store = ExplanationStore.create(
        folder / "store", StoreInfo(CLASSES, network, network, settings)
    )
    (store.folder / "records").mkdir(exist_ok=True)
    sample, networks = CornerSamples(size=16)[0], (corner_classifier(16), corner_generator(16))
    explanations = tuple(explain(sample, 1, *networks, settings).result().values())
    pair = explanations[0].pair
    record = explained_record(pair, explanations, CLASSES, settings=settings, truth=0, targets=[1])
    for number in range(n):
        array = folder / "arrays.n5" / f"a{number}"
        array.mkdir(parents=True)
        (array / "attributes.json").write_text(
            '{"dimensions": [8, 8, 4], "blockSize": [8, 8, 4], "dataType": "uint8", '
            '"compression": {"type": "raw"}}'
        )
        folder_of_class = folder / "images" / CLASSES[number % 2]
        folder_of_class.mkdir(parents=True, exist_ok=True)
        (folder_of_class / f"{number}.png").write_bytes(image.getvalue())
        record["id"] = f"{CLASSES[number % 2]}/{number}"
        (store.folder / "records" / f"{number}.json").write_bytes(to_json(record))


SCENARIOS = (
    "open_dock", "open_example", "search_and_explain", "move_the_slider", "step_through_samples",
    "predict_all", "explain_many", "compare_methods", "fido", "change_theme", "train",
    "open_volume", "open_large_files", "open_large_table", "type_a_filter", "sort", "close_dock",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--stacks", type=int, default=0, metavar="LINES")
    options = parser.parse_args()
    QSettings.setPath(QSettings.Format.NativeFormat, QSettings.Scope.UserScope, tempfile.mkdtemp())
    sys.setswitchinterval(0.001)  # so that samples are taken while the main thread computes
    window = Window(options.rows)
    chosen = options.scenarios or SCENARIOS
    needed = [name for name in ("open_dock", "open_example") if name not in chosen]
    too_long = []
    for name in (*needed, *chosen):
        with Watchdog() as watchdog:
            begun = time.perf_counter()
            try:
                getattr(window, name)()
                problem = ""
            except Exception as error:  # noqa: BLE001 - the other scenarios go on
                problem = f"  FAILED: {type(error).__name__}: {error}"
            took = time.perf_counter() - begun
        gaps = watchdog.gaps() or [Gap(0, 0, 0)]
        longest = max(gaps, key=lambda gap: gap.wall)
        busiest = max(gaps, key=lambda gap: gap.part("own") + gap.collection)
        print(f"{name:22s} {took:5.1f} s{problem}", flush=True)
        print(f"    longest   {longest}")
        print(f"    most own  {busiest}", flush=True)
        if busiest.part("own") + busiest.collection > OWN_LIMIT:
            too_long.append(name)
        for gap in (busiest, longest)[: 2 if longest is not busiest else 1]:
            for line, count in gap.lines.most_common(options.stacks):
                print(f"        {count:4d}  {line}")
            if options.stacks:
                print()
    window.close()
    print(f"own Python and collection over {OWN_LIMIT:.0f} ms: {', '.join(too_long) or 'none'}")


if __name__ == "__main__":
    main()
