"""Evaluation of all explanations of a report: against the truth, and with the classifier."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from napari_quac.errors import DataError, QuacError
from napari_quac.explain.attribution import Attribution, AttributionMethod, attribute, normalize_map
from napari_quac.explain.method_parameters import build_method
from napari_quac.explain.methods.baselines import Random
from napari_quac.explain.pair import Pair
from napari_quac.explain.settings import ExplainSettings
from napari_quac.networks.classifier import Classifier
from napari_quac.reports.entry import ReportEntry
from napari_quac.reports.localization import (
    Localization,
    LocalizationSummary,
    RegionEffects,
    TruthFolder,
    compare_regions,
    localize_maps,
    pool_effects,
    summarize_localizations,
)
from napari_quac.reports.pixel_order import deletion, insertion, replace_in_order
from napari_quac.reports.report import Report
from napari_quac.reports.restored import restore_explanation, restore_pair
from napari_quac.reports.robustness import (
    Robustness,
    SanityStep,
    cascading_randomization,
    measure_robustness,
)
from napari_quac.stepwise import Progress, stepwise

BASELINES = ("residual", "random")
PAIR_FIELDS = (
    *("sample_id", "source", "target", "label", "source_basis", "switches", "n_tried", "origin"),
    *("query_prediction", "generated_prediction"),
)
"""Attributes of an entry that do not depend on the method."""
ORDER_MEASURES = ("deletion", "insertion", "counterfactual_deletion", "counterfactual_insertion")
# Of the range of a map. Rounding, other hardware and 16-bit files stay below 0.01.
LARGEST_DEVIATION = 0.02


@dataclass(frozen=True)
class Checks:
    """Measures that need the classifier.

    Attributes
    ----------
    insertion_deletion : bool
        Areas of the curves of ``ORDER_MEASURES``.
    robustness : bool
        Infidelity and sensitivity.
    randomization : bool
        Sanity check by cascading randomization of the layers.
    regions : bool
        Effects of the regions of each mask, compared with the truth.
    """

    insertion_deletion: bool = False
    robustness: bool = False
    randomization: bool = False
    regions: bool = False


@dataclass(frozen=True)
class EntryEvaluation:
    """Evaluation of one entry.

    Attributes
    ----------
    entry : ReportEntry
    localization : Localization or None
        None if the true difference is unknown.
    areas : dict of str to float
        Areas of the curves of ``ORDER_MEASURES``; empty without that check.
    robustness : Robustness or None
    randomization : tuple of SanityStep
        Empty without that check.
    regions : RegionEffects or None
        None without that check, for an unknown difference and for an entry without a curve.
    """

    entry: ReportEntry
    localization: Localization | None = None
    areas: dict[str, float] | None = None
    robustness: Robustness | None = None
    randomization: tuple[SanityStep, ...] = ()
    regions: RegionEffects | None = None


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Evaluation of a report.

    Attributes
    ----------
    evaluations : tuple of EntryEvaluation
        Of the entries with a known true difference, or of all entries without ``truth``;
        *residual* and *random* are included even if the report does not contain them.
    n_without_truth : int
        Number of entries of the report with an unknown difference or a constant attribution.
    problems : tuple of str
        One sentence for each entry that could not be evaluated.
    """

    evaluations: tuple[EntryEvaluation, ...]
    n_without_truth: int
    problems: tuple[str, ...]

    def class_pairs(self) -> tuple[tuple[int, int], ...]:
        """Return the class pairs with an evaluation."""
        return tuple(sorted({(e.entry.source, e.entry.target) for e in self.evaluations}))

    def localization(self, *pair: int | None) -> dict[str, LocalizationSummary]:
        """Return the summary of each method, of all class pairs or of one."""
        return summarize_localizations(self._by_method("localization", pair))

    def areas(self, *pair: int | None) -> dict[str, dict[str, float]]:
        """Return, for each method, the median area of each curve, and ``n``."""
        return {
            method: {"n": len(cases)}
            | {name: _median(case[name] for case in cases) for name in ORDER_MEASURES}
            for method, cases in self._by_method("areas", pair).items()
        }

    def robustness(self, *pair: int | None) -> dict[str, dict[str, float]]:
        """Return, for each method, the medians of infidelity and sensitivity, and ``n``."""
        return {
            method: {
                "n": len(cases),
                "infidelity": _median(case.infidelity for case in cases),
                "max_sensitivity": _median(case.max_sensitivity for case in cases),
            }
            for method, cases in self._by_method("robustness", pair).items()
        }

    def randomization(self, *pair: int | None) -> dict[str, dict[str, Any]]:
        """Return, for each method, the mean correlations after each layer, and ``n``."""
        return {
            method: {
                "n": len(cases),
                "layers": [step.layer for step in cases[0]],
                **{
                    name: np.mean(
                        [[getattr(step, name) for step in steps] for steps in cases], axis=0
                    ).tolist()
                    for name in ("rank_correlation", "absolute_rank_correlation")
                },
            }
            for method, cases in self._by_method("randomization", pair).items()
        }

    def regions(self, *pair: int | None) -> dict[str, dict[str, float]]:
        """Return, for each method, the ranking of the regions of all its masks."""
        pooled = {
            method: pool_effects(cases)
            for method, cases in self._by_method("regions", pair).items()
        }
        return {
            method: {
                "n_regions": len(effects.is_true),
                "n_true": effects.n_true,
                "auroc_alone": effects.auroc_alone,
                "auroc_left_out": effects.auroc_left_out,
            }
            for method, effects in pooled.items()
        }

    def _by_method(self, measure: str, pair: tuple[int | None, ...]) -> dict[str, list[Any]]:
        """Return a measure of the entries of a class pair, source and target, or of all."""
        cases: dict[str, list[Any]] = {}
        for evaluation in self.evaluations:
            entry = evaluation.entry
            in_pair = pair in ((), (None, None), (entry.source, entry.target))
            if in_pair and (case := getattr(evaluation, measure)):
                cases.setdefault(entry.method, []).append(case)
        return cases


