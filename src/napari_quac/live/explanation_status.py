"""Outcome of the explanations of all samples, for the networks that are in use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_quac.explain.settings import ExplainSettings
from napari_quac.live.identity import ResultOrigin

if TYPE_CHECKING:
    from napari_quac.explain.explanation import Explanations
    from napari_quac.live.open_report import ReportColumns
    from napari_quac.live.sample_columns import SampleIndex
    from napari_quac.networks.classifier import Classifier

UNKNOWN = -1


@dataclass(frozen=True)
class Outcome:
    """Outcome of the explanations of one sample.

    Attributes
    ----------
    score : float or None
        Highest QuAC score of the methods; None if all are degenerate.
    target : int
        Target class.
    switched : bool
        Whether the generated image is classified as the target.
    """

    score: float | None
    target: int
    switched: bool


NO_OUTCOMES: Mapping[str, Outcome] = {}


@dataclass(frozen=True, eq=False)
class Outcomes:
    """Outcomes of everything that was explained, by what determines them.

    Attributes
    ----------
    by_sample : mapping of (ResultOrigin, ExplainSettings) to mapping of str to Outcome
        Last outcome of each sample, by its id.
    """

    by_sample: Mapping[tuple[ResultOrigin, ExplainSettings], Mapping[str, Outcome]] = field(
        default_factory=dict
    )

    def of(self, origin: ResultOrigin | None, settings: ExplainSettings) -> Mapping[str, Outcome]:
        """Return the outcomes for an origin, masks and procedure; always the same object."""
        if origin is None:
            return NO_OUTCOMES
        return self.by_sample.get((origin, _without_methods(settings)), NO_OUTCOMES)

    def with_outcome(
        self, origin: ResultOrigin, settings: ExplainSettings, sample_id: str, outcome: Outcome
    ) -> Outcomes:
        """Return the outcomes with one more; itself if nothing changes."""
        before = self.of(origin, settings)
        if before.get(sample_id) == outcome:
            return self
        added = {(origin, _without_methods(settings)): {**before, sample_id: outcome}}
        return Outcomes({**self.by_sample, **added})


@dataclass(frozen=True, eq=False)
class ExplanationStatus:
    """Outcome of the explanations of N samples; the last target of a sample counts.

    Attributes
    ----------
    scores : (N,) ndarray, float64
        Highest QuAC score of the methods; NaN without an explanation, or if all are degenerate.
    targets : (N,) ndarray, int64
        Target class, an index into ``class_names``; -1 without an explanation.
    switched : (N,) ndarray, int8
        1 where the generated image is classified as the target, 0 where not, -1 without an
        explanation.
    failures : mapping of int to str
        Index of a sample that could not be explained, to the reason.
    class_names : tuple of str
        Of the classifier that was explained.
    origin : ResultOrigin or None
        Networks and samples of the outcomes; None for a report without networks in use.
    recorded : ExplanationStatus or None
        Status of the report to which outcomes were added.
    outcomes : mapping of str to Outcome
        The outcomes that were added to the report.
    """

    scores: NDArray[np.float64]
    targets: NDArray[np.int64]
    switched: NDArray[np.int8]
    failures: Mapping[int, str] = field(default_factory=dict)
    class_names: tuple[str, ...] = ()
    origin: ResultOrigin | None = None
    recorded: ExplanationStatus | None = None
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)

    @classmethod
    def none_of(cls, n_samples: int, class_names: tuple[str, ...] = ()) -> ExplanationStatus:
        """Return the status before anything was explained."""
        return cls(
            np.full(n_samples, np.nan),
            np.full(n_samples, UNKNOWN, dtype=np.int64),
            np.full(n_samples, UNKNOWN, dtype=np.int8),
            class_names=class_names,
        )

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def explained(self) -> NDArray[np.bool_]:
        """True for samples with an explanation; (N,)."""
        return np.asarray(self.switched != UNKNOWN)

    def with_explained(self, outcomes: Mapping[int, Outcome]) -> ExplanationStatus:
        """Return the status with the outcomes of more samples, by their indices."""
        scores, targets, flags = self.scores.copy(), self.targets.copy(), self.switched.copy()
        for index, outcome in outcomes.items():
            scores[index] = np.nan if outcome.score is None else outcome.score
            targets[index], flags[index] = outcome.target, outcome.switched
        failures = {key: text for key, text in self.failures.items() if key not in outcomes}
        return replace(self, scores=scores, targets=targets, switched=flags, failures=failures)


def collect_outcomes(
    explanations: Explanations | None = None, origin: ResultOrigin | None = None,
    *, outcomes: Outcomes | None = None,
) -> Outcomes:  # fmt: skip
    """Add the outcome of complete explanations; outcomes of other networks remain."""
    outcomes = outcomes or Outcomes()
    if origin is None or not explanations or not explanations.is_complete:
        return outcomes
    if explanations.is_restored or explanations.is_preliminary:
        return outcomes
    pair = explanations.pair
    scores = [e.quac_score for e in explanations.values() if not e.attribution.degenerate]
    outcome = Outcome(max(scores, default=None), pair.target, bool(pair.switches))
    return outcomes.with_outcome(origin, explanations.settings, pair.query.id, outcome)


def note_explanations(
    sample_list: SampleIndex, pair_settings: ExplainSettings,
    report_columns: ReportColumns | None = None, outcomes: Outcomes | None = None,
    origin: ResultOrigin | None = None,
    *, explanation_status: ExplanationStatus | None = None,
    loaded_classifier: Classifier | None = None,
) -> ExplanationStatus:  # fmt: skip
    """Return the status of the report, with the outcomes of the samples and networks in use."""
    n_samples, before = len(sample_list), explanation_status
    recorded = report_columns.status if report_columns is not None else None
    if recorded is not None and len(recorded) != n_samples:
        recorded = None  # of the previous samples
    added = outcomes.of(origin, pair_settings) if outcomes is not None else NO_OUTCOMES
    if before is not None and len(before) == n_samples and before.origin == origin:
        if before.recorded is recorded and before.outcomes is added:
            return before
    names = loaded_classifier.class_names if loaded_classifier is not None else ()
    status = ExplanationStatus.none_of(n_samples, names) if recorded is None else recorded
    index_of = sample_list.index_of
    by_index = {index_of[name]: outcome for name, outcome in added.items() if name in index_of}
    status = status.with_explained(by_index) if by_index else status
    return replace(status, origin=origin, recorded=recorded, outcomes=added)


def _without_methods(settings: ExplainSettings) -> ExplainSettings:
    """Return the settings on which scores depend: those of masks, thresholds and procedure."""
    initial = ExplainSettings()
    return replace(initial, masking=settings.masking, grid=settings.grid,
                   procedure=settings.procedure)  # fmt: skip
