"""Faults injected into the work of the window: into networks, steps, and files.

``python tests/gui/window_faults.py --each 3`` lets three places of each kind of work fail in each
way (``--each 0``: every place), and ends with 1 if a fault is not told or not overcome.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    TEMPORARY = tempfile.mkdtemp()
    for variable in ("XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "HOME"):
        os.environ[variable] = f"{TEMPORARY}/{variable}"
    os.environ["NAPARI_CONFIG"] = f"{TEMPORARY}/settings.yaml"
    sys.path.insert(0, str(Path(__file__).parent.parent))

import platformdirs
import torch
from qtpy.QtWidgets import QApplication, QLabel, QTableView

import napari_quac
from commands.storage_faults import check_complete
from gui.injections import ERRORS, KINDS, WORDS, Injection
from gui.outcomes import Outcomes
from gui.random_walk import Faults
from gui.works import WORKS, Desk, Work, draw_files

ENDLESS = ("train a StarGAN", "train a simulator")
"""Work that is stopped after a while."""
UNFIT = ("dialog for files", "menu Open", "table of keys", "question before closing", "blink",
         "slide side by side", "question of consent", "sample data")  # fmt: skip
"""Work that asks, or has no steps of its own; not done by the soak."""
TRIES = 3
"""The steps of a window are not quite the same each time, so a place may not be reached."""


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
        self.desk.n_explained, self.desk.is_hasty = 3, True
        self.problems: list[str] = []
        self.outcomes = Outcomes()
        self.seconds = float("inf")
        self.counts: Counter[str] = Counter()

    def injection(self, kind: str, error: str = "", place: str = "", number: int = 0) -> Injection:
        """Return an injection of a kind; number 0 only counts."""
        example = Path(napari_quac.__file__).parent / "example"
        own = [
            platformdirs.user_cache_path("napari-quac"),
            platformdirs.user_data_path("napari-quac"),
        ]
        folders = [self.folder, *own, *([example] if kind == "read" else [])]
        return KINDS[kind](error, place, number, folders)

    def perform(self, name: str, work: Work, seconds: float = 300) -> None:
        """Start work and wait for its end."""
        desk = self.desk
        desk.dock.status.forget_failure()
        desk.note_earlier()
        work.answer(desk)
        work.start(desk)
        desk.rest(0.05)
        if name in ENDLESS:
            desk.wait(lambda: desk.dock.training.status is None
                      or desk.dock.training.status.state is not None, "a preview")  # fmt: skip
            desk.dock.train.stop_button.click()
        desk.wait(lambda: desk.is_idle, f"the end of '{name}'", seconds)
        desk.rest(0.15)
        desk.wait(lambda: desk.is_idle, f"the end of '{name}'", seconds)
        desk.end_questions()

    def check(
        self, name: str, kinds: Sequence[str], each: int, rng: random.Random, part: str = ""
    ) -> Iterator[tuple[str, Counter[str]]]:
        """Let some places of some work fail in each way, or all with ``each`` 0.

        Yields
        ------
        str
            The kind of step.
        Counter
            Numbers of ``steps``, ``places``, ``faults``, faults that were ``told``, those
            ``without effect``, and those that went ``wrong``.
        """
        counters = {kind: self.injection(kind) for kind in kinds}
        WORKS[name].prepare(self.desk)
        self.perform(name, WORKS[name])  # what is done only once is not counted
        WORKS[name].prepare(self.desk)
        with ExitStack() as stack:
            for counter in counters.values():
                stack.enter_context(counter.injected())
            self.perform(name, WORKS[name])
        self.outcomes.keep(name, self.desk)
        for kind, counter in counters.items():
            chosen = sorted(place for place in counter.counts if part in place)
            places = rng.sample(chosen, min(each or len(chosen), len(chosen)))
            self.counts = Counter(steps=counter.n_steps, places=len(counter.counts))
            end = time.monotonic() + self.seconds
            for place in places:
                if time.monotonic() > end:
                    break
                self.check_place(name, kind, place, rng.randint(1, counter.counts[place]))
            yield kind, self.counts

    def check_place(self, name: str, kind: str, place: str, number: int) -> None:
        """Let a step fail in each way; after that, the same work has to succeed."""
        for error in ERRORS[kind]:
            case = f"{name}: {kind} {error} at {number} of {place}"
            problems: list[str] | None = None
            try:
                for attempt in range(TRIES):
                    if problems is None:
                        repetition = number if attempt == 0 else 1
                        problems = self.case(case, name, kind, error, place, repetition)
                if problems is not None and error == ERRORS[kind][-1]:
                    problems += self.repeat(name, WORKS[name])
            except (AssertionError, TimeoutError, ValueError) as wrong:
                problems = [f"{type(wrong).__name__}: {wrong}"]
                self.calm()
            if problems is not None:
                self.counts["faults"] += 1
                self.counts["wrong"] += bool(problems)
                new = [f"{case}: {problem[-1800:]}" for problem in problems]
                self.problems += new
                for text in new:
                    print(f"  WRONG {text}", flush=True)

    def case(
        self, case: str, name: str, kind: str, error: str, place: str, number: int
    ) -> list[str] | None:
        """Let one step fail, and look at what is told and what is there.

        Returns
        -------
        list of str or None
            What is wrong; None if the place was not reached.
        """
        work, faults, desk, problems = WORKS[name], Faults(), self.desk, []
        injection = self.injection(kind, error, place, number)
        work.prepare(desk)
        before, texts = stamps(self.folder), {*self.texts(WORDS[error])}
        with faults.watch(), injection.injected():
            self.perform(name, work)
        if not injection.n_failed:  # the work took another way this time
            return None
        failure = desk.dock.status.failure
        is_stated = failure is not None and any(w in failure.sentence for w in WORDS[error])
        # without effect, such as a batch that is divided after memory ran out
        if is_stated or {*self.texts(WORDS[error])} - texts:
            self.counts["told"] += 1
        elif work.has_result(desk):
            self.counts["without effect"] += 1
            print(f"  without effect: {case}", flush=True)
            problems += self.outcomes.compare(name, desk)
        else:
            line = desk.dock.status.line.text()
            problems.append(f"not told; status: {line}; known: {texts}; {faults.texts}")
        problems += [text for text in faults.texts if not text.startswith("An error in the")]
        return problems + check_files(self.folder, before)

    def repeat(self, name: str, work: Work) -> list[str]:
        """Do the same work without faults; return what is wrong with it."""
        faults = Faults()
        work.prepare(self.desk)
        with faults.watch():
            self.perform(name, work)
        self.outcomes.keep(name, self.desk)
        failure = self.desk.dock.status.failure
        texts = [*faults.texts, *([failure.sentence] if failure is not None else [])]
        return [f"unusable afterwards: {text}" for text in texts]

    def calm(self) -> None:
        """End all work after a problem."""
        self.desk.dock.controller.cancel()
        self.desk.dock.training.stop()
        self.desk.end_questions()
        self.desk.rest(1)

    def texts(self, words: tuple[str, ...]) -> Iterator[str]:
        """Return the sentences of the window with one of some words, those of tables included."""
        dock = self.desk.dock
        for root in (dock, dock.all_samples, dock.curve_dock, dock.methods_compared):
            for text in texts_of(root):
                if any(word in text for word in words):
                    yield text


def texts_of(root: Any) -> Iterator[str]:
    """Return texts and tooltips below a widget."""
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


def stamps(folder: Path) -> dict[Path, tuple[int, int]]:
    """Return size and time of all files below a folder."""
    files = {path: path.stat() for path in folder.rglob("*") if path.is_file()}
    return {path: (file.st_size, file.st_mtime_ns) for path, file in files.items()}


def check_files(folder: Path, before: dict[Path, tuple[int, int]]) -> list[str]:
    """Return what is wrong with the files that are new, changed or gone."""
    now = stamps(folder)
    problems = [f"'{path}' is lost" for path in before if path not in now]
    for path, stamp in now.items():
        if before.get(path) != stamp:
            try:
                check_complete(path)
            except Exception as error:  # noqa: BLE001 - of any reader
                problems.append(f"'{path}' is damaged: {error!r}")
    return problems


def row(name: str, kind: str, counts: Counter[str]) -> str:
    """Return a line of a table."""
    columns = ("steps", "places", "faults", "told", "without effect", "wrong")
    return " | ".join([f"| {name}", kind, *(str(counts[column]) for column in columns)]) + " |"


def walk(bench: Bench, arguments: argparse.Namespace) -> None:
    """Check kinds of work against kinds of faults, and print a line about each."""
    rng = random.Random(arguments.seed)
    for name in arguments.works:
        begun = time.monotonic()
        try:
            for kind, counts in bench.check(
                name, arguments.kinds, arguments.each, rng, arguments.place
            ):
                line = row(name, kind, counts)
                print(f"{line} {time.monotonic() - begun:.0f} s", flush=True)
                begun = time.monotonic()
                if arguments.counts is not None:
                    with arguments.counts.open("a") as file:
                        file.write(line + "\n")
        except (AssertionError, TimeoutError) as error:
            bench.problems.append(f"{name}: {error}")
            print("WRONG", bench.problems[-1], flush=True)
            bench.calm()


def main() -> int:
    """Let work fail, and print what was not right."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--each", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--works", nargs="+", default=[*WORKS], metavar="WORK")
    parser.add_argument("--kinds", nargs="+", default=[*KINDS], choices=[*KINDS])
    parser.add_argument("--seconds", type=float, default=float("inf"),
                        help="after which no other place of a kind of work fails")  # fmt: skip
    parser.add_argument("--place", default="", help="part of the places that fail")
    parser.add_argument("--counts", type=Path, help="file to which lines of a table are appended")
    arguments = parser.parse_args()
    import napari
    from qtpy.QtCore import QSettings, Qt

    torch.set_num_threads(1)
    QApplication.setAttribute(Qt.ApplicationAttribute.AA_DontUseNativeDialogs)
    QSettings.setPath(QSettings.Format.NativeFormat, QSettings.Scope.UserScope, TEMPORARY)
    place = Path(TEMPORARY) / "files"
    place.mkdir()
    bench = Bench(napari.Viewer(), place)
    bench.seconds = arguments.seconds
    walk(bench, arguments)
    outcomes = bench.outcomes
    print(f"results in spite of a fault: {outcomes.n_compared} compared, {outcomes.n_unknown} not")
    print(f"{len(bench.problems)} problems")
    sys.stdout.flush()
    shutil.rmtree(TEMPORARY, ignore_errors=True)
    os._exit(1 if bench.problems else 0)  # what napari leaves behind is not part of it


if __name__ == "__main__":
    main()
