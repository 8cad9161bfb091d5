"""Class names of a classifier whose file names none."""

from __future__ import annotations

from collections.abc import Sequence

from napari_quac.networks.classifier import Classifier


def matching_class_names(n_classes: int, *candidates: Sequence[str]) -> tuple[str, ...] | None:
    """Return the first list of names with the right length; None if no list has it."""
    return next((tuple(names) for names in candidates if len(names) == n_classes), None)


def name_classes(classifier: Classifier, *candidates: Sequence[str]) -> Classifier:
    """Return a classifier with the first list of names that matches, if it has none.

    Parameters
    ----------
    classifier : Classifier
        One with names keeps them.
    *candidates : sequence of str
        Names of the classes of samples or generator, sorted, as the QuAC library numbers them.
    """
    names = matching_class_names(classifier.n_classes, *candidates)
    if classifier.is_nameless and names is not None:
        return classifier.with_class_names(names)
    return classifier
