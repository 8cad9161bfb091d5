"""Progressive exaggeration: the query turned into the target step by step, and beyond."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr
from torch import Tensor

from napari_quac.explain.exaggeration_paths import image_path
from napari_quac.explain.neighbors import penultimate_features
from napari_quac.explain.pair import Pair
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.generator import Generator as GeneratorProtocol
from napari_quac.networks.generator import ImagePath
from napari_quac.stepwise import Progress, stepwise

N_GRID = 33  # points between the source's and the target's style
BEYOND = (1.25, 1.5)
DESIRED = tuple(round(0.05 + 0.1 * step, 2) for step in range(10))
DROP_WARNING = 0.1


@dataclass(frozen=True, eq=False)
class Exaggeration:
    """A path of images from the query's class to the target, and a ladder of probabilities on it.

    Attributes
    ----------
    pair : Pair
        Query, and what it became.
    alphas : (A,) ndarray
        0 is the style of the source, 1 that of the target, above 1 is exaggerated.
    images : (A, C, *S) Tensor, float32 in [0, 1]
    posteriors : (A,) ndarray, float64 in [0, 1]
        Probability of the target.
    off_manifold : (A,) ndarray of bool
        The style lies further out than 99 % of those the generator knows; read with care.
    anchored : bool
        The generator's error at alpha 0 was taken off all images.
    desired : (10,) ndarray
        Probabilities that were asked for: 0.05, 0.15, …, 0.95.
    achieved : (10,) ndarray
        What came out; NaN where the path never gets there.
    ladder_alphas : (10,) ndarray
    ladder : (10, C, *S) Tensor, float32 in [0, 1]
        Images of the ladder; the query where it is unreachable.
    reconstruction_error : float
        Mean absolute difference between the query and the image at alpha 0.
    reconstruction_shift : float
        Absolute difference of their probabilities of the target.
    kind : str
        Kind of the path: *style*, *bins*, *warp*, *fade*, or that of another package. With *bins*,
        ``desired`` are their centers, and alpha 0 stands for the bin of the query.
    meaning, caution : str
        As for :class:`~napari_quac.networks.generator.ImagePath`.
    similarity : (A,) ndarray or None
        How much the classifier sees of the query in each image, see :func:`similarity_to`.
    """

    pair: Pair
    alphas: NDArray[np.float64]
    images: Tensor
    posteriors: NDArray[np.float64]
    off_manifold: NDArray[np.bool_]
    anchored: bool
    desired: NDArray[np.float64]
    achieved: NDArray[np.float64]
    ladder_alphas: NDArray[np.float64]
    ladder: Tensor
    reconstruction_error: float
    reconstruction_shift: float
    kind: str = "style"
    meaning: str = ""
    caution: str = ""
    similarity: NDArray[np.float64] | None = None

    @property
    def is_valid(self) -> bool | None:
        """Whether a query that the classifier is sure of changes by more than 0.8 at alpha 1.

        None for a query between 0.2 and 0.8, of which this is not asked.
        """
        before = float(self.pair.query_prediction[self.pair.target])
        after = float(self.posteriors[self.alphas <= 1][-1])
        share, n = validity(np.array([before]), np.array([after]))
        return bool(share) if n else None

    @property
    def identity(self) -> float | None:
        """How much of the query the classifier still sees at alpha 1: a cosine of features."""
        if self.similarity is None:
            return None
        return float(self.similarity[self.alphas <= 1][-1])

    @property
    def reachable(self) -> NDArray[np.bool_]:
        """Which of the desired probabilities the path reaches."""
        return np.isfinite(self.achieved)

    @property
    def monotonicity(self) -> float:
        """Spearman's rank correlation of alpha and probability up to the target's style.

        1 if the probability always rises; see ``monotonicity_beyond`` for the whole path.
        """
        path = self.alphas <= 1
        return _rank_correlation(self.alphas[path], self.posteriors[path])

    @property
    def monotonicity_beyond(self) -> float:
        """The same with the exaggerated images, where the probability is at its end."""
        return _rank_correlation(self.alphas, self.posteriors)

    @property
    def largest_drop(self) -> float:
        """How far the probability falls below one reached earlier on the path."""
        return float((np.maximum.accumulate(self.posteriors) - self.posteriors).max())

    @property
    def warning(self) -> str:
        """What to keep in mind; empty if there is nothing."""
        found = []
        if self.largest_drop > DROP_WARNING:
            found.append(f"the probability falls by {self.largest_drop:.2f} on the way")
        if not self.reachable.any():
            found.append("no desired probability is reached")
        if self.off_manifold[self.alphas <= 1].any():
            found.append(self.caution + " for some images")
        return "; ".join(found)

    @property
    def change(self) -> Tensor:
        """Where the path changes the image: absolute difference of alpha 1 and alpha 0; (C, *S)."""
        at_one = int(np.argmin(np.abs(self.alphas - 1)))
        return (self.images[at_one] - self.images[0]).abs()


def _rank_correlation(alphas: NDArray[np.float64], values: NDArray[np.float64]) -> float:
    return float(spearmanr(alphas, values).statistic) if np.ptp(values) > 0 else 0.0


def bin_of(posterior: float, n_bins: int = 10) -> int:
    """Return the bin of a probability; 1.0 belongs to the last one."""
    return min(n_bins - 1, int(np.floor(n_bins * posterior)))


def bin_center(index: int, n_bins: int = 10) -> float:
    """Return the probability that a bin stands for, its centre.

    The TensorFlow original trains with the lower edge and evaluates with the centre; here it is
    always the centre.
    """
    return (index + 0.5) / n_bins


@stepwise
def exaggerate(
    pair: Pair,
    generator: GeneratorProtocol,
    classifier: Classifier,
    anchored: bool = False,
    n_grid: int = N_GRID,
) -> Generator[Progress, None, Exaggeration]:
    r"""Turn a query into the target step by step.

    .. math:: x_\alpha = G(x, (1 - \alpha) \sigma_s + \alpha \sigma_t)

    for a StarGAN v2, :math:`x \circ (\mathrm{id} + \alpha u)` for a warping simulator, the images
    of all bins for a bin-conditional explainer, and a cross-fade of pixels for any other generator.

    Parameters
    ----------
    pair : Pair
        Found with ``generator``; alpha 1 is its generated image.
    generator : Generator
        What made the pair.
    classifier : Classifier
        The classifier under study.
    anchored : bool
        Take the generator's error at alpha 0 off: :math:`x + x_\alpha - x_0`. The path begins at
        the query then, but the probability rises less steadily. Styles only.
    n_grid : int
        Points from 0 to 1, at which the probability is asked.

    Returns
    -------
    Steps of Exaggeration

    Raises
    ------
    DataError
        If the record of the generated image does not tell its style.
    """
    yield Progress(0, 1, "path of the generator")
    path = image_path(pair, generator, classifier)
    if path.steps is not None:
        return exaggeration_of_bins(pair, path.steps, classifier, path)
    anchored = anchored and path.kind == "style"
    alphas = np.concatenate([np.linspace(0, 1, n_grid), BEYOND])
    parts = []
    for index, alpha in enumerate(alphas):
        yield Progress(index, len(alphas) + len(DESIRED), "exaggerating")
        parts.append(path.image(float(alpha)))
    raw = torch.stack(parts)
    query = pair.query.image
    error = float((raw[0] - query).abs().mean())
    images = (raw - raw[0] + query).clamp(0, 1) if anchored else raw
    posteriors = classifier.predict(images)[:, pair.target].double().numpy()
    at_rest = float(classifier.predict(raw[:1])[0, pair.target])
    shift = abs(at_rest - float(pair.query_prediction[pair.target]))
    desired = np.array(DESIRED)
    ladder_alphas = smallest_alphas(alphas[:n_grid], posteriors[:n_grid], desired)
    ladder, achieved = [], []
    for number, alpha in enumerate(ladder_alphas):
        yield Progress(len(alphas) + number, len(alphas) + len(desired), "ladder of probabilities")
        if not np.isfinite(alpha):
            ladder.append(query)
            achieved.append(float("nan"))
            continue
        image = path.image(float(alpha))
        image = (image - raw[0] + query).clamp(0, 1) if anchored else image
        ladder.append(image)
        achieved.append(float(classifier.predict(image[None])[0, pair.target]))
    return Exaggeration(
        pair=pair,
        alphas=alphas,
        images=images,
        posteriors=posteriors,
        off_manifold=np.array([path.is_off_manifold(float(alpha)) for alpha in alphas]),
        anchored=anchored,
        desired=desired,
        achieved=np.array(achieved),
        ladder_alphas=ladder_alphas,
        ladder=torch.stack(ladder),
        reconstruction_error=error,
        reconstruction_shift=shift,
        kind=path.kind,
        meaning=path.meaning,
        caution=path.caution,
        similarity=similarity_to(query, images, classifier),
    )


def exaggeration_of_bins(
    pair: Pair, images: Tensor, classifier: Classifier, path: ImagePath | None = None
) -> Exaggeration:
    """Return the path that the images of all bins are; they are the ladder, too.

    Parameters
    ----------
    pair : Pair
        The query, and what it became.
    images : (n_bins, C, *S) Tensor, float32 in [0, 1]
        From the bin that is the least like the target to the one that is the most.
    classifier : Classifier
        The classifier under study.
    path : ImagePath, optional
        The path of these images; that of bins by default.
    """
    query, n_bins = pair.query.image, len(images)
    posteriors = classifier.predict(images)[:, pair.target].double().numpy()
    at_rest = float(pair.query_prediction[pair.target])
    own = bin_of(at_rest, n_bins)  # this bin is to give the query back
    alphas = np.linspace(0, 1, n_bins)
    return Exaggeration(
        pair=pair,
        alphas=alphas,
        images=images,
        posteriors=posteriors,
        off_manifold=np.zeros(n_bins, dtype=bool),
        anchored=False,
        desired=np.array([bin_center(index, n_bins) for index in range(n_bins)]),
        achieved=posteriors,
        ladder_alphas=alphas,
        ladder=images,
        reconstruction_error=float((images[own] - query).abs().mean()),
        reconstruction_shift=abs(float(posteriors[own]) - at_rest),
        kind="bins" if path is None else path.kind,
        meaning="bins of the generator" if path is None else path.meaning,
        similarity=similarity_to(query, images, classifier),
    )


def similarity_to(
    query: Tensor, images: Tensor, classifier: Classifier
) -> NDArray[np.float64] | None:
    """Return how much the classifier sees of the query in images: a cosine for each.

    Parameters
    ----------
    query : (C, *S) Tensor
        Compared with each image.
    images : (N, C, *S) Tensor
        The images.
    classifier : Classifier
        What enters its last linear layer is compared; None for networks that cannot be entered.
    """
    features = penultimate_features(classifier, torch.cat([query[None], images]))
    if features is None:
        return None
    cosine = torch.nn.functional.cosine_similarity(features[1:], features[:1], dim=1)
    return cosine.double().numpy()


def smallest_alphas(
    alphas: NDArray[np.float64], posteriors: NDArray[np.float64], desired: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the smallest alpha at which each desired probability is reached.

    Linear between the points; NaN where it is never reached, or lies below the beginning of the
    path. Nothing is extrapolated.
    """
    found = np.full(len(desired), np.nan)
    for number, wanted in enumerate(desired):
        reached = np.flatnonzero(posteriors >= wanted)
        if not len(reached) or wanted < posteriors[0]:
            continue
        index = int(reached[0])
        if index == 0:
            found[number] = alphas[0]
            continue
        low, high = posteriors[index - 1], posteriors[index]
        share = (wanted - low) / (high - low)
        found[number] = alphas[index - 1] + share * (alphas[index] - alphas[index - 1])
    return found