@stepwise
def evaluate_report(
    report: Report,
    truth: TruthFolder | None,
    classifier: Classifier | None = None,
    checks: Checks | None = None,
) -> Generator[Progress, None, Evaluation]:
    """Evaluate the explanations of a report.

    Parameters
    ----------
    report : Report
        Its entries need their arrays. Degenerate entries are excluded.
    truth : TruthFolder or None
        The true differences; None for the checks with the classifier alone.
    classifier : Classifier, optional
        The explained classifier.
    checks : Checks, optional
        Measures that need the classifier; none by default.

    Returns
    -------
    Steps of Evaluation

    Raises
    ------
    DataError
        If no entry can be evaluated.

    Notes
    -----
    If the report lacks *residual* or *random*, their maps are computed from query and generated
    image. They have no mask then, since a mask requires a curve.
    """
    evaluations: list[EntryEvaluation] = []
    problems: list[str] = []
    n_without = 0
    entries = _with_baselines(report)
    reported = {id(entry) for entry in report.entries}
    for number, entry in enumerate(entries):
        yield Progress(number, len(entries), f"evaluate {entry.sample_id}, {entry.method}")
        try:
            mask = None if truth is None or entry.degenerate else truth.mask(entry, report)
            if entry.degenerate or (truth is not None and (mask is None or not mask.any())):
                n_without += id(entry) in reported
                continue
            localization = None if mask is None else _localize(entry, mask)
            evaluation = EntryEvaluation(entry, localization)
            if classifier is not None and checks is not None:
                evaluation = yield from _check(evaluation, mask, report, classifier, checks)
        except QuacError as error:
            problems.append(f"{entry.sample_id}, {entry.method}: {error}")
            continue
        evaluations.append(evaluation)
    if problems and not evaluations:
        raise DataError(f"No explanation can be evaluated; the first problem: {problems[0]}")
    return Evaluation(tuple(evaluations), n_without, tuple(problems))


def _localize(entry: ReportEntry, truth: NDArray[np.bool_]) -> Localization:
    mask = None if entry.quac_score is None else entry.array("mask")
    return localize_maps(entry.array("attribution"), truth, mask, entry.quac_score)


def _check(
    evaluation: EntryEvaluation,
    truth: NDArray[np.bool_] | None,
    report: Report,
    classifier: Classifier,
    checks: Checks,
) -> Generator[Progress, None, EntryEvaluation]:
    """Add the measures that need the classifier."""
    entry = evaluation.entry
    pair = restore_pair(entry, classifier.class_names)
    classifier.check_image(pair.query.image.shape, f"The query '{entry.sample_id}'")
    if checks.insertion_deletion:
        areas = yield from _areas(pair, entry.array("attribution"), classifier)
        evaluation = replace(evaluation, areas=areas)
    if checks.regions and truth is not None and entry.quac_score is not None:
        regions = yield from _regions(entry, pair, truth, report, classifier)
        evaluation = replace(evaluation, regions=regions)
    if checks.robustness or checks.randomization:
        oriented, attribution, method = yield from _recompute(entry, pair, report, classifier)
        if checks.robustness:
            robustness = yield from measure_robustness(oriented, attribution, method, classifier)
            evaluation = replace(evaluation, robustness=robustness)
        if checks.randomization:
            steps = yield from cascading_randomization(oriented, entry.method, method, classifier)
            evaluation = replace(evaluation, randomization=steps)
    return evaluation


