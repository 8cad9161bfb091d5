"""Decrease of the prediction while pixels are replaced in the order of a map."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_quac.errors import ShapeError
from napari_quac.networks.classifier import CPU_BATCH, Classifier
from napari_quac.networks.fido.optimize import log_odds
from napari_quac.stepwise import Progress, stepwise

LEVELS = (0.1, 0.2, 0.3, 0.4)


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
    if infill.shape != query.shape or values.shape[1:] != query.shape[1:]:
        raise ShapeError(
            f"Query {tuple(query.shape)}, infill {tuple(infill.shape)} and map "
            f"{tuple(values.shape)} do not cover the same pixels."
        )
    order = values.amax(dim=0).flatten().argsort(descending=True, stable=True)
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
            scores.append(log_odds(classifier.logits(images), source).double().cpu().numpy())
    curve = np.concatenate(scores)
    total = curve[0] - curve[-1]
    fall = (curve[0] - curve) / total if abs(total) > 1e-9 else np.full(n_points, np.nan)
    share = counts / n_pixels
    needed = {
        level: float(share[np.argmax(fall >= level)]) if np.any(fall >= level) else float("nan")
        for level in LEVELS
    }
    return Flipping(share, curve, fall, needed)
