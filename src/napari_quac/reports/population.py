"""Medians or means, and quartiles, of scores and curves, per method and class pair, with n."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_quac.explain.procedure import Aggregate
from napari_quac.explain.score import ABSCISSAE, interpolate_curve
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
    center, lower, upper : (N,) ndarray or None
        Median or mean of the score changes at ``mask_sizes``, and their quartiles. None without a
        curve.
    score, score_lower, score_upper : float or None
        The same of the QuAC scores; their mean is the area under the mean curve. None without a
        score.
    aggregate : "median" or "mean"
        Statistic of ``center`` and ``score``.
    computed : tuple of str
        Names of the actual computations, such as a fallback on a network that does not allow the
        method; empty if unknown.
    mask_sizes : (N,) ndarray
        By default 0, 0.01, …, 1.
    """

    method: str
    source: int | None
    target: int | None
    n_entries: int
    n_degenerate: int
    n_scores: int
    n_curves: int
    center: NDArray[np.float64] | None
    lower: NDArray[np.float64] | None
    upper: NDArray[np.float64] | None
    score: float | None
    score_lower: float | None
    score_upper: float | None
    aggregate: Aggregate = "median"
    computed: tuple[str, ...] = ()
    mask_sizes: NDArray[np.float64] = field(default_factory=ABSCISSAE.copy)

    @property
    def name(self) -> str:
        """Name of the actual computation, otherwise the method."""
        return ", ".join(self.computed) or self.method


def populations(
    report: Report, by_pair: bool = True, mask_sizes: NDArray[np.float64] = ABSCISSAE
) -> tuple[Population, ...]:
    """Summarize a report.

    Parameters
    ----------
    report : Report
        The report.
    by_pair : bool
        One population for each class pair and method, ordered by pair; else one for each method.
    mask_sizes : (N,) ndarray, optional
        Of the summarized curves.
    """
    groups: dict[tuple[int | None, int | None, str], list[ReportEntry]] = {}
    for entry in report.entries:
        pair = (entry.source, entry.target) if by_pair else (None, None)
        groups.setdefault((*pair, entry.method), []).append(entry)
    rank = {method: number for number, method in enumerate(report.methods)}
    order = sorted(groups, key=lambda key: (key[0] or 0, key[1] or 0, rank[key[2]]))
    return tuple(
        population(
            groups[source, target, method], method, source, target, report.aggregate, mask_sizes
        )
        for source, target, method in order
    )


def population(
    entries: Sequence[ReportEntry],
    method: str = "",
    source: int | None = None,
    target: int | None = None,
    aggregate: Aggregate = "median",
    mask_sizes: NDArray[np.float64] = ABSCISSAE,
) -> Population:
    """Summarize a group of entries.

    Parameters
    ----------
    entries : sequence of ReportEntry
        Entries of any method and pair.
    method, source, target
        Common method and class pair.
    aggregate : "median" or "mean"
        Of the procedure; see :attr:`~napari_quac.reports.report.Report.aggregate`.
    mask_sizes : (N,) ndarray, optional
        Of the summarized curves.
    """
    ranked = [entry for entry in entries if not entry.degenerate]
    scores = [entry.quac_score for entry in ranked if entry.has_score]
    curves = [curve for e in ranked if (curve := entry_curve(e, mask_sizes)) is not None]
    counts = (len(entries), len(entries) - len(ranked), len(scores), len(curves))
    statistics = (*_summary(curves, aggregate), *_summary(scores, aggregate))
    computed = tuple(dict.fromkeys(entry.true_name for entry in entries if entry.true_name))
    pair = (source, target)
    return Population(method, *pair, *counts, *statistics, aggregate, computed, mask_sizes)


def entry_curve(
    entry: ReportEntry, mask_sizes: NDArray[np.float64] = ABSCISSAE
) -> NDArray[np.float64] | None:
    """Return the score changes at mask sizes 0, 0.01, …, 1 or others; None without a curve."""
    sizes, changes = entry.mask_sizes, entry.score_changes
    usable = 0 < len(sizes) == len(changes) and np.isfinite(sizes).all()
    if not usable or not np.isfinite(changes).all():
        return None
    return interpolate_curve(sizes, changes, mask_sizes)


def _summary(numbers: Sequence[object], aggregate: Aggregate) -> tuple[Any, Any, Any]:
    """Return median or mean and the linear quartiles along the first axis."""
    if not numbers:
        return None, None, None
    stacked = np.array(numbers, dtype=np.float64)
    lower, median, upper = np.percentile(stacked, (25, 50, 75), axis=0)
    return stacked.mean(axis=0) if aggregate == "mean" else median, lower, upper
