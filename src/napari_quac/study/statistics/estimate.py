"""Common results: an estimate with its interval, and a test; both with the numbers behind them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_quac.errors import DataError

Numbers = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """An estimate with its confidence interval.

    Attributes
    ----------
    name : str
        Name of the quantity, such as ``"hedges g"``.
    estimate, low, high : float
        NaN where it cannot be computed; ``warning`` states the reason.
    level : float
        Confidence level of the interval, such as 0.95.
    n : tuple of int
        Number of observations, one for each group.
    procedure : str
        Name of the interval, for a methods text.
    n_clusters : tuple of int
        Number of clusters, one for each group; empty if the observations count as independent.
    p_value : float or None
        Of the test whose inversion is the interval; None if there is none.
    warning : str
        Limits of the interval that a reader has to know; empty without any.
    """

    name: str
    estimate: float
    low: float
    high: float
    level: float
    n: tuple[int, ...]
    procedure: str
    n_clusters: tuple[int, ...] = ()
    p_value: float | None = None
    warning: str = ""

    def text(self, digits: int = 2) -> str:
        """Return the estimate as text, with interval, n and number of clusters."""
        if not math.isfinite(self.estimate):
            return f"undefined (n = {' + '.join(map(str, self.n))})"
        if not math.isfinite(self.low):
            return f"{self.estimate:.{digits}f} (no interval, n = {' + '.join(map(str, self.n))})"
        numbers = [f"{x:.{digits}f}" for x in (self.estimate, self.low, self.high)]
        text = f"{numbers[0]} ({100 * self.level:g} % interval {numbers[1]} to {numbers[2]}"
        text += f", n = {' + '.join(map(str, self.n))}"
        if self.n_clusters:
            text += f" in {' + '.join(map(str, self.n_clusters))} clusters"
        return text + ")"


@dataclass(frozen=True)
class HypothesisTest:
    """A two-sided test.

    Attributes
    ----------
    name : str
        Name of the test, for a methods text.
    statistic : float
    p_value : float in [0, 1]
    n : tuple of int
        Number of observations, one for each group.
    warning : str
        Limits of the test that a reader has to know; empty without any.
    """

    name: str
    statistic: float
    p_value: float
    n: tuple[int, ...]
    warning: str = ""


def finite_numbers(amounts: Sequence[float] | NDArray[Any], name: str = "sample") -> Numbers:
    """Return the finite numbers of a one-dimensional array.

    Raises
    ------
    DataError
        If there is none, or the array has several dimensions.
    """
    numbers = np.asarray(amounts, dtype=np.float64)
    if numbers.ndim != 1:
        raise DataError(f"The {name} has shape {numbers.shape}. Use one number per observation.")
    numbers = numbers[np.isfinite(numbers)]
    if not len(numbers):
        raise DataError(f"The {name} contains no number. Rate or measure at least one image.")
    return numbers


def check_level(level: float) -> None:
    """Refuse a confidence level outside of (0, 1).

    Raises
    ------
    DataError
        With the usual level.
    """
    if not 0 < level < 1:
        raise DataError(f"The confidence level is {level}. Use a number such as 0.95.")


def check_counts(count: int, n: int) -> None:
    """Refuse a count that is not between 0 and n, or an n of 0.

    Raises
    ------
    DataError
        With both numbers.
    """
    if n < 1 or not 0 <= count <= n:
        raise DataError(
            f"{count} of {n} is not a share. The count lies between 0 and n, and n is at least 1."
        )
