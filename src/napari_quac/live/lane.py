"""The one thread that uses networks: works off jobs step by step, urgent ones first."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from napari_quac.stepwise import Progress, Steps

Deliver = Callable[[Callable[[], None]], None]

logger = logging.getLogger(__name__)


class _Job:
    """A piece of work in a slot; ``dropped`` is only written by the owner's thread."""

    def __init__(
        self,
        slot: str,
        number: int,
        start: Callable[[], Any],
        done: Callable[[Any], None],
        failed: Callable[[BaseException], None],
        progress: Callable[[Progress], None] | None,
        urgent: bool,
        background: bool,
    ) -> None:
        self.slot = slot
        self.number = number
        self.start = start
        self.done = done
        self.failed = failed
        self.progress = progress
        self.rank = (not urgent, background, number)
        self.steps: Iterator[Any] | None = None
        self.dropped = False


class Lane:
    """One thread, one dictionary from slot to job.

    A job that is submitted to a slot replaces the one that waits or runs there. Between two steps
    the most urgent job goes on, then the oldest. Answers are handed to ``deliver``, which has to
    bring them into the thread that owns the lane; an answer of a job that was replaced or
    cancelled meanwhile is dropped there, so nothing races.

    Parameters
    ----------
    deliver : callable
        Takes a function without arguments and runs it in the owner's thread, now or later.
    prepare : callable, optional
        Runs first of all in the lane's thread.
    name : str
        Name of the thread.
    """

    def __init__(
        self,
        deliver: Deliver,
        prepare: Callable[[], None] | None = None,
        name: str = "quac-lane",
    ) -> None:
        self._deliver = deliver
        self._prepare = prepare
        self._condition = threading.Condition()
        self._jobs: dict[str, _Job] = {}
        self._given_up: list[_Job] = []
        self._running: _Job | None = None
        self._closed = False
        self._count = 0
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether the thread lives."""
        return self._thread.is_alive()

    def submit(
        self,
        slot: str,
        start: Callable[[], Any],
        done: Callable[[Any], None],
        failed: Callable[[BaseException], None],
        progress: Callable[[Progress], None] | None = None,
        urgent: bool = False,
        background: bool = False,
    ) -> None:
        """Put work into a slot, in place of what was there.

        Parameters
        ----------
        slot : str
            Its name.
        start : callable
            Runs in the lane; returns the result, or :class:`Steps` that end with it.
        done : callable
            Gets the result, in the owner's thread.
        failed : callable
            Gets any exception, ``RuntimeError`` and ``MemoryError`` included.
        progress : callable, optional
            Gets each :class:`Progress` that is yielded.
        urgent : bool
            Goes before all that is not urgent, also between the steps of a running job.
        background : bool
            Goes on only while nothing else is to be done.
        """
        with self._condition:
            if self._closed:
                return
            self._drop(slot)
            self._count += 1
            self._jobs[slot] = _Job(
                slot, self._count, start, done, failed, progress, urgent, background
            )
            self._condition.notify_all()

    def cancel(self, slot: str) -> bool:
        """Give up what is in a slot; True if there was something."""
        with self._condition:
            return self._drop(slot)

    def slots(self) -> tuple[str, ...]:
        """Return the slots that hold work."""
        with self._condition:
            return tuple(self._jobs)

    def wait_idle(self, timeout: float = 30.0) -> bool:
        """Wait until nothing is left to do; False if it took too long."""
        end = time.monotonic() + timeout
        with self._condition:
            while self._jobs or self._running or self._given_up:
                left = end - time.monotonic()
                if left <= 0 or self._closed:
                    return False
                self._condition.wait(left)
        return True

    def close(self, timeout: float = 10.0) -> bool:
        """Drop all work and end the thread after the step it is in; True if it has ended."""
        with self._condition:
            for slot in tuple(self._jobs):
                self._drop(slot)
            self._closed = True
            self._condition.notify_all()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _drop(self, slot: str) -> bool:
        job = self._jobs.pop(slot, None)
        if job is None:
            return False
        job.dropped = True
        self._given_up.append(job)
        self._condition.notify_all()
        return True

    def _work(self) -> None:
        if self._prepare is not None:
            try:
                self._prepare()
            except Exception:
                logger.exception("the compute thread could not be prepared")
        while True:
            with self._condition:
                self._running = None
                self._condition.notify_all()
                while not (self._jobs or self._given_up or self._closed):
                    self._condition.wait()
                given_up, self._given_up = self._given_up, []
                job = min(self._jobs.values(), key=lambda job: job.rank, default=None)
                self._running = job or (given_up[0] if given_up else None)
                closed = self._closed
            for abandoned in given_up:
                _close(abandoned)
            if closed:
                return
            if job is not None:
                self._step(job)

    def _step(self, job: _Job) -> None:
        try:
            if job.steps is None:
                started = job.start()
                if not isinstance(started, Steps):
                    self._finish(job, job.done, started)
                    return
                job.steps = iter(started)
            progress = next(job.steps)
        except StopIteration as end:
            self._finish(job, job.done, end.value)
        except BaseException as error:  # noqa: BLE001 - handed on, whatever it is
            self._finish(job, job.failed, error)
        else:
            if job.progress is not None:
                self._hand_over(job, job.progress, progress)

    def _finish(self, job: _Job, callback: Callable[[Any], None], value: Any) -> None:
        with self._condition:
            if self._jobs.get(job.slot) is job:
                del self._jobs[job.slot]
        self._hand_over(job, callback, value)

    def _hand_over(self, job: _Job, callback: Callable[[Any], None], value: Any) -> None:
        def answer() -> None:
            if not (job.dropped or self._closed):
                callback(value)

        try:
            self._deliver(answer)
        except Exception:
            logger.exception("an answer of '%s' could not be delivered", job.slot)


def _close(job: _Job) -> None:
    """Close the generator of a job that was given up, in the thread that ran it."""
    if job.steps is not None and hasattr(job.steps, "close"):
        try:
            job.steps.close()
        except BaseException:
            logger.exception("giving up '%s' failed", job.slot)
