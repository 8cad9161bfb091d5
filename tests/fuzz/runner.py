"""Inputs are read in child processes, because a reader may hang, crash or take all memory."""

from __future__ import annotations

import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .clock import Clock
from .counts import Counts
from .inputs import GOOD, N_BYTES

SECONDS = 10.0  # of each input
GRACE = 120.0  # seconds for a child to start and to write the valid files
BATCH = 1000
TICK = 0.2  # seconds between two looks at the memory of an input that takes longer


@dataclass
class Child:
    """The process that forks workers.

    Attributes
    ----------
    process : subprocess.Popen
    worker : int
        Process that reads the current batch; 0 for none.
    resident : int
        Memory of it at its start, in bytes.
    folder : Path
        Folder of the inputs.
    """

    process: subprocess.Popen[bytes]
    worker: int = 0
    resident: int = 0
    folder: Path = Path()
    buffer: bytes = b""
    lines: list[list[Any]] = field(default_factory=list)

    def next_line(self, seconds: float) -> list[Any] | None:
        """Return the next report; None if there is none in time, or the process ended."""
        assert self.process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while not self.lines and selector.select(seconds):
                piece = os.read(self.process.stdout.fileno(), 1 << 16)
                if not piece:
                    break
                *lines, self.buffer = (self.buffer + piece).split(b"\n")
                self.lines += [json.loads(line) for line in lines]
        return self.lines.pop(0) if self.lines else None

    def send(self, batch: Mapping[str, Any]) -> None:
        """Start a batch."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(batch).encode() + b"\n")
        self.process.stdin.flush()

    def excess(self) -> str:
        """Return the memory that the worker takes beyond the limit; empty if it does not."""
        try:
            pages = int(Path(f"/proc/{self.worker}/statm").read_text().split()[1])
        except (OSError, IndexError):
            return ""
        growth = pages * os.sysconf("SC_PAGE_SIZE") - self.resident
        return f"took {growth >> 20} MB" if growth > N_BYTES else ""


@contextmanager
def running_child(source: str) -> Iterator[Child]:
    """Run a process that forks workers; all of them are ended at the end."""
    path = os.pathsep.join(filter(None, [str(Path(__file__).parents[1]), *sys.path]))
    process = subprocess.Popen(
        [sys.executable, "-m", "fuzz", "--child", source],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    child = Child(process)
    try:
        yield child
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        if child.folder.name:
            shutil.rmtree(child.folder, ignore_errors=True)


def fuzz(
    inputs: Mapping[str, int],
    seed: int,
    failures: Path,
    minutes: float = 1e9,
    source: str = "altered",
    first: Mapping[str, int] | None = None,
    progress: Callable[[Counts], None] = lambda _: None,
) -> Iterator[Counts]:
    """Read inputs, write those that fail to a folder, and yield the counts of each reader.

    Parameters
    ----------
    inputs : mapping of str to int
        Number of inputs for each reader of :data:`fuzz.readers.READERS`.
    seed : int
        Of the random numbers.
    failures : Path
        Folder for the inputs that fail, each with its traceback.
    minutes : float
        Time limit for each reader.
    source : str
        Name in :data:`fuzz.sources.SOURCES`.
    first : mapping of str to int, optional
        Number of the first input of each reader.
    progress : callable
        Called with the counts of the reader after each batch.
    """
    with running_child(source) as child:
        for name, count in inputs.items():
            number, begin = (first or {}).get(name, 0), time.monotonic()
            counts, end = Counts(name, source, seed, first=number), number + count
            while number < end and time.monotonic() < begin + 60 * minutes:
                batch = {"reader": name, "source": source, "seed": seed, "first": number,
                         "end": min(number + BATCH, end)}  # fmt: skip
                if number == (number := _run_batch(child, batch, counts, failures)):
                    raise RuntimeError(f"{name}: the source has no further inputs")
                counts.seconds = time.monotonic() - begin
                progress(counts)
            yield counts


def _run_batch(child: Child, batch: dict[str, Any], counts: Counts, failures: Path) -> int:
    """Return the number of the input after the last one that was read."""
    number, clock, is_reading, problem = batch["first"], Clock(), False, ""
    child.send(batch)
    while True:
        line = child.next_line(TICK if is_reading else GRACE)
        if line is None and is_reading and child.process.poll() is None:
            problem = child.excess()
            if not problem and clock.seconds() > SECONDS:
                problem = f"took more than {SECONDS:.0f} s"
            if problem:
                os.kill(child.worker, signal.SIGKILL)
                is_reading = False
                seconds = clock.seconds()
            continue
        if line is None:
            raise RuntimeError(f"{batch['reader']}: the process ended, or hangs between two inputs")
        kind, *values = line
        if kind == "valid":
            raise RuntimeError(f"{batch['reader']}: the valid file {values[0]} is {values[1:]}")
        if kind == "start":
            child.worker, child.resident, child.folder = *values[:2], Path(values[2])
        elif kind == "begin" and not problem:
            number, clock, is_reading = values[0], Clock(child.worker), True
        elif kind == "end" and not problem:
            is_reading, (outcome, details, seconds, growth) = False, values[1:]
            counts.add(outcome, seconds, growth)
            if outcome not in GOOD:
                _keep(child, counts, failures, number, outcome, details)
            number += 1
        elif kind == "over":
            if values[0] == 0:
                return int(number)
            if not is_reading and not problem:
                raise RuntimeError(f"{batch['reader']}: the source of inputs ended ({values[0]})")
            if not problem:
                problem, seconds = f"process ended with {values[0]}", clock.seconds()
            counts.add(problem, seconds, 0)
            _keep(child, counts, failures, number, problem, "")
            return int(number) + 1


def _keep(
    child: Child, counts: Counts, failures: Path, number: int, outcome: str, details: str
) -> None:
    """Move the first inputs of each kind of failure to the folder of failures."""
    source = child.folder / "input" / str(number)
    if counts.failures[outcome] <= 3:
        name = f"{counts.reader}-{counts.seed}-{number}"
        place = failures / (name if counts.source == "altered" else f"{counts.source}-{name}")
        shutil.rmtree(place, ignore_errors=True)
        if source.exists():
            shutil.copytree(source, place)
        place.mkdir(parents=True, exist_ok=True)
        (place / "failure.txt").write_text(f"{outcome}\n{details}")
    shutil.rmtree(source, ignore_errors=True)
