"""Whether the effects of single regions rank the true differences above the rest."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from napari_quac.errors import DataError, ShapeError
from napari_quac.explain.regions import Regions


def true_regions(regions: Regions, truth: ArrayLike) -> NDArray[np.bool_]:
    """Tell which regions touch what truly differs.

    Parameters
    ----------
    regions : Regions
        Of one hybrid.
    truth : (*S) array_like, bool
        Which pixels really differ between query and target class.

    Returns
    -------
    hits : (n,) ndarray, bool
        One for each of ``regions.regions``.

    Raises
    ------
    ShapeError
        If the two do not cover the same pixels.
    """
    known = np.asarray(truth, dtype=bool)
    if known.shape != regions.labels.shape:
        raise ShapeError(
            f"The regions cover {regions.labels.shape} pixels, the truth {known.shape}. Both have "
            "to cover the same."
        )
    touched = set(np.unique(regions.labels[known]).tolist())
    return np.array([region.number in touched for region in regions.regions], dtype=bool)


def auroc(scores: ArrayLike, known: ArrayLike) -> float:
    """Return how often a true thing is ranked above another one.

    Parameters
    ----------
    scores : (n,) array_like
        The higher, the truer it is said to be.
    known : (n,) array_like, bool
        What is true.

    Returns
    -------
    area : float in [0, 1]
        Area under the receiver operating characteristic; 0.5 by chance, ties count one half.

    Raises
    ------
    DataError
        If all are true, or none is.

    Examples
    --------
    >>> auroc([0.9, 0.2, 0.2, 0.1], [True, True, False, False])
    0.875
    """
    ranks = rankdata(np.asarray(scores, dtype=np.float64))
    true = np.asarray(known, dtype=bool)
    n_true, n_other = int(true.sum()), int((~true).sum())
    if not n_true or not n_other:
        raise DataError("A ranking can only be judged where some are true and some are not.")
    return float((ranks[true].sum() - n_true * (n_true + 1) / 2) / (n_true * n_other))
