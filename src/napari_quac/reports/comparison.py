"""All methods on the same pairs, side by side: score, mask, completeness, controls, truth, time."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_quac.data.dataset import Dataset
from napari_quac.errors import QuacError
from napari_quac.explain.explanation import Explanation
from napari_quac.explain.explanations import Explanations
from napari_quac.explain.methods import METHODS
from napari_quac.explain.pair import Pair, swap_pair
from napari_quac.explain.pipeline import explain_pair
from napari_quac.explain.procedure import Procedure
from napari_quac.explain.score import ABSCISSAE
from napari_quac.explain.settings import ExplainSettings
from napari_quac.networks.classifier import Classifier
from napari_quac.reports.localization import Localization, localize_explanation
from napari_quac.stepwise import Progress, stepwise


@dataclass(frozen=True, eq=False)
class MethodResult:
    """What one method gave for one pair.

    Attributes
    ----------
    method : str
        Name in the registry.
    explanation : Explanation or None
        None if the method cannot be had.
    reason : str
        Why not, as a sentence; else empty.
    seconds : float
        Time for attribution and curve.
    localisation : Localization or None
        Against the true difference, where it is known.
    """

    method: str
    explanation: Explanation | None = None
    reason: str = ""
    seconds: float = 0.0
    localisation: Localization | None = None


@dataclass(frozen=True, eq=False)
class Comparison:
    """All methods on one pair, as far as they have come.

    Attributes
    ----------
    pair : Pair
        As it was searched, query and generated image not swapped.
    procedure : Procedure
        How curves were made of it.
    results : tuple of MethodResult
    """

    pair: Pair
    procedure: Procedure = field(default_factory=Procedure)
    results: tuple[MethodResult, ...] = ()


@dataclass(frozen=True, eq=False)
class ComparisonRow:
    """One method over one pair or many; medians where nothing else is said.

    Attributes
    ----------
    method, true_name : str
        As it was asked for, and what was computed.
    n : int
        Pairs that count.
    score : float or None
        QuAC score, or the area under the mean curve in DAPI's procedure; None if unavailable.
    mask_size : float or None
        Share of the image at the optimum.
    reached : float or None
        Probability of the wanted class at the optimum.
    reaches : float or None
        Share of pairs whose hybrid at the optimum is called the wanted class.
    inverse : float or None
        Probability of the wanted class for the inverse hybrid, in which all the rest is changed;
        low is good.
    inverse_holds : float or None
        Share of pairs whose inverse hybrid is not called the wanted class.
    completeness : float or None
        Relative residual; None for methods that promise no sum.
    pointing, energy_ratio, iou, average_precision : float or None
        Means against the true difference, where it is known; an energy ratio of 1 is chance.
    seconds : float or None
    n_degenerate : int
        Pairs for which the map ranked nothing; they count nowhere else.
    reason : str
        Why the method cannot be had, where it cannot.
    curve : (101,) ndarray
        Median or mean of the curves at mask sizes 0, 0.01, …, 1; empty without any.
    """

    method: str
    true_name: str
    n: int = 0
    score: float | None = None
    mask_size: float | None = None
    reached: float | None = None
    reaches: float | None = None
    inverse: float | None = None
    inverse_holds: float | None = None
    completeness: float | None = None
    pointing: float | None = None
    energy_ratio: float | None = None
    iou: float | None = None
    average_precision: float | None = None
    seconds: float | None = None
    n_degenerate: int = 0
    reason: str = ""
    curve: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))

    def to_json(self) -> dict[str, Any]:
        """Return the numbers as JSON-ready values."""
        values = {key: value for key, value in vars(self).items() if key != "curve"}
        return {**values, "curve": self.curve.tolist()}


@stepwise
def compare_methods(
    pair: Pair,
    classifier: Classifier,
    settings: ExplainSettings | None = None,
    truth: ArrayLike | None = None,
) -> Generator[Progress, None, Comparison]:
    """Explain one pair by all methods; those that cannot be had are kept with the reason.

    Parameters
    ----------
    pair : Pair
        Query and generated image with their predictions.
    classifier : Classifier
        The classifier under study.
    settings : ExplainSettings, optional
        Methods, masking and procedure; by default every method there is.
    truth : (*S) array_like of bool, optional
        Which pixels really differ between query and target class.

    Returns
    -------
    Steps of Comparison
        ``Progress.partial`` is what has come so far, after each method.
    """
    settings = settings or replace(ExplainSettings(), methods=tuple(METHODS))
    steps = iter(explain_pair(pair, classifier, settings))
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            return _compared(end.value, truth)
        partial = None
        if step.partial is not None and step.partial.partial_mask is None:
            partial = _compared(step.partial, truth)
        yield replace(step, text=step.text.replace("explain by", "compare:"), partial=partial)


def _compared(explanations: Explanations, truth: ArrayLike | None) -> Comparison:
    explanations.raise_failures(QuacError)
    results = []
    for name in explanations.settings.methods:
        seconds = explanations.seconds.get(name, 0.0)
        if name in explanations.failures:
            reason = str(explanations.failures[name])
            results.append(MethodResult(name, reason=reason, seconds=seconds))
        elif name in explanations:
            found = _localised(explanations[name], truth)
            results.append(MethodResult(name, explanations[name], "", seconds, found))
    return Comparison(explanations.pair, explanations.settings.procedure, tuple(results))


def _localised(explanation: Explanation, truth: ArrayLike | None) -> Localization | None:
    if truth is None or explanation.attribution.degenerate or not np.asarray(truth).any():
        return None
    return localize_explanation(explanation, truth)


def rows_of(
    comparisons: Comparison | Sequence[Comparison], procedure: Procedure | None = None
) -> tuple[ComparisonRow, ...]:
    """Sum up by method, the best score first and what cannot be had last.

    Pairs whose generated image does not switch, or of which the procedure asks more confidence,
    are left out of more than one.

    Parameters
    ----------
    comparisons : Comparison or sequence of Comparison
        One pair, or many.
    procedure : Procedure, optional
        By default that of the comparisons.
    """
    several = [comparisons] if isinstance(comparisons, Comparison) else list(comparisons)
    if not several:
        return ()
    procedure = procedure or several[0].procedure
    counted = several if len(several) == 1 else countable(several)
    by_method: dict[str, list[MethodResult]] = {}
    for comparison in several:
        for result in comparison.results:
            by_method.setdefault(result.method, [])
            if comparison in counted:
                by_method[result.method].append(result)
    reasons = {r.method: r.reason for c in several for r in c.results if r.reason}
    rows = [
        _row(method, results, reasons.get(method, ""), procedure)
        for method, results in by_method.items()
    ]
    return tuple(sorted(rows, key=lambda row: -np.inf if row.score is None else row.score)[::-1])


def countable(comparisons: Iterable[Comparison]) -> list[Comparison]:
    """Return those whose pair switches the class, as surely as their procedure asks."""
    return [c for c in comparisons if c.pair.switches and c.procedure.accepts(c.pair)]


def _row(
    method: str, results: Sequence[MethodResult], reason: str, procedure: Procedure
) -> ComparisonRow:
    explained = [r for r in results if r.explanation is not None]
    ranked = [
        (r, r.explanation)
        for r in explained
        if r.explanation is not None and not r.explanation.attribution.degenerate
    ]
    n_degenerate = len(explained) - len(ranked)
    if not ranked:
        if n_degenerate:
            reason = "the map is constant and ranks nothing"
        return ComparisonRow(method, method, n_degenerate=n_degenerate, reason=reason)
    explanations = [explanation for _, explanation in ranked]
    curves = np.array([e.curve.interpolate() for e in explanations])
    mean = procedure.aggregate == "mean"
    curve = curves.mean(axis=0) if mean else np.median(curves, axis=0)
    scores = [e.quac_score for e in explanations]
    score = float(np.trapezoid(curve, ABSCISSAE)) if mean else float(np.median(scores))
    wanted = [e.pair.target for e in explanations]
    hybrids = [e.counterfactual.prediction for e in explanations]
    inverse = [e.inverse_prediction for e in explanations]
    found = [r.localisation for r, _ in ranked if r.localisation is not None]
    return ComparisonRow(
        method,
        explanations[0].attribution.true_name,
        len(ranked),
        score,
        _median([e.counterfactual.mask_size for e in explanations]),
        _median([float(p[w]) for p, w in zip(hybrids, wanted, strict=True)]),
        _mean([float(int(p.argmax()) == w) for p, w in zip(hybrids, wanted, strict=True)]),
        _median([float(p[w]) for p, w in zip(inverse, wanted, strict=True)]),
        _mean([float(int(p.argmax()) != w) for p, w in zip(inverse, wanted, strict=True)]),
        _median([e.attribution.completeness for e in explanations]),
        _mean([one.pointing for one in found]),
        _energy_ratio(found),
        _mean([one.iou for one in found if one.iou is not None]),
        _mean([one.average_precision for one in found]),
        _median([r.seconds for r, _ in ranked]),
        n_degenerate,
        curve=curve,
    )


def _energy_ratio(found: Sequence[Localization]) -> float | None:
    area, energy = _mean([f.area for f in found]), _mean([f.energy for f in found])
    return energy / area if area and energy is not None else None


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.median(known)) if known else None


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def true_difference(
    dataset: Dataset, index: int, pair: Pair, classifier: Classifier
) -> NDArray[np.bool_] | None:
    """Return which pixels really differ for a sample of a dataset that knows it; else None.

    Parameters
    ----------
    dataset : Dataset
        One with a ``difference_mask(index, target)``, such as the synthetic synapses.
    index : int
        Of the sample.
    pair : Pair
        Its target is meant, by the name that the classifier gives it.
    classifier : Classifier
        The classifier under study.
    """
    mask_of = getattr(dataset, "difference_mask", None)
    pair = swap_pair(pair) if pair.is_swapped else pair
    target, source = (classifier.class_names[i] for i in (pair.target, pair.source))
    if mask_of is None or target not in dataset.classes:
        return None
    label = dataset.label(index)
    if label is None or dataset.classes[label] != source:
        return None  # it shows another class than it is asked to leave
    mask: NDArray[np.bool_] = np.asarray(mask_of(index, dataset.classes.index(target)), dtype=bool)
    return mask if mask.any() else None
