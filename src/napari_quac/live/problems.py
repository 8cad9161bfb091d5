"""The failures that still apply: obsolete ones disappear everywhere at once."""

from __future__ import annotations

from psygnal import EmissionInfo, Signal

from napari_quac.live.choices import Choices
from napari_quac.live.failure import Failure
from napari_quac.live.results import Results
from napari_quac.live.rule import Job, OnDemand, Rules

QUESTION = frozenset({"sample_index", "samples", "classifier", "generator"})
"""Choices whose change makes failures of other actions than rules obsolete."""
LASTING = frozenset({"training", "explain_many", "points"})
"""Jobs that do not depend on the selected sample."""


class Problems:
    """Failures by slot, the latest last.

    A failure is removed when its job is tried again or has succeeded, when something that it
    depends on has changed, or when the user requests something else.

    Parameters
    ----------
    choices : Choices
    results : Results
    rules : mapping of str to Rule
    """

    changed = Signal()

    def __init__(self, choices: Choices, results: Results, rules: Rules) -> None:
        self.by_slot: dict[str, Failure] = {}
        self._choices, self._results, self._rules = choices, results, rules
        choices.events.connect(self._on_change)
        results.events.connect(self._on_change)

    @property
    def last(self) -> Failure | None:
        """The latest failure that still applies."""
        return next(reversed(self.by_slot.values()), None)

    def add(self, failure: Failure) -> None:
        """Add a failure in place of the previous one of its slot."""
        self.by_slot.pop(failure.slot, None)
        self.by_slot[failure.slot] = failure
        self.changed.emit()

    def remove(self, *slots: str) -> None:
        """Remove the failures of some slots."""
        removed = [self.by_slot.pop(slot) for slot in slots if slot in self.by_slot]
        if removed:
            self.changed.emit()

    def clear(self) -> None:
        """Remove all failures: the user requested something else."""
        self.remove(*self.by_slot)

    def close(self) -> None:
        """Disconnect all signals."""
        self._choices.events.disconnect(self._on_change)
        self._results.events.disconnect(self._on_change)
        self.changed.disconnect()

    def _on_change(self, info: EmissionInfo) -> None:
        if not self.by_slot:
            return
        changed, succeeded = info.signal.name, info.args[0] is not None
        self.remove(
            *(
                slot
                for slot in self.by_slot
                if changed in self._inputs(slot) or (changed == slot and succeeded)
            )
        )

    def _inputs(self, slot: str) -> frozenset[str]:
        """Return the choices and results that a failure depends on."""
        rule = self._rules.get(slot)
        if rule is None:
            return frozenset() if slot in LASTING else QUESTION
        outputs = {slot}
        if isinstance(rule, Job):
            outputs |= {rule.partial_to, rule.state_to}
        # what runs by itself fails again in the same way until one of its inputs changes
        names = rule.parameters if isinstance(rule, OnDemand) else rule.inputs
        return frozenset(names) - outputs
