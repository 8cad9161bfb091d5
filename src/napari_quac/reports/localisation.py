"""Explanations against the known answer, one by one and summed up by method."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from napari_quac.explain.explanation import Explanation
from napari_quac.reports.truth import (
    area_share,
    average_precision,
    energy_inside,
    iou,
    pointing_game,
)


@dataclass(frozen=True)
class Localisation:
    """How well one explanation hits the true difference of its pair.

    Attributes
    ----------
    pointing : float in [0, 1]
        1 if the attribution's maximum hits.
    energy : float in [0, 1]
        Share of the attribution on the true pixels.
    mask_energy : float in [0, 1]
        Share of the mask at the optimum on the true pixels.
    area : float in [0, 1]
        Share of the image that is true: what both would be by chance.
    iou : float in [0, 1]
        Of the mask at the optimum, cut at 0.5.
    average_precision : float in [0, 1]
        Of the attribution.
    quac_score : float
    """

    pointing: float
    energy: float
    mask_energy: float
    area: float
    iou: float
    average_precision: float
    quac_score: float


@dataclass(frozen=True)
class LocalisationSummary:
    """The same over many explanations by one method; means where nothing else is said.

    Attributes
    ----------
    n : int
        Number of explanations.
    pointing : float in [0, 1]
        Share of hits.
    energy_ratio, mask_energy_ratio : float
        Mean energy by mean area; 1 by chance.
    iou, average_precision : float in [0, 1]
    quac_score : float
        Median.
    """

    n: int
    pointing: float
    energy_ratio: float
    mask_energy_ratio: float
    iou: float
    average_precision: float
    quac_score: float


def localise(explanation: Explanation, truth: ArrayLike) -> Localisation:
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
    attribution = explanation.attribution.values.amax(dim=0).numpy()
    # softening leaves rounding errors of either sign
    mask = explanation.counterfactual.mask.amax(dim=0).clamp(0, 1).numpy()
    return Localisation(
        pointing=pointing_game(attribution, truth),
        energy=energy_inside(attribution, truth),
        mask_energy=energy_inside(mask, truth),
        area=area_share(truth),
        iou=iou(mask, truth),
        average_precision=average_precision(attribution, truth),
        quac_score=explanation.quac_score,
    )


def summarise(
    found: Mapping[str, Iterable[Localisation]],
) -> dict[str, LocalisationSummary]:
    """Sum up by method; methods without any explanation are left out.

    Parameters
    ----------
    found : mapping of str to iterable of Localisation
        By method.
    """
    return {method: _summary(list(several)) for method, several in found.items() if several}


def _summary(several: list[Localisation]) -> LocalisationSummary:
    area = _mean(one.area for one in several)
    return LocalisationSummary(
        n=len(several),
        pointing=_mean(one.pointing for one in several),
        energy_ratio=_mean(one.energy for one in several) / area,
        mask_energy_ratio=_mean(one.mask_energy for one in several) / area,
        iou=_mean(one.iou for one in several),
        average_precision=_mean(one.average_precision for one in several),
        quac_score=float(np.median([one.quac_score for one in several])),
    )


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))
