"""Comparisons of measured images: two classes, or the same images before and after a change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_quac.errors import DataError
from napari_quac.study.measure import Pooling, Quantity, amount_per_image, quantity_unit
from napari_quac.study.statistics.clusters import cluster_effect, cluster_mean
from napari_quac.study.statistics.effects import (
    EFFECTS,
    Effect,
    effect_of_groups,
    effect_of_pairs,
    mann_whitney,
    paired_wilcoxon,
)
from napari_quac.study.statistics.estimate import Estimate, HypothesisTest, Numbers
from napari_quac.study.statistics.resampling import N_RESAMPLES

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class MeasuredComparison:
    """One quantity, compared between two classes or between two states of the same images.

    Attributes
    ----------
    quantity : str
    unit : str
        Such as ``"nm²"``.
    names : (str, str)
        Of the classes or states.
    amounts : pair of (n,) ndarrays
        One number per image; for states in the same order.
    paired : bool
    n_missing : (int, int)
        Images without this quantity.
    effects : tuple of Estimate
        Second minus first: differences of mean and median, Hedges g, Cliff δ. With clusters, their
        intervals and p-values take them into account, and pairs have the mean difference only.
    test : HypothesisTest
        Mann-Whitney or paired Wilcoxon test; with clusters, that of the mean difference.
    """

    quantity: str
    unit: str
    names: tuple[str, str]
    amounts: tuple[Numbers, Numbers]
    paired: bool
    n_missing: tuple[int, int]
    effects: tuple[Estimate, ...]
    test: HypothesisTest

    def effect(self, name: Effect) -> Estimate:
        """Return an effect by its name.

        Raises
        ------
        DataError
            If it was not computed.
        """
        for effect in self.effects:
            if effect.name == name:
                return effect
        raise DataError(f"The {name} was not computed for pairs in clusters. Use another effect.")


def compare_classes(
    table: pd.DataFrame,
    quantity: Quantity,
    classes: Mapping[str, str],
    names: tuple[str, str],
    pooling: Pooling = "mean",
    clusters: Mapping[str, Any] | None = None,
    level: float = 0.95,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> MeasuredComparison:
    """Compare a quantity between the images of two classes.

    Parameters
    ----------
    table : DataFrame
        Of ``measure.measure_marks`` or ``measure.measure_labels``, for all images.
    quantity : "length", "area", "count", "intensity" or "distance"
        Quantity to compare.
    classes : mapping of str to str
        Class of each image.
    names : (str, str)
        The classes; effects are the second minus the first.
    pooling : "mean", "median", "sum" or "largest"
        For several marks of an image.
    clusters : mapping of str to hashable, optional
        Neuron or section of each image.
    level : float
        Confidence level.
    n_resamples, seed : int
        Of the bootstrap.

    Raises
    ------
    DataError
        If an image has no class, or a class has fewer than two measured images.
    """
    amounts = amount_per_image(table, quantity, pooling)
    unclassified = [name for name in amounts if name not in classes]
    if unclassified:
        raise DataError(
            f"Image '{unclassified[0]}' has no class. Unblind the study, or add its class."
        )
    images = [[name for name in amounts if classes[name] == group] for group in names]
    measured = [[name for name in group if np.isfinite(amounts[name])] for group in images]
    a, b = (np.array([amounts[name] for name in group]) for group in measured)
    if min(len(a), len(b)) < 2:
        raise DataError(
            f"'{names[0]}' has {len(a)} and '{names[1]}' {len(b)} images with a measured "
            f"{quantity}. Measure at least two of each."
        )
    if clusters is None:
        effects = tuple(
            effect_of_groups(a, b, effect, level, n_resamples, seed) for effect in EFFECTS
        )
        test = mann_whitney(a, b)
    else:
        left, right = (_clusters_of(group, clusters) for group in measured)
        effects = tuple(
            cluster_effect(a, b, left, right, effect, level, seed=seed) for effect in EFFECTS
        )
        test = _cluster_test(effects[0])
    missing = (len(images[0]) - len(a), len(images[1]) - len(b))
    unit = quantity_unit(table, quantity)
    return MeasuredComparison(quantity, unit, names, (a, b), False, missing, effects, test)


def compare_states(
    before: pd.DataFrame,
    after: pd.DataFrame,
    quantity: Quantity,
    names: tuple[str, str] = ("query", "counterfactual"),
    pooling: Pooling = "mean",
    clusters: Mapping[str, Any] | None = None,
    level: float = 0.95,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> MeasuredComparison:
    """Compare a quantity between two states of the same images.

    Parameters
    ----------
    before, after : DataFrame
        Of ``measure_automatic.measure_before_after``; images are matched by name.
    quantity : "length", "area", "count", "intensity" or "distance"
        Quantity to compare.
    names : (str, str)
        Of the states.
    pooling : "mean", "median", "sum" or "largest"
        For several labels of an image.
    clusters : mapping of str to hashable, optional
        Neuron or section of each image.
    level : float
        Confidence level.
    n_resamples, seed : int
        Of the bootstrap.

    Raises
    ------
    DataError
        If fewer than two images were measured in both states.
    """
    first = amount_per_image(before, quantity, pooling)
    second = amount_per_image(after, quantity, pooling)
    images = [name for name in first if name in second]
    x = np.array([first[name] for name in images])
    y = np.array([second[name] for name in images])
    complete = np.isfinite(x) & np.isfinite(y)
    missing = (int((~np.isfinite(x)).sum()), int((~np.isfinite(y)).sum()))
    if complete.sum() < 2:
        raise DataError(
            f"{int(complete.sum())} images have a measured {quantity} in both states. Check the "
            "segmentation, or add images."
        )
    x, y = x[complete], y[complete]
    if clusters is None:
        effects = tuple(
            effect_of_pairs(x, y, effect, level, n_resamples, seed) for effect in EFFECTS
        )
        test = paired_wilcoxon(x, y)
    else:
        measured = [name for name, used in zip(images, complete, strict=True) if used]
        mean = cluster_mean(y - x, _clusters_of(measured, clusters), level=level)
        effects = (replace(mean, name="mean difference"),)
        test = _cluster_test(effects[0])
    import pandas as pd

    unit = quantity_unit(pd.concat([before, after]), quantity)
    return MeasuredComparison(quantity, unit, names, (x, y), True, missing, effects, test)


def comparison_table(comparison: MeasuredComparison) -> pd.DataFrame:
    """Return one row per effect, with its interval, n, clusters, test and warning."""
    import pandas as pd

    return pd.DataFrame(
        [
            {
                "quantity": comparison.quantity,
                "unit": comparison.unit if "difference" in effect.name else "",
                "first": comparison.names[0],
                "second": comparison.names[1],
                "effect": effect.name,
                "estimate": effect.estimate,
                "low": effect.low,
                "high": effect.high,
                "level": effect.level,
                "n": " + ".join(map(str, effect.n)),
                "n_clusters": " + ".join(map(str, effect.n_clusters)),
                "interval": effect.procedure,
                "test": comparison.test.name,
                "p_value": comparison.test.p_value,
                "warning": effect.warning,
            }
            for effect in comparison.effects
        ]
    )


def _clusters_of(names: Sequence[str], clusters: Mapping[str, Any]) -> list[Any]:
    missing = [name for name in names if name not in clusters]
    if missing:
        raise DataError(f"Image '{missing[0]}' has no cluster. Name its neuron or section.")
    return [clusters[name] for name in names]


def _cluster_test(effect: Estimate) -> HypothesisTest:
    p_value = float("nan") if effect.p_value is None else effect.p_value
    return HypothesisTest(
        f"t test of the mean difference, {effect.procedure}",
        effect.estimate,
        p_value,
        effect.n,
        effect.warning,
    )
