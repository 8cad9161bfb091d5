"""Faults injected into the work of the window: into networks, into steps, and into the disk.

``python tests/gui/window_faults.py --each 3`` lets three steps of each kind of work fail in each
way (``--each 0``: every step), and ends with 1 if a fault is not told or not overcome.
"""

from __future__ import annotations

import argparse
import errno
import os
import random
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

if __name__ == "__main__":
    os.environ["NAPARI_CONFIG"] = tempfile.mkdtemp() + "/settings.yaml"
    sys.path.insert(0, str(Path(__file__).parent.parent))

import torch
from qtpy.QtWidgets import QLabel, QTableView
from torch.nn.modules import module as torch_modules

from commands.storage_faults import FaultyDisk, check_complete, contents
from gui.random_walk import Faults
from gui.works import WORKS, Desk, Work, draw_files
from napari_quac.live.lane import Lane

TEXT = "injected fault"
STORED = ("the disk is full", "cannot be written")
WORDS: dict[str, tuple[str, ...]] = {
    "RuntimeError": (TEXT,),
    "MemoryError": ("Memory ran out",),
    "NaN": ("NaN", "not finite", "no finite", "infinite", "not a number", "no numbers"),
    "ENOSPC": STORED,
    "EACCES": STORED,
    "EIO": STORED,
}
"""Parts of the sentences of which one has to be in the window."""


class FaultyNetworks:
    """Counts calls of networks, and lets one of them fail, or return NaN.

    Parameters
    ----------
    fails_at : int
        Number of the call, from 1; 0 for none.
    kind : str
        ``RuntimeError``, ``MemoryError`` or ``NaN``.
    """

    def __init__(self, fails_at: int = 0, kind: str = "NaN") -> None:
        self.fails_at, self.kind = fails_at, kind
        self.n_steps = self.n_failed = 0
        self.place = ""
        self._depth: dict[int, int] = {}

    @contextmanager
    def injected(self) -> Iterator[None]:
        """Watch all networks."""
        begin = torch_modules.register_module_forward_pre_hook(self._before)
        end = torch_modules.register_module_forward_hook(self._after, always_call=True)
        try:
            yield
        finally:
            begin.remove()
            end.remove()

    def _before(self, module: Any, inputs: Any) -> None:
        thread = threading.get_ident()
        self._depth[thread] = self._depth.get(thread, 0) + 1
        if self._depth[thread] > 1 or not threading.current_thread().name.startswith("quac"):
            return
        self.n_steps += 1
        if self.n_steps == self.fails_at and self.kind != "NaN":
            self.n_failed += 1
            self.place = place_of(traceback.extract_stack())
            raise error_of(self.kind)

    def _after(self, module: Any, inputs: Any, output: Any) -> Any:
        thread = threading.get_ident()
        self._depth[thread] = self._depth.get(thread, 1) - 1
        if self._depth[thread] or self.n_steps != self.fails_at or self.kind != "NaN":
            return None
        if not isinstance(output, torch.Tensor) or self.n_failed:
            return None
        self.n_failed += 1
        self.place = place_of(traceback.extract_stack())
        return output * float("nan")


class FaultySteps:
    """Counts steps in the lanes, and lets one of them fail where it goes on.

    Parameters
    ----------
    fails_at : int
        Number of the step, from 1; 0 for none.
    kind : str
        ``RuntimeError`` or ``MemoryError``.
    """

    def __init__(self, fails_at: int = 0, kind: str = "RuntimeError") -> None:
        self.fails_at, self.kind = fails_at, kind
        self.n_steps = self.n_failed = 0
        self.place = ""

    @contextmanager
    def injected(self) -> Iterator[None]:
        """Watch all lanes."""
        perform = Lane._step

        def step(lane: Lane, job: Any) -> None:
            self.n_steps += 1
            if self.n_steps == self.fails_at:
                self.n_failed += 1
                self.place = job.slot
                steps, error = job.steps, error_of(self.kind)
                if steps is None:
                    job.start = lambda: raise_(error)
                else:
                    job.steps = Thrown(steps, error)
            perform(lane, job)

        with patch.object(Lane, "_step", step):
            yield


def raise_(error: BaseException) -> Any:
    raise error


