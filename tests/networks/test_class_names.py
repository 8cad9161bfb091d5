"""Classes of a classifier without names are named after samples or generator."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import pytest

from napari_quac.errors import QuacError
from napari_quac.networks.classifier import matching_class_names, name_classes
from napari_quac.testing import corner_classifier

NAMELESS = ("class 0", "class 1", "class 2")


def test_first_candidate_of_the_right_length_is_taken() -> None:
    classifier = replace(corner_classifier(), class_names=NAMELESS)
    named = name_classes(classifier, (), ("a", "b"), ("x", "y", "z"), ("p", "q", "r"))
    assert named.class_names == ("x", "y", "z")
    assert classifier.class_names == NAMELESS
    with pytest.raises(FrozenInstanceError):
        classifier.class_names = ("x", "y", "z")
    with pytest.raises(QuacError, match="3 outputs, but 2 class names"):
        classifier.with_class_names(("a", "b"))


def test_names_are_kept_without_a_match_and_where_the_file_has_some() -> None:
    classifier = replace(corner_classifier(), class_names=NAMELESS)
    assert name_classes(classifier, ("a", "b")).class_names == NAMELESS
    before = corner_classifier().class_names
    assert name_classes(corner_classifier(), ("x", "y", "z")).class_names == before


def test_match_is_a_tuple_or_none() -> None:
    assert matching_class_names(2, ["a"], ["b", "c"]) == ("b", "c")
    assert matching_class_names(2) is None