def _areas(
    pair: Pair, attribution: NDArray[np.float32], classifier: Classifier
) -> Generator[Progress, None, dict[str, float]]:
    query, generated = pair.query.image, pair.generated
    order = (attribution, classifier, pair.target)
    curves = (
        (yield from deletion(query, attribution, classifier)),
        (yield from insertion(query, attribution, classifier)),
        (yield from replace_in_order(generated, query, *order)),
        (yield from replace_in_order(query, generated, *order)),
    )
    return {name: curve.area for name, curve in zip(ORDER_MEASURES, curves, strict=True)}


def _regions(
    entry: ReportEntry, pair: Pair, truth: NDArray[np.bool_], report: Report, classifier: Classifier
) -> Generator[Progress, None, RegionEffects]:
    # the report may lack the predictions, on which the effects are based
    query, generated = classifier.predict(torch.stack([pair.query.image, pair.generated]))
    pair = replace(pair, query_prediction=query, generated_prediction=generated)
    explanation = restore_explanation(entry, pair, report.settings or ExplainSettings())
    hybrid = explanation.counterfactual
    if not np.allclose(hybrid.mask, entry.array("mask"), atol=LARGEST_DEVIATION):
        raise DataError(
            "the report does not record its masking, which is not the default. Explain again."
        )
    prediction = classifier.predict(hybrid.image[None])[0]
    explanation = replace(explanation, counterfactual=replace(hybrid, prediction=prediction))
    effects = yield from compare_regions(explanation, truth, classifier)
    return effects


def _recompute(
    entry: ReportEntry, pair: Pair, report: Report, classifier: Classifier
) -> Generator[Progress, None, tuple[Pair, Attribution, AttributionMethod]]:
    """Return the attributed pair, its attribution and the method.

    Raises
    ------
    DataError
        If the map deviates from that of the report, whose robustness it then is not.
    """
    settings = report.settings
    method = build_method(entry.method, None if settings is None else settings.parameters)
    oriented = pair if settings is None else settings.procedure.attributed(pair, method)
    attribution = yield from attribute(oriented, entry.method, method, classifier)
    deviation = float(np.abs(attribution.values.numpy() - entry.array("attribution")).max())
    if deviation > LARGEST_DEVIATION:
        raise DataError(
            f"the attribution computed with {classifier.name} deviates from that of the report by "
            f"{deviation:.0%} of its range. Use the classifier and the parameters of the report."
        )
    return oriented, attribution, method


def _median(values: Any) -> float:
    return float(np.median(list(values)))


def _with_baselines(report: Report) -> list[ReportEntry]:
    """Return the entries, and for each pair the baselines that the report does not contain."""
    entries = list(report.entries)
    keys = {(entry.sample_id, entry.source, entry.target, entry.method) for entry in entries}
    for entry in report.entries:
        for name in BASELINES:
            key = (entry.sample_id, entry.source, entry.target, name)
            if key not in keys:
                keys.add(key)
                entries.append(_baseline(entry, name))
    return entries


def _baseline(entry: ReportEntry, name: str) -> ReportEntry:
    """Return an entry with the map of a baseline for the same pair, without curve or score."""

    def read(array_name: str) -> NDArray[np.float32]:
        if array_name in ("query", "generated"):
            return entry.array(array_name)
        if array_name != "attribution":
            raise DataError(f"'{name}' is not part of the report, so it has no {array_name}.")
        query = entry.array("query")
        noise = Random().noise(query.shape) if name == "random" else None
        signed = query - entry.array("generated") if noise is None else noise
        values: NDArray[np.float32] = normalize_map(torch.from_numpy(signed))[0].numpy()
        return values

    shared: dict[str, Any] = {key: getattr(entry, key) for key in PAIR_FIELDS}
    return ReportEntry(method=name, true_name=name, read=read, **shared)
