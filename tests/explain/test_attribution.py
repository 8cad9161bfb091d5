from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from explain.small_networks import LinearNetwork, classifier_of, random_pair
from napari_quac.errors import NotFiniteError, ShapeError
from napari_quac.explain.attribution import SignedMap, attribute, normalize_map
from napari_quac.explain.pair import Pair
from napari_quac.networks.classifier import Classifier
from napari_quac.stepwise import Progress, stepwise
from strategies import images, quick


@dataclass(frozen=True)
class Returns:
    """A method that returns what it is given."""

    result: Any
    label: ClassVar[str] = "returned"

    def attribute(self, pair: Pair, classifier: Classifier) -> Any:
        return self.result


@pytest.fixture
def classifier() -> Classifier:
    return classifier_of(LinearNetwork(torch.ones(1, 2, 3)), shape=(1, 2, 3))


@pytest.fixture
def pair(classifier: Classifier) -> Pair:
    return random_pair(classifier)


@quick
@given(images(1), st.sampled_from([1e-30, 1e-3, 1.0, 1e6, 1e30]))
def test_values_span_0_to_1_on_any_scale(drawn: tuple[Tensor], scale: float) -> None:
    signed = (drawn[0] - 0.5) * scale
    values, degenerate = normalize_map(signed)
    assert torch.isfinite(values).all()
    if degenerate:
        assert not values.any()
        assert float(signed.abs().min()) == float(signed.abs().max())
    else:
        assert (float(values.min()), float(values.max())) == (0, 1)
        order = signed.abs().flatten().argsort()
        assert (values.flatten()[order].diff() >= 0).all()


@quick
@given(images(1))
def test_sign_does_not_matter_for_the_values(drawn: tuple[Tensor]) -> None:
    signed = drawn[0] - 0.5
    assert torch.equal(normalize_map(signed)[0], normalize_map(-signed)[0])


@pytest.mark.parametrize("level", [0.0, -3.0, 1e30])
def test_constant_map_is_degenerate_and_zero(level: float) -> None:
    values, degenerate = normalize_map(torch.full((3, 4, 4), level))
    assert degenerate
    assert not values.any()


def test_map_of_opposite_signs_is_constant_too() -> None:
    assert normalize_map(torch.tensor([[[1.0, -1.0]]]))[1]


def test_all_channels_share_one_scale() -> None:
    signed = torch.tensor([[[0.0, 1.0]], [[2.0, 4.0]]])
    assert normalize_map(signed)[0].tolist() == [[[0, 0.25]], [[0.5, 1]]]


def test_plain_tensor_signed_map_and_steps_are_accepted(pair: Pair, classifier: Classifier) -> None:
    signed = torch.tensor([[[0.0, -1.0, 2.0], [0.5, 0.0, -4.0]]])

    @stepwise
    def step_by_step() -> Generator[Progress, None, SignedMap]:
        yield Progress(0, 1, "thinking")
        return SignedMap(signed)

    results = [
        attribute(pair, "mine", Returns(given), classifier)
        for given in (signed, SignedMap(signed), step_by_step())
    ]
    progress = list(results.pop())
    assert "thinking" in [p.text for p in progress]
    for steps in results:
        attribution = steps.result()
        assert attribution.values.tolist() == [[[0, 0.25, 0.5], [0.125, 0, 1]]]
        assert torch.equal(attribution.signed, signed)
        assert (attribution.method, attribution.label) == ("mine", "returned")
        assert attribution.completeness is None
        assert not attribution.degenerate


def test_label_is_what_was_really_computed(pair: Pair, classifier: Classifier) -> None:
    stand_in = SignedMap(pair.generated, computed_as="something else")
    assert attribute(pair, "mine", Returns(stand_in), classifier).result().label == "something else"


def test_completeness_is_the_relative_gap_of_the_sum(pair: Pair, classifier: Classifier) -> None:
    signed = torch.tensor([[[1.0, 2.0, 3.0], [0.0, 0.0, -2.0]]])
    found = attribute(
        pair, "mine", Returns(SignedMap(signed, logit_difference=5.0)), classifier
    ).result()
    assert found.completeness == pytest.approx(0.2)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_map_that_is_not_finite_is_refused(pair: Pair, classifier: Classifier, bad: float) -> None:
    signed = torch.zeros(1, 2, 3)
    signed[0, 1, 1] = bad
    with pytest.raises(NotFiniteError, match="The attribution 'mine' of 'noise' contains NaN"):
        attribute(pair, "mine", Returns(signed), classifier).result()


@pytest.mark.parametrize("shape", [(1, 3, 2), (3, 2, 3), (2, 3)])
def test_map_of_another_shape_is_refused(
    pair: Pair, classifier: Classifier, shape: tuple[int, ...]
) -> None:
    with pytest.raises(ShapeError, match=r"'mine' returned a map of shape .* \(1, 2, 3\)"):
        attribute(pair, "mine", Returns(torch.zeros(shape)), classifier).result()
