"""Interpolation, area and optimum of a curve."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_quac.explain.procedure import Optimum

ABSCISSAE = np.arange(0, 1.0001, 0.01)
FINE_ABSCISSAE = np.union1d(np.append(0, np.geomspace(1e-4, 1, 161)), ABSCISSAE)
"""For curves along an axis that is stretched where masks are small."""


def interpolate_curve(
    mask_sizes: NDArray[np.float64],
    score_changes: NDArray[np.float64],
    abscissae: NDArray[np.float64] = ABSCISSAE,
) -> NDArray[np.float64]:
    """Return the score changes at mask sizes 0, 0.01, …, 1, or at others.

    The curve is extended to (0, 0), and to mask size 1 with the change at the lowest threshold. If
    several thresholds have the same mask size, a stable sort decides, as in the QuAC library.

    Parameters
    ----------
    mask_sizes, score_changes : (T,) ndarray
        In ascending order of the threshold.
    abscissae : (N,) ndarray, optional
        Mask sizes in [0, 1].

    Returns
    -------
    (N,) ndarray
    """
    sizes = np.concatenate([[1.0], mask_sizes, [0.0]])
    changes = np.concatenate([score_changes[:1], score_changes, [0.0]])
    order = np.argsort(sizes, kind="stable")
    return np.asarray(np.interp(abscissae, sizes[order], changes[order]))


def quac_score(mask_sizes: NDArray[np.float64], score_changes: NDArray[np.float64]) -> float:
    """Return the area under the interpolated curve, by the trapezoidal rule.

    It is below ``1 − f_t(query)`` and can be negative. It measures the faithfulness of the
    attribution for this pair, not the confidence of the classifier.

    Parameters
    ----------
    mask_sizes, score_changes : (T,) ndarray
        In ascending order of the threshold.

    References
    ----------
    .. [1] Adjavon et al., "Quantitative Attributions with Counterfactuals",
       2024, doi:10.1101/2024.11.26.625505
    """
    return float(np.trapezoid(interpolate_curve(mask_sizes, score_changes), ABSCISSAE))


def best_point(
    mask_sizes: NDArray[np.float64],
    score_changes: NDArray[np.float64],
    optimum: Optimum = "difference",
) -> int:
    """Return the index of the best trade of mask size for score change, the first on ties.

    Parameters
    ----------
    mask_sizes, score_changes : (T,) ndarray
        In ascending order of the threshold.
    optimum : "difference" or "squares"
        Largest *change − size*; or smallest *size² + (1 − change)²*, as in DAPI and in early
        versions of the QuAC library.
    """
    if optimum == "squares":
        return int(np.argmin(mask_sizes**2 + (1 - score_changes) ** 2))
    return int(np.argmin(np.abs(mask_sizes) - score_changes))
