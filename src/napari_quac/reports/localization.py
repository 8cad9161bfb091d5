"""Explanations against the known answer, one by one and summed up by method."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
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
    """How well one explanation hits the true difference of its pair.

    Attributes
    ----------
    pointing : float in [0, 1]
        1 if the attribution's maximum hits.
    pointing_chance : float in [0, 1]
        The share of pixels that would hit.
    energy : float in [0, 1]
        Share of the attribution on the true pixels.
    area : float in [0, 1]
        Share of the image that is true: what energy, average precision and rank accuracy would be
        by chance.
    average_precision : float in [0, 1]
        Of the attribution.
    auroc : float in [0, 1]
        Of the attribution; 0.5 by chance.
    rank_accuracy : float in [0, 1]
        Share of the attribution's highest values on the true pixels.
    mask_energy : float in [0, 1] or None
        Share of the softened mask at the optimum on the true pixels. None, as the next two,
        without a mask.
    iou, dice : float in [0, 1] or None
        Of the softened mask at the optimum, cut at 0.5.
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
    """The same over many explanations by one method; means where nothing else is said.

    Attributes
    ----------
    n : int
        Number of explanations.
    pointing, pointing_chance : float in [0, 1]
        Share of hits.
    energy, area : float in [0, 1]
    energy_ratio : float
        Mean energy by mean area; 1 by chance.
    average_precision, auroc, rank_accuracy : float in [0, 1]
    mask_energy_ratio : float or None
        As for the attribution; None, as the next two, where no explanation has a mask.
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
    """Judge one explanation.

    Parameters
    ----------
    explanation : Explanation
        Its attribution and the mask at its optimum are judged.
    truth : (*S) array_like, bool
        Which pixels really differ between query and target class.

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
    """Judge an attribution and its mask.

    Parameters
    ----------
    attribution : (C, *S) array_like, non-negative
        Reduced over channels by its maximum.
    truth : (*S) array_like, bool
        Which pixels really differ between query and target class.
    mask : (C, *S) array_like, optional
        At the optimum, softened; likewise reduced.
    quac_score : float, optional
        Is handed through.

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
    found: Mapping[str, Iterable[Localization]],
) -> dict[str, LocalizationSummary]:
    """Sum up by method; methods without any explanation are left out.

    Parameters
    ----------
    found : mapping of str to iterable of Localization
        By method.
    """
    return {method: _summary(list(several)) for method, several in found.items() if several}


def _summary(several: list[Localization]) -> LocalizationSummary:
    area, energy = _mean(one.area for one in several), _mean(one.energy for one in several)
    masked = [one for one in several if one.mask_energy is not None]
    mask_energy = _known_mean(one.mask_energy for one in masked)
    scores = [one.quac_score for one in several if one.quac_score is not None]
    return LocalizationSummary(
        n=len(several),
        pointing=_mean(one.pointing for one in several),
        pointing_chance=_mean(one.pointing_chance for one in several),
        energy=energy,
        area=area,
        energy_ratio=energy / area,
        average_precision=_mean(one.average_precision for one in several),
        # it is not defined where every pixel is true
        auroc=_mean(one.auroc for one in several if not math.isnan(one.auroc)),
        rank_accuracy=_mean(one.rank_accuracy for one in several),
        mask_energy_ratio=(
            None if mask_energy is None else mask_energy / _mean(one.area for one in masked)
        ),
        iou=_known_mean(one.iou for one in several),
        dice=_known_mean(one.dice for one in several),
        quac_score=float(np.median(scores)) if scores else None,
    )


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return float(np.mean(found)) if found else math.nan


def _known_mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return _mean(known) if known else None
