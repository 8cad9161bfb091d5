"""Rules about the names of classes: of a classifier without names, and of a generator's classes.

Names that the user has typed stand in the recipe of the classifier and win over every guess.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_quac.data.dataset import Dataset
    from napari_quac.networks.class_match import ClassMatch
    from napari_quac.networks.classifier import Classifier
    from napari_quac.networks.generator import Generator


@dataclass(frozen=True, eq=False)
class ClassNaming:
    """Labels that can name the outputs of a classifier.

    Attributes
    ----------
    network : Classifier
        As loaded from its file.
    samples : Dataset or None
        Their labels.
    labels : tuple of str
        Empty if they do not fit, or if the file or the user names the classes.
    is_used : bool
        False if the samples were open with another classifier before, so that the user decides.
    """

    network: Classifier
    samples: Dataset | None
    labels: tuple[str, ...] = ()
    is_used: bool = False

    @property
    def is_offered(self) -> bool:
        """True if the user decides whether the labels name the classes."""
        return bool(self.labels) and not self.is_used


def suggest_class_names(
    opened_classifier: Classifier, loaded_samples: Dataset | None = None,
    *, classifier: Any, class_naming: ClassNaming | None = None,
) -> ClassNaming:  # fmt: skip
    """Find out whether the labels of the samples name the classes."""
    from napari_quac.networks.class_naming import names_from_labels

    is_stated = bool(getattr(classifier, "class_names", None))
    labels: tuple[str, ...] = ()
    if loaded_samples is not None and not is_stated:
        labels = names_from_labels(opened_classifier, loaded_samples.classes)
    is_used, previous = bool(labels), class_naming
    if previous is not None and loaded_samples is not None and previous.samples is loaded_samples:
        if not _are_same(previous.network, opened_classifier):
            is_used = False  # the samples were chosen for another classifier
        elif previous.labels:
            is_used = is_used and previous.is_used
    return ClassNaming(opened_classifier, loaded_samples, labels, is_used)


def name_classes(opened_classifier: Classifier, class_naming: ClassNaming) -> Classifier:
    """Return the classifier, with the labels of the samples as names where they fit."""
    from napari_quac.networks.class_naming import name_after_labels

    if class_naming.network is not opened_classifier or not class_naming.is_used:
        return opened_classifier
    return name_after_labels(opened_classifier, class_naming.labels)


def use_class_map(opened_generator: Generator, class_map: Mapping[str, str]) -> Generator:
    """Return the generator with the classes that the user has matched."""
    from napari_quac.networks.class_match import with_class_map

    return with_class_map(opened_generator, class_map)


def match_generator(loaded_classifier: Classifier, loaded_generator: Generator) -> ClassMatch:
    """Match the classes of the generator to those of the classifier by name."""
    from napari_quac.networks.class_match import match_classes

    return match_classes(loaded_generator, loaded_classifier.class_names)


def _are_same(first: Classifier, second: Classifier) -> bool:
    """Tell whether two classifiers are one network, perhaps with other preprocessing."""
    if first.sha256 or second.sha256:
        return first.sha256 == second.sha256
    return first.module is second.module
