"""Evaluation of a bin-conditional generator: achieved against desired probability."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr

from napari_quac.data.dataset import Dataset
from napari_quac.explain.exaggeration import bin_center, consistency, validity
from napari_quac.generators.exaggeration.bins import Posterior
from napari_quac.generators.exaggeration.generator import ExaggerationGenerator
from napari_quac.stepwise import Progress, stepwise
from napari_quac.train.task import FamilyEvaluation

GOOD = 0.95


@dataclass(frozen=True)
class BinEvaluation(FamilyEvaluation):
    """Agreement of achieved and desired probabilities.

    Attributes
    ----------
    n_images : int
        Images in the evaluation, each in all bins.
    rank_correlation : float
        Median over the images of Spearman's rank correlation of desired and achieved.
    rank_correlation_low : float
        Its tenth percentile.
    share_good : float
        Share of the images with a rank correlation of at least 0.95.
    mean_error : float
        Mean absolute difference of desired and achieved, over all images and bins.
    correlation : float
        Pearson's, over all images and bins.
    flipped : float
        Share of the images that are classified as the other class at the other end.
    validity : float or None
        Share, among those with a probability below 0.2 or above 0.8, whose probability changes
        by more than 0.8 at the other end; None if there are none.
    mean_change : float
        Mean absolute change at the other end, on a range of 1.
    reconstruction_error : float
        Mean absolute change in the image's own bin, where there should be none.
    classifier : str
        Classifier being explained, whose bins these are; another classifier may disagree.
    """

    n_images: int
    rank_correlation: float
    rank_correlation_low: float
    share_good: float
    mean_error: float
    correlation: float
    flipped: float
    validity: float | None
    mean_change: float
    reconstruction_error: float
    classifier: str


@stepwise
def evaluate_bins(
    generator: ExaggerationGenerator, posterior: Posterior, dataset: Dataset
) -> Generator[Progress, None, BinEvaluation]:
    """Generate every image in all bins and predict its probability.

    Parameters
    ----------
    generator : ExaggerationGenerator
        Bin-conditional generator.
    posterior : Posterior
        Classifier that it explains, and its two classes.
    dataset : Dataset
        Images of the two classes.

    References
    ----------
    .. [1] Singla et al., "Explanation by progressive exaggeration", ICLR 2020.
    """
    n_bins = generator.n_bins
    desired = np.array([bin_center(index, n_bins) for index in range(n_bins)])
    achieved, at_rest, ends, changes, errors = [], [], [], [], []
    for index in range(len(dataset)):
        yield Progress(index, len(dataset), "evaluating the bins")
        query = dataset[index].image
        generated = generator.traversal(query)
        images = torch.cat([query[None], generated]).to(posterior.classifier.device)
        with torch.no_grad():
            q = posterior.log_odds(posterior.logits(images)).double().sigmoid().cpu().numpy()
        at_rest.append(q[0])
        achieved.append(q[1:])
        end = n_bins - 1 if q[0] < 0.5 else 0
        ends.append(q[1 + end])
        changes.append(float((generated[end] - query).abs().mean()))
        query_bin = min(n_bins - 1, int(n_bins * q[0]))
        errors.append(float((generated[query_bin] - query).abs().mean()))
    table, query_q, end_q = np.array(achieved), np.array(at_rest), np.array(ends)
    ranks = [_rank_correlation(desired, row) for row in table]
    follows = consistency(np.tile(desired, len(table)), table.ravel())
    share_valid, n_sure = validity(query_q, end_q)
    return BinEvaluation(
        len(table),
        float(np.median(ranks)),
        float(np.quantile(ranks, 0.1)),
        float(np.mean(np.array(ranks) >= GOOD)),
        follows.mean_error,
        follows.correlation,
        float(np.mean((end_q > 0.5) != (query_q > 0.5))),
        share_valid if n_sure else None,
        float(np.mean(changes)),
        float(np.mean(errors)),
        posterior.classifier.name,
    )


def _rank_correlation(desired: np.ndarray[Any, Any], achieved: np.ndarray[Any, Any]) -> float:
    """Return Spearman's rank correlation; 0 where nothing changes."""
    return float(spearmanr(desired, achieved).statistic) if np.ptp(achieved) > 0 else 0.0
