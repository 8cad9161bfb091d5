"""Time of an input, without the time for which its processes wait for a processor."""

from __future__ import annotations

import time
from pathlib import Path


class Clock:
    """A clock that stands still while other processes have the processors.

    Parameters
    ----------
    worker : int
        Process that reads the input; those that it starts count as well.
    """

    def __init__(self, worker: int = 0) -> None:
        self.worker, self.begin = worker, time.monotonic()
        self._first: dict[int, int] | None = None
        self._last: dict[int, int] = {}

    def seconds(self) -> float:
        """Return the time since the beginning."""
        waiting = {pid: _nanoseconds_waiting(pid) for pid in _with_descendants(self.worker)}
        if self._first is None:
            self._first = waiting
        self._last |= waiting
        waited = sum(last - self._first.get(pid, 0) for pid, last in self._last.items())
        return time.monotonic() - self.begin - waited / 1e9


def _nanoseconds_waiting(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1])
    except (OSError, IndexError):  # it has ended, or the system does not count this
        return 0


def _with_descendants(pid: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError, ValueError):
            continue
        children.setdefault(parent, []).append(int(folder.name))
    family = [pid]
    for member in family:  # grows meanwhile
        family += children.get(member, [])
    return family
