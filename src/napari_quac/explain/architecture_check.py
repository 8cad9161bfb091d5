"""Agreement with labels under the usual preprocessings and variants of the architecture."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

from napari_quac.data.dataset import Dataset
from napari_quac.explain.agreement import Agreement
from napari_quac.explain.agreement_check import N_IMAGES, check_agreement, compare_candidates
from napari_quac.explain.variant_check import propose_variant
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.classifier_recipe import ClassifierRecipe
from napari_quac.networks.variant_recipes import variant_builder
from napari_quac.stepwise import Progress, stepwise

GOOD_ACCURACY = 0.9
"""Below it, other variants of the architecture are tried."""


@stepwise
def check_with_variants(
    dataset: Dataset,
    classifier: Classifier,
    recipe: ClassifierRecipe,
    n_images: int = N_IMAGES,
) -> Generator[Progress, None, Agreement]:
    """Check the agreement with labels, and that of another variant if one fits clearly better.

    Parameters
    ----------
    dataset, classifier, n_images
        As for :func:`~napari_quac.explain.agreement_check.check_agreement`.
    recipe : ClassifierRecipe
        File of the classifier. Variants of its architecture are compared only if even the best
        accuracy is below 0.9.

    Returns
    -------
    Steps of Agreement
        With a row for the variant and each preprocessing that is as good as the best one.

    Raises
    ------
    DataError
        If there is no label, or no labeled image can be predicted.
    """
    agreement = yield from check_agreement(dataset, classifier, n_images)
    best = agreement.best
    if best.best_correct.mean() >= GOOD_ACCURACY:
        return agreement
    proposal = yield from propose_variant(recipe, best.candidate.classifier, dataset)
    if proposal is None:
        return agreement
    network = variant_builder(recipe, best.candidate.classifier)(proposal.variant)
    parts = [f"{name} = {choice}" for name, choice in proposal.variant.items()]
    title = ", ".join(parts) or "the published architecture"
    bases = [row.candidate for row in agreement.tied]
    candidates = [
        replace(
            base,
            name=f"{title}, {base.name}" if len(bases) > 1 else title,
            classifier=network.with_preprocessing(base.classifier.preprocessing),
            is_current=False,
            variant=proposal.variant,
        )
        for base in bases
    ]
    more = yield from compare_candidates(dataset, candidates, agreement.indices)
    if more.indices != agreement.indices:  # an image fails with the other variant
        return agreement
    omitted = {**agreement.omitted, **more.omitted}
    return replace(agreement, rows=(*agreement.rows, *more.rows), omitted=omitted)
