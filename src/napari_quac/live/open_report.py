"""A report that is open beside the samples: what it says of each of them, without any network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_quac.errors import DataError
from napari_quac.explain.settings import ExplainSettings
from napari_quac.live.sample_columns import UNKNOWN, ExplanationStatus, SampleIndex

if TYPE_CHECKING:
    from napari_quac.data.sample import Sample
    from napari_quac.explain.explanation import Explanation
    from napari_quac.explain.prediction_table import PredictionTable
    from napari_quac.reports.entry import FailedEntry, ReportEntry
    from napari_quac.reports.report import Report
    from napari_quac.reports.store import ExplanationStore


@dataclass(frozen=True, eq=False)
class OpenReport:
    """A report and where it came from.

    Attributes
    ----------
    report : Report
    folder : Path
    store : ExplanationStore or None
        Where the report is that of a store.
    settings : ExplainSettings
        Masking and procedure of the explanations.
    """

    report: Report
    folder: Path
    store: ExplanationStore | None = None
    settings: ExplainSettings = field(default_factory=ExplainSettings)

    @cached_property
    def by_sample(self) -> dict[str, list[ReportEntry]]:
        """The entries of each sample."""
        found: dict[str, list[ReportEntry]] = {}
        for entry in self.report.entries:
            found.setdefault(entry.sample_id, []).append(entry)
        return found


@dataclass(frozen=True, eq=False)
class ReportColumns:
    """What a report says of the listed samples.

    Attributes
    ----------
    status : ExplanationStatus
    predictions : PredictionTable
        As they were when the report was made.
    positions : (E,) ndarray, int64
        Index of the sample of each entry; -1 where it is not listed.
    """

    status: ExplanationStatus
    predictions: PredictionTable
    positions: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class LoadedExplanations:
    """The explanations of a sample, as they were written.

    Attributes
    ----------
    by_method : mapping of str to Explanation
        All of one pair.
    """

    by_method: dict[str, Explanation]


def open_explanations(folder: Path) -> OpenReport:
    """Open a store of explanations, a folder of ``explain``, or a report of the QuAC library.

    Raises
    ------
    DataError
        If it is none of them.
    """
    from napari_quac.reports.opening import open_report
    from napari_quac.reports.store import ExplanationStore
    from napari_quac.reports.store_info import INFO

    if (folder / INFO).is_file():
        store = ExplanationStore.open(folder)
        return report_of_store(store, list(store.entries()))
    return OpenReport(open_report(folder), folder)


def report_of_store(
    store: ExplanationStore, entries: Sequence[ReportEntry | FailedEntry]
) -> OpenReport:
    """Return entries of a store as a report."""
    from napari_quac.reports.entry import ReportEntry
    from napari_quac.reports.report import Report

    notes = tuple(store.damaged.values())
    if store.read_only:
        notes = (f"Nothing can be added to it: {store.read_only}.", *notes)
    report = Report(
        tuple(entry for entry in entries if isinstance(entry, ReportEntry)),
        tuple(entry for entry in entries if not isinstance(entry, ReportEntry)),
        store.info.class_names,
        store.folder.name,
        notes,
    )
    return OpenReport(report, store.folder, store, store.info.settings)


def recorded(opened: OpenReport, listing: SampleIndex, class_names: Sequence[str]) -> ReportColumns:
    """Line a report up with the samples.

    Parameters
    ----------
    opened : OpenReport
        The report.
    listing : SampleIndex
        The samples.
    class_names : sequence of str
        Of the classifier in use; empty for those of the report.
    """
    from napari_quac.explain.prediction_table import PredictionTable

    report, index_of = opened.report, listing.index_of
    names = tuple(class_names) or _names_of(report)
    own = {name: number for number, name in enumerate(names)}
    to_own = [own.get(report.class_name(number), UNKNOWN) for number in range(_n_classes(report))]
    outcomes = ExplanationStatus.none_of(len(listing))
    probabilities = np.full((len(listing), len(names)), np.nan, dtype=np.float32)
    truth = np.full(len(listing), UNKNOWN, dtype=np.int64)
    positions = np.full(len(report.entries), UNKNOWN, dtype=np.int64)
    for number, entry in enumerate(report.entries):
        at = index_of.get(entry.sample_id, UNKNOWN)
        positions[number] = at
        if at == UNKNOWN:
            continue
        target = to_own[entry.target]
        if target != outcomes.targets[at]:  # the last target counts
            outcomes.scores[at], outcomes.targets[at] = np.nan, target
        if entry.quac_score is not None and not entry.degenerate:
            outcomes.scores[at] = np.fmax(outcomes.scores[at], entry.quac_score)
        outcomes.switched[at] = bool(entry.switches)
        if entry.label is not None:
            truth[at] = to_own[entry.label]
        if entry.query_prediction is not None and len(entry.query_prediction) == len(to_own):
            for column, value in zip(to_own, entry.query_prediction, strict=True):
                if column != UNKNOWN:
                    probabilities[at, column] = value
    failures = {
        index_of[failure.sample_id]: failure.error
        for failure in report.failures
        if failure.sample_id in index_of and outcomes.switched[index_of[failure.sample_id]] < 0
    }
    outcomes = ExplanationStatus(outcomes.scores, outcomes.targets, outcomes.switched, failures)
    return ReportColumns(outcomes, PredictionTable(names, probabilities, truth), positions)


def restore(
    opened: OpenReport, sample: Sample, class_names: Sequence[str], target: int | None = None
) -> LoadedExplanations | None:
    """Read the explanations of a sample; None if the report has none, or has other classes.

    Parameters
    ----------
    opened : OpenReport
        Where they are.
    sample : Sample
        The query.
    class_names : sequence of str
        Of the classifier.
    target : int, optional
        Class that was to be reached; where there is no explanation of it, the last one is taken.

    Raises
    ------
    DataError
        If the sample is not the one that was explained, or arrays were lost.
    """
    from napari_quac.reports.record import whole_curve
    from napari_quac.reports.restored import (
        entries_of_sample,
        restored_explanation,
        restored_pair,
        with_proposals,
    )
    from napari_quac.reports.store import task_key
    from napari_quac.reports.task_images import PROPOSAL

    own = opened.by_sample.get(sample.id, [])
    entries = entries_of_sample(own, sample.id, target) or entries_of_sample(own, sample.id)
    if not entries or _names_of(opened.report) != tuple(class_names):
        return None
    pair = restored_pair(entries[0], len(class_names), sample)
    curves = {}
    if opened.store is not None:
        store, key = opened.store, task_key(sample.id, class_names[entries[0].target])
        record = store.record(key)
        curves = record["methods"]
        pair = with_proposals(
            pair, record.get("proposals", ()), lambda n: store.image(key, f"{PROPOSAL}/{n}")
        )
    found = {}
    for entry in entries:
        try:
            predictions = None
            if entry.method in curves:
                predictions = whole_curve(curves[entry.method]["curve"], "predictions")
            found[entry.method] = restored_explanation(entry, pair, opened.settings, predictions)
        except DataError:
            continue  # what else there is can be shown
    return LoadedExplanations(found) if found else None


def _n_classes(report: Report) -> int:
    met = [index for pair in report.class_pairs for index in pair]
    met += [entry.label for entry in report.entries if entry.label is not None]
    return max([len(report.class_names), *(index + 1 for index in met)])


def _names_of(report: Report) -> tuple[str, ...]:
    return tuple(report.class_name(number) for number in range(_n_classes(report)))
