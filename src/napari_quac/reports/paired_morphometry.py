"""Changes over many samples: medians and a paired test."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import wilcoxon

from napari_quac.explain.morphometry import MEASURES, PlaceChange

FEWEST = 6  # with fewer pairs no two-sided signed-rank test can fall below 0.05


@dataclass(frozen=True)
class PairedChange:
    """One measure of one place over many samples.

    Attributes
    ----------
    place, measure, unit : str
    n : int
        Number of samples with the measure.
    query, counterfactual : float
        Medians.
    difference : float
        Median of the differences, counterfactual minus query.
    difference_low, difference_high : float
        Their quartiles.
    p : float or None
        Of Wilcoxon's signed-rank test, two-sided; None for fewer than six samples, 1 if all
        differences are 0.
    p_holm : float or None
        Corrected for all tests of the table, by Holm's method.
    """

    place: str
    measure: str
    unit: str
    n: int
    query: float
    counterfactual: float
    difference: float
    difference_low: float
    difference_high: float
    p: float | None
    p_holm: float | None


def paired_changes(samples: Iterable[Sequence[PlaceChange]]) -> tuple[PairedChange, ...]:
    """Compare query and counterfactual over samples, for each place and measure.

    Parameters
    ----------
    samples : iterable of sequence of PlaceChange
        Places of each sample, for one method and one question: several explanations of a sample
        are not independent.

    Returns
    -------
    tuple of PairedChange
        Places in the order of their first occurrence.

    References
    ----------
    .. [1] Wilcoxon, "Individual comparisons by ranking methods", 1945.
    .. [2] Holm, "A simple sequentially rejective multiple test procedure", 1979.
    """
    values: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for places in samples:
        for place in places:
            for measure in MEASURES:
                pair = (place.query[measure.name], place.counterfactual[measure.name])
                if np.isfinite(pair).all():
                    values.setdefault((place.name, measure.name), []).append(pair)
    p_values = {key: _signed_rank(np.array(pairs)) for key, pairs in values.items()}
    corrected = _holm(p_values)
    units = {measure.name: measure.unit for measure in MEASURES}
    changes = []
    for key, pairs in values.items():
        query, counterfactual = np.array(pairs).T
        low, middle, high = np.percentile(counterfactual - query, (25, 50, 75))
        medians = (float(np.median(query)), float(np.median(counterfactual)))
        difference = (float(middle), float(low), float(high))
        p, p_holm = p_values[key], corrected.get(key)
        n, unit = len(pairs), units[key[1]]
        changes.append(PairedChange(*key, unit, n, *medians, *difference, p, p_holm))
    return tuple(changes)


def _signed_rank(pairs: NDArray[np.float64]) -> float | None:
    differences = pairs[:, 1] - pairs[:, 0]
    if len(differences) < FEWEST:
        return None
    return float(wilcoxon(differences).pvalue) if differences.any() else 1.0


def _holm(p_values: dict[tuple[str, str], float | None]) -> dict[tuple[str, str], float]:
    ranked = sorted((p, key) for key, p in p_values.items() if p is not None)
    corrected, largest = {}, 0.0
    for rank, (p, key) in enumerate(ranked):
        largest = max(largest, min(1.0, p * (len(ranked) - rank)))
        corrected[key] = largest
    return corrected
