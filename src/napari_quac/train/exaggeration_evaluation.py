"""How well the images of an explainer have the probability that was asked for."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from scipy.stats import spearmanr

from napari_quac.data.dataset import Dataset
from napari_quac.explain.exaggeration import bin_centre, consistency, validity
from napari_quac.generators.exaggeration.generator import ExaggerationGenerator
from napari_quac.stepwise import Progress, stepwise
from napari_quac.train.exaggeration_step import Posterior

GOOD = 0.95


@dataclass(frozen=True)
class BinEvaluation:
    """How well achieved probabilities follow the desired ones.

    Attributes
    ----------
    n_images : int
        Images that were taken through all bins.
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
        Share of the images that are called the other class at the other end.
    validity : float or None
        Share, among those with a probability below 0.2 or above 0.8, whose probability changes
        by more than 0.8 at the other end; None if there are none.
    mean_change : float
        Mean absolute change at the other end, on a range of 1.
    reconstruction_error : float
        Mean absolute change in the image's own bin, where there should be none.
    judged_by : str
        The classifier that is explained: this says how well its bins are met, and nothing of
        what another classifier would say.
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
    judged_by: str

    def to_json(self) -> dict[str, Any]:
        """Return the numbers as JSON-ready values."""
        return asdict(self)


@stepwise
def evaluate_explainer(
    generator: ExaggerationGenerator, posterior: Posterior, dataset: Dataset
) -> Generator[Progress, None, BinEvaluation]:
    """Take every image through all bins and ask the classifier.

    Parameters
    ----------
    generator : ExaggerationGenerator
        The explainer.
    posterior : Posterior
        The classifier that it explains, and its two classes.
    dataset : Dataset
        Images of the two classes.

    References
    ----------
    .. [1] Singla et al., "Explanation by progressive exaggeration", ICLR 2020.
    """
    n_bins = generator.n_bins
    desired = np.array([bin_centre(index, n_bins) for index in range(n_bins)])
    achieved, at_rest, ends, changes, errors = [], [], [], [], []
    for index in range(len(dataset)):
        yield Progress(index, len(dataset), "asking about the bins")
        query = dataset[index].image
        made = generator.traversal(query)
        images = torch.cat([query[None], made]).to(posterior.classifier.device)
        with torch.no_grad():
            q = posterior.log_odds(posterior.logits(images)).double().sigmoid().cpu().numpy()
        at_rest.append(q[0])
        achieved.append(q[1:])
        end = n_bins - 1 if q[0] < 0.5 else 0
        ends.append(q[1 + end])
        changes.append(float((made[end] - query).abs().mean()))
        own = min(n_bins - 1, int(n_bins * q[0]))
        errors.append(float((made[own] - query).abs().mean()))
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
