"""One row per feature: how often it was rated, in which direction, and how well raters agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_quac.errors import DataError
from napari_quac.registry import unknown_name
from napari_quac.study.statistics.agreement import (
    ITEMS,
    Ratings,
    Resampling,
    cohen_kappa,
    fleiss_kappa,
    gwet_ac,
    krippendorff_alpha,
    percent_agreement,
)
from napari_quac.study.statistics.clusters import cluster_share
from napari_quac.study.statistics.correction import correct_features
from napari_quac.study.statistics.estimate import Estimate, Numbers
from napari_quac.study.statistics.power import detectable_share, smallest_prevalence
from napari_quac.study.statistics.proportions import sign_test, wilson_interval

if TYPE_CHECKING:
    import pandas as pd

RatingKind = Literal["tag", "compare"]
KINDS = ("tag", "compare")


def joint_ratings(ratings: Ratings) -> Numbers:
    """Return one rating per item: that of the majority.

    Parameters
    ----------
    ratings : (R, N) array_like
        0 and 1, or −1, 0, +1; NaN for missing ratings.

    Returns
    -------
    (N,) ndarray
        0 or 1, or −1, 0 or +1. NaN where no rating has a majority among those of the item.
    """
    table = np.asarray(ratings, dtype=np.float64)
    if table.ndim != 2:
        raise DataError(f"The ratings have shape {table.shape}. Use raters × items.")
    categories = np.unique(table[np.isfinite(table)])
    joint = np.full(table.shape[1], np.nan)
    for category in categories:
        votes = (table == category).sum(axis=0)
        joint[votes > np.isfinite(table).sum(axis=0) / 2] = category
    return joint


def summarize_features(
    ratings: Mapping[str, Ratings],
    kind: RatingKind,
    primary: Sequence[str] = (),
    clusters: Sequence[Any] | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Summarize the ratings of all features.

    Parameters
    ----------
    ratings : mapping of str to (R, N) array_like
        By feature: one row per rater, one column per item, without controls, repeats and training;
        NaN for missing ratings. Tags are 0 and 1. Comparisons are −1, 0, +1 with the direction
        resolved, such as +1 for "more in the counterfactual".
    kind : "tag" or "compare"
        Kind of the rating session.
    primary : sequence of str
        Features that were declared before the study was sealed.
    clusters : (N,) sequence of labels, optional
        Neuron or section of each item.
    level : float
        Confidence level.
    seed : int
        Of the bootstrap of agreement.

    Returns
    -------
    DataFrame
        One row per feature. ``n`` counts items whose raters have a majority, ``n_open`` the others;
        ``share``, ``low`` and ``high`` are the share of the feature, or of + among + and −;
        ``p_value`` tests equal directions, with ``p_holm`` for primary features and ``p_fdr`` for
        the others; ``detectable`` is the prevalence that n items show with a probability of 80 %,
        or the share of + that the test finds with a power of 80 %. Then follow the coefficients of
        agreement with intervals (``ac1``, ``ac1_low``, …; empty with a single rater), the numbers
        of clusters, and warnings.

    Raises
    ------
    UnknownNameError
        If there is no such kind.
    DataError
        If a primary feature has no ratings.
    """
    import pandas as pd

    if kind not in KINDS:
        raise unknown_name("kind of rating", kind, list(KINDS))
    resampling = Resampling(level, clusters, ITEMS.n_resamples, seed)
    rows = []
    for feature, table in ratings.items():
        joint = joint_ratings(table)
        describe = _tag_row if kind == "tag" else _direction_row
        row, estimate = describe(joint, clusters, level)
        warnings = [estimate.warning] if estimate.warning else []
        row["n_open"] = int(np.isnan(joint).sum())
        row["n_clusters"] = estimate.n_clusters[0] if estimate.n_clusters else None
        row["interval"] = estimate.procedure
        agreement, agreement_warnings = _agreement(table, kind, resampling)
        notes = dict.fromkeys([*warnings, *agreement_warnings])
        rows.append({"feature": feature, **row, **agreement, "warning": " ".join(notes)})
    if kind == "compare":
        tests = correct_features({row["feature"]: row["p_value"] for row in rows}, primary)
        for row, test in zip(rows, tests, strict=True):
            row.update(primary=test.primary, p_holm=test.p_holm, p_fdr=test.p_fdr)
    return pd.DataFrame(rows)


