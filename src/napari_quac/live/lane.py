"""The thread that uses networks: performs jobs step by step, urgent ones first."""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from napari_quac.large_files import require_questions
from napari_quac.networks.consent import require_consent
from napari_quac.stepwise import Canceled, Progress, Steps, cancelable

Deliver = Callable[[Callable[[], None]], None]

logger = logging.getLogger(__name__)
LANE_NICENESS = 10
TURN_SECONDS = 0.0005
"""Longest time that a lane keeps Python's lock while another thread waits for it."""
EXIT_SECONDS = 10.0
"""Time that a step still has after the process has begun to exit, such as to write a state."""


class Priority(IntEnum):
    """Order of jobs in the lane."""

    URGENT = 0
    """Before all others, also between the steps of a running job."""
    SHORT = 1
    """In the order of submission; too short for anybody to cancel."""
    NORMAL = 2
    """In the order of submission."""
    BACKGROUND = 3
    """Only while there is nothing else to do."""


@dataclass(eq=False)
class _Job:
    """A job in a slot; ``is_dropped`` is only written by the owner's thread."""

    slot: str
    number: int
    start: Callable[[], Any]
    on_done: Callable[[Any], None]
    on_failed: Callable[[BaseException], None]
    on_progress: Callable[[Progress], None] | None
    priority: Priority
    steps: Iterator[Any] | None = None
    is_dropped: bool = False

    @property
    def rank(self) -> tuple[Priority, int]:
        """Position in the order of execution; lowest first."""
        is_short = self.priority is Priority.SHORT
        return (Priority.NORMAL if is_short else self.priority, self.number)


class Lane:
    """A thread with a slot for each kind of job.

    A job that is submitted to a slot replaces the one that waits or runs there. After each step,
    the most urgent job continues, then the oldest. Results are passed to ``deliver``, which calls
    back in the thread that owns the lane; results of jobs that were replaced or canceled meanwhile
    are dropped there, so that nothing races.

    Parameters
    ----------
    deliver : callable
        Runs a function without arguments in the owner's thread, now or later.
    prepare : callable, optional
        Runs first in the lane's thread.
    name : str
        Name of the thread.
    after : Lane, optional
        A closed lane with the same networks, whose thread has to end first: a network is used by
        one thread at a time.
    """

    def __init__(
        self,
        deliver: Deliver,
        prepare: Callable[[], None] | None = None,
        name: str = "quac-lane",
        after: Lane | None = None,
    ) -> None:
        self._deliver, self._prepare, self._after = deliver, prepare, after
        self._condition = threading.Condition()
        self._jobs: dict[str, _Job] = {}
        self._canceled: list[_Job] = []
        self._running: _Job | None = None
        self._closed, self._count = False, 0
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()
        _lanes.add(self)

    @property
    def is_alive(self) -> bool:
        """True while the thread lives."""
        return self._thread.is_alive()

    def submit(
        self,
        slot: str,
        start: Callable[[], Any],
        on_done: Callable[[Any], None],
        on_failed: Callable[[BaseException], None],
        on_progress: Callable[[Progress], None] | None = None,
        priority: Priority = Priority.NORMAL,
    ) -> None:
        """Put a job into a slot, in place of the previous one.

        Parameters
        ----------
        slot : str
            Name of the slot.
        start : callable
            Runs in the lane; returns the result, or :class:`Steps` that end with it.
        on_done : callable
            Receives the result, in the owner's thread.
        on_failed : callable
            Receives any exception, ``RuntimeError`` and ``MemoryError`` included.
        on_progress : callable, optional
            Receives each :class:`Progress` that is yielded.
        priority : Priority
            Order among all jobs.
        """
        with self._condition:
            if self._closed:
                return
            self._drop(slot)
            self._count += 1
            job = _Job(slot, self._count, start, on_done, on_failed, on_progress, priority)
            self._jobs[slot] = job
            self._condition.notify_all()

    def cancel(self, slot: str) -> bool:
        """Cancel the job in a slot; True if there was one."""
        with self._condition:
            return self._drop(slot)

    def slots(self) -> tuple[str, ...]:
        """Return the slots that hold a job."""
        with self._condition:
            return tuple(self._jobs)

    def wait_idle(self, timeout: float = 30.0) -> bool:
        """Wait until all jobs have ended; False after the timeout."""
        end = time.monotonic() + timeout
        with self._condition:
            while self._jobs or self._running or self._canceled:
                remaining = end - time.monotonic()
                if remaining <= 0 or self._closed:
                    return False
                self._condition.wait(remaining)
        return True

    def close(self, timeout: float = 10.0) -> bool:
        """Cancel all jobs; the thread ends after the current step, and no callback follows.

        Searches of folders end within their step; see :func:`~napari_quac.stepwise.check_canceled`.

        Parameters
        ----------
        timeout : float
            Seconds to wait for its end. 0 in the thread of a window, which must not stand still:
            a step can last long.

        Returns
        -------
        bool
            True if the thread has ended.
        """
        with self._condition:
            for slot in tuple(self._jobs):
                self._drop(slot)
            self._closed = True
            self._condition.notify_all()
        if timeout and threading.current_thread() is not self._thread:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _drop(self, slot: str) -> bool:
        job = self._jobs.pop(slot, None)
        if job is None:
            return False
        job.is_dropped = True
        self._canceled.append(job)
        self._condition.notify_all()
        return True

    def _work(self) -> None:
        if self._after is not None:
            self._after._thread.join()
            self._after = None
        with _SHORT_TURNS:
            self._perform_jobs()

    def _perform_jobs(self) -> None:
        require_consent()
        require_questions()
        if self._prepare is not None:
            try:
                self._prepare()
            except Exception:
                logger.exception("the compute thread could not be prepared")
        while True:
            with self._condition:
                self._running = None
                self._condition.notify_all()
                while not (self._jobs or self._canceled or self._closed):
                    self._condition.wait()
                canceled, self._canceled = self._canceled, []
                job = min(self._jobs.values(), key=lambda job: job.rank, default=None)
                self._running = job or (canceled[0] if canceled else None)
                closed = self._closed
            for dropped_job in canceled:
                _close(dropped_job)
            if closed:
                return
            if job is not None:
                self._step(job)

    def _step(self, job: _Job) -> None:
        try:
            with cancelable(lambda: job.is_dropped):
                if job.steps is None:
                    outcome = job.start()
                    if not isinstance(outcome, Steps):
                        self._finish(job, job.on_done, outcome)
                        return
                    job.steps = iter(outcome)
                progress = next(job.steps)
        except Canceled:
            return
        except StopIteration as end:
            self._finish(job, job.on_done, end.value)
        except BaseException as error:  # noqa: BLE001 - passed to the owner, whatever it is
            self._finish(job, job.on_failed, error)
        else:
            if job.on_progress is not None:
                self._pass_on(job, job.on_progress, progress)

    def _finish(self, job: _Job, callback: Callable[[Any], None], outcome: Any) -> None:
        with self._condition:
            if self._jobs.get(job.slot) is job:
                del self._jobs[job.slot]
        self._pass_on(job, callback, outcome)

    def _pass_on(self, job: _Job, callback: Callable[[Any], None], outcome: Any) -> None:
        def call_back() -> None:
            if not (job.is_dropped or self._closed):
                callback(outcome)

        if self._closed:  # the owner may be gone
            return
        try:
            self._deliver(call_back)
        except Exception:
            logger.exception("a result of '%s' could not be delivered", job.slot)


