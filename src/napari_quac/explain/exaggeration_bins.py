"""Progressive exaggeration by bins: the images of an explainer, from the query's class on."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
import torch

from napari_quac.data.sample import Sample
from napari_quac.errors import DataError
from napari_quac.explain.exaggeration import Exaggeration, bin_centre, bin_of
from napari_quac.explain.pair import make_pair
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.generators.exaggeration import ExaggerationGenerator
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
    yield Progress(0, 2, "going through the bins")
    n = generator.n_bins
    called = classifier.predict(query.image[None])[0]
    source, target, positive = _ends(called, generator, classifier)
    order = list(range(n)) if target == positive else list(range(n))[::-1]
    images = generator.traversal(query.image)[order]
    yield Progress(1, 2, "going through the bins")
    predictions = classifier.predict(images)
    posteriors = predictions[:, target].double().numpy()
    origin = {"generator": generator.name, "bin": order[-1], "n_bins": n,
              "desired": bin_centre(order[-1], n)}  # fmt: skip
    pair = make_pair(query, images[-1], source, target, classifier, origin)
    own = order.index(bin_of(float(called[positive]), n))
    alphas = np.linspace(0, 1, n)
    return Exaggeration(
        pair=pair,
        alphas=alphas,
        images=images,
        posteriors=posteriors,
        off_manifold=np.zeros(n, bool),
        anchored=False,
        desired=np.array([bin_centre(index, n) for index in range(n)]),
        achieved=posteriors.copy(),
        ladder_alphas=alphas,
        ladder=images,
        reconstruction_error=float((images[own] - query.image).abs().mean()),
        reconstruction_shift=abs(float(predictions[own, target] - called[target])),
        bins=tuple(order),
    )


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
