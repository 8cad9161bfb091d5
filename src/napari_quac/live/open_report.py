"""Reports that are open beside the samples: their explanations, without any network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_quac.explain.settings import ExplainSettings
from napari_quac.large_files import time_limit
from napari_quac.live.explanation_status import UNKNOWN, ExplanationStatus
from napari_quac.live.identity import other_networks
from napari_quac.live.sample_columns import SampleIndex
from napari_quac.reading import is_regular_file

if TYPE_CHECKING:
    from napari_quac.data.dataset import Sample
    from napari_quac.explain.explanation import Explanations
    from napari_quac.explain.pair import Pair
    from napari_quac.explain.prediction_table import PredictionTable
    from napari_quac.live.choices import SampleSource
    from napari_quac.live.sample_order import SampleOrder
    from napari_quac.networks.classifier import Classifier
    from napari_quac.networks.generator import Generator
    from napari_quac.reports.entry import FailedEntry, ReportEntry
    from napari_quac.reports.report import Report
    from napari_quac.reports.store import ExplanationStore


@dataclass(frozen=True, eq=False)
class OpenReport:
    """A report and its origin.

    Attributes
    ----------
    report : Report
    folder : Path
    store : ExplanationStore or None
        The store of the report, if it has one.
    settings : ExplainSettings
        Masking and procedure of the explanations.
    chosen_samples : SampleSource or None
        The samples that were chosen when the report was requested.
    """

    report: Report
    folder: Path
    store: ExplanationStore | None = None
    settings: ExplainSettings = field(default_factory=ExplainSettings)
    chosen_samples: SampleSource | None = None

    @cached_property
    def by_sample(self) -> dict[str, list[ReportEntry]]:
        """The entries of each sample."""
        entries: dict[str, list[ReportEntry]] = {}
        for entry in self.report.entries:
            entries.setdefault(entry.sample_id, []).append(entry)
        return entries

    def sort_entries(self) -> None:
        """Fill :attr:`by_sample` in advance."""
        self.__dict__["by_sample"] = self.by_sample

    def load(self) -> OpenReport:
        """Return the report itself, as a source of reports does."""
        return self


@dataclass(frozen=True, eq=False)
class ReportColumns:
    """Columns of a report, aligned with the table of samples.

    Attributes
    ----------
    status : ExplanationStatus
    predictions : PredictionTable
        Predictions at the time of the report.
    positions : (E,) ndarray, int64
        Index of the sample of each entry; -1 where it is not in the table.
    differences : tuple of str
        Differences between the networks of the report and those in use, as phrases. Columns of
        other networks are empty.
    """

    status: ExplanationStatus
    predictions: PredictionTable | None
    positions: NDArray[np.int64]
    differences: tuple[str, ...] = ()

    @property
    def note(self) -> str:
        """Reason why the columns are empty; empty if they are those of the networks in use."""
        if not self.differences:
            return ""
        return (
            "The open explanations are not shown, because they were computed with other networks "
            f"({'; '.join(self.differences)})."
        )


@dataclass(frozen=True, eq=False)
class LoadedExplanations:
    """Explanations of a sample that were read from a report.

    Attributes
    ----------
    explanations : Explanations
        With the settings for which nothing has to be computed.
    folder : Path
        Folder of the report.
    """

    explanations: Explanations
    folder: Path

    @property
    def pair(self) -> Pair:
        """The pair that was explained."""
        return self.explanations.pair

    def are_of(self, opened: OpenReport, sample: Sample) -> bool:
        """Tell whether they are of this sample and from this report."""
        return self.pair.query is sample and self.folder == opened.folder


def open_explanations(folder: Path) -> OpenReport:
    """Open a store of explanations, a folder of ``explain``, or a report of the QuAC library.

    Raises
    ------
    DataError
        If the folder is none of these.
    LargeFileError
        If reading it takes longer than five seconds, and the user has to agree.
    """
    from napari_quac.reports.opening import open_report
    from napari_quac.reports.store import ExplanationStore
    from napari_quac.reports.store_info import INFO

    if is_regular_file(folder / INFO):
        with time_limit(folder):
            store = ExplanationStore.open(folder)
            return report_of_store(store, list(store.entries()))
    return OpenReport(open_report(folder), folder)


def report_of_store(
    store: ExplanationStore, entries: Sequence[ReportEntry | FailedEntry]
) -> OpenReport:
    """Return entries of a store as a report."""
    from napari_quac.reports.opening import report_from_store

    report = report_from_store(store, entries)
    return OpenReport(report, store.folder, store, store.info.settings)


def align_report(
    sample_list: SampleIndex, report: OpenReport, loaded_classifier: Classifier | None = None,
    loaded_generator: Generator | None = None,
    *, generator: Any = None,
) -> ReportColumns:  # fmt: skip
    """Align the entries of a report with the table of samples.

    Parameters
    ----------
    sample_list : SampleIndex
        The samples of the table.
    report : OpenReport
        The report.
    loaded_classifier : Classifier, optional
        The classifier in use, whose classes are those of the columns; by default those of the
        report.
    loaded_generator : Generator, optional
        The generator in use.
    generator : recipe, optional
        Its recipe.
    """
    from napari_quac.explain.prediction_table import PredictionTable

    recipe = generator if loaded_generator is not None else None
    differences = _differences(report, loaded_classifier, recipe)

    opened, index_of = report.report, sample_list.index_of
    positions = np.array(
        [index_of.get(entry.sample_id, UNKNOWN) for entry in opened.entries], dtype=np.int64
    )
    names = getattr(loaded_classifier, "class_names", ()) or _names_of(opened)
    places = {name: number for number, name in enumerate(names)}
    # from a class of the report to the class of the same name
    classes = [places.get(opened.class_name(n), UNKNOWN) for n in range(_n_classes(opened))]
    status = ExplanationStatus.none_of(len(sample_list), names)
    probabilities = np.full((len(sample_list), len(names)), np.nan, dtype=np.float32)
    truth = np.full(len(sample_list), UNKNOWN, dtype=np.int64)
    if differences:
        return ReportColumns(status, None, positions, differences)
    for row, entry in zip(positions.tolist(), opened.entries, strict=True):
        if row == UNKNOWN:
            continue
        target = classes[entry.target]
        if target != status.targets[row]:  # the last target counts
            status.scores[row], status.targets[row] = np.nan, target
        if entry.quac_score is not None and not entry.degenerate:
            status.scores[row] = np.fmax(status.scores[row], entry.quac_score)
        status.switched[row] = bool(entry.switches)
        if entry.label is not None:
            truth[row] = classes[entry.label]
        if entry.query_prediction is not None and len(entry.query_prediction) == len(classes):
            for column, probability in zip(classes, entry.query_prediction, strict=True):
                if column != UNKNOWN:
                    probabilities[row, column] = probability
    failures = {
        index_of[failure.sample_id]: failure.error
        for failure in opened.failures
        if failure.sample_id in index_of and status.switched[index_of[failure.sample_id]] < 0
    }
    return ReportColumns(
        replace(status, failures=failures), PredictionTable(names, probabilities, truth), positions
    )


def entries_in_view(
    report: OpenReport, report_columns: ReportColumns, order: SampleOrder
) -> list[ReportEntry]:
    """Return the entries of a report whose samples pass the filter.

    Parameters
    ----------
    report : OpenReport
        The report.
    report_columns : ReportColumns
        Its columns; while those of another report are shown, nothing is in view.
    order : SampleOrder
        The samples in view.
    """
    entries = report.report.entries
    if len(report_columns.positions) != len(entries) or report_columns.differences:
        return []  # the columns are being computed, or the report is about other networks
    rows = np.zeros(len(order.columns) + 1, dtype=np.bool_)  # the last one is for -1
    rows[order.indices] = True
    return [entries[number] for number in np.flatnonzero(rows[report_columns.positions])]


def load_explanations(
    sample: Sample, report: OpenReport, loaded_classifier: Classifier, target: int | None = None,
    *, pair_settings: ExplainSettings, loaded_explanations: LoadedExplanations | None = None,
) -> LoadedExplanations | None:  # fmt: skip
    """Read the explanations of a sample; None if the report has none, or has other classes.

    Parameters
    ----------
    sample : Sample
        The query.
    report : OpenReport
        The report.
    loaded_classifier : Classifier
        The classifier in use.
    target : int, optional
        Class to reach; by default that of the last explanation.
    pair_settings : ExplainSettings
        Current settings, which are those of the explanations, apart from masking and procedure.
    loaded_explanations : LoadedExplanations, optional
        The previous ones, which are returned if they are of this sample and the report has no
        explanation of the target; without them, those of the last target are read instead.

    Raises
    ------
    DataError
        If the sample is not the one that was explained, or arrays are missing.
    """
    from napari_quac.reports.restored import restore_explanations

    previous = loaded_explanations
    if previous is not None and not previous.are_of(report, sample):
        previous = None
    if previous is not None and (target is None or previous.pair.target == target):
        return previous
    of_sample = report.by_sample.get(sample.id, [])
    last = of_sample[-1].target if of_sample else None
    targets = (last if target is None else target, last)
    requested, latest = ([e for e in of_sample if e.target == index] for index in targets)
    if not requested and previous is not None:
        return previous
    class_names, recorded = loaded_classifier.class_names, report.settings
    if not latest or _names_of(report.report) != class_names:
        return None
    if _differences(report, loaded_classifier):
        return None
    explanations = restore_explanations(
        requested or latest, recorded, class_names, sample, report.store
    )
    if not explanations:
        return None
    settings = replace(pair_settings, masking=recorded.masking, procedure=recorded.procedure)
    # a method that cannot be restored is left out, and the others are shown
    return LoadedExplanations(replace(explanations, settings=settings, failures={}), report.folder)


def _differences(
    report: OpenReport, classifier: Classifier | None, generator: Any = None
) -> tuple[str, ...]:
    """Return the differences from the networks in use; a folder without a store states none."""
    if report.store is None or classifier is None:
        return ()
    return other_networks(report.store.info, classifier, generator)


def _n_classes(report: Report) -> int:
    indices = [index for pair in report.class_pairs for index in pair]
    indices += [entry.label for entry in report.entries if entry.label is not None]
    return max([len(report.class_names), *(index + 1 for index in indices)])


def _names_of(report: Report) -> tuple[str, ...]:
    return tuple(report.class_name(number) for number in range(_n_classes(report)))
