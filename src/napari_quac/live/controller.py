"""Keeps the results consistent with the choices, as a spreadsheet does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from psygnal import EmissionInfo, Signal

from napari_quac.large_files import LargeFileError, allow
from napari_quac.live.choices import Choices
from napari_quac.live.failure import failure
from napari_quac.live.job_runner import JobRunner
from napari_quac.live.lane import Lane, Priority
from napari_quac.live.problems import Problems
from napari_quac.live.results import Results
from napari_quac.live.rule import NO_RULE, Job, NamedValues, OnDemand, Rule, initial_values
from napari_quac.live.rules import CHOICES, ORDER, QUESTION, RULES
from napari_quac.stepwise import Progress

if TYPE_CHECKING:
    from napari_quac.live.closed_session import ClosedSession


class Controller(JobRunner):
    """Evaluates rules when choices change; all of it in the thread that built it.

    Parameters
    ----------
    choices : Choices
    results : Results
    lane : Lane
        Its ``deliver`` has to lead to this thread.
    previous : ClosedSession, optional
        Origin of choices and results; by default all results are computed.
    """

    canceled = Signal(tuple)

    def __init__(
        self,
        choices: Choices,
        results: Results,
        lane: Lane,
        previous: ClosedSession | None = None,
    ) -> None:
        super().__init__(lane)
        self.choices, self.results = choices, results
        self.problems = Problems(choices, results, RULES)
        self.failed.connect(self.problems.add)
        self._values = NamedValues(choices, results)
        self._inputs: dict[str, tuple[str, ...]] = {}
        self._outdated: dict[str, set[str]] = {}
        self._requested: dict[str, None] = {}
        self._is_evaluating = False
        self._repetitions: dict[str, Callable[[], None]] = {}
        self.last_working = dict(previous.last_working) if previous is not None else {}
        self._announced, self._is_restoring = "", previous is not None
        self._unfinished = previous.unfinished if previous is not None else ()
        self._resumable: tuple[str, ...] = ()
        choices.events.connect(self._on_change)
        results.events.connect(self._on_change)
        if previous is None:
            with self._evaluation():
                self._outdated = {name: set() for name in RULES}

    @property
    def is_announcing(self) -> bool:
        """True until :meth:`announce` has ended; events do not mean that anything has changed."""
        return self._is_restoring

    def announce(self) -> None:
        """Emit the events of all values, for listeners that were connected after they were set.

        Work that was interrupted when the previous session was closed begins again.
        """
        for owner in (self.choices, self.results):
            for name in sorted(initial_values(owner), key=lambda name: ORDER.get(name, -1)):
                current = self._values[name]
                if current is not initial_values(owner)[name]:
                    self._announced = name
                    getattr(owner.events, name).emit(current, current)
        self._announced, self._is_restoring = "", False
        with self._evaluation():
            for name in self._unfinished:
                if isinstance(RULES[name], OnDemand):
                    self.request(name)
                else:
                    self._outdated[name] = set()

    def run(
        self,
        slot: str,
        status_text: str,
        start: Callable[[], Any],
        on_done: Callable[[Any], None],
        on_failed: Callable[[BaseException], None] | None = None,
        on_progress: Callable[[Progress], None] | None = None,
        priority: Priority = Priority.NORMAL,
        inputs: tuple[str, ...] = (),
    ) -> None:
        """Run a function in the lane; the previous failure of its slot is obsolete.

        ``inputs`` are choices and results whose change makes the outcome obsolete; the job is
        stopped then. A file that is too large to be read without a question is a failure that
        ``on_failed`` does not receive; see :meth:`read_large`.
        """
        self.problems.remove(slot)
        self._inputs[slot] = inputs
        self._repetitions.pop(slot, None)

        def repeat() -> None:
            self.run(slot, status_text, start, on_done, on_failed, on_progress, priority, inputs)

        def report(error: BaseException) -> None:
            if isinstance(error, LargeFileError):
                self._repetitions[slot] = repeat
            if isinstance(error, LargeFileError) or on_failed is None:
                self.failed.emit(failure(slot, status_text, error))
            else:
                on_failed(error)

        super().run(slot, status_text, start, on_done, report, on_progress, priority)

    def read_large(self) -> None:
        """Read the large file of the last failure after all: the user agreed."""
        failures = [f for f in self.problems.by_slot.values() if f.slot in self._repetitions]
        if failures and isinstance(error := failures[-1].error, LargeFileError):
            allow(error.path)
            repeat = self._repetitions.pop(failures[-1].slot)
            self.problems.remove(failures[-1].slot)
            repeat()

    def request(self, name: str) -> bool:
        """Start an on-demand rule; False if an input is missing."""
        if self.missing_for(name):
            return False
        if self._is_evaluating:
            self._requested[name] = None  # its inputs may still be changing
        else:
            self._start(name)
        return True

    def missing_for(self, name: str) -> tuple[str, ...]:
        """Return the names of the values that a rule waits for."""
        return tuple(part for part in RULES[name].required if self._values[part] is None)

    def cancel(self, slot: str = "") -> tuple[str, ...]:
        """Cancel one slot, or all jobs except short ones, and return the canceled slots."""
        slots = tuple(name for name in self.running if not RULES.get(name, NO_RULE).is_short)
        canceled = tuple({slot} & self.running.keys()) if slot else slots
        for name in canceled:
            self.stop(name)
            rule = RULES.get(name)
            if isinstance(rule, Job):
                self._clear_partial(name, rule)
                if rule.after_cancel is not None and self._values[name] is not None:
                    self._values[name] = rule.after_cancel(self._values[name])
                self._roll_back(name, rule)
        self._resumable = tuple(name for name in canceled if RULES.get(name, NO_RULE).is_resumable)
        if canceled:
            self.running_changed.emit()
            self.canceled.emit(canceled)
        return canceled

    @property
    def can_resume(self) -> bool:
        """True if a canceled job can continue because its question is still the same."""
        return bool(self._resumable) and not any(
            RULES.get(name, NO_RULE).is_resumable for name in self.running
        )

    def resume(self) -> None:
        """Continue canceled jobs; the result is the same as without the cancellation."""
        names, self._resumable = self._resumable, ()
        for name in names:
            self.request(name)

    def close(self, timeout: float = 10.0) -> bool:
        """Disconnect all signals and end the lane; see :meth:`Lane.close`."""
        self.choices.events.disconnect(self._on_change)
        self.results.events.disconnect(self._on_change)
        for signal in (self.failed, self.running_changed, self.completed, self.canceled):
            signal.disconnect()
        self.problems.close()
        self.running.clear()
        return self.lane.close(timeout)

    def _clear_partial(self, name: str, rule: Job) -> None:
        if rule.partial_to != name:
            self._values.clear(rule.partial_to)

    def _on_change(self, info: EmissionInfo) -> None:
        changed = info.signal.name
        if changed == self._announced:
            return
        for slot in [slot for slot, inputs in self._inputs.items() if changed in inputs]:
            self.stop(slot)
        if self._resumable and changed in QUESTION:
            self._resumable = ()
            self.running_changed.emit()
        with self._evaluation():
            for name, rule in RULES.items():
                if changed in rule.inputs:
                    self._outdated.setdefault(name, set()).add(changed)

    @contextmanager
    def _evaluation(self) -> Iterator[None]:
        """Evaluate outdated rules, in their order, after the block; blocks may be nested."""
        if self._is_evaluating:
            yield
            return
        self._is_evaluating = True
        try:
            yield
            while self._outdated:
                name = min(self._outdated, key=ORDER.__getitem__)
                self._evaluate(name, RULES[name], self._outdated.pop(name))
        finally:
            self._is_evaluating = False
        requested, self._requested = self._requested, {}
        for name in requested:
            self.request(name)

    def _evaluate(self, name: str, rule: Rule, changed: set[str]) -> None:
        is_ready = not self.missing_for(name)
        self.stop(name)
        clears = isinstance(rule, Job) and not changed.isdisjoint(rule.clear_on)
        if not is_ready or clears or isinstance(rule, OnDemand):
            self._values.clear(name)
        if isinstance(rule, OnDemand):
            self._clear_partial(name, rule)
            condition = rule.auto_start
            is_ready = is_ready and condition is not None and self._values.call(condition)
        if is_ready:
            self._start(name)

    def _start(self, name: str) -> None:
        rule = RULES[name]
        if isinstance(rule, Job):
            self._start_job(name, rule)
            return
        try:
            self._values[name] = self._values.call(rule.function)
        except Exception as error:  # noqa: BLE001 - shown to the user
            self.failed.emit(failure(name, rule.status_text, error))

    def _start_job(self, name: str, rule: Job) -> None:
        arguments = self._values.arguments(rule.function)

        def on_done(outcome: Any) -> None:
            self.last_working[name] = {part: arguments[part] for part in rule.inputs}
            with self._evaluation():
                self._clear_partial(name, rule)
                self._values[name] = outcome

        def on_failed(error: BaseException) -> None:
            self._clear_partial(name, rule)
            keeps = isinstance(rule, OnDemand) or rule.partial_to == name
            if not self._roll_back(name, rule) and not keeps:
                self._values.clear(name)
            if isinstance(error, LargeFileError):
                self._repetitions[name] = partial(self._repeat, name, rule, arguments)
            self.failed.emit(failure(name, rule.status_text, error))

        def on_progress(step: Progress) -> None:
            for target, part in ((rule.partial_to, step.partial), (rule.state_to, step.state)):
                if target and part is not None:
                    self._values[target] = part

        if rule.shortcut is not None:
            outcome = self._values.call(rule.shortcut)
            if outcome is not None:
                on_done(outcome)
                return
        start = partial(rule.function, **arguments)
        self.problems.remove(name)
        self._inputs[name] = ()
        super().run(name, rule.status_text, start, on_done, on_failed, on_progress, rule.priority)

    def _repeat(self, name: str, rule: Job, arguments: Mapping[str, Any]) -> None:
        """Return to the choices of a job, and start it again."""
        with self._evaluation():
            for part in CHOICES.intersection(rule.inputs):
                self._values[part] = arguments[part]
            if not isinstance(rule, OnDemand):
                self._outdated.setdefault(name, set())
        if isinstance(rule, OnDemand):
            self.request(name)

    def _roll_back(self, name: str, rule: Job) -> bool:
        """Restore the last working choices of a job that depends on choices only."""
        if not set(rule.inputs) <= CHOICES:
            return False
        previous = self.last_working.get(name)
        with self._evaluation():
            for part in rule.inputs:
                if previous is not None:
                    self._values[part] = previous[part]
                else:
                    self._values.clear_choice(part)
            self._outdated.pop(name, None)  # the result agrees with these choices
        return True
