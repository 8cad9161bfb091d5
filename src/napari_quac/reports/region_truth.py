"""Ranking of true differences by the effects of single regions."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_quac.errors import ShapeError
from napari_quac.explain.explanation import Explanation
from napari_quac.explain.regions import Regions, find_regions
from napari_quac.networks.classifier import Classifier
from napari_quac.reports.truth import ranking_auroc
from napari_quac.stepwise import Progress, stepwise


@dataclass(frozen=True)
class RegionEffects:
    """Effects of the regions of masks, and their agreement with the truth.

    Attributes
    ----------
    is_true : tuple of bool
        For each region, True if it touches the true difference.
    alone : tuple of float in [-1, 1]
        Increase of the target's probability by each region alone.
    left_out : tuple of float in [-1, 1]
        Decrease of the target's probability of the hybrid without each region.
    """

    is_true: tuple[bool, ...] = ()
    alone: tuple[float, ...] = ()
    left_out: tuple[float, ...] = ()

    @property
    def n_true(self) -> int:
        """Number of regions that touch the true difference."""
        return sum(self.is_true)

    @property
    def auroc_alone(self) -> float:
        """AUROC of true regions, ranked by ``alone``; NaN if all or none are true."""
        return ranking_auroc(self.alone, self.is_true)

    @property
    def auroc_left_out(self) -> float:
        """AUROC of true regions, ranked by ``left_out``; NaN if all or none are true."""
        return ranking_auroc(self.left_out, self.is_true)


def pool_effects(effects: Iterable[RegionEffects]) -> RegionEffects:
    """Return the regions of several explanations as one list."""
    groups = [(group.is_true, group.alone, group.left_out) for group in effects]
    return RegionEffects(*(sum(parts, ()) for parts in zip(*groups, strict=True)))


@stepwise
def compare_regions(
    explanation: Explanation, truth: ArrayLike, classifier: Classifier
) -> Generator[Progress, None, RegionEffects]:
    """Measure the effect of each region at the optimum, and compare it with the truth.

    Parameters
    ----------
    explanation : Explanation
        Its mask is split into regions.
    truth : (*S) array_like, bool
        Pixels that really differ between query and target class.
    classifier : Classifier
        The classifier under study.

    Returns
    -------
    Steps of RegionEffects

    Raises
    ------
    ShapeError
        If regions and truth have different shapes.
    """
    regions = yield from find_regions(explanation, classifier)
    return RegionEffects(
        tuple(true_regions(regions, truth).tolist()),
        tuple(region.effect_alone for region in regions.regions),
        tuple(region.effect_left_out for region in regions.regions),
    )


def true_regions(regions: Regions, truth: ArrayLike) -> NDArray[np.bool_]:
    """Return for each region whether it touches the true difference.

    Parameters
    ----------
    regions : Regions
        Of one hybrid.
    truth : (*S) array_like, bool
        Pixels that really differ between query and target class.

    Returns
    -------
    hits : (n,) ndarray, bool
        One value for each of ``regions.regions``.

    Raises
    ------
    ShapeError
        If regions and truth have different shapes.
    """
    is_true = np.asarray(truth, dtype=bool)
    if is_true.shape != regions.labels.shape:
        raise ShapeError(
            f"The regions have shape {regions.labels.shape}, the truth {is_true.shape}. Both must "
            "cover the same pixels."
        )
    touched = set(np.unique(regions.labels[is_true]).tolist())
    return np.array([region.number in touched for region in regions.regions], dtype=bool)