def _tag_row(
    joint: Numbers, clusters: Sequence[Any] | None, level: float
) -> tuple[dict[str, Any], Estimate]:
    rated = joint[np.isfinite(joint)]
    count, n = int((rated > 0).sum()), len(rated)
    if not n:
        nan = float("nan")
        warning = "No item has a majority of ratings."
        share = Estimate("share", nan, nan, nan, level, (0,), "none", warning=warning)
    elif clusters is None:
        share = wilson_interval(count, n, level)
    else:
        share = _share_of_clusters(joint, clusters, None, level)
    detectable = smallest_prevalence(n) if n else float("nan")
    return {"n": n, "count": count, **_interval(share), "detectable": detectable}, share


def _share_of_clusters(
    flags: Numbers, clusters: Sequence[Any], null: float | None, level: float
) -> Estimate:
    """Return the share of items in clusters; without an interval if all are of one cluster."""
    rated = np.isfinite(flags)
    if len({label for label, used in zip(clusters, rated, strict=True) if used}) > 1:
        return cluster_share(flags, clusters, null, level)
    nan, share = float("nan"), float((flags[rated] > 0).mean())
    warning = "All items are of one cluster; there is no interval."
    n = (int(rated.sum()),)
    return Estimate("share", share, nan, nan, level, n, "none", (1,), nan, warning)


def _direction_row(
    joint: Numbers, clusters: Sequence[Any] | None, level: float
) -> tuple[dict[str, Any], Estimate]:
    signs = sign_test(joint, level)
    share, p_value = signs.share, signs.p_value
    n_signs = signs.n_positive + signs.n_negative
    row: dict[str, Any] = {
        "n": n_signs + signs.n_zero,
        "n_positive": signs.n_positive,
        "n_zero": signs.n_zero,
        "n_negative": signs.n_negative,
    }
    if clusters is not None and n_signs:
        flags = np.where(joint == 0, np.nan, joint)
        share = _share_of_clusters(flags, clusters, 0.5, level)
        p_value = float("nan") if share.p_value is None else share.p_value
    detectable = detectable_share(n_signs) if n_signs else float("nan")
    return {**row, **_interval(share), "p_value": p_value, "detectable": detectable}, share


def _interval(share: Estimate) -> dict[str, float]:
    return {"share": share.estimate, "low": share.low, "high": share.high}


def _agreement(
    table: Ratings, kind: RatingKind, resampling: Resampling
) -> tuple[dict[str, float], list[str]]:
    """Return the coefficients of one feature; none without two ratings of an item."""
    ratings = np.asarray(table, dtype=np.float64)
    if not (np.isfinite(ratings).sum(axis=0) > 1).any():
        return {}, []
    ordered = kind == "compare"
    categories = (-1, 0, 1) if ordered else (0, 1)
    weights: Literal["none", "quadratic"] = "quadratic" if ordered else "none"
    alpha = krippendorff_alpha(ratings, "ordinal" if ordered else "nominal", resampling)
    coefficients = {
        "agreement": percent_agreement(ratings, resampling),
        "kappa": cohen_kappa(ratings, weights, categories, resampling)
        if len(ratings) == 2
        else fleiss_kappa(ratings, resampling),
        "ac2" if ordered else "ac1": gwet_ac(ratings, weights, categories, resampling),
        "alpha": alpha,
    }
    row: dict[str, float] = {}
    for name, estimate in coefficients.items():
        row |= {name: estimate.estimate, f"{name}_low": estimate.low, f"{name}_high": estimate.high}
    return row, [estimate.warning for estimate in coefficients.values() if estimate.warning]
