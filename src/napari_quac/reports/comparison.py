"""All methods on the same pairs: scores, masks, completeness, controls, known answer, time."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_quac.data.dataset import Dataset, Sample
from napari_quac.errors import DataError, QuacError, concerns_one_sample
from napari_quac.explain.explanation import Explanation, Explanations
from napari_quac.explain.methods import METHODS
from napari_quac.explain.pair import Pair, swap_pair
from napari_quac.explain.pipeline import explain_pair
from napari_quac.explain.prediction_table import failure_text
from napari_quac.explain.procedure import Procedure
from napari_quac.explain.question import question_for
from napari_quac.explain.score import ABSCISSAE, FINE_ABSCISSAE
from napari_quac.explain.search import search
from napari_quac.explain.settings import ExplainSettings
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.generator import Generator as ImageGenerator
from napari_quac.reports.localization import Localization, localize_explanation
from napari_quac.stepwise import Progress, stepwise

TruthOf = Callable[[int, Sample, Pair], ArrayLike | None]
"""Takes index, sample and pair; returns the pixels (*S) that really differ, if they are known."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """All methods on one pair, as far as computed.

    Attributes
    ----------
    explanations : Explanations
        Of all methods, with the errors of those that failed.
    localizations : mapping of str to Localization
        Name of a method to its agreement with the true difference, where that is known.
    """

    explanations: Explanations
    localizations: Mapping[str, Localization] = field(default_factory=dict)

    @property
    def pair(self) -> Pair:
        """The pair, query and generated image not swapped."""
        return self.explanations.pair

    @property
    def counts(self) -> bool:
        """True if the pair switches the class with the confidence that the procedure requires."""
        return self.pair.switches and self.explanations.settings.procedure.accepts(self.pair)


@dataclass(frozen=True, eq=False)
class MethodComparison:
    """All methods over one pair or many, as far as computed.

    Attributes
    ----------
    comparisons : tuple of Comparison
        One for each pair.
    failures : mapping of str to str
        Id of each sample that could not be explained, to the error.
    is_of_samples : bool
        Whether pairs of several samples are compared, even if only one is finished.
    rows : tuple of ComparisonRow
        One for each method, the best score first.
    """

    comparisons: tuple[Comparison, ...]
    failures: Mapping[str, str] = field(default_factory=dict)
    is_of_samples: bool = False
    rows: tuple[ComparisonRow, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "rows", comparison_rows(self.comparisons))

    @property
    def last(self) -> Comparison:
        """The most recent pair, whose maps are displayed."""
        return self.comparisons[-1]


@dataclass(frozen=True, eq=False)
class ComparisonRow:
    """The numbers of one method over one pair or many; medians unless stated otherwise.

    Attributes
    ----------
    method, true_name : str
        Name in the registry, and name of the method that was computed.
    n : int
        Number of pairs behind the numbers.
    score : float or None
        QuAC score, or the area under the mean curve for DAPI; None if unavailable.
    mask_size : float or None
        Share of the image at the optimum.
    reached : float or None
        Probability of the target class at the optimum.
    reaches : float or None
        Share of pairs whose hybrid at the optimum is classified as the target class.
    inverse : float or None
        Probability of the target class for the inverse hybrid, in which the rest is changed; low
        is good.
    inverse_holds : float or None
        Share of pairs whose inverse hybrid is not classified as the target class.
    completeness : float or None
        Relative residual; None for methods without a completeness axiom.
    pointing, energy_ratio, iou, average_precision : float or None
        Means against the true difference, where it is known; an energy ratio of 1 is chance.
    seconds : float or None
    n_degenerate : int
        Number of pairs with a constant map; they count nowhere else.
    n_failed : int
        Number of pairs on which the method failed.
    reason : str
        Last error of a method that failed on any pair; empty otherwise.
    curve : (101,) ndarray
        Median or mean of the curves at mask sizes 0, 0.01, …, 1; empty without curves.
    fine_curve : (N,) ndarray
        The same at :data:`~napari_quac.explain.score.FINE_ABSCISSAE`.
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
    n_failed: int = 0
    reason: str = ""
    curve: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    fine_curve: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))

    def to_json(self) -> dict[str, Any]:
        """Return the numbers as JSON-ready values."""
        values = {key: value for key, value in vars(self).items() if not key.endswith("curve")}
        return {**values, "curve": self.curve.tolist()}


