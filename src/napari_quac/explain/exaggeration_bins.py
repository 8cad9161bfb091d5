"""Progressive exaggeration by bins: the images of all bins, from the query's class on."""

from __future__ import annotations

from collections.abc import Generator

from torch import Tensor

from napari_quac.data.dataset import Sample
from napari_quac.errors import DataError
from napari_quac.explain.exaggeration import Exaggeration, bin_center, exaggeration_of_bins
from napari_quac.explain.pair import make_pair
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.generator import BinTraversal
from napari_quac.networks.generator import Generator as GeneratorProtocol
from napari_quac.stepwise import Progress, stepwise


@stepwise
def traverse_bins(
    query: Sample, generator: GeneratorProtocol, classifier: Classifier
) -> Generator[Progress, None, Exaggeration | None]:
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
    source, target, positive = _classes(prediction, traversal, classifier, generator.name)
    last = n_bins - 1 if target == positive else 0
    origin = {
        "generator": generator.name,
        "bin": last,
        "n_bins": n_bins,
        "desired": bin_center(last, n_bins),
    }
    pair = make_pair(query, images[last], source, target, classifier, origin)
    return exaggeration_of_bins(pair, images if target == positive else images.flip(0), classifier)


def _classes(
    prediction: Tensor, traversal: BinTraversal, classifier: Classifier, name: str
) -> tuple[int, int, int]:
    """Return source, target, and the class whose probability rises with the bin."""
    names = classifier.class_names
    positive = classifier.class_index(traversal.positive)
    source = int(prediction.argmax())
    if not traversal.negative:  # one class only is known: the other one is the likeliest other
        others = prediction.clone()
        others[positive] = -1
        other = int(others.argmax())
        return (positive, other, positive) if source == positive else (source, positive, positive)
    negative = classifier.class_index(traversal.negative)
    if source not in (negative, positive):
        raise DataError(
            f"The generator {name} connects '{names[negative]}' and '{names[positive]}', but this "
            f"sample is classified as '{names[source]}'. Choose a sample of these two classes, or "
            "another generator."
        )
    return (source, positive if source == negative else negative, positive)
