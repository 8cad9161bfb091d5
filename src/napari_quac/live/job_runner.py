"""Jobs in named slots of the lane: what runs, its progress, and its end."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from psygnal import Signal

from napari_quac.live.failure import Failure, failure
from napari_quac.live.lane import Lane, Priority
from napari_quac.stepwise import Progress

RECENT_SECONDS = 2.5
"""The remaining time follows from the pace of these last seconds."""
MIN_SECONDS = 0.5
MIN_SHARE = 0.05
"""Share of a part after which its own pace counts."""
MAX_SCALE = 5.0


@dataclass(frozen=True)
class RunningJob:
    """A job that waits or runs.

    Attributes
    ----------
    slot : str
        Name of the slot, for rules that of the result.
    status_text : str
        Present participle phrase, such as "reading the sample".
    progress : Progress or None
        Last progress; None before the first step.
    since : float
        Start, by ``time.monotonic()``.
    snapshots : tuple of (float, int)
        Time and finished steps of the last seconds, the oldest first.
    weights : tuple of float
        Expected seconds of parts with equal numbers of steps, such as the methods of an
        explanation; empty if the pace is even or unknown.
    part : (int, float)
        Number of the present part, and its start.
    """

    slot: str
    status_text: str
    progress: Progress | None
    since: float
    snapshots: tuple[tuple[float, int], ...] = ()
    weights: tuple[float, ...] = ()
    part: tuple[int, float] = (0, 0.0)

    def with_progress(self, step: Progress) -> RunningJob:
        """Return the job with its next progress."""
        now = time.monotonic()
        recent = [snapshot for snapshot in self.snapshots if snapshot[0] > now - RECENT_SECONDS]
        if not recent or now - recent[-1][0] > RECENT_SECONDS / 50:
            recent.append((now, step.done))
        part = self.part
        if self.weights and step.total:
            number = min(step.done * len(self.weights) // step.total, len(self.weights) - 1)
            part = part if part[0] == number and part[1] else (number, now)
        return replace(self, progress=step, snapshots=tuple(recent), part=part)

    def seconds_left(self) -> float | None:
        """Estimate the remaining time; None without counted progress.

        The pace is that of the last seconds, because the parts of a job differ in theirs, unless it
        is known how long each of them takes.
        """
        progress, now = self.progress, time.monotonic()
        if progress is None or not progress.total:
            return None
        if self.weights:
            return self._seconds_left_by_weights(progress.done / progress.total, now)
        if not progress.done:
            return None
        begun, done = self.snapshots[0] if self.snapshots else (self.since, 0)
        if progress.done <= done or now - begun < MIN_SECONDS:
            begun, done = self.since, 0
        return (now - begun) * (progress.total - progress.done) / (progress.done - done)

    def _seconds_left_by_weights(self, share: float, now: float) -> float:
        number, begun = self.part
        finished = sum(self.weights[:number])
        scale = 1.0
        if finished > MIN_SECONDS:  # as much slower or quicker as the parts before
            scale = min(max((begun - self.since) / finished, 1 / MAX_SCALE), MAX_SCALE)
        present = share * len(self.weights) - number
        elapsed = now - begun
        if present > MIN_SHARE and elapsed > MIN_SECONDS:
            rest = elapsed * (1 - present) / present
        else:
            rest = max(0.0, scale * self.weights[number] - elapsed)
        return rest + scale * sum(self.weights[number + 1 :])


class JobRunner:
    """Runs functions in the lane, one for each slot; all else in the thread that built it.

    Parameters
    ----------
    lane : Lane
        Its ``deliver`` has to lead to this thread.
    """

    failed = Signal(Failure)
    running_changed = Signal()
    completed = Signal(RunningJob)
    """A job has succeeded; its result is there."""

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self.weights_of: Callable[[str], tuple[float, ...]] = lambda slot: ()
        self.running: dict[str, RunningJob] = {}
        self._tickets: dict[str, object] = {}

    def run(
        self,
        slot: str,
        status_text: str,
        start: Callable[[], Any],
        on_done: Callable[[Any], None],
        on_failed: Callable[[BaseException], None] | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        priority: Priority = Priority.NORMAL,
    ) -> None:
        """Run a function in the lane, in place of the previous job of its slot.

        Parameters
        ----------
        slot : str
            Name of the slot.
        status_text : str
            Present participle phrase for the status line and for errors.
        start : callable
            Runs in the lane; returns the result, or steps that end with it.
        on_done : callable
            Receives the result, in this thread.
        on_failed : callable, optional
            Receives an exception; by default ``failed`` of this object is emitted.
        on_progress : callable, optional
            Receives each progress.
        priority : Priority
            Order among all jobs.
        """
        ticket = self._tickets[slot] = object()
        now = time.monotonic()
        weights = self.weights_of(slot)
        self._note(RunningJob(slot, status_text, None, now, weights=weights, part=(0, now)))

        def if_current(react: Callable[[Any], None], ends: bool = True) -> Callable[[Any], None]:
            def call_back(outcome: Any) -> None:
                # a result may be under way already when its job is replaced
                if self._tickets[slot] is not ticket:
                    return
                job = self.running.pop(slot, None) if ends else None
                if job is not None:
                    self.running_changed.emit()
                try:
                    react(outcome)
                except Exception as error:
                    if react is report_error:
                        raise
                    report_error(error)
                    return
                if job is not None and react is on_done:
                    self.completed.emit(job)

            return call_back

        def report_error(error: BaseException) -> None:
            if on_failed is not None:
                on_failed(error)
            else:
                self.failed.emit(failure(slot, status_text, error))

        def note_progress(step: Progress) -> None:
            if slot in self.running:
                self._note(self.running[slot].with_progress(step))
            if on_progress is not None:
                on_progress(step)

        answers = (if_current(on_done), if_current(report_error), if_current(note_progress, False))
        self.lane.submit(slot, start, *answers, priority)

    def finish(self) -> bool:
        """Let running jobs end early with what they have; False if none of them can."""
        ends = [job.progress.finish for job in self.running.values() if job.progress]
        for end in ends:
            if end is not None:
                end()
        return any(end is not None for end in ends)

    def stop(self, slot: str) -> bool:
        """Cancel the job in a slot; True if there was one."""
        if self.running.pop(slot, None) is None:
            return False
        self._tickets[slot] = object()  # its result may be under way already
        self.lane.cancel(slot)
        self.running_changed.emit()
        return True

    def _note(self, job: RunningJob) -> None:
        self.running[job.slot] = job
        self.running_changed.emit()
