"""Keeps the results true to the choices, like a spreadsheet."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from psygnal import EmissionInfo, Signal

from napari_quac.live.choices import Choices
from napari_quac.live.failure import Failure, failure
from napari_quac.live.lane import Lane
from napari_quac.live.results import Explanations, Results
from napari_quac.live.rules import RULES, Rule
from napari_quac.stepwise import Progress

if TYPE_CHECKING:
    from napari_quac.explain.pair import Pair

_CHOICE_NAMES = frozenset(field.name for field in fields(Choices))
RESUMABLE = ("pair", "explanations")
ASKED_ABOUT = {"sample_index", "target", "seed"}.union(
    *(set(RULES[name].made_from) | set(RULES[name].also) for name in RESUMABLE)
)
"""Choices and results after which work that was cancelled is not what is wanted any more."""


@dataclass(frozen=True)
class RunningJob:
    """A piece of work that waits or runs.

    Attributes
    ----------
    slot : str
    doing : str
        What is going on.
    progress : Progress or None
    since : float
        Start, by ``time.monotonic()``.
    """

    slot: str
    doing: str
    progress: Progress | None
    since: float

    def seconds_left(self) -> float | None:
        """Return how long it will take, judged by what it took so far; None if nobody knows."""
        if self.progress is None or not self.progress.total or not self.progress.done:
            return None
        share = self.progress.done / self.progress.total
        return (time.monotonic() - self.since) * (1 - share) / share


class Controller:
    """Starts, replaces and clears results when choices change.

    Everything is called in the thread that built it.

    Parameters
    ----------
    choices : Choices
    results : Results
    lane : Lane
        Whose ``deliver`` leads to this thread.
    """

    failed = Signal(Failure)
    running_changed = Signal()
    cancelled = Signal(tuple)

    def __init__(self, choices: Choices, results: Results, lane: Lane) -> None:
        self.choices = choices
        self.results = results
        self.lane = lane
        self.running: dict[str, RunningJob] = {}
        self._tickets: dict[str, object] = {}
        self._worked: dict[str, tuple[Any, ...]] = {}
        self._quiet = False
        self._names_from_samples = False
        self._given_up: tuple[str, ...] = ()
        choices.events.connect(self._on_change)
        results.events.connect(self._on_change)

    def ask(self, name: str) -> bool:
        """Start a result that is made on demand; False if its inputs are missing."""
        if not self._has_inputs(RULES[name]):
            return False
        self._start(name, RULES[name])
        return True

    def missing_for(self, name: str) -> tuple[str, ...]:
        """Return the names of the inputs that a result waits for."""
        return tuple(part for part in RULES[name].made_from if self._value(part) is None)

    def run(
        self,
        slot: str,
        doing: str,
        start: Callable[[], Any],
        done: Callable[[Any], None],
        failed: Callable[[BaseException], None] | None = None,
        progress: Callable[[Progress], None] | None = None,
        background: bool = False,
    ) -> None:
        """Run work beside the results in the lane, such as looking into a file."""
        self._note(slot, RunningJob(slot, doing, None, time.monotonic()))

        def on_done(value: Any) -> None:
            self._note(slot, None)
            done(value)

        def on_failed(error: BaseException) -> None:
            self._note(slot, None)
            if failed is not None:
                failed(error)
            else:
                self.failed.emit(failure(slot, doing, error))

        def on_progress(step: Progress) -> None:
            self._progress(slot, step)
            if progress is not None:
                progress(step)

        self.lane.submit(slot, start, on_done, on_failed, on_progress, background=background)

    def finish(self) -> bool:
        """Let what runs end with what it has; False if nothing that runs can do that."""
        ends = [r.progress.finish for r in self.running.values() if r.progress]
        for end in ends:
            if end is not None:
                end()
        return any(end is not None for end in ends)

    def cancel(self, only: str = "") -> tuple[str, ...]:
        """Give up all that takes time, or one slot; what is finished stays.

        Reading the selected sample and the like goes on, so that what is shown fits what is chosen.

        Returns
        -------
        tuple of str
            The slots that were given up.
        """
        cancelled = tuple(
            slot
            for slot in self.running
            if slot == only or (not only and not (slot in RULES and RULES[slot].is_brief))
        )
        for slot in cancelled:
            self.lane.cancel(slot)
            if RULES.get(slot) and RULES[slot].reverts:
                self._revert(slot)
            self.running.pop(slot)
        self._given_up = tuple(name for name in cancelled if name in RESUMABLE)
        if "pair" in cancelled and self.results.partial_pair is not None:
            self.results.partial_pair = None
        known = self.results.explanations
        if "explanations" in cancelled and known is not None and known.evolving is not None:
            self.results.explanations = replace(known, evolving=None)
        self.running_changed.emit()
        if cancelled:
            self.cancelled.emit(cancelled)
        return cancelled

    @property
    def can_resume(self) -> bool:
        """Whether something was cancelled that can go on, and its inputs are still the same."""
        return bool(self._given_up) and not any(name in self.running for name in RESUMABLE)

    def resume(self) -> None:
        """Go on where work was cancelled, with the same result as if it had not been."""
        given_up, self._given_up = self._given_up, ()
        for name in given_up:
            self.ask(name)

    def take_proposal(self, number: int) -> None:
        """Explain another one of the proposals that the search kept."""
        pair = self.results.pair
        if pair is None or not 0 <= number < len(pair.proposals):
            return
        taken = pair.proposals[number]
        if taken.generated is not pair.generated:
            self.choices.threshold = None
            self.results.pair = replace(taken, proposals=pair.proposals, n_tried=pair.n_tried)

    def close(self, timeout: float = 10.0) -> bool:
        """End the lane and listen to nothing any more; True if its thread has ended."""
        self.choices.events.disconnect(self._on_change)
        self.results.events.disconnect(self._on_change)
        self.failed.disconnect()
        self.running_changed.disconnect()
        self.cancelled.disconnect()
        self.running.clear()
        return self.lane.close(timeout)

    def _value(self, name: str) -> Any:
        owner = self.choices if name in _CHOICE_NAMES else self.results
        return getattr(owner, name)

    def _has_inputs(self, rule: Rule) -> bool:
        return all(self._value(name) is not None for name in rule.made_from)

    def _on_change(self, info: EmissionInfo) -> None:
        if self._quiet:
            return
        changed = info.signal.name
        if self._given_up and changed in ASKED_ABOUT:
            self._given_up = ()
            self.running_changed.emit()
        for name, rule in RULES.items():
            if changed in rule.made_from or changed in rule.also:
                self._renew(name, rule)
        if changed in ("loaded_classifier", "loaded_samples", "loaded_generator"):
            self._name_classes()
        if changed == "loaded_explanations":
            self._show_restored()

    def _show_restored(self) -> None:
        """Show what a report says of the sample, unless it was just explained anew."""
        restored, busy = self.results.loaded_explanations, "pair" in self.running
        if restored is None or busy:
            return
        found = restored.by_method
        first = next(iter(found.values()))
        if self.results.pair is not None and not self._is_asked_for(first.pair):
            return
        if self.choices.shown_method not in found:
            self.choices.shown_method = first.method
        self.choices.threshold = None
        if self.choices.masking != first.curve.masking:
            self.choices.masking = first.curve.masking
        choices = self.choices
        self.results.explanations = Explanations(
            first.pair, first.curve.masking, found, restored_for=choices.methods,
            grid=choices.grid, parameters=dict(choices.parameters), preset=choices.preset,
        )  # fmt: skip
        self.results.pair = first.pair

    def _is_asked_for(self, pair: Pair) -> bool:
        """Whether another pair of the sample was read than the one on show, as was chosen."""
        known, shown = self.results.explanations, self.results.pair
        is_restored = known is not None and known.restored_for is not None and known.pair is shown
        return (
            is_restored
            and shown is not None
            and pair.target == self.choices.target != shown.target
            and pair.query.id == shown.query.id
        )

    def _name_classes(self) -> None:
        """Take the sorted names of the samples' folders, as in QuAC, where a file has no names.

        Samples without class folders may come with images that were generated into such folders.
        """
        classifier, dataset = self.results.loaded_classifier, self.results.loaded_samples
        recipe = self.choices.classifier
        if classifier is None or dataset is None or not hasattr(recipe, "class_names"):
            return
        generator = self.results.loaded_generator
        generated = generator.class_names if generator is not None else ()
        known = [c for c in (dataset.classes, generated) if len(c) == classifier.n_classes]
        if not known:
            return
        ours = self._names_from_samples and recipe.class_names == classifier.class_names
        if (classifier.is_nameless or ours) and known[0] != classifier.class_names:
            self._names_from_samples = True
            self.choices.classifier = replace(recipe, class_names=known[0])

    def _renew(self, name: str, rule: Rule) -> None:
        ready = self._has_inputs(rule)
        if name in self.running:
            self.lane.cancel(name)
            self._note(name, None)
        if rule.on_demand:
            self._set(name, None)
            if rule.partial_to and rule.partial_to != name:
                self._set(rule.partial_to, None)
            if ready and rule.by_itself is not None and rule.by_itself(self.choices, self.results):
                self._start(name, rule)
        elif not ready:
            self._set(name, () if name == "previews" else None)
        else:
            if not rule.keep:
                self._set(name, None)
            self._start(name, rule)

    def _start(self, name: str, rule: Rule) -> None:
        if name == "explanations":
            if self._is_restored():
                return
            self._drop_foreign_explanations()
        try:
            work = rule.prepare(self.choices, self.results)
            if rule.here:
                self._set(name, work())
                return
        except Exception as error:  # noqa: BLE001 - shown to the user
            self.failed.emit(failure(name, rule.doing, error))
            return
        inputs = tuple(self._value(part) for part in rule.made_from)
        self._note(name, RunningJob(name, rule.doing, None, time.monotonic()))
        ticket = self._tickets[name] = object()

        def if_current(react: Callable[[Any], None]) -> Callable[[Any], None]:
            # an answer may be on its way already when its work is started anew
            return lambda value: react(value) if self._tickets[name] is ticket else None

        self.lane.submit(
            name,
            work,
            if_current(lambda value: self._on_done(name, rule, inputs, value)),
            if_current(lambda error: self._on_failed(name, rule, error)),
            if_current(lambda progress: self._on_progress(name, rule, progress)),
            rule.urgent,
            rule.background,
        )

    def _is_restored(self) -> bool:
        """Whether all that is wanted of the pair was read from a report."""
        known, choices = self.results.explanations, self.choices
        return (
            known is not None
            and known.pair is self.results.pair
            and known.masking == choices.masking
            and known.restored_for == choices.methods
            and (known.grid, known.preset) == (choices.grid, choices.preset)
            and known.parameters == choices.parameters
        )

    def _drop_foreign_explanations(self) -> None:
        """Clear explanations of another pair than the generated image on show."""
        known = self.results.explanations
        if known is not None and known.pair is not self.results.pair:
            self._set("explanations", None)

    def _on_done(self, name: str, rule: Rule, inputs: tuple[Any, ...], value: Any) -> None:
        self._note(name, None)
        self._worked[name] = inputs
        if rule.partial_to and rule.partial_to != name:
            self._set(rule.partial_to, None)
        self._set(name, value)
        if name == "explanations":
            self._note_outcome(value)

    def _note_outcome(self, explanations: Explanations) -> None:
        """Note in the table what was explained by itself."""
        order, outcomes = self.results.order, self.results.explanation_status
        pair = explanations.pair
        if order is None or outcomes is None or not explanations.by_method:
            return
        index = order.columns.sample_list.index_of.get(pair.query.id)
        if index is not None:
            scores = [
                one.quac_score
                for one in explanations.by_method.values()
                if not one.attribution.degenerate
            ]
            best = max(scores, default=None)
            self._set(
                "explanation_status",
                outcomes.with_explained(index, best, pair.target, pair.switches),
            )

    def _on_failed(self, name: str, rule: Rule, error: BaseException) -> None:
        self._note(name, None)
        if rule.partial_to and rule.partial_to != name:
            self._set(rule.partial_to, None)
        if rule.reverts:
            self._revert(name)
        elif not rule.on_demand and rule.partial_to != name:
            self._set(name, () if name == "previews" else None)
        self.failed.emit(failure(name, rule.doing, error))

    def _on_progress(self, name: str, rule: Rule, progress: Progress) -> None:
        self._progress(name, progress)
        if rule.partial_to and progress.partial is not None:
            self._set(rule.partial_to, progress.partial)
        if rule.state_to and progress.state is not None:
            self._set(rule.state_to, progress.state)

    def _progress(self, slot: str, progress: Progress) -> None:
        known = self.running.get(slot)
        if known is not None:
            self._note(slot, RunningJob(slot, known.doing, progress, known.since))

    def _revert(self, name: str) -> None:
        """Put the choices that did not work back to those that did."""
        before = self._worked.get(name)
        self._quiet = True
        try:
            for index, part in enumerate(RULES[name].made_from):
                if part == "device" and before is None:
                    continue
                setattr(self.choices, part, before[index] if before else None)
        finally:
            self._quiet = False

    def _set(self, name: str, value: Any) -> None:
        if getattr(self.results, name) is not value:
            setattr(self.results, name, value)

    def _note(self, slot: str, running: RunningJob | None) -> None:
        if running is None:
            self.running.pop(slot, None)
        else:
            self.running[slot] = running
        self.running_changed.emit()
