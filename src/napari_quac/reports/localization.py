"""Localization of the true difference by explanations, one by one and summarized by method."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from napari_quac.explain.explanation import Explanation
from napari_quac.reports.truth import (
    area_share,
    auroc,
    average_precision,
    dice,
    energy_inside,
    iou,
    pointing_chance,
    pointing_game,
    rank_accuracy,
)


@dataclass(frozen=True)
class Localization:
    """Agreement of one explanation with the true difference of its pair.

    Attributes
    ----------
    pointing : float in [0, 1]
        1 if the attribution's maximum hits.
    pointing_chance : float in [0, 1]
        The share of pixels that hit.
    energy : float in [0, 1]
        Share of the attribution on the true pixels.
    area : float in [0, 1]
        True share of the image: energy, average precision and rank accuracy by chance.
    average_precision : float in [0, 1]
        Of the attribution.
    auroc : float in [0, 1]
        Of the attribution; 0.5 by chance.
    rank_accuracy : float in [0, 1]
        Share of the attribution's highest values on the true pixels.
    mask_energy : float in [0, 1] or None
        Share of the softened mask at the optimum on the true pixels. This and the next two are
        None without a mask.
    iou, dice : float in [0, 1] or None
        Of the softened mask at the optimum, thresholded at 0.5.
    quac_score : float or None
    """

    pointing: float
    pointing_chance: float
    energy: float
    area: float
    average_precision: float
    auroc: float
    rank_accuracy: float
    mask_energy: float | None = None
    iou: float | None = None
    dice: float | None = None
    quac_score: float | None = None


@dataclass(frozen=True)
class LocalizationSummary:
    """Localization of many explanations by one method; means unless stated otherwise.

    Attributes
    ----------
    n : int
        Number of explanations.
    pointing, pointing_chance : float in [0, 1]
        Share of hits.
    energy, area : float in [0, 1]
    energy_ratio : float
        Mean energy divided by mean area; 1 by chance.
    average_precision, auroc, rank_accuracy : float in [0, 1]
    mask_energy_ratio : float or None
        As for the attribution. This and the next two are None if no explanation has a mask.
    iou, dice : float in [0, 1] or None
    quac_score : float or None
        Median.
    """

    n: int
    pointing: float
    pointing_chance: float
    energy: float
    area: float
    energy_ratio: float
    average_precision: float
    auroc: float
    rank_accuracy: float
    mask_energy_ratio: float | None
    iou: float | None
    dice: float | None
    quac_score: float | None


def localize_explanation(explanation: Explanation, truth: ArrayLike) -> Localization:
    """Compare one explanation with the truth.

    Parameters
    ----------
    explanation : Explanation
        Its attribution and the mask at its optimum are compared.
    truth : (*S) array_like, bool
        Pixels that really differ between query and target class.

    Raises
    ------
    ShapeError, DataError
        See :func:`~napari_quac.reports.truth.pointing_game`.
    """
    return localize_maps(
        explanation.attribution.values.numpy(),
        truth,
        explanation.counterfactual.mask.numpy(),
        explanation.quac_score,
    )


def localize_maps(
    attribution: ArrayLike,
    truth: ArrayLike,
    mask: ArrayLike | None = None,
    quac_score: float | None = None,
) -> Localization:
    """Compare an attribution and its mask with the truth.

    Parameters
    ----------
    attribution : (C, *S) array_like, non-negative
        Reduced over channels by its maximum.
    truth : (*S) array_like, bool
        Pixels that really differ between query and target class.
    mask : (C, *S) array_like, optional
        Softened mask at the optimum; reduced in the same way.
    quac_score : float, optional
        Copied into the record.

    Raises
    ------
    ShapeError, DataError
        See :func:`~napari_quac.reports.truth.pointing_game`.
    """
    values = np.asarray(attribution).max(axis=0)
    # softening leaves rounding errors of either sign
    soft = None if mask is None else np.clip(np.asarray(mask).max(axis=0), 0, 1)
    return Localization(
        pointing=pointing_game(values, truth),
        pointing_chance=pointing_chance(truth),
        energy=energy_inside(values, truth),
        area=area_share(truth),
        average_precision=average_precision(values, truth),
        auroc=auroc(values, truth),
        rank_accuracy=rank_accuracy(values, truth),
        mask_energy=None if soft is None else energy_inside(soft, truth),
        iou=None if soft is None else iou(soft, truth),
        dice=None if soft is None else dice(soft, truth),
        quac_score=quac_score,
    )


def summarize_localizations(
    localizations: Mapping[str, Sequence[Localization]],
) -> dict[str, LocalizationSummary]:
    """Summarize by method; methods without any explanation are excluded.

    Parameters
    ----------
    localizations : mapping of str to sequence of Localization
        By method.
    """
    return {method: _summarize(cases) for method, cases in localizations.items() if cases}


def _summarize(cases: Sequence[Localization]) -> LocalizationSummary:
    masked = [case for case in cases if case.mask_energy is not None]
    scores = [case.quac_score for case in cases if case.quac_score is not None]
    return LocalizationSummary(
        n=len(cases),
        pointing=_mean(cases, "pointing"),
        pointing_chance=_mean(cases, "pointing_chance"),
        energy=_mean(cases, "energy"),
        area=_mean(cases, "area"),
        energy_ratio=_mean(cases, "energy") / _mean(cases, "area"),
        average_precision=_mean(cases, "average_precision"),
        auroc=_mean(cases, "auroc"),
        rank_accuracy=_mean(cases, "rank_accuracy"),
        mask_energy_ratio=_mean(masked, "mask_energy") / _mean(masked, "area") if masked else None,
        iou=_mean(masked, "iou") if masked else None,
        dice=_mean(masked, "dice") if masked else None,
        quac_score=float(np.median(scores)) if scores else None,
    )


def _mean(cases: Sequence[Localization], name: str) -> float:
    """Return the mean of a field without NaN: the AUROC is undefined where all pixels are true."""
    numbers = [x for case in cases if not math.isnan(x := getattr(case, name))]
    return float(np.mean(numbers)) if numbers else math.nan
