"""State of a closed dock, which the next one in the same napari shows again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from napari_quac.live.choices import Choices
from napari_quac.live.results import Results
from napari_quac.live.rule import Job, OnDemand
from napari_quac.live.rules import RULES

if TYPE_CHECKING:
    from napari_quac.live.controller import Controller
    from napari_quac.live.lane import Lane


@dataclass(frozen=True, eq=False)
class ClosedSession:
    """Choices and results at the time of closing.

    Attributes
    ----------
    choices, results : mapping of str to object
        Values by field; all of them are immutable, so that they can be used again.
    last_working : mapping
        Choices to which a failing job returns, by job.
    unfinished : tuple of str
        Jobs that were running and start again without a request.
    lane : Lane
        Its thread may still be inside of a step, with the same networks.
    layout : mapping
        Plain values that describe the window.
    """

    choices: Mapping[str, Any]
    results: Mapping[str, Any]
    last_working: Mapping[str, dict[str, Any]]
    unfinished: tuple[str, ...]
    lane: Lane
    layout: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, controller: Controller, layout: Mapping[str, Any]) -> ClosedSession:
        """Return the state of a session that is about to be closed."""
        jobs = {name: RULES[name] for name in controller.running if name in RULES}
        unfinished = tuple(
            name
            for name, rule in jobs.items()
            if isinstance(rule, Job)
            and (not isinstance(rule, OnDemand) or rule.auto_start is not None)
        )
        return cls(
            _values(controller.choices),
            _values(controller.results),
            controller.last_working,
            unfinished,
            controller.lane,
            layout,
        )

    def new_choices(self) -> Choices:
        """Return the choices, without listeners."""
        return Choices(**self.choices)

    def new_results(self) -> Results:
        """Return the results, without listeners."""
        return Results(**self.results)


def _values(instance: Choices | Results) -> dict[str, Any]:
    return {entry.name: getattr(instance, entry.name) for entry in fields(instance)}
