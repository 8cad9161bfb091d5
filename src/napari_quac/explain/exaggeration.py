"""Progressive exaggeration: the query turned into the target step by step, and beyond.

The paths, the ladder of probabilities and their measures are one subject.
"""

from __future__ import annotations

from collections.abc import Generator as Iterating
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr
from torch import Tensor

from napari_quac.data.dataset import Sample
from napari_quac.errors import DataError, NotFiniteError
from napari_quac.explain.pair import Pair, make_pair
from napari_quac.explain.prediction_table import penultimate_features
from napari_quac.networks.class_match import match_classes, request_for
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.generator import BinTraversal, ConversionRequest, Generator, ImagePath
from napari_quac.networks.run_errors import network_errors
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
        Query and generated image.
    alphas : (A,) ndarray
        0 is the style of the source, 1 that of the target, above 1 is exaggerated.
    images : (A, C, *S) Tensor, float32 in [0, 1]
    posteriors : (A,) ndarray, float64 in [0, 1]
        Probability of the target.
    off_manifold : (A,) ndarray of bool
        The style is farther out than 99 % of the styles of the generator.
    anchored : bool
        The generator's error at alpha 0 was subtracted from all images.
    desired : (10,) ndarray
        Desired probabilities: 0.05, 0.15, …, 0.95.
    achieved : (10,) ndarray
        Probabilities of the ladder; NaN where the path does not reach the desired one.
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
        Similarity of each image to the query, see :func:`similarity_to`.
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
        """True if a query that the classifier is sure of changes by more than 0.8 at alpha 1.

        None for a query with a probability between 0.2 and 0.8.
        """
        before = float(self.pair.query_prediction[self.pair.target])
        after = float(self.posteriors[self.alphas <= 1][-1])
        share, n = validity(np.array([before]), np.array([after]))
        return bool(share) if n else None

    @property
    def identity(self) -> float | None:
        """Cosine of the classifier's features of the query and of the image at alpha 1."""
        if self.similarity is None:
            return None
        return float(self.similarity[self.alphas <= 1][-1])

    @property
    def reachable(self) -> NDArray[np.bool_]:
        """True for each desired probability that the path reaches."""
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
        """Largest decrease of the probability below an earlier one on the path."""
        return float((np.maximum.accumulate(self.posteriors) - self.posteriors).max())

    @property
    def warning(self) -> str:
        """Reasons for caution; empty without one."""
        drop = self.largest_drop
        warnings = {
            f"the probability falls by {drop:.2f} on the way": drop > DROP_WARNING,
            "no desired probability is reached": not self.reachable.any(),
            f"{self.caution} for some images": self.off_manifold[self.alphas <= 1].any(),
        }
        return "; ".join(text for text, applies in warnings.items() if applies)

    @property
    def change(self) -> Tensor:
        """Absolute difference of the images at alpha 1 and alpha 0; (C, *S)."""
        at_one = int(np.argmin(np.abs(self.alphas - 1)))
        return (self.images[at_one] - self.images[0]).abs()


def _rank_correlation(alphas: NDArray[np.float64], values: NDArray[np.float64]) -> float:
    return float(spearmanr(alphas, values).statistic) if np.ptp(values) > 0 else 0.0


def bin_of(posterior: float, n_bins: int = 10) -> int:
    """Return the bin of a probability; 1.0 belongs to the last one."""
    return min(n_bins - 1, int(np.floor(n_bins * posterior)))


def bin_center(index: int, n_bins: int = 10) -> float:
    """Return the probability that a bin stands for, its center.

    The TensorFlow original trains with the lower edge and evaluates with the center; here it is
    always the center.
    """
    return (index + 0.5) / n_bins


