"""Hybrids, and the QuAC curve: score change against mask size, over all thresholds."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_quac.errors import NotFiniteError, ShapeError
from napari_quac.explain.attribution import Attribution
from napari_quac.explain.mask import Masking
from napari_quac.explain.pair import Pair
from napari_quac.explain.procedure import Grid, Procedure
from napari_quac.explain.score import ABSCISSAE, best_point, interpolate_curve, quac_score
from napari_quac.networks.classifier import Classifier
from napari_quac.stepwise import Progress, stepwise


@dataclass(frozen=True, eq=False)
class Hybrid:
    """A hybrid image with its mask and its prediction.

    Attributes
    ----------
    threshold : float
    mask : (C, *S) Tensor, float32 in [0, 1]
        Softened.
    image : (C, *S) Tensor, float32 in [0, 1]
    mask_size : float in [0, 1]
        Share of the image's values in the mask, before softening.
    n_pixels : int
        Number of these values (pixels × channels).
    prediction : (K,) Tensor, float32 in [0, 1]
    score_change : float in [-1, 1]
        Increase of the target's probability over the query; see :meth:`~.pair.Pair.score_changes`.
    """

    threshold: float
    mask: Tensor
    image: Tensor
    mask_size: float
    n_pixels: int
    prediction: Tensor
    score_change: float


def blend(query: Tensor, generated: Tensor, mask: Tensor) -> Tensor:
    r"""Copy the masked part of the generated image into the query.

    .. math:: h = m \odot x_t + (1 - m) \odot x

    Parameters
    ----------
    query : (C, *S) Tensor, float32 in [0, 1]
        The query image :math:`x`.
    generated : (C, *S) Tensor, float32 in [0, 1]
        The generated image :math:`x_t`.
    mask : (..., C, *S) or (1, *S) Tensor, float32 in [0, 1]
        Share of ``generated`` to take at each pixel; 0 keeps the query. Swapping the two images
        gives the inverse hybrid.

    Returns
    -------
    hybrid : Tensor, float32 in [0, 1], of the broadcast shape

    Raises
    ------
    ShapeError
        If the three have different shapes.

    References
    ----------
    .. [1] Adjavon et al., "Quantitative Attributions with Counterfactuals",
       2024, doi:10.1101/2024.11.26.625505

    Examples
    --------
    >>> import torch
    >>> x, g = torch.zeros(1, 2, 2), torch.ones(1, 2, 2)
    >>> blend(x, g, torch.tensor([[[1.0, 0.0], [0.5, 0.0]]]))
    tensor([[[1.0000, 0.0000],
             [0.5000, 0.0000]]])
    """
    spatial = query.ndim - 1
    if (
        generated.shape != query.shape
        or mask.shape[-spatial:] != query.shape[-spatial:]
        or mask.shape[-query.ndim : -spatial] not in ((), (1,), query.shape[:1])
    ):
        raise ShapeError(
            f"Query {tuple(query.shape)}, generated image {tuple(generated.shape)} and mask "
            f"{tuple(mask.shape)} do not cover the same pixels."
        )
    return generated * mask + query * (1 - mask)


def threshold_grid(grid: Grid = "quac_0_2") -> NDArray[np.float64]:
    """Return the thresholds of a curve, ascending.

    Parameters
    ----------
    grid : "quac_0_2", "corrected" or "dapi"
        ``quac_0_2`` is the QuAC library's ``arange(-1, 1, 0.01)``: 200 values, of which the first
        hundred give the full mask and the 101st is 8.9e-16. ``corrected`` is the full mask and
        then 0, 0.01, …, 1 as exact decimals. ``dapi`` is -1, -0.99, …, 1, for signed maps.
    """
    if grid == "quac_0_2":
        return np.arange(-1, 1, 0.01)
    if grid == "dapi":
        return np.arange(-100, 101) / 100
    return np.concatenate([[-1.0], np.arange(101) / 100])


@dataclass(frozen=True, eq=False)
class Curve:
    """Score change against mask size, with the hybrids of all thresholds.

    Attributes
    ----------
    method : str
    thresholds : (T,) ndarray, float64
        Ascending.
    mask_sizes : (T,) ndarray, float64 in [0, 1]
        Falling.
    predictions : (T, K) ndarray, float32 in [0, 1]
        Class probabilities of the hybrids.
    score_changes : (T,) ndarray, float64 in [-1, 1]
        Increase of the target's probability over the query; see :meth:`~.pair.Pair.score_changes`.
    closed : (C, *S) ndarray, float32
        The closed attribution, from which each mask follows by one comparison.
    masking : Masking
    quac_score : float
        Area under the curve.
    best : int
        Index of the optimum, where score change − mask size is largest.
    n_evaluated : int
        Number of classified hybrids; each distinct mask is classified once.
    degenerate : bool
        True for a constant attribution; the score is 0 by definition.
    """

    method: str
    thresholds: NDArray[np.float64]
    mask_sizes: NDArray[np.float64]
    predictions: NDArray[np.float32]
    score_changes: NDArray[np.float64]
    closed: NDArray[np.float32]
    masking: Masking
    quac_score: float
    best: int
    n_evaluated: int
    degenerate: bool = False

    @property
    def optimal_threshold(self) -> float:
        """Threshold of the optimum."""
        return float(self.thresholds[self.best])

    def interpolate(self, mask_sizes: NDArray[np.float64] = ABSCISSAE) -> NDArray[np.float64]:
        """Return the score changes at mask sizes 0, 0.01, …, 1, or at others."""
        return interpolate_curve(self.mask_sizes, self.score_changes, mask_sizes)

    def index_at(self, threshold: float) -> int:
        """Return the position in ``thresholds`` of the distinct mask that a threshold belongs to.

        A threshold between two positions takes the larger mask.
        """
        positions = self.distinct()
        n_below = int(np.searchsorted(self.thresholds[positions], threshold + 1e-9, side="right"))
        return int(positions[max(0, n_below - 1)])

    def distinct(self) -> NDArray[np.intp]:
        """Return the indices of thresholds with different masks, the first of each group.

        These are the positions of the slider, from the largest mask to the smallest; the optimum
        is one of them.
        """
        first_of_group = np.append(True, np.diff(self.mask_sizes) != 0)
        return np.flatnonzero(first_of_group)


@stepwise
def trace_curve(
    pair: Pair,
    attribution: Attribution,
    classifier: Classifier,
    masking: Masking | None = None,
    grid: Grid = "quac_0_2",
    batch_size: int | None = None,
    procedure: Procedure | None = None,
    n_masks: int | None = None,
) -> Generator[Progress, None, Curve]:
    """Evaluate the hybrids of all thresholds.

    Parameters
    ----------
    pair : Pair
        Query and generated image with their predictions.
    attribution : Attribution
        A map of one channel counts for all channels of the image.
    classifier : Classifier
        The classifier under study.
    masking : Masking, optional
        Conversion of a threshold to a mask; by default as in the QuAC library.
    grid : "quac_0_2" or "corrected"
        See :func:`threshold_grid`.
    batch_size : int, optional
        Hybrids at a time; changes no result.
    procedure : Procedure, optional
        Map to threshold and criterion of the optimum; by default as in the QuAC library. ``pair``
        must have the roles of the procedure.
    n_masks : int, optional
        Evaluate at most this number of different masks, at fewer thresholds; by default all.

    Returns
    -------
    Steps of Curve
        One step per batch of hybrids.

    Raises
    ------
    ShapeError
        If attribution and query have different shapes.
    NotFiniteError
        If the attribution contains NaN or infinity.

    Notes
    -----
    Masks are nested, so masks of equal size are equal; each is evaluated once.
    """
    masking, procedure = masking or Masking(), procedure or Procedure()
    thresholds = threshold_grid(grid)
    values = _checked_values(pair, attribution, procedure.signed)
    if attribution.degenerate:
        return _flat_curve(pair, attribution.method, thresholds, masking)
    closed = masking.close(values)
    sizes = _count_above(closed, thresholds)
    if n_masks is not None:
        chosen = _choose_masks(sizes, n_masks)
        thresholds, sizes = thresholds[chosen], sizes[chosen]
    _, first_of, group_of = np.unique(-sizes, return_index=True, return_inverse=True)
    batch_size = batch_size or classifier.batch_for(values.shape[1:])
    compared = closed.astype(np.float64)  # as Masking.hard compares, once for all thresholds
    predictions = []
    for start in range(0, len(first_of), batch_size):
        yield Progress(start, len(first_of), f"curve of {attribution.method}")
        levels = thresholds[first_of[start : start + batch_size]]
        masks = masking.soften(compared > levels.reshape(-1, *(1,) * closed.ndim))
        hybrids = blend(pair.query.image, pair.generated, torch.from_numpy(masks))
        predictions.append(classifier.predict(hybrids, batch_size).numpy())
    all_predictions = np.concatenate(predictions)[group_of]
    changes = pair.score_changes(all_predictions).astype(np.float64)
    mask_sizes = sizes / closed.size
    score, best = (
        quac_score(mask_sizes, changes),
        best_point(mask_sizes, changes, procedure.optimum),
    )
    return Curve(
        attribution.method, thresholds, mask_sizes, all_predictions, changes, closed, masking,
        score, best, n_evaluated=len(first_of),
    )  # fmt: skip


def _count_above(closed: NDArray[np.float32], thresholds: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the number of values above each threshold."""
    ascending = np.sort(closed, axis=None).astype(np.float64)
    return np.asarray(closed.size - np.searchsorted(ascending, thresholds, side="right"))


