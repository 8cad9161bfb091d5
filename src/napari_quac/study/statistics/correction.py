"""Corrections of p-values for many tests: Holm for declared features, Benjamini-Hochberg else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_quac.errors import DataError
from napari_quac.study.statistics.estimate import Numbers


@dataclass(frozen=True)
class CorrectedTest:
    """The p-value of a feature with both corrections.

    Attributes
    ----------
    name : str
        Of the feature.
    primary : bool
        True if it was declared before the study was sealed.
    p_value : float
    p_holm : float
        Corrected among the primary features; NaN for others. It bounds the chance of any false
        claim.
    p_fdr : float
        Corrected by Benjamini and Hochberg among the other features; NaN for primary ones. It
        bounds the expected share of false claims.
    """

    name: str
    primary: bool
    p_value: float
    p_holm: float
    p_fdr: float


def holm(p_values: Sequence[float] | NDArray[Any]) -> Numbers:
    """Correct p-values for their number by Holm's step-down method.

    Parameters
    ----------
    p_values : (n,) array_like in [0, 1]
        NaN stays NaN and does not count.

    Returns
    -------
    (n,) ndarray in [0, 1]

    Raises
    ------
    DataError
        If a number lies outside of [0, 1].

    References
    ----------
    .. [1] Holm, "A simple sequentially rejective multiple test procedure", 1979.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03]).round(3).tolist()
    [0.03, 0.06, 0.06]
    """
    return _corrected(p_values, _step_down)


def benjamini_hochberg(p_values: Sequence[float] | NDArray[Any]) -> Numbers:
    """Correct p-values for the false discovery rate.

    Parameters
    ----------
    p_values : (n,) array_like in [0, 1]
        NaN stays NaN and does not count.

    Returns
    -------
    (n,) ndarray in [0, 1]

    Raises
    ------
    DataError
        If a number lies outside of [0, 1].

    References
    ----------
    .. [1] Benjamini and Hochberg, "Controlling the false discovery rate", 1995.

    Examples
    --------
    >>> benjamini_hochberg([0.01, 0.04, 0.03]).round(3).tolist()
    [0.03, 0.04, 0.04]
    """
    return _corrected(p_values, _step_up)


def correct_features(
    p_values: Mapping[str, float], primary: Sequence[str]
) -> tuple[CorrectedTest, ...]:
    """Correct the p-values of features: Holm among the primary ones, the others by their rate.

    Parameters
    ----------
    p_values : mapping of str to float
        By feature.
    primary : sequence of str
        Features that were declared before the study was sealed.

    Returns
    -------
    tuple of CorrectedTest
        In the order of ``p_values``.

    Raises
    ------
    DataError
        If a primary feature has no p-value: its test was declared and may not be dropped.
    """
    missing = [name for name in primary if name not in p_values]
    if missing:
        raise DataError(
            f"The primary feature '{missing[0]}' has no test. Add its p-value, NaN if it could not "
            "be rated."
        )
    names = list(p_values)
    numbers = np.array([p_values[name] for name in names], dtype=np.float64)
    declared = np.array([name in primary for name in names], dtype=bool)
    by_holm, by_rate = np.full(len(names), np.nan), np.full(len(names), np.nan)
    by_holm[declared] = holm(numbers[declared])
    by_rate[~declared] = benjamini_hochberg(numbers[~declared])
    return tuple(
        CorrectedTest(name, bool(d), float(p), float(h), float(r))
        for name, d, p, h, r in zip(names, declared, numbers, by_holm, by_rate, strict=True)
    )


def _corrected(p_values: Sequence[float] | NDArray[Any], step: Any) -> Numbers:
    numbers = np.asarray(p_values, dtype=np.float64)
    finite = np.isfinite(numbers)
    if ((numbers[finite] < 0) | (numbers[finite] > 1)).any():
        raise DataError("A p-value lies outside of 0 to 1. Correct p-values, not statistics.")
    corrected = np.full(numbers.shape, np.nan)
    order = np.flatnonzero(finite)[np.argsort(numbers[finite], kind="stable")]
    if len(order):
        corrected[order] = np.minimum(step(numbers[order]), 1)
    return corrected


def _step_down(ranked: Numbers) -> Numbers:
    return np.maximum.accumulate(ranked * np.arange(len(ranked), 0, -1))


def _step_up(ranked: Numbers) -> Numbers:
    n = len(ranked)
    scaled = ranked * n / np.arange(1, n + 1)
    return np.minimum.accumulate(scaled[::-1])[::-1]