class Thrown:
    """Steps that continue with an error at the place where they paused."""

    def __init__(self, steps: Any, error: BaseException) -> None:
        self._steps, self._error = steps, error

    def __next__(self) -> Any:
        """Return the next progress, if the steps overcome the error."""
        if self._error is None:
            return next(self._steps)
        error, self._error = self._error, None
        return self._steps.throw(error)

    def close(self) -> None:
        """Close the steps."""
        self._steps.close()


def place_of(stack: traceback.StackSummary) -> str:
    """Return the functions of the package in a stack, the last ones."""
    return " > ".join(frame.name for frame in stack if "/napari_quac/" in frame.filename)[-160:]


def error_of(kind: str) -> BaseException:
    return MemoryError() if kind == "MemoryError" else RuntimeError(TEXT)


class Disk(FaultyDisk):
    """A disk whose folder of work fails."""

    def __init__(self, folder: Path, fails_at: int = 0, kind: str = "EIO") -> None:
        super().__init__(folder, fails_at, getattr(errno, kind), lasting=kind == "ENOSPC")

    injected = FaultyDisk.mounted
    place = ""


KINDS: dict[str, Callable[..., Any]] = {
    **{f"network {kind}": FaultyNetworks for kind in ("RuntimeError", "MemoryError", "NaN")},
    **{f"step {kind}": FaultySteps for kind in ("RuntimeError", "MemoryError")},
    **{f"disk {kind}": Disk for kind in ("ENOSPC", "EACCES", "EIO")},
}