def _choose_masks(sizes: NDArray[np.intp], n_masks: int) -> NDArray[np.intp]:
    """Return the positions of different masks, evenly spread over size and threshold.

    Sizes alone would choose few, because most of an image is often in the first mask only.
    """
    _, first_of = np.unique(-sizes, return_index=True)
    n_distinct = len(first_of)
    if n_distinct <= n_masks:
        return first_of
    roots = np.sqrt(sizes[first_of])
    by_size = (roots[0] - roots) / max(roots[0] - roots[-1], 1)
    places = by_size + np.arange(n_distinct) / (n_distinct - 1)
    levels = np.linspace(0, places[-1], n_masks)
    return np.asarray(first_of[np.unique(np.searchsorted(places, levels - 1e-9))])


def _checked_values(pair: Pair, attribution: Attribution, signed: bool) -> NDArray[np.float32]:
    """Return the map to threshold, with the shape of the query."""
    shape = tuple(pair.query.image.shape)
    values = (signed_values(attribution) if signed else attribution.values).numpy()
    if values.shape[1:] != shape[1:] or values.shape[0] not in (1, shape[0]):
        raise ShapeError(
            f"The attribution has shape {values.shape}, the query {shape}. Both must have the same "
            "shape, or the attribution one channel of the same size."
        )
    if not np.isfinite(values).all():
        raise NotFiniteError(
            f"The attribution '{attribution.method}' of '{pair.query.id}' contains NaN or "
            "infinity. Repair the map, or compute it again."
        )
    return np.broadcast_to(values, shape)


