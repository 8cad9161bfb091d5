"""Classes of generator and classifier are matched by name, never by their order in silence."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from napari_quac.errors import DataError, UnknownNameError
from napari_quac.networks.class_match import (
    check_class_map,
    match_classes,
    request_for,
    with_class_map,
)
from napari_quac.networks.generator import ConversionRequest, Generator, Proposals, ask_generator
from napari_quac.testing import corner_classifier, corner_generator, corner_image

NAMES = ("left", "right", "both")


class NamedGenerator(Generator):
    """Records the classes of each request in its own words."""

    def __init__(self, names: tuple[str, ...], n_classes: int | None = None) -> None:
        self.name, self.description = "named", {}
        self.class_names, self.n_classes = names, n_classes
        self.requests: list[tuple[str, str]] = []

    def propose(self, request: ConversionRequest, first: int, n: int) -> Proposals:
        names = request.classifier.class_names
        self.requests.append((names[request.source], names[request.target]))
        return Proposals(torch.stack([request.query] * n), ({},) * n)


def request(source: int, target: int) -> ConversionRequest:
    return ConversionRequest(corner_image(0), source, target, corner_classifier())


@pytest.mark.parametrize(
    ("own", "indices", "n_assumptions"),
    [
        (("left", "right", "both"), (0, 1, 2), 0),
        (("both", "left", "right"), (2, 0, 1), 0),
        (("Left", "RIGHT ", "bo th"), (0, 1, 2), 1),
        (("0_left", "right"), (0, 1), 1),
        (("both",), (2,), 0),
    ],
)
def test_names_match_in_any_order(
    own: tuple[str, ...], indices: tuple[int, ...], n_assumptions: int
) -> None:
    match = match_classes(NamedGenerator(own), NAMES)
    assert match.indices == indices
    assert match.is_answered and match.is_usable and not match.warning
    assert len(match.assumptions) == n_assumptions


def test_other_names_are_left_to_the_user() -> None:
    generator = NamedGenerator(("T-bar", "PSD", "plain"))
    match = match_classes(generator, NAMES)
    assert match.indices == (None, None, None)
    assert not match.is_answered and not match.is_usable
    assert "'T-bar'" in match.warning and "'left'" in match.warning
    with pytest.raises(DataError, match="--class-map"):
        ask_generator(generator, request(0, 1), 0, 1).result()
    assert generator.requests == []


def test_a_class_too_many_needs_no_answer() -> None:
    match = match_classes(NamedGenerator(("left", "right", "both", "other")), NAMES)
    assert match.is_answered and match.unmatched == ("other",)
    match = match_classes(NamedGenerator(("left", "right", "other")), NAMES)
    assert not match.is_answered and match.absent == ("both",)


def test_the_map_of_the_user_is_followed() -> None:
    chosen = {"T-bar": "both", "PSD": "left", "plain": ""}
    generator = with_class_map(NamedGenerator(("T-bar", "PSD", "plain")), chosen)
    match = match_classes(generator, NAMES)
    assert match.indices == (2, 0, None) and match.is_answered
    assert match.as_map == chosen
    for asked in (request(0, 2), request(2, 1)):
        ask_generator(generator, asked, 0, 1).result()
    assert generator.requests == [("PSD", "T-bar"), ("T-bar", "right")]


def test_a_name_that_means_something_else_is_not_used_by_chance() -> None:
    """The generator's 'left' is the classifier's 'right', and nothing is its 'left'."""
    generator = with_class_map(NamedGenerator(("left", "x")), {"left": "right", "x": ""})
    names = request_for(generator, request(0, 1)).classifier.class_names
    assert names == ("left (not used)", "left", "both")


def test_entries_of_another_generator_are_ignored_and_a_plan_refuses_them() -> None:
    generator = with_class_map(NamedGenerator(("left", "x")), {"y": "left", "x": "z"})
    assert match_classes(generator, NAMES).indices == (0, None)
    with pytest.raises(UnknownNameError, match="'y'"):
        check_class_map(generator, NAMES)
    with pytest.raises(UnknownNameError, match="'z'"):
        check_class_map(with_class_map(NamedGenerator(("x",)), {"x": "z"}), NAMES)


def test_classes_without_names_are_in_the_order_of_the_classifier_as_an_assumption() -> None:
    match = match_classes(NamedGenerator((), 3), NAMES)
    assert match.indices == (0, 1, 2)
    (assumption,) = match.assumptions
    assert "left, right, both" in assumption.sentence
    other = match_classes(NamedGenerator((), 4), NAMES)
    assert other.indices == (None,) * 4 and not other.is_answered


def test_a_generator_of_any_class_gets_the_request_as_it_is() -> None:
    generator: Any = corner_generator()
    asked = request(0, 1)
    assert request_for(generator, asked) is asked
    assert match_classes(generator, NAMES).is_answered
