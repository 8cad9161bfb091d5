"""Growth, shrinkage and folding by a displacement field."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
SMALLEST = 1e-3  # determinants below this are folded, and have no logarithm
GROWTH_LEGEND = "growth: above 1 the region is larger in the simulation"


def determinant(field: NDArray[np.floating]) -> Array:
    r"""Return the Jacobian determinant of a pull field.

    .. math:: \det(I + \nabla u)

    Parameters
    ----------
    field : (n, *S) ndarray
        Displacement in voxels along array axis ``k`` in channel ``k``; 2-D or 3-D.

    Returns
    -------
    (*S) ndarray, float64
        The volume from which each pixel of the result is filled: below 1 the structure is
        *enlarged* in the result, above 1 compressed, at or below 0 folded. Differences are
        central inside and one-sided at the border.
    """
    matrix = np.moveaxis(_gradient(field), (0, 1), (-2, -1))
    return np.asarray(np.linalg.det(matrix + np.eye(len(field))))


def _gradient(field: NDArray[np.floating]) -> Array:
    """Return ``[k, a] = ∂u_k / ∂p_a``; along an axis of one pixel nothing changes."""
    values = np.asarray(field, dtype=np.float64)
    return np.stack(
        [
            np.stack(
                [
                    np.gradient(part, axis=axis) if part.shape[axis] > 1 else np.zeros_like(part)
                    for axis in range(part.ndim)
                ]
            )
            for part in values
        ]
    )


def growth(det: Array) -> Array:
    """Return ``1 / det``: above 1 the region is larger in the simulation; NaN where it folds."""
    return np.where(det > SMALLEST, 1 / np.maximum(det, SMALLEST), np.nan)


def log_growth(det: Array) -> Array:
    """Return ``-log(max(det, 0.001))``: above 0 the region is larger in the simulation."""
    return np.asarray(-np.log(np.maximum(det, SMALLEST)))


def folding(det: Array) -> NDArray[np.bool_]:
    """Return where the field folds: the determinant is 0 or less."""
    return np.asarray(det <= 0)


def divergence(field: NDArray[np.floating]) -> Array:
    """Return ``Σ_k ∂u_k/∂p_k``, which is about ``det - 1`` for small fields."""
    gradient = _gradient(field)
    return np.asarray(sum(gradient[k, k] for k in range(len(gradient))))


def limits(values: Array, center: float) -> tuple[float, float]:
    """Return symmetric limits around *no change*, wide enough for 99 % of the values."""
    finite = np.abs(values[np.isfinite(values)] - center)
    reach = max(0.05, float(np.percentile(finite, 99))) if finite.size else 0.05
    return center - reach, center + reach
