"""Subject of a figure or page: the explanations of one pair, and the hash of their record."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from napari_quac.data.place import NM_PER_UNIT, unit_of_length
from napari_quac.errors import DataError
from napari_quac.explain.explanation import Explanation, Explanations
from napari_quac.explain.settings import ExplainSettings
from napari_quac.registry import unknown_name
from napari_quac.reports.entry import ReportEntry
from napari_quac.reports.opening import find_index
from napari_quac.reports.record import explained_record, to_json
from napari_quac.reports.report import Report
from napari_quac.reports.restored import restore_explanations
from napari_quac.reports.store import ExplanationStore
from napari_quac.reports.store_info import INFO

if TYPE_CHECKING:
    from napari_quac.explain.pair import Pair
    from napari_quac.explain.question import Question


@dataclass(frozen=True, eq=False)
class Subject:
    """The explanations of one pair as a figure shows them.

    Attributes
    ----------
    explanations : Explanations
    class_names : tuple of str
        Of the classifier.
    record_sha256 : str
        Hash of the record; empty if there is none.
    label : int or None
        True class of the sample as an index of the classifier.
    has_settings : bool
        False if the settings are not recorded, and those of the QuAC library are assumed.
    """

    explanations: Explanations
    class_names: tuple[str, ...]
    record_sha256: str = ""
    label: int | None = None
    has_settings: bool = True

    @property
    def pair(self) -> Pair:
        """Query and generated image, not swapped."""
        return self.explanations.pair

    @property
    def settings(self) -> ExplainSettings:
        """Settings of the explanations."""
        return self.explanations.settings

    @property
    def methods(self) -> tuple[str, ...]:
        """The methods with an explanation."""
        return tuple(self.explanations)

    def class_name(self, index: int) -> str:
        """Return the name of a class."""
        return self.class_names[index] if index < len(self.class_names) else f"class {index}"

    def predicted_text(self, prediction: Tensor) -> str:
        """Return a phrase with the predicted class, or that it is unknown."""
        if prediction.isnan().any():
            return "with an unknown prediction"
        return f"predicted as {self.class_name(int(prediction.argmax()))}"

    def pixel_nm(self) -> tuple[float, float] | None:
        """Return height and width of a pixel in nm; None if one of them is unknown."""
        scale, unit = self.pair.query.scale, unit_of_length(self.pair.query.unit)
        if scale is None or unit is None or len(scale) < 2:
            return None
        height, width = (float(size) * NM_PER_UNIT[unit] for size in scale[-2:])
        return (height, width) if height > 0 and width > 0 else None

    def select(self, methods: Sequence[str]) -> Subject:
        """Return the subject with some of its methods, in the order of ``methods``.

        Raises
        ------
        UnknownNameError
            If one of them has no explanation.
        """
        for name in methods:
            if name not in self.explanations:
                raise unknown_name("method", name, list(self.methods))
        by_method = {name: self.explanations[name] for name in methods}
        return replace(self, explanations=replace(self.explanations, by_method=by_method))

    def best(self) -> Explanation:
        """Return the explanation with the highest QuAC score.

        Raises
        ------
        DataError
            If there is none.
        """
        if not self.explanations:
            raise DataError(f"There is no explanation of '{self.pair.query.id}' to draw.")
        return max(self.explanations.values(), key=lambda e: e.quac_score)


def subject_of(
    explanations: Explanations, class_names: Sequence[str], question: Question | None = None
) -> Subject:
    """Return explanations of a window or notebook as a subject.

    Parameters
    ----------
    explanations : Explanations
        Preliminary ones are left out.
    class_names : sequence of str
        Of the classifier.
    question : Question, optional
        It completes the record, whose hash then equals that of the saved one.
    """
    exact, names = explanations.exact(), tuple(class_names)
    label = None if question is None else question.label
    record = explained_record(
        exact.pair,
        list(exact.values()),
        names,
        settings=exact.settings,
        truth=label,
        source_basis="" if question is None else question.basis,
        targets=() if question is None else question.targets,
    )
    return Subject(exact, names, hashlib.sha256(to_json(record)).hexdigest(), label)


def read_subjects(report: Report, folder: Path | None = None) -> Iterator[Subject]:
    """Yield a subject for each sample and target of a report, in the order of its entries.

    Parameters
    ----------
    report : Report
        The report; its filters decide which methods a subject has.
    folder : Path, optional
        Where it was read. The records of a store add pixel sizes, predictions of all hybrids, and
        hashes.

    Raises
    ------
    DataError
        If the images of a pair were not saved or cannot be read.
    """
    store = open_store(folder)
    groups: dict[tuple[str, int], list[ReportEntry]] = {}
    for entry in report.entries:
        groups.setdefault((entry.sample_id, entry.target), []).append(entry)
    settings = report.settings or ExplainSettings()
    for entries in groups.values():
        yield _read_subject(entries, settings, report, store)


def open_store(folder: Path | None) -> ExplanationStore | None:
    """Return the store at a path; None for other reports."""
    index = None if folder is None else find_index(folder)
    is_store = index is not None and index.name == INFO
    return ExplanationStore.open(index.parent) if index is not None and is_store else None


def record_hashes(report: Report, folder: Path | None) -> tuple[str, ...]:
    """Return the SHA-256 of each record of a report; empty if it is no store."""
    store = open_store(folder)
    if store is None:
        return ()
    places = dict.fromkeys((entry.sample_id, entry.target) for entry in report.entries)
    return tuple(store.record_sha256(store.key_of(*place)) for place in places)


def _read_subject(
    entries: list[ReportEntry],
    settings: ExplainSettings,
    report: Report,
    store: ExplanationStore | None,
) -> Subject:
    first = entries[0]
    classes = {entry.source for entry in entries} | {entry.target for entry in entries}
    n_predicted = len(first.query_prediction or ())
    n_classes = max(n_predicted, len(report.class_names), 1 + max(classes))
    names = tuple(map(report.class_name, range(n_classes)))
    explanations = restore_explanations(entries, settings, names, store=store)
    if not explanations:
        explanations.raise_failures()
    digest = ""
    if store is not None:
        digest = store.record_sha256(store.key_of(first.sample_id, first.target))
    return Subject(explanations, names, digest, first.label, report.settings is not None)