@stepwise
def compare_pair(
    pair: Pair,
    classifier: Classifier,
    settings: ExplainSettings | None = None,
    truth: ArrayLike | None = None,
) -> Generator[Progress, None, MethodComparison]:
    """Explain one pair by all methods; those that are unavailable are listed with the reason.

    Parameters
    ----------
    pair : Pair
        Query and generated image with their predictions.
    classifier : Classifier
        The classifier under study.
    settings : ExplainSettings, optional
        Methods, masking and procedure; by default every registered method.
    truth : (*S) array_like of bool, optional
        Pixels that really differ between query and target class.

    Returns
    -------
    Steps of MethodComparison
        ``Progress.partial`` is the comparison so far, after each method.
    """
    settings = settings or ExplainSettings().with_methods(tuple(METHODS))
    difference = None if truth is None or not np.any(truth) else truth
    localizations: dict[str, Localization] = {}

    def compared(explanations: Explanations) -> MethodComparison:
        explanations.raise_failures(QuacError)
        for name, explanation in explanations.items():
            is_ranked = name not in localizations and not explanation.attribution.degenerate
            if difference is not None and is_ranked:
                localizations[name] = localize_explanation(explanation, difference)
        return MethodComparison((Comparison(explanations, dict(localizations)),))

    def partial(step: Progress) -> MethodComparison | None:
        is_whole = step.partial is not None and step.partial.partial_mask is None
        return compared(step.partial) if is_whole else None

    steps = explain_pair(pair, classifier, settings)
    resolution = 100 * len(settings.methods)
    explanations = yield from steps.within(0, 1, resolution=resolution, partial=partial)
    return compared(explanations)


@stepwise
def compare_samples(
    indices: Sequence[int],
    dataset: Dataset,
    classifier: Classifier,
    generator: ImageGenerator,
    settings: ExplainSettings,
    truth_of: TruthOf | None = None,
) -> Generator[Progress, None, MethodComparison]:
    """Search pairs of several samples, and compare all methods over them.

    Parameters
    ----------
    indices : sequence of int
        Positions of the samples in the dataset; one that fails does not stop the others.
    dataset : Dataset
        The samples.
    classifier : Classifier
        The classifier under study.
    generator : Generator
        Source of the proposals.
    settings : ExplainSettings
        Questions, methods, procedure, search and seed.
    truth_of : callable, optional
        Pixels that really differ; by default those that the dataset knows.

    Returns
    -------
    Steps of MethodComparison
        ``Progress.partial`` is the comparison so far, after each sample.

    Raises
    ------
    DataError
        If no sample could be explained.
    """
    comparisons: list[Comparison] = []
    failures: dict[str, str] = {}
    partial: MethodComparison | None = None
    for position, index in enumerate(indices):
        name = dataset.sample_id(index)
        place = (position, len(indices), f"sample {position + 1} of {len(indices)}: {name}")
        yield Progress(100 * position, 100 * len(indices), place[2], partial)
        try:
            sample = dataset[index]
            question = question_for(sample, dataset.classes, classifier, settings, generator)
            for target in question.targets:
                pair = yield from search(
                    sample, target, classifier, generator,
                    settings.search, settings.seed, question.source,
                ).within(*place)  # fmt: skip
                truth: ArrayLike | None = true_difference(dataset, index, pair, classifier)
                if truth_of is not None:
                    truth = truth_of(index, sample, pair)
                compared = yield from compare_pair(pair, classifier, settings, truth).within(*place)
                comparisons += compared.comparisons
        except Exception as error:
            if not concerns_one_sample(error):
                raise
            failures[name] = failure_text(error)
        if comparisons:
            partial = MethodComparison(tuple(comparisons), dict(failures), is_of_samples=True)
    if partial is None:
        reason = next(iter(failures.values()), "All of them belong to the target class already.")
        raise DataError(f"No sample could be compared. {reason}")
    return partial


def comparison_rows(comparisons: Sequence[Comparison]) -> tuple[ComparisonRow, ...]:
    """Summarize each method over all pairs, the best score first and unavailable methods last.

    If there are several pairs, those that do not count are left out; see
    :attr:`Comparison.counts`.

    Parameters
    ----------
    comparisons : sequence of Comparison
        With the same settings.
    """
    if not comparisons:
        return ()
    settings = comparisons[0].explanations.settings
    counted = counted_pairs(comparisons) if len(comparisons) > 1 else comparisons
    rows = [
        replace(
            _row(name, counted, _reason(name, comparisons), settings.procedure),
            n_failed=sum(name in c.explanations.failures for c in comparisons),
        )
        for name in settings.methods
        if any(name in c.explanations or name in c.explanations.failures for c in comparisons)
    ]
    return tuple(sorted(rows, key=lambda row: -np.inf if row.score is None else row.score)[::-1])