@stepwise
def exaggerate(
    pair: Pair,
    generator: Generator,
    classifier: Classifier,
    anchored: bool = False,
    n_grid: int = N_GRID,
) -> Iterating[Progress, None, Exaggeration]:
    r"""Turn a query into the target step by step.

    .. math:: x_\alpha = G(x, (1 - \alpha) \sigma_s + \alpha \sigma_t)

    for a StarGAN v2, :math:`x \circ (\mathrm{id} + \alpha u)` for a warping simulator, the images
    of all bins for a bin-conditional generator, and a cross-fade of pixels for any other generator.

    Parameters
    ----------
    pair : Pair
        Found with ``generator``; alpha 1 is its generated image.
    generator : Generator
        The generator of the pair.
    classifier : Classifier
        The classifier under study.
    anchored : bool
        Take the generator's error at alpha 0 off: :math:`x + x_\alpha - x_0`. The path begins at
        the query then, but the probability rises less steadily. Styles only.
    n_grid : int
        Points from 0 to 1 at which the probability is computed.

    Returns
    -------
    Steps of Exaggeration

    Raises
    ------
    DataError
        If the record of the generated image does not contain its style.
    """
    yield Progress(0, 1, "path of the generator")
    path = image_path(pair, generator, classifier)
    if path.steps is not None:
        return exaggeration_of_bins(pair, path.steps, classifier, path)
    query, target, anchored = pair.query.image, pair.target, anchored and path.kind == "style"
    alphas = np.concatenate([np.linspace(0, 1, n_grid), BEYOND])
    n_images = len(alphas) + len(DESIRED)
    raw = []
    for index, alpha in enumerate(alphas):
        yield Progress(index, n_images, "exaggerating")
        raw.append(image_at(path, float(alpha)))

    def anchor(image: Tensor) -> Tensor:
        return (image - raw[0] + query).clamp(0, 1) if anchored else image

    images = torch.stack([anchor(image) for image in raw])
    posteriors = classifier.predict(images)[:, target].double().numpy()
    at_rest = float(classifier.predict(raw[0][None])[0, target])
    ladder_alphas = smallest_alphas(alphas[:n_grid], posteriors[:n_grid], np.array(DESIRED))
    rungs = []
    for index, alpha in enumerate(ladder_alphas):
        yield Progress(len(alphas) + index, n_images, "ladder of probabilities")
        rungs.append(anchor(image_at(path, float(alpha))) if np.isfinite(alpha) else query)
    ladder = torch.stack(rungs)
    achieved = classifier.predict(ladder)[:, target].double().numpy()
    return Exaggeration(
        pair=pair,
        alphas=alphas,
        images=images,
        posteriors=posteriors,
        off_manifold=np.array([path.is_off_manifold(float(alpha)) for alpha in alphas]),
        anchored=anchored,
        desired=np.array(DESIRED),
        achieved=np.where(np.isfinite(ladder_alphas), achieved, np.nan),
        ladder_alphas=ladder_alphas,
        ladder=ladder,
        reconstruction_error=float((raw[0] - query).abs().mean()),
        reconstruction_shift=abs(at_rest - float(pair.query_prediction[target])),
        kind=path.kind,
        meaning=path.meaning,
        caution=path.caution,
        similarity=similarity_to(query, images, classifier),
    )


def exaggeration_of_bins(
    pair: Pair, images: Tensor, classifier: Classifier, path: ImagePath | None = None
) -> Exaggeration:
    """Return the images of all bins as a path, which is the ladder, too.

    Parameters
    ----------
    pair : Pair
        Query and generated image.
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
    query_bin = bin_of(at_rest, n_bins)  # the image of this bin should equal the query
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
        reconstruction_error=float((images[query_bin] - query).abs().mean()),
        reconstruction_shift=abs(float(posteriors[query_bin]) - at_rest),
        kind="bins" if path is None else path.kind,
        meaning="bins of the generator" if path is None else path.meaning,
        similarity=similarity_to(query, images, classifier),
    )


def similarity_to(
    query: Tensor, images: Tensor, classifier: Classifier
) -> NDArray[np.float64] | None:
    """Return the cosine of the classifier's features of a query and of each image.

    Parameters
    ----------
    query : (C, *S) Tensor
        Compared with each image.
    images : (N, C, *S) Tensor
        The images.
    classifier : Classifier
        The input of its last linear layer counts; None for networks without accessible layers.
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
    smallest = np.full(len(desired), np.nan)
    for number, probability in enumerate(desired):
        reached = np.flatnonzero(posteriors >= probability)
        if not len(reached) or probability < posteriors[0]:
            continue
        index = max(1, int(reached[0]))
        low, high = posteriors[index - 1], posteriors[index]
        share = (probability - low) / (high - low) if reached[0] else 0.0
        smallest[number] = alphas[index - 1] + share * (alphas[index] - alphas[index - 1])
    return smallest


