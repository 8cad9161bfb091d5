"""The process that has all libraries and valid files, and forks a worker for each batch."""

from __future__ import annotations

import json
import os
import resource
import shutil
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .inputs import GOOD, N_BYTES, outcome_of, write_input
from .readers import Contents, reader_of
from .sources import SOURCES, prepare

Report = Callable[..., None]
MEMORY_FOLDER = Path("/dev/shm")  # files in memory: thousands of small files are written
ADDRESS_SPACE = 3 << 30  # beyond that of the libraries


def serve(source: str) -> None:
    """Read batches from standard input, and report each of their inputs to standard output."""
    warnings.simplefilter("ignore")  # of libraries, about odd files
    out = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    prepare(source)

    def report(*values: Any) -> None:
        print(json.dumps(values), file=out, flush=True)

    place = MEMORY_FOLDER if MEMORY_FOLDER.is_dir() else None
    with tempfile.TemporaryDirectory(dir=place) as name:
        folder, valid = Path(name), set[str]()
        for line in sys.stdin:
            batch = json.loads(line)
            if batch["reader"] not in valid:
                valid.add(batch["reader"])
                _read_valid_files(batch["reader"], folder / "valid", report)
            worker = os.fork()
            if worker == 0:
                _work(batch, folder, report)
            _, status = os.waitpid(worker, 0)
            report("over", os.waitstatus_to_exitcode(status))


def _read_valid_files(name: str, folder: Path, report: Report) -> None:
    reader = reader_of(name)
    for number, contents in enumerate(reader.seeds()):  # first use imports libraries
        place = folder / name / str(number)
        outcome, details = outcome_of(reader, write_input(place, contents))
        if outcome != "read":
            report("valid", number, outcome, details)


def _work(batch: dict[str, Any], folder: Path, report: Report) -> None:
    """Read the inputs of a batch, and end the process."""
    status = 1
    try:
        reader, number = reader_of(batch["reader"]), batch["first"]
        outcome_of(reader, write_input(folder / "warm", reader.seeds()[0]))  # starts its probe
        _limit_memory()
        start = _resident()
        report("start", os.getpid(), start, str(folder))

        def read(contents: Contents) -> None:
            nonlocal number
            place = folder / "input" / str(number)
            path = write_input(place, contents)
            report("begin", number)
            begin = time.monotonic()
            outcome, details = outcome_of(reader, path)
            seconds, growth = time.monotonic() - begin, max(_take_peak() - start, 0)
            if growth > N_BYTES:
                outcome = f"took {growth >> 20} MB"
            if outcome in GOOD:  # the others are kept by the parent
                shutil.rmtree(place)
            report("end", number, outcome, details, seconds, growth)
            number += 1

        SOURCES[batch["source"]](reader, batch["seed"], batch["first"], batch["end"], folder, read)
        status = 0
    except BaseException:  # noqa: BLE001 - the parent counts the status
        traceback.print_exc()
    finally:
        os._exit(status)


def _resident() -> int:
    try:
        pages = Path("/proc/self/statm").read_text().split()[1]
    except OSError:  # systems without it tell the peak alone
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return int(pages) * resource.getpagesize()


def _take_peak() -> int:
    """Return the largest resident memory since the last call, where the system can reset it."""
    try:
        status = Path("/proc/self/status").read_text()
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return _resident()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def _limit_memory() -> None:
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except OSError:
        return
    limit = pages * resource.getpagesize() + ADDRESS_SPACE
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
