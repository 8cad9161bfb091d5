"""Replace pixels one after the other, the most important first, and watch the prediction.

Deletion and insertion after RISE, and the same between the two images of a pair, which never
shows the classifier anything but pixels of real or generated images.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import convolve1d
from torch import Tensor

from napari_quac.errors import DataError, ShapeError
from napari_quac.networks.classifier import CPU_BATCH, GPU_BATCH, Classifier
from napari_quac.stepwise import Progress, stepwise

RISE_BLUR = (11, 5.0)


@dataclass(frozen=True, eq=False)
class OrderCurve:
    """The probability of a class while pixels are replaced.

    Attributes
    ----------
    shares : (T,) ndarray, float64 in [0, 1]
        Share of the pixels that are replaced; from 0 to 1.
    probabilities : (T,) ndarray, float64 in [0, 1]
    area : float in [0, 1]
        Under the curve, ``(Σ y − (y₀ + yₙ) / 2) / n`` over its n steps.
    """

    shares: NDArray[np.float64]
    probabilities: NDArray[np.float64]
    area: float


@stepwise
def replace_in_order(
    begin: Tensor,
    end: Tensor,
    attribution: ArrayLike,
    classifier: Classifier,
    class_index: int,
    pixels_per_step: int | None = None,
) -> Generator[Progress, None, OrderCurve]:
    """Go from one image to another, pixel by pixel, in falling order of a map.

    Parameters
    ----------
    begin, end : (C, *S) Tensor, float32 in [0, 1]
        The images; a pixel is replaced in all its channels.
    attribution : (C, *S) or (*S) array_like
        Reduced over channels by its maximum; of equal values the first pixel goes first.
    classifier : Classifier
        The classifier under study.
    class_index : int
        Whose probability is watched.
    pixels_per_step : int, optional
        By default so many that there are as many steps as the shorter side has pixels, as RISE
        does: 224 pixels at a time in an image of 224 × 224.

    Returns
    -------
    Steps of OrderCurve

    Raises
    ------
    ShapeError
        If map and images do not cover the same pixels.
    DataError
        If the map holds NaN, or fewer than one pixel is to be replaced at a time.
    """
    order = _order(begin, end, attribution)
    n_pixels = order.numel()
    per_step = -(-n_pixels // min(begin.shape[-2:])) if pixels_per_step is None else pixels_per_step
    if per_step < 1:
        raise DataError(f"At least one pixel per step is needed, got {per_step}.")
    counts = [*range(0, n_pixels, per_step), n_pixels]
    batch = CPU_BATCH if classifier.device.type == "cpu" else GPU_BATCH
    image, other = begin.flatten(1).clone(), end.flatten(1)
    probabilities: list[float] = []
    done = 0
    for start in range(0, len(counts), batch):
        yield Progress(start, len(counts), "replace pixels")
        images = []
        for count in counts[start : start + batch]:
            now = order[done:count]
            image[:, now] = other[:, now]
            done = count
            images.append(image.reshape(begin.shape).clone())
        probabilities += classifier.predict(torch.stack(images))[:, class_index].tolist()
    values = np.array(probabilities)
    n_steps = len(values) - 1
    area = (values.sum() - (values[0] + values[-1]) / 2) / n_steps
    return OrderCurve(np.array(counts) / n_pixels, values, float(area))


@stepwise
def deletion(
    image: Tensor,
    attribution: ArrayLike,
    classifier: Classifier,
    substrate: float = 0.5,
    pixels_per_step: int | None = None,
) -> Generator[Progress, None, OrderCurve]:
    """Replace an image by a constant, the most important pixels first; low areas are good.

    Parameters
    ----------
    image : (C, *S) Tensor, float32 in [0, 1]
        The class watched is the one that is predicted for it.
    attribution, classifier, pixels_per_step
        See :func:`replace_in_order`.
    substrate : float in [0, 1]
        What is put in place; 0.5 is the zero of networks that work in [-1, 1].

    Returns
    -------
    Steps of OrderCurve

    References
    ----------
    .. [1] Petsiuk et al., "RISE: randomized input sampling for explanation of black-box models",
       BMVC 2018
    """
    index = int(classifier.predict(image[None])[0].argmax())
    empty = torch.full_like(image, substrate)
    curve = yield from replace_in_order(
        image, empty, attribution, classifier, index, pixels_per_step
    )
    return curve


@stepwise
def insertion(
    image: Tensor,
    attribution: ArrayLike,
    classifier: Classifier,
    substrate: float = 0.5,
    pixels_per_step: int | None = None,
) -> Generator[Progress, None, OrderCurve]:
    """Bring an image back from a blurred one, the most important pixels first; high areas are good.

    Parameters
    ----------
    image : (C, *S) Tensor, float32 in [0, 1]
        The class watched is the one that is predicted for it.
    attribution, classifier, pixels_per_step
        See :func:`replace_in_order`.
    substrate : float in [0, 1]
        What lies around the image when it is blurred (kernel of 11 pixels, σ = 5).

    Returns
    -------
    Steps of OrderCurve

    References
    ----------
    .. [1] Petsiuk et al., "RISE: randomized input sampling for explanation of black-box models",
       BMVC 2018
    """
    index = int(classifier.predict(image[None])[0].argmax())
    blurred = _blurred(image, substrate)
    curve = yield from replace_in_order(
        blurred, image, attribution, classifier, index, pixels_per_step
    )
    return curve


@stepwise
def counterfactual_deletion(
    query: Tensor,
    generated: Tensor,
    attribution: ArrayLike,
    classifier: Classifier,
    target: int,
    pixels_per_step: int | None = None,
) -> Generator[Progress, None, OrderCurve]:
    """Take the generated image back to the query; low areas of the target's curve are good.

    Parameters
    ----------
    query, generated : (C, *S) Tensor, float32 in [0, 1]
        The pair.
    attribution, classifier, pixels_per_step
        See :func:`replace_in_order`.
    target : int
        Class whose probability is watched.

    Returns
    -------
    Steps of OrderCurve
    """
    curve = yield from replace_in_order(
        generated, query, attribution, classifier, target, pixels_per_step
    )
    return curve


@stepwise
def counterfactual_insertion(
    query: Tensor,
    generated: Tensor,
    attribution: ArrayLike,
    classifier: Classifier,
    target: int,
    pixels_per_step: int | None = None,
) -> Generator[Progress, None, OrderCurve]:
    """Bring the generated image into the query; high areas of the target's curve are good.

    The QuAC curve without closing and softening, over the number of pixels.

    Parameters
    ----------
    query, generated : (C, *S) Tensor, float32 in [0, 1]
        The pair.
    attribution, classifier, pixels_per_step
        See :func:`replace_in_order`.
    target : int
        Class whose probability is watched.

    Returns
    -------
    Steps of OrderCurve
    """
    curve = yield from replace_in_order(
        query, generated, attribution, classifier, target, pixels_per_step
    )
    return curve


def _order(begin: Tensor, end: Tensor, attribution: ArrayLike) -> Tensor:
    """Return the flat indices of the pixels, the most important first."""
    values = np.asarray(attribution, dtype=np.float64)
    if values.ndim == begin.ndim:
        values = values.max(axis=0)
    if begin.shape != end.shape or values.shape != tuple(begin.shape[1:]):
        raise ShapeError(
            f"The images have shapes {tuple(begin.shape)} and {tuple(end.shape)}, the map "
            f"{values.shape}. All have to cover the same pixels."
        )
    if np.isnan(values).any():
        raise DataError("The map holds NaN, so its pixels have no order. Compute it again.")
    return torch.from_numpy(np.argsort(-values, axis=None, kind="stable"))


def _blurred(image: Tensor, around: float) -> Tensor:
    size, sigma = RISE_BLUR
    offsets = np.arange(size) - size // 2
    kernel = np.exp(-(offsets**2) / (2 * sigma**2))
    kernel /= kernel.sum()
    blurred = image.numpy().astype(np.float64)
    for axis in (-2, -1):  # a volume is blurred slice by slice
        blurred = convolve1d(blurred, kernel, axis=axis, mode="constant", cval=around)
    return torch.from_numpy(blurred.astype(np.float32))
