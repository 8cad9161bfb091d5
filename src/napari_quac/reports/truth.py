"""Agreement of a map or a mask with the true difference of a pair.

Callers reduce the map over channels by its maximum. The truth belongs to the explained pair.
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
    """Check whether the highest value of a map lies on the truth, or close to it.

    Parameters
    ----------
    attribution : (*S) array_like, non-negative
        Importance of each pixel.
    truth : (*S) array_like, bool
        Pixels that really differ, and so matter.
    tolerance : float, optional
        The maximum counts as a hit if a true pixel is nearer than this, in pixels; at 0 it must be
        a true pixel itself. By default :func:`default_tolerance`.

    Returns
    -------
    hit : float in [0, 1]
        1 or 0; if several pixels share the maximum, the share of them that hit.

    Raises
    ------
    ShapeError
        If map and truth have different shapes.
    DataError
        If no pixel is true, or the map contains negative values or NaN.

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
    values, is_true = _validated(attribution, truth)
    if tolerance is None:
        tolerance = default_tolerance(min(values.shape))
    return float(_hits(is_true, tolerance)[values == values.max()].mean())


def energy_inside(attribution: ArrayLike, truth: ArrayLike) -> float:
    r"""Return the share of a map's sum that lies on the truth.

    .. math:: \sum_{g} a \,/\, \sum a

    Parameters and errors are those of :func:`pointing_game`.

    Returns
    -------
    share : float in [0, 1]
        :func:`area_share` by chance; 0 for a map that is zero everywhere.

    References
    ----------
    .. [1] Wang et al., "Score-CAM", CVPR Workshops 2020
    """
    values, is_true = _validated(attribution, truth)
    total = float(values.sum())
    return float(values[is_true].sum()) / total if total > 0 else 0.0


def area_share(truth: ArrayLike) -> float:
    """Return the true share of the image, the chance level of :func:`energy_inside`."""
    return float(np.asarray(truth, dtype=bool).mean())


def iou(mask: ArrayLike, truth: ArrayLike) -> float:
    """Return intersection over union of a mask and the truth.

    Parameters
    ----------
    mask : (*S) array_like
        Soft masks are thresholded at 0.5.
    truth : (*S) array_like, bool
        Pixels that really differ.

    Returns
    -------
    iou : float in [0, 1]

    Raises
    ------
    ShapeError, DataError
        As in :func:`pointing_game`.
    """
    values, is_true = _validated(mask, truth)
    inside = values > 0.5
    return float((inside & is_true).sum() / (inside | is_true).sum())


def dice(mask: ArrayLike, truth: ArrayLike) -> float:
    """Return the Dice coefficient of a mask and the truth; parameters as in :func:`iou`."""
    values, is_true = _validated(mask, truth)
    inside = values > 0.5
    return float(2 * (inside & is_true).sum() / (inside.sum() + is_true.sum()))


def average_precision(attribution: ArrayLike, truth: ArrayLike) -> float:
    r"""Return the area under the precision-recall curve of a map.

    .. math:: \sum_i (R_i - R_{i-1}) P_i

    over the distinct values of the map, in falling order; pixels of equal value form one step.

    Parameters and errors are those of :func:`pointing_game`.

    Returns
    -------
    precision : float in [0, 1]
        :func:`area_share` by chance.
    """
    values, is_true = _validated(attribution, truth)
    order = np.argsort(-values, axis=None, kind="stable")
    ranked = values.ravel()[order]
    hits = np.cumsum(is_true.ravel()[order])
    last_of_value = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    precision = hits[last_of_value] / (last_of_value + 1)
    recall = hits[last_of_value] / hits[-1]
    return float((np.diff(recall, prepend=0.0) * precision).sum())


def auroc(attribution: ArrayLike, truth: ArrayLike) -> float:
    """Return the area under the receiver operating characteristic of a map.

    This is the probability that a true pixel has a higher value than another pixel; equal values
    count half.

    Parameters and errors are those of :func:`pointing_game`.

    Returns
    -------
    area : float in [0, 1]
        0.5 by chance; NaN if every pixel is true.
    """
    values, is_true = _validated(attribution, truth)
    return ranking_auroc(values, is_true)


def ranking_auroc(scores: ArrayLike, labels: ArrayLike) -> float:
    """Return the probability that a positive case has a higher score than a negative one.

    Parameters
    ----------
    scores : array_like
        Any numbers.
    labels : array_like of the same shape, bool
        True for positive cases.

    Returns
    -------
    area : float in [0, 1]
        Area under the receiver operating characteristic; 0.5 by chance, equal scores count half.
        NaN without both positive and negative cases.

    Examples
    --------
    >>> ranking_auroc([0.9, 0.2, 0.2, 0.1], [True, True, False, False])
    0.875
    """
    positive = np.asarray(labels, dtype=bool).ravel()
    n_positive = int(positive.sum())
    n_negative = positive.size - n_positive
    if not n_positive or not n_negative:
        return math.nan
    ranks = rankdata(scores, axis=None)  # ties share the mean of their ranks
    above = ranks[positive].sum() - n_positive * (n_positive + 1) / 2
    return float(above / (n_positive * n_negative))


def rank_accuracy(attribution: ArrayLike, truth: ArrayLike) -> float:
    """Return the share of true pixels among the highest values, as many as are true.

    Parameters and errors are those of :func:`pointing_game`.

    Returns
    -------
    share : float in [0, 1]
        :func:`area_share` by chance. Among pixels with the lowest value that still counts, the
        share expected for a random choice.

    References
    ----------
    .. [1] Arras et al., "CLEVR-XAI: a benchmark dataset for the ground truth evaluation of neural
       network explanations", Information Fusion 2022
    """
    values, is_true = _validated(attribution, truth)
    n_true = int(is_true.sum())
    lowest = np.partition(values, values.size - n_true, axis=None)[values.size - n_true]
    above, tied = values > lowest, values == lowest
    n_tied = n_true - int(above.sum())
    return float((is_true[above].sum() + n_tied * is_true[tied].mean()) / n_true)


def pointing_chance(truth: ArrayLike, tolerance: float | None = None) -> float:
    """Return the share of pixels that count as a hit in :func:`pointing_game`.

    Parameters
    ----------
    truth : (*S) array_like, bool
        Pixels that really differ.
    tolerance : float, optional
        As in :func:`pointing_game`.
    """
    is_true = np.asarray(truth, dtype=bool)
    if tolerance is None:
        tolerance = default_tolerance(min(is_true.shape))
    return float(_hits(is_true, tolerance).mean())


def _hits(is_true: Truth, tolerance: float) -> Truth:
    """Return the pixels that are true, or closer to a true pixel than the tolerance."""
    if tolerance == 0 or not is_true.any():
        return is_true
    near: Truth = distance_transform_edt(~is_true) < tolerance
    return near


def _validated(values: ArrayLike, truth: ArrayLike) -> tuple[Map, Truth]:
    """Return map and truth as arrays of equal shape."""
    numbers = np.asarray(values, dtype=np.float64)
    is_true = np.asarray(truth, dtype=bool)
    if numbers.shape != is_true.shape:
        raise ShapeError(
            f"The map has shape {numbers.shape}, the truth {is_true.shape}. Both must cover the "
            "same pixels; take the maximum over channels first."
        )
    if not is_true.any():
        raise DataError("No pixel is true. Localization needs pairs that differ somewhere.")
    if not (numbers >= 0).all():  # also catches NaN
        raise DataError(
            f"The lowest value of the map is {numbers.min():g}; it must be 0 or more. Take the "
            "absolute value first."
        )
    return numbers, is_true
