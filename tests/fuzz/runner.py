"""Altered inputs in child processes, because a reader may hang, crash or take all memory."""

from __future__ import annotations

import json
import os
import resource
import selectors
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from .mutators import Mutator
from .readers import READERS, Contents, Reader

SECONDS, N_BYTES = 10.0, 1 << 30
GRACE = 60.0  # seconds for a child to start and to write the valid files


@dataclass
class Counts:
    """Outcomes of the inputs of one reader."""

    read: int = 0
    refused: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    growth: int = 0

    @property
    def total(self) -> int:
        """Number of inputs."""
        return self.read + self.refused + sum(self.failures.values())


def altered_input(reader: Reader, seeds: Sequence[Contents], seed: int, number: int) -> Contents:
    """Return one input, which depends on nothing but its arguments."""
    pick = Random(f"{reader.name} {seed} {number}")
    every = [content for contents in seeds for content in contents.values()]
    mutator = Mutator(pick, every)
    contents = dict(pick.choice(seeds))
    name = pick.choice(sorted(contents))
    chance = pick.random()
    if len(contents) > 1 and chance < 0.03:
        del contents[name]
    elif chance < 0.05:
        contents[name] = pick.choice(every)
    else:
        for place in {name, *(pick.choice(sorted(contents)) for _ in range(chance > 0.9))}:
            contents[place] = mutator.alter(place, contents[place])
    return contents


def write_input(folder: Path, contents: Contents) -> Path:
    """Write the files of an input; return the file or folder to open."""
    for name, content in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder / next(iter(contents)).split("/")[0]


def outcome_of(reader: Reader, path: Path) -> tuple[str, str]:
    """Read an input: ``"read"``, ``"refused"``, or a name of the failure and its details."""
    from napari_quac.errors import QuacError

    try:
        reader.read(path)
    except QuacError as error:
        if not str(error).strip() or "Traceback" in str(error):
            return "error without a sentence", repr(error)
        return "refused", ""
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001 - a panic of Rust is no Exception
        frames = traceback.extract_tb(error.__traceback__)
        ours = [frame for frame in frames if "napari_quac" in frame.filename]
        frame = (ours or frames)[-1]
        place = f"{Path(frame.filename).name}:{frame.lineno}"
        return f"{type(error).__name__} at {place}", traceback.format_exc()
    return "read", ""


def run_child(tasks: Sequence[dict[str, Any]]) -> None:
    """Read inputs one after the other, and report each to standard output."""
    warnings.simplefilter("ignore")  # of libraries, about odd files
    out = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)

    def report(*values: Any) -> None:
        print(json.dumps(values), file=out, flush=True)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for task in tasks:
            reader = READERS[task["reader"]]
            for number, contents in enumerate(reader.seeds()):  # first use imports libraries
                place = folder / "valid" / reader.name / str(number)
                outcome = outcome_of(reader, write_input(place, contents))
                if outcome[0] != "read":
                    report("valid", reader.name, number, *outcome)
        _limit_memory()
        for task in tasks:
            _run_task(task, folder, report)


def _run_task(task: dict[str, Any], folder: Path, report: Callable[..., None]) -> None:
    reader, deadline = READERS[task["reader"]], time.monotonic() + 60 * task["minutes"]
    for number in range(task["first"], task["count"]):
        if time.monotonic() > deadline:
            break
        contents = altered_input(reader, reader.seeds(), task["seed"], number)
        place = folder / str(number)
        path = write_input(place, contents)
        report("begin", reader.name, number)
        before, start = _peak(), time.monotonic()
        outcome, details = outcome_of(reader, path)
        seconds, growth = time.monotonic() - start, _peak() - before
        if growth > N_BYTES:
            outcome = f"took {growth >> 20} MB"
        report("end", reader.name, number, outcome, details, seconds, growth)
        shutil.rmtree(place)


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _limit_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0]) if os.path.exists("/proc") else 0
    if pages:
        limit = pages * resource.getpagesize() + 3 * N_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def fuzz(
    inputs: Mapping[str, int], seed: int, failures: Path, minutes: float = 1e9
) -> dict[str, Counts]:
    """Read altered inputs; write those that fail to a folder.

    Parameters
    ----------
    inputs : mapping of str to int
        Number of inputs for each reader of :data:`READERS`.
    seed : int
        Of the random numbers.
    failures : Path
        Folder for the inputs that fail, each with its traceback.
    minutes : float
        Time limit for each reader.
    """
    counts = {name: Counts() for name in inputs}
    tasks = [
        {"reader": name, "seed": seed, "first": 0, "count": count, "minutes": minutes}
        for name, count in inputs.items()
    ]
    while tasks:
        last = _watch(tasks, counts, failures)
        if last is None:
            break
        name, number = last
        tasks = tasks[[task["reader"] for task in tasks].index(name) :]
        tasks[0]["first"] = number + 1
    return counts


def _watch(
    tasks: Sequence[dict[str, Any]], counts: Mapping[str, Counts], failures: Path
) -> tuple[str, int] | None:
    """Run a child; return reader and number of the input that ended it, None if it completed."""
    path = os.pathsep.join(filter(None, [str(Path(__file__).parents[1]), *sys.path]))
    command = [sys.executable, "-m", "fuzz", "--child", json.dumps(tasks)]
    child = subprocess.Popen(
        command, stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert child.stdout is not None
    name, number, buffer, is_reading, is_hanging = "", 0, b"", False, True
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(child.stdout, selectors.EVENT_READ)
            while selector.select(SECONDS if is_reading else GRACE):
                piece = os.read(child.stdout.fileno(), 1 << 16)
                if not piece:
                    is_hanging = False
                    break
                *lines, buffer = (buffer + piece).split(b"\n")
                for line in lines:
                    kind, name, number, *rest = json.loads(line)
                    is_reading = kind == "begin"
                    if kind == "valid":
                        raise RuntimeError(f"{name}: the valid file {number} is {rest}")
                    if kind == "end":
                        _count(name, tasks[0]["seed"], number, counts[name], failures, *rest)
        if is_hanging:
            child.kill()
        status = child.wait()
        if not is_reading and status == 0:
            return None
        end = f"took more than {SECONDS:.0f} s" if is_hanging else f"process ended with {status}"
        if not is_reading:
            raise RuntimeError(f"{name or 'the first reader'}: {end} between two inputs")
        seconds = SECONDS if is_hanging else 0.0
        _count(name, tasks[0]["seed"], number, counts[name], failures, end, "", seconds, 0)
        return name, number
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


def _count(
    name: str, seed: int, number: int, counts: Counts, failures: Path,
    outcome: str, details: str, seconds: float, growth: int,
) -> None:  # fmt: skip
    counts.slowest = max(counts.slowest, seconds)
    counts.growth = max(counts.growth, growth)
    if outcome == "read":
        counts.read += 1
    elif outcome == "refused":
        counts.refused += 1
    else:
        counts.failures[outcome] += 1
        if counts.failures[outcome] <= 3:
            reader = READERS[name]
            place = failures / f"{name}-{seed}-{number}"
            shutil.rmtree(place, ignore_errors=True)
            write_input(place, altered_input(reader, reader.seeds(), seed, number))
            (place / "failure.txt").write_text(f"{outcome}\n{details}")