@dataclass(frozen=True, slots=True)
class Consistency:
    """How well achieved probabilities follow the desired ones.

    Attributes
    ----------
    n : int
        Images that count.
    mean_error : float
        Mean absolute difference.
    correlation : float
        Pearson's; NaN for fewer than two images.
    divergence : float
        Mean binary Kullback-Leibler divergence.
    """

    n: int
    mean_error: float
    correlation: float
    divergence: float


def consistency(desired: NDArray[np.float64], achieved: NDArray[np.float64]) -> Consistency:
    """Compare desired and achieved probabilities; what was not reached (NaN) is left out."""
    there = np.isfinite(achieved)
    d, a = desired[there], achieved[there]
    if not len(d):
        return Consistency(0, float("nan"), float("nan"), float("nan"))
    spread = len(d) > 1 and np.ptp(d) > 0 and np.ptp(a) > 0
    correlation = float(np.corrcoef(d, a)[0, 1]) if spread else float("nan")
    dc, ac = np.clip(d, 1e-6, 1 - 1e-6), np.clip(a, 1e-6, 1 - 1e-6)
    divergence = dc * np.log(dc / ac) + (1 - dc) * np.log((1 - dc) / (1 - ac))
    return Consistency(len(d), float(np.abs(d - a).mean()), correlation, float(divergence.mean()))


def validity(query: NDArray[np.float64], changed: NDArray[np.float64]) -> tuple[float, int]:
    """Return counterfactual validity, and of how many queries.

    Among queries with a probability below 0.2 or above 0.8: the share whose probability changes
    by more than 0.8 at the other end of the path.
    """
    sure = (query < 0.2) | (query > 0.8)
    n = int(sure.sum())
    share = float((np.abs(query - changed)[sure] > 0.8).mean()) if n else float("nan")
    return share, n
