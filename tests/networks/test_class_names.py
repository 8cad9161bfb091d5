"""Classes of a classifier without names are named after the sorted labels of samples."""

from __future__ import annotations

from dataclasses import replace

import pytest

from napari_quac.errors import QuacError
from napari_quac.networks.class_naming import NUMBERED, name_after_labels
from napari_quac.testing import corner_classifier

NAMELESS = ("class 0", "class 1", "class 2")


@pytest.mark.parametrize("labels", [("a", "b", "c"), ("2", "9", "10")])
def test_sorted_labels_name_the_outputs(labels: tuple[str, ...]) -> None:
    classifier = replace(
        corner_classifier(), class_names=NAMELESS, assumptions=(NUMBERED,),
        description={"Classes": ", ".join(NAMELESS)},
    )  # fmt: skip
    named = name_after_labels(classifier, labels)
    assert named.class_names == labels
    assert named.description["Classes"] == ", ".join(labels)
    (assumption,) = named.assumptions
    assert ", ".join(labels) in assumption.sentence
    assert classifier.class_names == NAMELESS


@pytest.mark.parametrize("labels", [("a", "b"), ("b", "a", "c"), (), ("10", "9", "2"), NAMELESS])
def test_other_labels_name_nothing(labels: tuple[str, ...]) -> None:
    classifier = replace(corner_classifier(), class_names=NAMELESS)
    assert name_after_labels(classifier, labels) is classifier


def test_names_are_kept_and_have_to_be_as_many_as_outputs() -> None:
    classifier = corner_classifier()
    assert name_after_labels(classifier, ("x", "y", "z")) is classifier
    with pytest.raises(QuacError, match="3 outputs, but 2 class names"):
        classifier.with_class_names(("a", "b"))
