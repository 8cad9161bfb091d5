"""Probability bins of a classifier: losses of images in them, and the evaluation of a generator."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from scipy.stats import spearmanr
from torch import Tensor

from napari_quac.data.dataset import Dataset
from napari_quac.errors import NotFiniteError
from napari_quac.explain.exaggeration import bin_center, consistency, validity
from napari_quac.generators.exaggeration.generator import ExaggerationGenerator
from napari_quac.networks.classifier import Classifier
from napari_quac.stepwise import Progress, stepwise
from napari_quac.train.images import resize_for
from napari_quac.train.task import FamilyEvaluation

GOOD = 0.95


class Posterior:
    """Probability of the positive class, by the classifier being explained.

    Parameters
    ----------
    classifier : Classifier
        The classifier being explained.
    negative, positive : int
        Its indices of the two classes.
    """

    def __init__(self, classifier: Classifier, negative: int, positive: int) -> None:
        self.classifier, self.negative, self.positive = classifier, negative, positive
        self.rest = [i for i in range(classifier.n_classes) if i != positive]

    def logits(self, images: Tensor) -> Tensor:
        """Return the logits (N, K) of images (N, C, S, S) in [0, 1], resized for the classifier."""
        return self.classifier.logits(resize_for(self.classifier, images)).float()

    def log_odds(self, logits: Tensor) -> Tensor:
        """Return the log-odds (N,) of the positive class against all others."""
        if self.classifier.is_independent:
            return logits[:, self.positive]
        return logits[:, self.positive] - logits[:, self.rest].logsumexp(dim=1)

    def of_others(self, logits: Tensor) -> Tensor:
        """Return minus the log probability (N,) of being either of the two classes."""
        if self.classifier.is_independent:  # the classes do not exclude each other
            return torch.zeros_like(logits[:, 0])
        return logits.logsumexp(1) - logits[:, [self.negative, self.positive]].logsumexp(1)


def consistency_loss(log_odds: Tensor, bins: Tensor, n_bins: int) -> Tensor:
    """Return the distance of probabilities from the centers of their bins.

    It is the Huber distance of the log-odds, so that all bins weigh alike. The first and the last
    bin are open: probabilities beyond their center cost nothing.

    Parameters
    ----------
    log_odds : (N,) Tensor
        Log-odds of the achieved probabilities.
    bins : (N,) Tensor, int64
        Target bins.
    n_bins : int
        Number of bins.

    Returns
    -------
    loss : Tensor
        A number, 0 or more.
    """
    desired = ((bins + 0.5) / n_bins).logit()
    off = log_odds - desired
    open_below, open_above = bins == 0, bins == n_bins - 1
    off = torch.where(open_below, off.clamp(min=0), off)
    off = torch.where(open_above, off.clamp(max=0), off)
    return F.smooth_l1_loss(off, torch.zeros_like(off))


def order_loss(log_odds: Tensor, bins: Tensor, n_bins: int) -> Tensor:
    """Return the distance of two images of a query from lying as far apart as their bins.

    Where both are still far from their bins, :func:`consistency_loss` draws them the same way and
    does not separate them; this loss does.

    Parameters
    ----------
    log_odds : (2N,) Tensor
        Log-odds of the achieved probabilities; query n has the images n and N + n.
    bins : (2N,) Tensor, int64
        Target bins.
    n_bins : int
        Number of bins.

    Returns
    -------
    loss : Tensor
        A number, 0 or more; lying further apart costs nothing.
    """
    desired = ((bins + 0.5) / n_bins).logit()
    (first, second), (first_desired, second_desired) = log_odds.chunk(2), desired.chunk(2)
    distance = second_desired - first_desired
    lacking = F.relu(distance.abs() - (second - first) * distance.sign())
    return F.smooth_l1_loss(lacking, torch.zeros_like(lacking))


def bins_of(posteriors: Tensor, n_bins: int) -> Tensor:
    """Return the bins (N,) of probabilities (N,); 1.0 belongs to the last one.

    Raises
    ------
    NotFiniteError
        If a probability is NaN, which would count as the first bin.
    """
    if torch.isnan(posteriors).any():
        raise NotFiniteError(
            "The classifier returned NaN for images of the training. Check its weights and its "
            "value range."
        )
    return (n_bins * posteriors).floor().long().clamp(0, n_bins - 1)


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
        if not np.isfinite(q).all():
            raise NotFiniteError(
                f"The classifier returned NaN or infinity for images of '{dataset.name}'. Check "
                "the weights and value ranges of both networks."
            )
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
