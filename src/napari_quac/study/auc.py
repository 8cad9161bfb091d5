"""Area under the ROC curve between two groups, with the interval of DeLong."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True)
class AreaUnderCurve:
    """Probability that a number of the second group exceeds one of the first, ties as halves.

    Attributes
    ----------
    area, low, high : float in [0, 1]
        Estimate and interval.
    n_first, n_second : int
    """

    area: float
    low: float
    high: float
    n_first: int
    n_second: int

    @property
    def contains_half(self) -> bool:
        """True if the numbers do not tell the groups apart."""
        return self.low <= 0.5 <= self.high

    def plain(self) -> dict[str, Any]:
        """Return the numbers for a JSON document."""
        return {
            "auc": self.area,
            "low": self.low,
            "high": self.high,
            "n": [self.n_first, self.n_second],
        }


def area_under_curve(first: ArrayLike, second: ArrayLike, level: float = 0.95) -> AreaUnderCurve:
    """Return the AUC of numbers between two groups.

    Parameters
    ----------
    first, second : (N,) and (M,) array_like
        Numbers of the groups.
    level : float in (0, 1)
        Confidence level.

    Returns
    -------
    AreaUnderCurve
        With the interval [0, 1] if a group has fewer than two numbers.

    References
    ----------
    .. [1] DeLong, DeLong, Clarke-Pearson, "Comparing the areas under two or more correlated
       receiver operating characteristic curves", Biometrics 44:837, 1988, doi:10.2307/2531595
    """
    a, b = np.asarray(first, np.float64).ravel(), np.asarray(second, np.float64).ravel()
    if min(a.size, b.size) < 2:
        return AreaUnderCurve(0.5, 0.0, 1.0, a.size, b.size)
    below = np.searchsorted(np.sort(a), b, "left") + np.searchsorted(np.sort(a), b, "right")
    above = np.searchsorted(np.sort(b), a, "left") + np.searchsorted(np.sort(b), a, "right")
    of_second: NDArray[np.float64] = below / (2 * a.size)
    of_first: NDArray[np.float64] = 1 - above / (2 * b.size)
    area = float(of_second.mean())
    variance = float(of_first.var(ddof=1) / a.size + of_second.var(ddof=1) / b.size)
    reach = NormalDist().inv_cdf((1 + level) / 2) * math.sqrt(variance)
    return AreaUnderCurve(area, max(0.0, area - reach), min(1.0, area + reach), a.size, b.size)


def farthest_area(
    first: Sequence[str], second: Sequence[str], level: float = 0.95
) -> AreaUnderCurve:
    """Return, for labels without order, the AUC of the label that differs most between groups."""
    labels = sorted({*first, *second})
    areas = [
        area_under_curve(
            [float(entry == label) for entry in first], [float(entry == label) for entry in second],
            level,
        )
        for label in labels
    ]  # fmt: skip
    return max(areas, key=lambda area: abs(area.area - 0.5), default=area_under_curve([], []))
