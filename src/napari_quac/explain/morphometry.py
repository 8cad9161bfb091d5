"""What the counterfactual changed, measured: in the mask, outside of it, in structures."""

from __future__ import annotations

from collections.abc import Generator as Iterating
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_quac.errors import DataError, ShapeError
from napari_quac.explain.curve import hybrid_at
from napari_quac.explain.explanation import Explanation
from napari_quac.explain.texture import MEASURES, edge_cut, measure, texture_maps
from napari_quac.stepwise import Progress, stepwise

WHOLE, INSIDE, OUTSIDE = "whole image", "inside the mask", "outside the mask"
LABELLED = "all labels"
MOST_LABELS = 100


@dataclass(frozen=True, eq=False)
class PlaceChange:
    """One place, measured in the query and in the counterfactual.

    Attributes
    ----------
    name : str
        ``"inside the mask"``, ``"outside the mask"``, ``"whole image"``, ``"all labels"`` or
        ``"label 3"``.
    n_pixels : int
        Pixels or voxels.
    size : float or None
        Area or volume in world units; None where the sample has no scale.
    share_in_mask : float in [0, 1]
        Share of the place that the mask covers; NaN for an empty place.
    query, counterfactual : mapping of str to float
        By the names of :data:`~napari_quac.explain.texture.MEASURES`.
    """

    name: str
    n_pixels: int
    size: float | None
    share_in_mask: float
    query: Mapping[str, float]
    counterfactual: Mapping[str, float]

    def difference(self, name: str) -> float:
        """Return counterfactual minus query of one measure."""
        return self.counterfactual[name] - self.query[name]


@dataclass(frozen=True, eq=False)
class Morphometry:
    """All places of one hybrid.

    Attributes
    ----------
    explanation : Explanation
    threshold : float
    places : tuple of PlaceChange
    size_unit : str
        Such as ``"nm²"``; empty where the sample has no scale.
    """

    explanation: Explanation
    threshold: float
    places: tuple[PlaceChange, ...]
    size_unit: str = ""

    def place(self, name: str) -> PlaceChange:
        """Return a place by its name.

        Raises
        ------
        DataError
            If there is no such place.
        """
        for one in self.places:
            if one.name == name:
                return one
        there = ", ".join(one.name for one in self.places)
        raise DataError(f"Nothing was measured in '{name}'. There are: {there}.")


@stepwise
def measure_change(
    explanation: Explanation,
    labels: NDArray[Any] | None = None,
    index: int | None = None,
) -> Iterating[Progress, None, Morphometry]:
    """Measure intensity and texture of the query and of a hybrid of it.

    Parameters
    ----------
    explanation : Explanation
        Whose hybrid it is.
    labels : (*S) ndarray of integers or bool, optional
        Structures that are known, such as clefts or vesicles, on the pixels of the query; 0 is
        background. They are measured one by one and all together.
    index : int, optional
        Position in the thresholds of the curve; the optimum by default.

    Returns
    -------
    Steps of Morphometry
        One step for each place.

    Raises
    ------
    ShapeError
        If the labels do not cover the pixels of the query.
    DataError
        If they are no whole numbers, or too many.
    """
    pair, curve = explanation.pair, explanation.curve
    index = curve.best if index is None else index
    yield Progress(0, None, "measure the change")
    hybrid = hybrid_at(pair, curve, index)
    threshold = float(curve.thresholds[index])
    hard = np.asarray(curve.masking.hard(curve.closed, threshold).any(axis=0))
    places: dict[str, NDArray[np.bool_]] = {
        WHOLE: np.ones_like(hard),
        INSIDE: hard,
        OUTSIDE: np.logical_not(hard),
    }
    if labels is not None:
        places |= _label_places(labels, hard.shape)
    before, after = (texture_maps(image.numpy()) for image in (pair.query.image, hybrid.image))
    cut = edge_cut(before)
    voxel = None if pair.query.scale is None else float(np.prod(pair.query.scale))
    changes = []
    for done, (name, place) in enumerate(places.items()):
        yield Progress(done, len(places), "measure the change")
        n_pixels = int(place.sum())
        changes.append(
            PlaceChange(
                name=name,
                n_pixels=n_pixels,
                size=None if voxel is None else n_pixels * voxel,
                share_in_mask=float(hard[place].mean()) if n_pixels else float("nan"),
                query=measure(before, place, cut),
                counterfactual=measure(after, place, cut),
            )
        )
    unit = pair.query.unit if voxel is not None else None
    power = "³" if hard.ndim == 3 else "²"
    return Morphometry(explanation, threshold, tuple(changes), f"{unit}{power}" if unit else "")


def morphometry_rows(found: Morphometry, class_names: Sequence[str]) -> list[dict[str, Any]]:
    """Return one flat row for each place and measure, for JSON and CSV; NaN becomes None."""
    pair = found.explanation.pair
    common = {
        "sample": pair.query.id,
        "source": class_names[pair.source],
        "target": class_names[pair.target],
        "method": found.explanation.attribution.true_name,
        "threshold": found.threshold,
    }
    return [
        {
            **common,
            "place": place.name,
            "n_pixels": place.n_pixels,
            "size": place.size,
            "size_unit": found.size_unit,
            "share_in_mask": _number(place.share_in_mask),
            "measure": one.name,
            "unit": one.unit,
            "query": _number(place.query[one.name]),
            "counterfactual": _number(place.counterfactual[one.name]),
            "difference": _number(place.difference(one.name)),
        }
        for place in found.places
        for one in MEASURES
    ]


def morphometry_record(found: Morphometry) -> dict[str, Any]:
    """Return the same as nested JSON-ready values, by place; NaN becomes None."""
    return {
        "threshold": found.threshold,
        "size_unit": found.size_unit or None,
        "units": {one.name: one.unit for one in MEASURES},
        "places": {
            place.name: {
                "n_pixels": place.n_pixels,
                "size": place.size,
                "share_in_mask": _number(place.share_in_mask),
                "query": {name: _number(value) for name, value in place.query.items()},
                "counterfactual": {
                    name: _number(value) for name, value in place.counterfactual.items()
                },
            }
            for place in found.places
        },
    }


def _number(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _label_places(labels: NDArray[Any], shape: tuple[int, ...]) -> dict[str, NDArray[np.bool_]]:
    if labels.shape != shape:
        raise ShapeError(
            f"The labels have shape {labels.shape}, the query {shape}. Both have to cover the same "
            "pixels."
        )
    if labels.dtype.kind not in "bui":
        raise DataError(
            f"The labels hold values of type {labels.dtype}, expected whole numbers: 0 for the "
            "background and one number for each structure."
        )
    numbers = [int(number) for number in np.unique(labels) if number != 0]
    if len(numbers) > MOST_LABELS:
        raise DataError(
            f"There are {len(numbers)} labels in this image, more than {MOST_LABELS}. Choose "
            "labels of structures; an image of grey values is none."
        )
    places = {LABELLED: labels != 0} if numbers else {}
    return places | {f"label {number}": labels == number for number in numbers}
