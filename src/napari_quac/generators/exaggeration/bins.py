"""Probability bins of a classifier, and the losses of images in them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from napari_quac.networks.classifier import Classifier
from napari_quac.train.images import resize_for


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
        return logits[:, self.positive] - logits[:, self.rest].logsumexp(dim=1)

    def of_others(self, logits: Tensor) -> Tensor:
        """Return minus the log probability (N,) of being either of the two classes."""
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
    """Return the bins (N,) of probabilities (N,); 1.0 belongs to the last one."""
    return (n_bins * posteriors).floor().long().clamp(0, n_bins - 1)
