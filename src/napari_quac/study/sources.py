"""Candidates for a study: pairs of a report, or images of a folder with one subfolder per class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_quac.errors import DataError
from napari_quac.registry import unknown_name
from napari_quac.study.key import QUERY
from napari_quac.study.protocol import Sampling

if TYPE_CHECKING:
    from napari_quac.reports.entry import ReportEntry
    from napari_quac.reports.report import Report

Read = Callable[[str], NDArray[np.float32]]


@dataclass(frozen=True, eq=False)
class Candidate:
    """A pair or an image that a study may present.

    Attributes
    ----------
    sample_id, stratum : str
    read : callable
        Returns the (C, *S) image of ``"query"`` or ``"partner"``, float32 in [0, 1].
    source, target, label, predicted, correctness, method, cluster, score
        See :class:`~napari_quac.study.key.Trial`.
    """

    sample_id: str
    stratum: str
    read: Read = field(repr=False)
    source: str = ""
    target: str = ""
    label: str = ""
    predicted: str = ""
    correctness: str = ""
    method: str = ""
    cluster: str = ""
    score: float | None = None


@dataclass(frozen=True)
class Source:
    """Candidates of a study, and the classes in them.

    Attributes
    ----------
    candidates : tuple of Candidate
    classes : tuple of str
    paired : bool
        True if there are pairs.
    """

    candidates: tuple[Candidate, ...]
    classes: tuple[str, ...]
    paired: bool


def open_source(sampling: Sampling) -> Source:
    """List the candidates for a study.

    Raises
    ------
    DataError
        If the source holds neither explanations nor images, or a pattern does not fit.
    UnknownNameError
        If a class or a method is unknown.
    """
    from napari_quac.reports.opening import holds_explanations, open_report

    if not sampling.source.exists():
        raise DataError(
            f"'{sampling.source}' does not exist. Choose a folder of explanations, or one with one "
            "subfolder of images per class."
        )
    if holds_explanations(sampling.source):
        return _pairs(open_report(sampling.source), sampling)
    return _images(sampling)


def _pairs(report: Report, sampling: Sampling) -> Source:
    chosen = report.method(sampling.method) if sampling.method else report.best_per_sample().report
    pairs = {(report.class_index(a), report.class_index(b)) for a, b in sampling.class_pairs}
    candidates, samples = [], frozenset(sampling.sample_ids)
    for entry in chosen:
        if pairs and (entry.source, entry.target) not in pairs:
            continue
        if samples and entry.sample_id not in samples:
            continue
        candidates.append(_pair(report, entry, sampling))
    if not candidates:
        raise DataError(
            f"'{sampling.source}' holds no explanations of these class pairs and samples. "
            "Choose others."
        )
    indices = sorted({index for pair in report.class_pairs for index in pair})
    return Source(tuple(candidates), tuple(map(report.class_name, indices)), True)


def _pair(report: Report, entry: ReportEntry, sampling: Sampling) -> Candidate:
    source, target = report.class_name(entry.source), report.class_name(entry.target)
    label = "" if entry.label is None else report.class_name(entry.label)
    predicted = "" if entry.predicted is None else report.class_name(entry.predicted)
    correctness = "unlabeled"
    if label and predicted:
        correctness = "correct" if label == predicted else "mispredicted"

    def read(role: str) -> NDArray[np.float32]:
        return entry.array("query" if role == QUERY else sampling.partner)

    return Candidate(
        entry.sample_id,
        f"{source} → {target}, {correctness}",
        read,
        source,
        target,
        label,
        predicted,
        correctness,
        entry.method,
        _cluster(entry.sample_id, sampling.cluster),
        entry.quac_score if entry.has_score else None,
    )


def _images(sampling: Sampling) -> Source:
    from napari_quac.data.image_datasets import ImageFolder

    dataset = ImageFolder(sampling.source, image_range=sampling.image_range)

    def read_sample(index: int, role: str) -> NDArray[np.float32]:
        del role
        image: NDArray[np.float32] = dataset[index].image.numpy()
        return image

    candidates = []
    for index in range(len(dataset)):
        label, sample_id = dataset.label(index), dataset.sample_id(index)
        name = "" if label is None else dataset.classes[label]
        read = partial(read_sample, index)
        cluster = _cluster(sample_id, sampling.cluster)
        candidates.append(
            Candidate(sample_id, name or "all", read, source=name, label=name, cluster=cluster)
        )
    classes = {name for pair in sampling.class_pairs for name in pair}
    for name in sorted(classes - set(dataset.classes)):
        raise unknown_name("class", name, list(dataset.classes))
    if classes:
        candidates = [candidate for candidate in candidates if candidate.source in classes]
    if sampling.sample_ids:
        samples = frozenset(sampling.sample_ids)
        candidates = [candidate for candidate in candidates if candidate.sample_id in samples]
    return Source(tuple(candidates), tuple(dataset.classes), False)


def _cluster(sample_id: str, pattern: str) -> str:
    """Return the cluster of a sample by the pattern; empty without one.

    Raises
    ------
    DataError
        If the pattern does not fit.
    """
    if not pattern:
        return ""
    from napari_quac.data.label_pattern import match_pattern

    cluster = match_pattern(sample_id, pattern, "group")
    if cluster is None:
        raise DataError(
            f"The pattern '{pattern}' does not fit the sample '{sample_id}'. Write one with "
            "{group}, such as '{group}_*' for NEURON_SYNAPSE (--cluster)."
        )
    return cluster
