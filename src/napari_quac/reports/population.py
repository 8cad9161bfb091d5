"""Medians and quartiles of scores and QuAC curves, per method and class pair, with n."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_quac.explain.score import interpolate_curve
from napari_quac.reports.entry import ReportEntry
from napari_quac.reports.report import Report


@dataclass(frozen=True, eq=False)
class Population:
    """Summary of the entries of one method and class pair.

    Attributes
    ----------
    method : str
    source, target : int or None
        None for all class pairs together.
    n_entries : int
        Number of entries; the other counts are subsets of them.
    n_degenerate : int
        Entries with a constant attribution, excluded from scores and curves.
    n_scores : int
        Finite scores of the others.
    n_curves : int
        Usable curves of the others.
    median, lower, upper : (101,) ndarray or None
        Of the score changes at mask sizes 0, 0.01, …, 1; lower and upper are the quartiles. None
        without a curve.
    score_median, score_lower, score_upper : float or None
        Of the QuAC scores. None without a score.
    computed : tuple of str
        Names of the actual computations, such as a fallback on a network that does not allow the
        method; empty if unknown.
    """

    method: str
    source: int | None
    target: int | None
    n_entries: int
    n_degenerate: int
    n_scores: int
    n_curves: int
    median: NDArray[np.float64] | None
    lower: NDArray[np.float64] | None
    upper: NDArray[np.float64] | None
    score_median: float | None
    score_lower: float | None
    score_upper: float | None
    computed: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Name of the actual computation, otherwise the method."""
        return ", ".join(self.computed) or self.method


def populations(report: Report, by_pair: bool = True) -> tuple[Population, ...]:
    """Summarize a report.

    Parameters
    ----------
    report : Report
        The report.
    by_pair : bool
        One population for each class pair and method, ordered by pair; else one for each method.
    """
    groups: dict[tuple[int | None, int | None, str], list[ReportEntry]] = {}
    for entry in report.entries:
        pair = (entry.source, entry.target) if by_pair else (None, None)
        groups.setdefault((*pair, entry.method), []).append(entry)
    rank = {method: number for number, method in enumerate(report.methods)}
    order = sorted(groups, key=lambda key: (key[0] or 0, key[1] or 0, rank[key[2]]))
    return tuple(
        population(groups[source, target, method], method, source, target)
        for source, target, method in order
    )


def population(
    entries: Sequence[ReportEntry],
    method: str = "",
    source: int | None = None,
    target: int | None = None,
) -> Population:
    """Summarize a group of entries.

    Parameters
    ----------
    entries : sequence of ReportEntry
        Entries of any method and pair.
    method, source, target
        Common method and class pair.
    """
    ranked = [entry for entry in entries if not entry.degenerate]
    scores = [entry.quac_score for entry in ranked if entry.has_score]
    curves = [curve for entry in ranked if (curve := entry_curve(entry)) is not None]
    lower, median, upper = _quartiles(curves)
    score_lower, score_median, score_upper = _quartiles(scores)
    return Population(
        method=method,
        source=source,
        target=target,
        n_entries=len(entries),
        n_degenerate=len(entries) - len(ranked),
        n_scores=len(scores),
        n_curves=len(curves),
        median=median,
        lower=lower,
        upper=upper,
        score_median=None if score_median is None else float(score_median),
        score_lower=None if score_lower is None else float(score_lower),
        score_upper=None if score_upper is None else float(score_upper),
        computed=tuple(dict.fromkeys(entry.true_name for entry in entries if entry.true_name)),
    )


def entry_curve(entry: ReportEntry) -> NDArray[np.float64] | None:
    """Return the score changes at mask sizes 0, 0.01, …, 1; None without a usable curve."""
    sizes, changes = entry.mask_sizes, entry.score_changes
    usable = 0 < len(sizes) == len(changes) and np.isfinite(sizes).all()
    if not usable or not np.isfinite(changes).all():
        return None
    return interpolate_curve(sizes, changes)


def _quartiles(values: Iterable[object]) -> tuple[NDArray[np.float64] | None, ...]:
    """Return the linear 25th, 50th and 75th percentile along the first axis."""
    stacked = np.array(list(values), dtype=np.float64)
    if not len(stacked):
        return None, None, None
    lower, median, upper = np.percentile(stacked, (25, 50, 75), axis=0)
    return lower, median, upper
