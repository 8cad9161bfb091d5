"""Judge all explanations of a report: against a known answer, and by replacing pixels."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from napari_quac.errors import DataError
from napari_quac.explain.attribution import normalize_map
from napari_quac.explain.methods.baselines import Random
from napari_quac.networks.classifier import Classifier
from napari_quac.reports.entry import ReportEntry
from napari_quac.reports.localization import (
    Localization,
    LocalizationSummary,
    localize_maps,
    summarize_localizations,
)
from napari_quac.reports.pixel_order import (
    counterfactual_deletion,
    counterfactual_insertion,
    deletion,
    insertion,
)
from napari_quac.reports.report import Report
from napari_quac.reports.truth_folder import TruthFolder
from napari_quac.stepwise import Progress, stepwise

BASELINES = ("residual", "random")
ORDER_MEASURES = (
    "deletion",
    "insertion",
    "counterfactual_deletion",
    "counterfactual_insertion",
)


@dataclass(frozen=True)
class EntryEvaluation:
    """What was found out about one entry.

    Attributes
    ----------
    entry : ReportEntry
    localization : Localization or None
        None where the true difference is not known.
    areas : dict of str to float
        Areas of the curves of ``ORDER_MEASURES``; empty without a classifier.
    """

    entry: ReportEntry
    localization: Localization | None
    areas: dict[str, float]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What was found out about a report.

    Attributes
    ----------
    judged : tuple of EntryEvaluation
        Entries with a known answer, or all of them where only pixels are replaced; *residual* and
        *random* are among them, also where the report does not have them.
    n_without_truth : int
        Entries of the report whose answer is not known, or that ranked nothing.
    problems : tuple of str
        One sentence for each entry that could not be judged.
    """

    judged: tuple[EntryEvaluation, ...]
    n_without_truth: int
    problems: tuple[str, ...]

    def localization(
        self, source: int | None = None, target: int | None = None
    ) -> dict[str, LocalizationSummary]:
        """Return the summary of each method, of all class pairs or of one."""
        found: dict[str, list[Localization]] = {}
        for one in self._of_pair(source, target):
            if one.localization is not None:
                found.setdefault(one.entry.method, []).append(one.localization)
        return summarize_localizations(found)

    def areas(
        self, source: int | None = None, target: int | None = None
    ) -> dict[str, dict[str, float]]:
        """Return, for each method, the median area of each curve, and ``n``."""
        found: dict[str, list[dict[str, float]]] = {}
        for one in self._of_pair(source, target):
            if one.areas:
                found.setdefault(one.entry.method, []).append(one.areas)
        return {
            method: {"n": len(several)}
            | {name: float(np.median([a[name] for a in several])) for name in ORDER_MEASURES}
            for method, several in found.items()
        }

    def class_pairs(self) -> tuple[tuple[int, int], ...]:
        """Return the class pairs that something was judged of."""
        return tuple(sorted({(one.entry.source, one.entry.target) for one in self.judged}))

    def _of_pair(self, source: int | None, target: int | None) -> Iterator[EntryEvaluation]:
        for one in self.judged:
            if (source, target) in ((None, None), (one.entry.source, one.entry.target)):
                yield one


@stepwise
def evaluate_report(
    report: Report, truth: TruthFolder | None, classifier: Classifier | None = None
) -> Generator[Progress, None, Evaluation]:
    """Judge the explanations of a report.

    Parameters
    ----------
    report : Report
        Its entries need their arrays. Degenerate ones are left out.
    truth : TruthFolder or None
        Where the known answers are; None if only pixels are to be replaced.
    classifier : Classifier, optional
        The classifier that was explained; deletion and insertion ask it.

    Returns
    -------
    Steps of Evaluation

    Notes
    -----
    Where the report lacks *residual* or *random*, their maps are made from query and generated
    image. They have no mask then, since that takes a curve.
    """
    judged: list[EntryEvaluation] = []
    problems: list[str] = []
    n_without = 0
    entries = _with_baselines(report)
    own = {id(entry) for entry in report.entries}
    for number, entry in enumerate(entries):
        yield Progress(number, len(entries), f"judge {entry.sample_id}, {entry.method}")
        known = None
        try:
            known = None if truth is None or entry.degenerate else truth.mask(entry, report)
            if entry.degenerate or (truth is not None and (known is None or not known.any())):
                n_without += id(entry) in own
                continue
            localization = None if known is None else _localised(entry, known)
            areas: dict[str, float] = {}
            if classifier is not None:
                areas = yield from _areas(entry, classifier)
        except DataError as error:
            problems.append(f"{entry.sample_id}, {entry.method}: {error}")
            continue
        judged.append(EntryEvaluation(entry, localization, areas))
    if problems and not judged:
        raise DataError(f"No explanation could be judged; the first: {problems[0]}")
    return Evaluation(tuple(judged), n_without, tuple(problems))


def _localised(entry: ReportEntry, known: NDArray[np.bool_]) -> Localization:
    mask = None if entry.quac_score is None else entry.array("mask")
    return localize_maps(entry.array("attribution"), known, mask, entry.quac_score)


def _areas(
    entry: ReportEntry, classifier: Classifier
) -> Generator[Progress, None, dict[str, float]]:
    attribution = entry.array("attribution")
    query = torch.from_numpy(np.ascontiguousarray(entry.array("query")))
    generated = torch.from_numpy(np.ascontiguousarray(entry.array("generated")))
    classifier.check_image(query.shape, f"The query '{entry.sample_id}'")
    pair = (query, generated, attribution, classifier, entry.target)
    removed = yield from deletion(query, attribution, classifier)
    brought = yield from insertion(query, attribution, classifier)
    away = yield from counterfactual_deletion(*pair)
    towards = yield from counterfactual_insertion(*pair)
    curves = (removed, brought, away, towards)
    return {name: curve.area for name, curve in zip(ORDER_MEASURES, curves, strict=True)}


def _with_baselines(report: Report) -> list[ReportEntry]:
    """Return the entries, and for each pair the baselines that the report does not have."""
    entries = list(report.entries)
    there = {(entry.sample_id, entry.source, entry.target, entry.method) for entry in entries}
    for entry in report.entries:
        for name in BASELINES:
            key = (entry.sample_id, entry.source, entry.target, name)
            if key not in there:
                there.add(key)
                entries.append(_baseline(entry, name))
    return entries


def _baseline(entry: ReportEntry, name: str) -> ReportEntry:
    """Return an entry with the map of a baseline for the same pair, without curve or score."""

    def read(wanted: str) -> NDArray[np.float32]:
        if wanted in ("query", "generated"):
            return entry.array(wanted)
        if wanted != "attribution":
            raise DataError(f"'{name}' was not part of the report, so it has no {wanted}.")
        query = entry.array("query")
        noise = Random().noise(query.shape) if name == "random" else None
        signed = query - entry.array("generated") if noise is None else noise
        values: NDArray[np.float32] = normalize_map(torch.from_numpy(signed))[0].numpy()
        return values

    return replace(
        entry,
        method=name,
        true_name=name,
        quac_score=None,
        optimal_threshold=None,
        counterfactual_prediction=None,
        inverse_prediction=None,
        thresholds=np.empty(0),
        mask_sizes=np.empty(0),
        score_changes=np.empty(0),
        completeness=None,
        degenerate=False,
        seconds=None,
        paths={},
        read=read,
    )
