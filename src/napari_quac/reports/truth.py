"""How well a map or a mask hits what is known to be the difference.

The map is reduced over channels by its maximum before it comes here. The truth is that of the
very pair that was explained.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import distance_transform_edt
from scipy.stats import rankdata

from napari_quac.errors import DataError, ShapeError

Map = NDArray[np.float64]
Truth = NDArray[np.bool_]


def default_tolerance(size: int) -> int:
    """Return the tolerance of the pointing game for images of a given size, in pixels.

    Parameters
    ----------
    size : int
        Shorter side of the image; 15 pixels are allowed at 224 [1]_.

    References
    ----------
    .. [1] Zhang et al., "Top-down neural attention by excitation backprop", ECCV 2016
    """
    return round(15 * size / 224)


def pointing_game(
    attribution: ArrayLike, truth: ArrayLike, tolerance: float | None = None
) -> float:
    """Tell whether the highest value of a map lies on the truth, or close to it.

    Parameters
    ----------
    attribution : (*S) array_like, non-negative
        How much each pixel is said to matter.
    truth : (*S) array_like, bool
        Which pixels do matter.
    tolerance : float, optional
        The maximum counts as a hit if some true pixel is nearer than this, in pixels; at 0 it has
        to be a true pixel itself. By default :func:`default_tolerance`.

    Returns
    -------
    hit : float in [0, 1]
        1 or 0; where several pixels share the maximum, the share of them that hit.

    Raises
    ------
    ShapeError
        If the two do not cover the same pixels.
    DataError
        If no pixel is true, or the map has negative values or NaN.

    References
    ----------
    .. [1] Zhang et al., "Top-down neural attention by excitation backprop", ECCV 2016

    Examples
    --------
    >>> pointing_game([[0.0, 0.0, 1.0]], [[True, False, False]], tolerance=3)
    1.0
    >>> pointing_game([[0.0, 0.0, 1.0]], [[True, False, False]], tolerance=2)
    0.0
    """
    values, known = _checked(attribution, truth)
    if tolerance is None:
        tolerance = default_tolerance(min(values.shape))
    return float(_hits(known, tolerance)[values == values.max()].mean())


def energy_inside(attribution: ArrayLike, truth: ArrayLike) -> float:
    r"""Return the share of a map's sum that lies on the truth.

    .. math:: \sum_{g} a \,/\, \sum a

    Parameters
    ----------
    attribution : (*S) array_like, non-negative
        How much each pixel is said to matter.
    truth : (*S) array_like, bool
        Which pixels do matter.

    Returns
    -------
    share : float in [0, 1]
        By chance :func:`area_share`; 0 for a map that is zero everywhere.

    Raises
    ------
    ShapeError, DataError
        As in :func:`pointing_game`.

    References
    ----------
    .. [1] Wang et al., "Score-CAM", CVPR Workshops 2020
    """
    values, known = _checked(attribution, truth)
    total = float(values.sum())
    return float(values[known].sum()) / total if total > 0 else 0.0


def area_share(truth: ArrayLike) -> float:
    """Return the share of the image that is true, the chance level of :func:`energy_inside`."""
    return float(np.asarray(truth, dtype=bool).mean())


def iou(mask: ArrayLike, truth: ArrayLike) -> float:
    """Return intersection over union of a mask and the truth.

    Parameters
    ----------
    mask : (*S) array_like
        Soft masks are cut at 0.5.
    truth : (*S) array_like, bool
        Which pixels do matter.

    Returns
    -------
    iou : float in [0, 1]

    Raises
    ------
    ShapeError, DataError
        As in :func:`pointing_game`.
    """
    values, known = _checked(mask, truth)
    inside = values > 0.5
    return float((inside & known).sum() / (inside | known).sum())


def dice(mask: ArrayLike, truth: ArrayLike) -> float:
    """Return the Dice coefficient of a mask and the truth; parameters as in :func:`iou`."""
    values, known = _checked(mask, truth)
    inside = values > 0.5
    return float(2 * (inside & known).sum() / (inside.sum() + known.sum()))


def average_precision(attribution: ArrayLike, truth: ArrayLike) -> float:
    r"""Return the area under the precision-recall curve of a map.

    .. math:: \sum_i (R_i - R_{i-1}) P_i

    over the distinct values of the map, in falling order; pixels of the same value are taken
    together.

    Parameters
    ----------
    attribution : (*S) array_like, non-negative
        How much each pixel is said to matter.
    truth : (*S) array_like, bool
        Which pixels do matter.

    Returns
    -------
    precision : float in [0, 1]
        By chance :func:`area_share`.

    Raises
    ------
    ShapeError, DataError
        As in :func:`pointing_game`.
    """
    values, known = _checked(attribution, truth)
    order = np.argsort(-values, axis=None, kind="stable")
    ranked = values.ravel()[order]
    hits = np.cumsum(known.ravel()[order])
    last_of_value = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    precision = hits[last_of_value] / (last_of_value + 1)
    recall = hits[last_of_value] / hits[-1]
    return float((np.diff(recall, prepend=0.0) * precision).sum())


def auroc(attribution: ArrayLike, truth: ArrayLike) -> float:
    """Return the area under the receiver operating characteristic of a map.

    The probability that a true pixel has a higher value than another one; equal values count half.

    Parameters
    ----------
    attribution : (*S) array_like, non-negative
        How much each pixel is said to matter.
    truth : (*S) array_like, bool
        Which pixels do matter.

    Returns
    -------
    area : float in [0, 1]
        0.5 by chance; NaN if every pixel is true.

    Raises
    ------
    ShapeError, DataError
        As in :func:`pointing_game`.
    """
    values, known = _checked(attribution, truth)
    n_true = int(known.sum())
    n_others = known.size - n_true
    if not n_others:
        return math.nan
    ranks = rankdata(values, axis=None)  # ties share the mean of their ranks
    above = ranks[known.ravel()].sum() - n_true * (n_true + 1) / 2
    return float(above / (n_true * n_others))


def rank_accuracy(attribution: ArrayLike, truth: ArrayLike) -> float:
    """Return the share of the highest values that lie on the truth, as many as it has pixels.

    Parameters
    ----------
    attribution : (*S) array_like, non-negative
        How much each pixel is said to matter.
    truth : (*S) array_like, bool
        Which pixels do matter.

    Returns
    -------
    share : float in [0, 1]
        By chance :func:`area_share`. Of pixels with the lowest value that still counts, the share
        that is expected for a random choice among them.

    Raises
    ------
    ShapeError, DataError
        As in :func:`pointing_game`.

    References
    ----------
    .. [1] Arras et al., "CLEVR-XAI: a benchmark dataset for the ground truth evaluation of neural
       network explanations", Information Fusion 2022
    """
    values, known = _checked(attribution, truth)
    n_true = int(known.sum())
    lowest = np.partition(values, values.size - n_true, axis=None)[values.size - n_true]
    above, tied = values > lowest, values == lowest
    n_tied = n_true - int(above.sum())
    return float((known[above].sum() + n_tied * known[tied].mean()) / n_true)


def pointing_chance(truth: ArrayLike, tolerance: float | None = None) -> float:
    """Return the share of pixels that would count as a hit in :func:`pointing_game`.

    Parameters
    ----------
    truth : (*S) array_like, bool
        Which pixels matter.
    tolerance : float, optional
        As in :func:`pointing_game`.
    """
    known = np.asarray(truth, dtype=bool)
    if tolerance is None:
        tolerance = default_tolerance(min(known.shape))
    return float(_hits(known, tolerance).mean())


def _hits(known: Truth, tolerance: float) -> Truth:
    """Return the pixels that are true, or nearer to a true one than the tolerance."""
    if tolerance == 0 or not known.any():
        return known
    near: Truth = distance_transform_edt(~known) < tolerance
    return near


def _checked(values: ArrayLike, truth: ArrayLike) -> tuple[Map, Truth]:
    """Return both as arrays that can be compared."""
    numbers = np.asarray(values, dtype=np.float64)
    known = np.asarray(truth, dtype=bool)
    if numbers.shape != known.shape:
        raise ShapeError(
            f"The map has shape {numbers.shape}, the truth {known.shape}. Both have to cover the "
            "same pixels; take the maximum over channels first."
        )
    if not known.any():
        raise DataError(
            "No pixel is true. Localisation can only be judged for pairs that differ somewhere."
        )
    if not (numbers >= 0).all():  # also catches NaN
        raise DataError(
            f"The map has a lowest value of {numbers.min():g}; expected values from 0. Take the "
            "absolute value first."
        )
    return numbers, known