def counted_pairs(comparisons: Iterable[Comparison]) -> list[Comparison]:
    """Return the comparisons whose pair counts among several."""
    return [comparison for comparison in comparisons if comparison.counts]


def _reason(method: str, comparisons: Sequence[Comparison]) -> str:
    """Return the last error of a method; empty if it never failed."""
    failures = [c.explanations.failures.get(method) for c in comparisons]
    return next((str(failure) for failure in reversed(failures) if failure is not None), "")


def _row(
    method: str, comparisons: Sequence[Comparison], reason: str, procedure: Procedure
) -> ComparisonRow:
    explained = [c for c in comparisons if method in c.explanations]
    ranked = [c for c in explained if not c.explanations[method].attribution.degenerate]
    n_degenerate = len(explained) - len(ranked)
    if not ranked:
        if n_degenerate:
            reason = "the map is constant and ranks nothing"
        return ComparisonRow(method, method, n_degenerate=n_degenerate, reason=reason)
    explanations = [c.explanations[method] for c in ranked]
    localizations = [c.localizations[method] for c in ranked if method in c.localizations]
    return ComparisonRow(
        method=method,
        true_name=explanations[0].attribution.true_name,
        n=len(ranked),
        completeness=_median([e.attribution.completeness for e in explanations]),
        seconds=_median([c.explanations.seconds.get(method) for c in ranked]),
        n_degenerate=n_degenerate,
        reason=reason,
        **_curve_numbers(explanations, procedure),
        **_hybrid_numbers(explanations),
        **_truth_numbers(localizations),
    )


def _curve_numbers(explanations: Sequence[Explanation], procedure: Procedure) -> dict[str, Any]:
    statistic = np.mean if procedure.aggregate == "mean" else np.median
    curve, fine_curve = (
        statistic([e.curve.interpolate(sizes) for e in explanations], axis=0)
        for sizes in (ABSCISSAE, FINE_ABSCISSAE)
    )
    score = _median([e.quac_score for e in explanations])
    if procedure.aggregate == "mean":
        score = float(np.trapezoid(curve, ABSCISSAE))
    return {"curve": curve, "fine_curve": fine_curve, "score": score}


def _hybrid_numbers(explanations: Sequence[Explanation]) -> dict[str, Any]:
    hybrids = [(e.counterfactual.prediction, e.pair.target) for e in explanations]
    inverses = [(e.inverse_prediction, e.pair.target) for e in explanations]
    return {
        "mask_size": _median([e.counterfactual.mask_size for e in explanations]),
        "reached": _median([float(p[target]) for p, target in hybrids]),
        "reaches": _mean([float(int(p.argmax()) == target) for p, target in hybrids]),
        "inverse": _median([float(p[target]) for p, target in inverses]),
        "inverse_holds": _mean([float(int(p.argmax()) != target) for p, target in inverses]),
    }


def _truth_numbers(localizations: Sequence[Localization]) -> dict[str, Any]:
    area, energy = _mean([f.area for f in localizations]), _mean([f.energy for f in localizations])
    return {
        "pointing": _mean([f.pointing for f in localizations]),
        "energy_ratio": energy / area if area and energy is not None else None,
        "iou": _mean([f.iou for f in localizations if f.iou is not None]),
        "average_precision": _mean([f.average_precision for f in localizations]),
    }


def _median(values: Sequence[float | None]) -> float | None:
    numbers = [number for number in values if number is not None]
    return float(np.median(numbers)) if numbers else None


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def true_difference(
    dataset: Dataset, index: int, pair: Pair, classifier: Classifier
) -> NDArray[np.bool_] | None:
    """Return the pixels that really differ, for a sample of a dataset that knows them; else None.

    Parameters
    ----------
    dataset : Dataset
        One with a ``difference_mask(index, target)``, such as the synthetic synapses.
    index : int
        Position of the sample.
    pair : Pair
        Its classes are matched with those of the dataset by name.
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
        return None  # the mask would be about another pair of classes
    mask: NDArray[np.bool_] = np.asarray(mask_of(index, dataset.classes.index(target)), dtype=bool)
    return mask if mask.any() else None
