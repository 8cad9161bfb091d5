"""Labels of samples matched to the class names of a classifier."""

from __future__ import annotations

import pytest

from napari_quac.explain.labels import match_names

NAMES = ("bottom", "middle", "top")


@pytest.mark.parametrize(
    ("labels", "indices", "n_assumptions"),
    [
        (("bottom", "middle", "top"), (0, 1, 2), 0),
        (("top", "bottom"), (2, 0), 0),
        (("Bottom", "MIDDLE", "top "), (0, 1, 2), 1),
        (("0_bottom", "1. middle"), (0, 1), 1),
        (("bottom", "Bottom", "top"), (0, None, 2), 0),
        (("Bottom", "BOTTOM"), (None, None), 0),
        (("__MACOSX", "top"), (None, 2), 0),
        (("0", "1", "2"), (0, 1, 2), 1),
        (("1", "2", "3"), (0, 1, 2), 1),
        (("1", "3"), (None, None), 0),
        (("0", "top"), (None, 2), 0),
        ((), (), 0),
    ],
)
def test_labels_match_by_name_then_without_case_then_by_number(labels, indices, n_assumptions):
    match = match_names(labels, NAMES)
    assert match.indices == indices
    assert len(match.assumptions) == n_assumptions
    assert all(assumption.kind == "labels" for assumption in match.assumptions)


def test_classes_that_differ_by_case_only_keep_exact_matches():
    assert match_names(("a", "A", "b"), ("A", "a", "B")).indices == (1, 0, 2)
    assert match_names(("x-y",), ("x y", "x_y")).indices == (None,)


def test_unmatched_labels_and_absent_classes_are_named():
    match = match_names(("bottom", "nótes"), NAMES)
    assert (match.unmatched, match.absent) == (("nótes",), ("middle", "top"))
    assert "1 label names no class" in match.warning
    assert "'nótes'" in match.warning
    assert match_names(("bottom",), NAMES).warning == ""


def test_nameless_classifier_is_told_from_one_with_other_names():
    warning = match_names(("bottom", "top"), ("class 0", "class 1", "class 2")).warning
    assert "Its 3 classes have no names" in warning
    assert "--classes" in warning


def test_label_out_of_range_names_no_class():
    match = match_names(("bottom",), NAMES)
    assert [match.index(label) for label in (None, -1, 1, 0)] == [None, None, None, 0]