@dataclass(frozen=True, slots=True)
class Consistency:
    """Agreement of achieved and desired probabilities.

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
    """Compare desired and achieved probabilities; unreached ones (NaN) do not count."""
    is_reached = np.isfinite(achieved)
    d, a = desired[is_reached], achieved[is_reached]
    if not len(d):
        return Consistency(0, float("nan"), float("nan"), float("nan"))
    spread = len(d) > 1 and np.ptp(d) > 0 and np.ptp(a) > 0
    correlation = float(np.corrcoef(d, a)[0, 1]) if spread else float("nan")
    dc, ac = np.clip(d, 1e-6, 1 - 1e-6), np.clip(a, 1e-6, 1 - 1e-6)
    divergence = dc * np.log(dc / ac) + (1 - dc) * np.log((1 - dc) / (1 - ac))
    return Consistency(len(d), float(np.abs(d - a).mean()), correlation, float(divergence.mean()))


def validity(query: NDArray[np.float64], changed: NDArray[np.float64]) -> tuple[float, int]:
    """Return counterfactual validity and the number of its queries.

    Among queries with a probability below 0.2 or above 0.8: the share whose probability changes
    by more than 0.8 at the other end of the path.
    """
    sure = (query < 0.2) | (query > 0.8)
    n = int(sure.sum())
    share = float((np.abs(query - changed)[sure] > 0.8).mean()) if n else float("nan")
    return share, n


@stepwise
def traverse_bins(
    query: Sample, generator: Generator, classifier: Classifier
) -> Iterating[Progress, None, Exaggeration | None]:
    """Take a query through all bins, towards the other class.

    Parameters
    ----------
    query : Sample
        Classified as one of the two classes of the generator.
    generator : Generator
        Any; only bin-conditional ones have bins.
    classifier : Classifier
        The classifier under study.

    Returns
    -------
    Steps of Exaggeration or None
        One image for each bin, on the path and on the ladder alike; alpha rises from 0 to 1 with
        the bins. Its pair is the query and the image of the last one. None if the generator has no
        bins.

    Raises
    ------
    DataError
        If the query is classified as a third class.
    """
    yield Progress(0, 1, "images of all bins")
    traversal = generator.traverse(query.image)
    if traversal is None:
        return None
    images, n_bins = traversal.images, len(traversal.images)
    prediction = classifier.predict(query.image[None])[0]
    source, target, positive = _classes(prediction, traversal, classifier, generator)
    last = n_bins - 1 if target == positive else 0
    desired = bin_center(last, n_bins)
    origin = {"generator": generator.name, "bin": last, "n_bins": n_bins, "desired": desired}
    pair = make_pair(query, images[last], source, target, classifier, origin)
    return exaggeration_of_bins(pair, images if target == positive else images.flip(0), classifier)


def _classes(
    prediction: Tensor, traversal: BinTraversal, classifier: Classifier, generator: Generator
) -> tuple[int, int, int]:
    """Return source, target, and the class whose probability rises with the bin."""
    names = classifier.class_names
    own = classifier.with_class_names(match_classes(generator, names).names_for_generator())
    positive = own.class_index(traversal.positive)
    source = int(prediction.argmax())
    if not traversal.negative:  # the other class is the most probable other one
        others = prediction.clone()
        others[positive] = -1
        other = int(others.argmax())
        return (positive, other, positive) if source == positive else (source, positive, positive)
    negative = own.class_index(traversal.negative)
    if source not in (negative, positive):
        raise DataError(
            f"The generator {generator.name} converts '{names[negative]}' and "
            f"'{names[positive]}', and this sample is classified as '{names[source]}'. Choose "
            "another sample or generator."
        )
    return (source, positive if source == negative else negative, positive)


@dataclass(frozen=True, eq=False)
class FadePath:
    """The query and the generated image, mixed pixel by pixel.

    Attributes
    ----------
    query, generated : (C, *S) Tensor
    """

    query: Tensor
    generated: Tensor

    kind = "fade"
    meaning = "cross-fade of pixels: a baseline, no path of the generator"
    caution = ""
    steps = None

    def image(self, alpha: float) -> Tensor:
        """Return the mixture; beyond 1 the difference is exaggerated."""
        return (self.query + alpha * (self.generated - self.query)).clamp(0, 1)

    def is_off_manifold(self, alpha: float) -> bool:
        """Return False: nothing was trained."""
        return False


def image_at(path: ImagePath, alpha: float) -> Tensor:
    """Return an image of a path.

    Raises
    ------
    NotFiniteError
        If it contains NaN or infinity.
    NetworkError
        If the generator fails.
    """
    with network_errors("The generator"):
        image = path.image(alpha)
    if not torch.isfinite(image).all():
        raise NotFiniteError(
            f"The generator returned NaN or infinity at {alpha:.2f} of its path. Check its weights "
            "and its value range."
        )
    return image


def image_path(pair: Pair, generator: Generator, classifier: Classifier) -> ImagePath:
    """Return the path of a generator to its image, or a cross-fade if it has none.

    Parameters
    ----------
    pair : Pair
        Found with ``generator``.
    generator : Generator
        The generator of the pair.
    classifier : Classifier
        Its class names select the generator's.
    """
    return generator_path(pair, generator, classifier) or FadePath(pair.query.image, pair.generated)


def generator_path(pair: Pair, generator: Generator, classifier: Classifier) -> ImagePath | None:
    """Return the path of a generator to its image; None if it has none."""
    query = pair.query
    request = ConversionRequest(
        query.image, pair.source, pair.target, classifier, query_id=query.id
    )
    with network_errors("The generator"):
        return generator.path(request_for(generator, request), pair.origin)