class _ShortTurns:
    """Short turns of all threads of Python while at least one lane lives.

    A thread that needs Python's lock waits for the turn of another one to end, 5 ms by default. The
    window gives the lock back whenever it enters Qt, so that a lane that computes in Python, rather
    than in PyTorch, costs it a turn each time: 121 ms of waiting to close a window, once.
    """

    def __init__(self) -> None:
        self._lock, self._n, self._usual = threading.Lock(), 0, 0.0

    def __enter__(self) -> None:
        with self._lock:
            if self._n == 0:
                self._usual = sys.getswitchinterval()
                sys.setswitchinterval(min(self._usual, TURN_SECONDS))
            self._n += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._n -= 1
            if self._n == 0:
                sys.setswitchinterval(self._usual)


_SHORT_TURNS = _ShortTurns()
_lanes: weakref.WeakSet[Lane] = weakref.WeakSet()


@atexit.register
def _end_lanes() -> None:
    """End all threads before the interpreter does.

    A thread inside of PyTorch when the interpreter is taken down crashes the process.
    """
    lanes = list(_lanes)
    for lane in lanes:
        lane.close(timeout=0)
    end = time.monotonic() + EXIT_SECONDS
    if not all(lane.close(max(0.01, end - time.monotonic())) for lane in lanes):
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        os._exit(0)


def _close(job: _Job) -> None:
    """Close the generator of a canceled job, in the thread that ran it."""
    if job.steps is not None and hasattr(job.steps, "close"):
        try:
            job.steps.close()
        except BaseException:
            logger.exception("canceling '%s' failed", job.slot)


def lower_priority() -> None:
    """Let drawing precede this thread on the processor, where the system supports it.

    Measured on two cores without a GPU: the longest gap of the event loop during a search and an
    explanation falls from 150-290 to 90 ms, and the work takes as long as before.
    """
    if sys.platform.startswith("linux"):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LANE_NICENESS)


def prepare_lane() -> None:
    """Import torch and leave one core to the window; runs in the thread of a lane."""
    import torch

    lower_priority()
    # OpenMP counts threads for each thread that calls it
    torch.set_num_threads(max(1, (os.cpu_count() or 1) - 1))
