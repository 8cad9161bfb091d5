"""Deletion and insertion: the prediction while pixels are replaced, the most important first.

Between the two images of a pair (:func:`replace_in_order`), the classifier never sees anything but
pixels of real or generated images: from the generated image to the query is the counterfactual
deletion, where a low area under the target's curve is good; from the query to the generated image
is the counterfactual insertion, where a high area is good. The latter is the QuAC curve without
closing and softening, over the number of pixels.
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
from napari_quac.networks.fido.optimize import log_odds
from napari_quac.stepwise import Progress, Steps, stepwise

RISE_BLUR = (11, 5.0)
LEVELS = (0.1, 0.2, 0.3, 0.4)


@dataclass(frozen=True, eq=False)
class OrderCurve:
    """Probability of a class while pixels are replaced.

    Attributes
    ----------
    shares : (T,) ndarray, float64 in [0, 1]
        Share of replaced pixels, from 0 to 1.
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
    """Replace the pixels of one image by those of another, in falling order of a map.

    Parameters
    ----------
    begin, end : (C, *S) Tensor, float32 in [0, 1]
        The images; a pixel is replaced in all its channels.
    attribution : (C, *S) or (*S) array_like
        Reduced over channels by its maximum; among equal values, the first pixel goes first.
    classifier : Classifier
        The classifier under study.
    class_index : int
        Class whose probability is recorded.
    pixels_per_step : int, optional
        By default, the number of steps equals the number of pixels along the shorter side, as in
        RISE: 224 pixels per step for an image of 224 × 224.

    Returns
    -------
    Steps of OrderCurve

    Raises
    ------
    ShapeError
        If map and images have different shapes.
    DataError
        If the map contains NaN, or ``pixels_per_step`` is below 1.
    """
    order = _order(begin, end, attribution)
    n_pixels = order.numel()
    per_step = -(-n_pixels // min(begin.shape[-2:])) if pixels_per_step is None else pixels_per_step
    if per_step < 1:
        raise DataError(f"The number of pixels per step is {per_step}; it must be 1 or more.")
    counts = [*range(0, n_pixels, per_step), n_pixels]
    batch = CPU_BATCH if classifier.device.type == "cpu" else GPU_BATCH
    image, other = begin.flatten(1).clone(), end.flatten(1)
    probabilities: list[float] = []
    n_replaced = 0
    for start in range(0, len(counts), batch):
        yield Progress(start, len(counts), "replace pixels")
        images = []
        for count in counts[start : start + batch]:
            step = order[n_replaced:count]
            image[:, step] = other[:, step]
            n_replaced = count
            images.append(image.reshape(begin.shape).clone())
        probabilities += classifier.predict(torch.stack(images))[:, class_index].tolist()
    values = np.array(probabilities)
    n_steps = len(values) - 1
    area = (values.sum() - (values[0] + values[-1]) / 2) / n_steps
    return OrderCurve(np.array(counts) / n_pixels, values, float(area))


def deletion(
    image: Tensor,
    attribution: ArrayLike,
    classifier: Classifier,
    substrate: float = 0.5,
    pixels_per_step: int | None = None,
) -> Steps[OrderCurve]:
    """Replace an image by a constant, the most important pixels first; low areas are good.

    Parameters
    ----------
    image : (C, *S) Tensor, float32 in [0, 1]
        The curve follows the probability of its predicted class.
    attribution, classifier, pixels_per_step
        See :func:`replace_in_order`.
    substrate : float in [0, 1]
        Value of the replaced pixels; 0.5 is the zero of networks with the input range [-1, 1].

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
    return replace_in_order(image, empty, attribution, classifier, index, pixels_per_step)


def insertion(
    image: Tensor,
    attribution: ArrayLike,
    classifier: Classifier,
    substrate: float = 0.5,
    pixels_per_step: int | None = None,
) -> Steps[OrderCurve]:
    """Restore an image from a blurred one, the most important pixels first; high areas are good.

    Parameters
    ----------
    image : (C, *S) Tensor, float32 in [0, 1]
        The curve follows the probability of its predicted class.
    attribution, classifier, pixels_per_step
        See :func:`replace_in_order`.
    substrate : float in [0, 1]
        Padding value of the blur (kernel of 11 pixels, σ = 5).

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
    return replace_in_order(blurred, image, attribution, classifier, index, pixels_per_step)


def _order(begin: Tensor, end: Tensor, attribution: ArrayLike) -> Tensor:
    """Return the flat indices of the pixels, the most important first."""
    values = np.asarray(attribution, dtype=np.float64)
    if values.ndim == begin.ndim:
        values = values.max(axis=0)
    if begin.shape != end.shape or values.shape != tuple(begin.shape[1:]):
        raise ShapeError(
            f"The images have shapes {tuple(begin.shape)} and {tuple(end.shape)}, the map "
            f"{values.shape}. All must cover the same pixels."
        )
    if np.isnan(values).any():
        raise DataError("The map contains NaN. Compute the attribution again.")
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


@dataclass(frozen=True, eq=False)
class Flipping:
    """Log-odds of the source while pixels are replaced in decreasing importance.

    Attributes
    ----------
    replaced : (P,) ndarray, float64 in [0, 1]
        Share of replaced pixels, from 0 to 1.
    log_odds : (P,) ndarray, float64
        Of the source.
    fall : (P,) ndarray, float64
        Scaled decrease: 0 for the query, 1 for the completely infilled image.
    needed : dict from float to float
        Share of replaced pixels at which the decrease first reaches 10, 20, 30 and 40 %; NaN if it
        never does.
    """

    replaced: NDArray[np.float64]
    log_odds: NDArray[np.float64]
    fall: NDArray[np.float64]
    needed: dict[float, float]


@stepwise
def flipping(
    query: Tensor,
    infill: Tensor,
    values: Tensor,
    source: int,
    classifier: Classifier,
    n_points: int = 51,
) -> Generator[Progress, None, Flipping]:
    """Replace pixels in decreasing importance and follow the log-odds of the source.

    Parameters
    ----------
    query, infill : (C, *S) Tensor, float32 in [0, 1]
        The image and its replacement.
    values : (C or 1, *S) Tensor
        Importance; the maximum over the channels counts.
    source : int
        Class of the log-odds.
    classifier : Classifier
        The classifier under study.
    n_points : int
        Number of points from the query to the infill.

    Raises
    ------
    ShapeError
        If the three have different shapes.

    References
    ----------
    .. [1] Chang, Creager, Goldenberg, Duvenaud, "Explaining image classifiers by counterfactual
       generation", ICLR 2019.
    """
    order = _order(query, infill, values)
    n_pixels = len(order)
    counts = np.linspace(0, n_pixels, n_points).round().astype(np.int64)
    rank = order.argsort().view(1, *query.shape[1:])
    scores = []
    for start in range(0, n_points, CPU_BATCH):
        yield Progress(start, n_points, "replace pixels in order")
        part = torch.from_numpy(counts[start : start + CPU_BATCH])
        replaced = rank[None] < part.view(-1, *(1,) * query.ndim)
        images = torch.where(replaced, infill[None], query[None]).to(classifier.device)
        with torch.no_grad():
            odds = log_odds(classifier.logits(images), source, classifier.is_independent)
            scores.append(odds.double().cpu().numpy())
    curve = np.concatenate(scores)
    total = curve[0] - curve[-1]
    fall = (curve[0] - curve) / total if abs(total) > 1e-9 else np.full(n_points, np.nan)
    share = counts / n_pixels
    needed = {
        level: float(share[np.argmax(fall >= level)]) if np.any(fall >= level) else float("nan")
        for level in LEVELS
    }
    return Flipping(share, curve, fall, needed)