def signed_values(attribution: Attribution) -> torch.Tensor:
    """Return a map with its sign, divided by its largest absolute value; (C, *S) in [-1, 1]."""
    largest = attribution.signed.abs().max()
    return attribution.signed / largest if largest > 0 else attribution.signed


def _flat_curve(
    pair: Pair, method: str, thresholds: NDArray[np.float64], masking: Masking
) -> Curve:
    """Return the curve of a constant map: empty masks, no change, score 0."""
    zeros = np.zeros(len(thresholds))
    predictions = np.tile(pair.query_prediction.numpy(), (len(thresholds), 1))
    closed = np.full(tuple(pair.query.image.shape), -np.inf, dtype=np.float32)
    return Curve(
        method, thresholds, zeros, predictions, zeros, closed, masking, 0.0, 0, 0, degenerate=True
    )


def hybrid_at(pair: Pair, curve: Curve, index: int) -> Hybrid:
    """Return the hybrid of one threshold of a curve, without the network.

    Parameters
    ----------
    pair : Pair
        The pair of the curve.
    curve : Curve
        The curve.
    index : int
        Position in ``curve.thresholds``.
    """
    threshold = float(curve.thresholds[index])
    hard = curve.masking.hard(curve.closed, threshold)
    prediction = torch.from_numpy(curve.predictions[index])
    change, size = float(curve.score_changes[index]), float(curve.mask_sizes[index])
    mask = torch.from_numpy(curve.masking.soften(hard))
    image = blend(pair.query.image, pair.generated, mask).clamp(0, 1)
    return Hybrid(threshold, mask, image, size, int(hard.sum()), prediction, change)


def make_hybrid(
    pair: Pair,
    attribution: Attribution,
    classifier: Classifier,
    threshold: float,
    masking: Masking | None = None,
) -> Hybrid:
    """Create and classify the hybrid of any threshold.

    Parameters
    ----------
    pair : Pair
        Query and generated image with their predictions.
    attribution : Attribution
        Attribution of the pair.
    classifier : Classifier
        The classifier under study.
    threshold : float
        In [0, 1]; below 0 the mask is full.
    masking : Masking, optional
        Conversion of a threshold to a mask; by default as in the QuAC library.
    """
    masking = masking or Masking()
    values = np.broadcast_to(attribution.values.numpy(), tuple(pair.query.image.shape))
    hard = masking.hard(masking.close(values), threshold)
    if attribution.degenerate:
        hard = np.zeros_like(hard)
    mask = torch.from_numpy(masking.soften(hard))
    image = blend(pair.query.image, pair.generated, mask)
    prediction = classifier.predict(image[None])[0]
    change = float(pair.score_changes(prediction))
    size, n_pixels = float(hard.mean()), int(hard.sum())
    return Hybrid(threshold, mask, image.clamp(0, 1), size, n_pixels, prediction, change)
