"""Automatic measurement with a segmentation of the user, before and after a change."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_quac.errors import DataError, QuacError, one_line
from napari_quac.explain.explanation import Explanation
from napari_quac.stepwise import Progress, stepwise
from napari_quac.study.measure import measure_labels

if TYPE_CHECKING:
    import pandas as pd

Gray = NDArray[np.float32]
# from an image (*S), or (*S, C) with several channels, to labels (*S)
Segmentation = Callable[[Gray], NDArray[Any]]


@dataclass(frozen=True, eq=False)
class ImageChange:
    """An image before and after a change.

    Attributes
    ----------
    name : str
        Unique in its study.
    before, after : (C, *S) ndarray, float32 in [0, 1]
        Such as query and counterfactual image.
    scale : tuple of float or None
        World units per pixel along each axis of ``*S``.
    unit : str
        The world unit.
    labels : pair of (*S) ndarrays of integers, or None
        Segmentations of both, made elsewhere; the same array twice measures the same place.
    """

    name: str
    before: Gray
    after: Gray
    scale: tuple[float, ...] | None = None
    unit: str = "nm"
    labels: tuple[NDArray[Any], NDArray[Any]] | None = None


def change_of_explanation(
    explanation: Explanation, labels: tuple[NDArray[Any], NDArray[Any]] | None = None
) -> ImageChange:
    """Return the change from the query to the counterfactual image of an explanation.

    Parameters
    ----------
    explanation : Explanation
        Explanation of the query.
    labels : pair of (*S) ndarrays of integers, optional
        Segmentations of the query and of the counterfactual image.

    Raises
    ------
    PreliminaryError
        If the explanation is preliminary.
    """
    explanation.require_exact()
    query = explanation.pair.query
    return ImageChange(
        query.id,
        query.image.numpy(),
        explanation.counterfactual.image.numpy(),
        query.scale,
        query.unit or "nm",
        labels,
    )


@stepwise
def measure_before_after(
    changes: Sequence[ImageChange], segment: Segmentation | None = None
) -> Generator[Progress, None, tuple[pd.DataFrame, pd.DataFrame]]:
    """Measure images before and after a change with the same segmentation.

    Parameters
    ----------
    changes : sequence of ImageChange
        Images with unique names.
    segment : callable, optional
        Returns the labels (*S) of an image, which it gets as (*S), or (*S, C) with several
        channels, as scikit-image expects. Images with labels of their own do not need it.

    Returns
    -------
    Steps of (DataFrame, DataFrame)
        Before and after, as of ``measure.measure_labels``; see ``measure_compare.compare_states``.
        One step per image.

    Raises
    ------
    DataError
        If an image has neither labels nor a segmentation, or the segmentation fails; the message
        names the image.
    """
    import pandas as pd

    names = [change.name for change in changes]
    if len(set(names)) < len(names) or not names:
        raise DataError("Measuring needs at least one image, and a name for each that is unique.")
    tables: tuple[list[pd.DataFrame], list[pd.DataFrame]] = ([], [])
    for number, change in enumerate(changes):
        yield Progress(number, len(changes), "measure before and after")
        for state, image in enumerate((change.before, change.after)):
            if change.labels is not None:
                labels = change.labels[state]
            elif segment is not None:
                labels = _segment(segment, image, change.name)
            else:
                raise DataError(
                    f"Image '{change.name}' has no labels. Choose a segmentation, or add labels."
                )
            table = measure_labels(change.name, labels, image, change.scale, change.unit)
            tables[state].append(table)
    return pd.concat(tables[0], ignore_index=True), pd.concat(tables[1], ignore_index=True)


def _segment(segment: Segmentation, image: Gray, name: str) -> NDArray[Any]:
    pixels = image[0] if len(image) == 1 else np.moveaxis(image, 0, -1)
    try:
        labels = np.asarray(segment(pixels.copy()))
    except QuacError:
        raise
    except Exception as error:  # code of the user
        raise DataError(
            f"The segmentation of image '{name}' failed: {one_line(error)}. Correct the function."
        ) from error
    if labels.shape != image.shape[1:]:
        raise DataError(
            f"The segmentation of image '{name}' has the shape {labels.shape}, its pixels "
            f"{image.shape[1:]}. Return one label per pixel."
        )
    return labels
