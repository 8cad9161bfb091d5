"""Names for the classes of a classifier whose file names none: the labels of samples, sorted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from napari_quac.data.assumptions import Assumption
from napari_quac.networks.classifier import Classifier

NUMBERED = Assumption("class names", "Outputs are numbered; the file names no classes (--classes).")
"""Assumption about a classifier without names."""


def names_from_labels(classifier: Classifier, labels: Sequence[str]) -> tuple[str, ...]:
    """Return the labels of samples if they can name the outputs of a classifier; else none.

    The rule is that of the QuAC library and of torchvision, which number class folders by their
    sorted names. So the classifier has no names, there are as many labels as outputs, and the
    samples list their labels in sorted order.

    Parameters
    ----------
    classifier : Classifier
        One with names keeps them.
    labels : sequence of str
        Class names of a dataset, in its order.
    """
    names = tuple(labels)
    fits = classifier.is_nameless and len(names) == classifier.n_classes and names in _sorted(names)
    return names if fits and names != classifier.class_names else ()


def name_after_labels(classifier: Classifier, labels: Sequence[str]) -> Classifier:
    """Name the classes after the labels of samples, as an assumption, where they fit.

    Parameters
    ----------
    classifier : Classifier
        One with names is returned unchanged.
    labels : sequence of str
        See :func:`names_from_labels`.
    """
    names = names_from_labels(classifier, labels)
    if not names:
        return classifier
    assumption = Assumption(
        "class names",
        "The outputs are named after the sorted labels of the samples, as the QuAC library numbers "
        f"class folders: {', '.join(names)} (--classes).",
    )
    others = [entry for entry in classifier.assumptions if entry != NUMBERED]
    return replace(classifier.with_class_names(names), assumptions=(*others, assumption))


def _sorted(names: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Return the names in the order of text, and that of numbers if all are whole numbers."""
    are_numbers = all(name.isdecimal() for name in names)
    by_value = tuple(sorted(names, key=int)) if are_numbers else ()
    return [tuple(sorted(names)), by_value]