class RandomFaults:
    """Lets a random step of random work fail, again and again while the window is used.

    Parameters
    ----------
    folder : Path
        Whose files cannot be written.
    seed : int
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder, self._random, self._stack = folder, random.Random(seed), ExitStack()
        self._injection: Any = None
        self.n_failed = 0

    def renew(self) -> None:
        """Inject another fault in place of the previous one."""
        self.end()
        source, error = self._random.choice([*KINDS]).split()
        place = (self._folder,) if source == "disk" else ()
        number = self._random.randint(1, 12)
        self._injection = KINDS[f"{source} {error}"](*place, number, error)
        self._stack.enter_context(self._injection.injected())

    def end(self) -> None:
        """Inject nothing."""
        self._stack.close()
        if self._injection is not None:
            self.n_failed += bool(self._injection.n_failed)
        self._injection = None

    @staticmethod
    def has_caused(text: str) -> bool:
        """Return True if an error is an injected one."""
        return TEXT in text or "MemoryError" in text


ENDLESS = ("train a StarGAN", "train a simulator")
"""Work that is stopped after a while."""
UNFIT = ("dialog for files", "menu Open", "table of keys", "question before closing", "blink",
         "slide side by side", "question of consent", "sample data")  # fmt: skip
"""Work without steps of its own."""


class Bench:
    """A window in which work fails again and again.

    Parameters
    ----------
    viewer : napari viewer
    folder : Path
        For the files.
    """

    def __init__(self, viewer: Any, folder: Path) -> None:
        draw_files(folder)
        self.desk, self.folder = Desk(viewer, folder), folder
        self.desk.n_explained = 3
        self.problems: list[str] = []
        self.n_cases = 0

    def injection(self, kind: str, number: int = 0) -> Any:
        """Return an injection of a kind at a step; 0 only counts."""
        source, error = kind.split()
        place = (self.folder,) if source == "disk" else ()
        return KINDS[kind](*place, number, error)

    def perform(self, name: str, work: Work, seconds: float = 300) -> None:
        """Start work and wait for its end."""
        desk = self.desk
        desk.dock.status.forget_failure()
        work.start(desk)
        desk.rest(0.05)
        if name in ENDLESS:
            desk.wait(lambda: desk.dock.training.status is None
                      or desk.dock.training.status.state is not None, "a preview")  # fmt: skip
            desk.dock.train.stop_button.click()
        desk.wait(lambda: desk.is_idle, f"the end of '{name}'", seconds)
        desk.rest(0.15)
        desk.wait(lambda: desk.is_idle, f"the end of '{name}'", seconds)

    def check(self, name: str, kind: str, each: int, rng: random.Random) -> None:
        """Let some steps of some work fail, or all with ``each`` 0."""
        work = WORKS[name]
        work.prepare(self.desk)
        counter = self.injection(kind)
        with counter.injected():
            self.perform(name, work)
        numbers = list(range(1, counter.n_steps + 1))
        for number in sorted(rng.sample(numbers, min(each or len(numbers), len(numbers)))):
            self.case(name, kind, number, counter.n_steps)

    def case(self, name: str, kind: str, number: int, n_steps: int) -> None:
        """Let one step fail, and look at what is told, what is there, and what works next."""
        case, work, faults = f"{name}: {kind} at {number} of {n_steps}", WORKS[name], Faults()
        try:
            work.prepare(self.desk)
            before = contents(self.folder)
            injection = self.injection(kind, number)
            with faults.watch(), injection.injected():
                self.perform(name, work)
            if not injection.n_failed:  # the work took fewer steps this time
                return
            self.n_cases += 1
            words = WORDS[kind.split()[1]]
            is_told = any(word in text for text in self.texts() for word in words)
            # such as a batch that is divided after memory ran out
            if not is_told and not work.has_result(self.desk):
                status = self.desk.dock.status.line.text()
                faults.note(f"not told: {injection.place}; status: {status}")
            for text in faults.texts:
                if not text.startswith("An error in the window"):
                    self.problems.append(f"{case}: {text[-1500:]}")
            if before.keys() - contents(self.folder).keys():
                self.problems.append(f"{case}: files are lost")
            check_complete(self.folder)
            with faults.watch():
                faults.texts.clear()
                work.prepare(self.desk)
                self.perform(name, work)
            failure = self.desk.dock.status.failure
            if failure is not None or faults.texts:
                self.problems.append(f"{case}: unusable afterwards: {failure}, {faults.texts}")
        except (AssertionError, TimeoutError, ValueError) as error:
            self.problems.append(f"{case}: {type(error).__name__}: {error}")
            self.desk.dock.controller.cancel()
            self.desk.dock.training.stop()
            self.desk.rest(1)

    def texts(self) -> Iterator[str]:
        """Return all sentences of the window, those of tables included."""
        dock = self.desk.dock
        for root in (dock, dock.all_samples, dock.curve_dock, dock.methods_compared):
            for label in root.findChildren(QLabel):
                yield label.text()
                yield label.toolTip()
            for table in root.findChildren(QTableView):
                model = table.model()
                for row in range(min(model.rowCount(), 80)):
                    for column in range(model.columnCount()):
                        index = model.index(row, column)
                        yield str(index.data())
                        yield str(index.data(3))  # the tooltip


def walk(bench: Bench, works: list[str], kinds: list[str], each: int, seed: int) -> int:
    """Check kinds of work against kinds of faults; return the number of cases."""
    rng = random.Random(seed)
    for name in works:
        for kind in kinds:
            begun, n_before, n_problems = time.monotonic(), bench.n_cases, len(bench.problems)
            try:
                bench.check(name, kind, each, rng)
            except TimeoutError as error:
                bench.problems.append(f"{name}: {kind}: {error}")
            new = bench.problems[n_problems:]
            n, seconds = bench.n_cases - n_before, time.monotonic() - begun
            print(f"{name}: {kind}: {n} faults, {seconds:.0f} s", *new, sep="\n  ", flush=True)
    return bench.n_cases


def main() -> int:
    """Let work fail, and print what was not right."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--each", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--works", nargs="+", metavar="WORK")
    parser.add_argument("--kinds", nargs="+", default=[*KINDS], metavar="KIND")
    arguments = parser.parse_args()
    works = arguments.works or [name for name in WORKS if name not in UNFIT]
    import napari
    from qtpy.QtCore import QSettings, Qt
    from qtpy.QtWidgets import QApplication

    torch.set_num_threads(1)
    QApplication.setAttribute(Qt.ApplicationAttribute.AA_DontUseNativeDialogs)
    with tempfile.TemporaryDirectory() as folder:
        QSettings.setPath(QSettings.Format.NativeFormat, QSettings.Scope.UserScope, folder)
        place = Path(folder) / "files"
        place.mkdir()
        bench = Bench(napari.Viewer(), place)
        n_cases = walk(bench, works, arguments.kinds, arguments.each, arguments.seed)
        print(f"{n_cases} faults, {len(bench.problems)} problems")
        sys.stdout.flush()
        os._exit(1 if bench.problems else 0)  # what napari leaves behind is not part of it


if __name__ == "__main__":
    main()
