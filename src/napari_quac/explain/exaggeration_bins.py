"""Progressive exaggeration by bins: the images of an explainer, from the query's class on."""

from __future__ import annotations

from collections.abc import Generator

import torch

from napari_quac.data.sample import Sample
from napari_quac.errors import DataError
from napari_quac.explain.exaggeration import Exaggeration, bin_centre, exaggeration_of_bins
from napari_quac.explain.pair import make_pair
from napari_quac.generators.exaggeration.generator import ExaggerationGenerator
from napari_quac.networks.classifier import Classifier
from napari_quac.stepwise import Progress, stepwise


@stepwise
def traverse_bins(
    query: Sample, generator: ExaggerationGenerator, classifier: Classifier
) -> Generator[Progress, None, Exaggeration]:
    """Take a query through all bins, towards the class that it is not called.

    Parameters
    ----------
    query : Sample
        Called one of the two classes of the explainer.
    generator : ExaggerationGenerator
        The explainer.
    classifier : Classifier
        The classifier under study.

    Returns
    -------
    Steps of Exaggeration
        One image for each bin, on the path and on the ladder alike; alpha rises from 0 to 1 with
        the bins. Its pair is the query and the image of the last one.

    Raises
    ------
    DataError
        If the query is called a class that the explainer is not about.
    """
    yield Progress(0, 1, "images of all bins")
    n = generator.n_bins
    called = classifier.predict(query.image[None])[0]
    source, target, positive = _ends(called, generator, classifier)
    images = generator.traversal(query.image)
    last = n - 1 if target == positive else 0
    origin = {"generator": generator.name, "bin": last, "n_bins": n, "desired": bin_centre(last, n)}
    pair = make_pair(query, images[last], source, target, classifier, origin)
    return exaggeration_of_bins(pair, images if target == positive else images.flip(0), classifier)


def _ends(
    called: torch.Tensor, generator: ExaggerationGenerator, classifier: Classifier
) -> tuple[int, int, int]:
    """Return source, target, and the class that the bins mean."""
    layout, names = generator.layout, classifier.class_names
    positive = classifier.class_index(layout.positive)
    source = int(called.argmax())
    if not layout.negative:  # the file tells one class only: it against the likeliest other
        others = called.clone()
        others[positive] = -1
        other = int(others.argmax())
        return (positive, other, positive) if source == positive else (source, positive, positive)
    negative = classifier.class_index(layout.negative)
    if source not in (negative, positive):
        raise DataError(
            f"The explainer {generator.name} is about '{names[negative]}' and '{names[positive]}', "
            f"and this sample is called '{names[source]}'. Choose a sample of these two, or "
            "another explainer."
        )
    return (source, positive if source == negative else negative, positive)
