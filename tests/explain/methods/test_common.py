"""The same questions to every attribution method."""

from __future__ import annotations

import pytest
import torch

from explain.small_networks import classifier_of, identical, random_network, random_pair
from napari_quac.explain.attribution import Attribution, attribute
from napari_quac.explain.methods import METHODS
from napari_quac.explain.pair import Pair, swap_pair
from napari_quac.networks.classifier import Classifier

FOR_ANY_FUNCTION = ("d-ig", "d-deeplift", "d-ingrad", "ig", "deeplift", "residual", "random")
FOR_MODULES = ("d-gc", "d-ggc", "ingrad", "gc", "ggc")
BUILT_IN = (*FOR_ANY_FUNCTION, *FOR_MODULES)
SHAPES = [(1, 12, 12), (3, 9, 13), (1, 5, 7, 6), (3, 4, 4, 4), (1, 1, 2)]


def map_of(name: str, pair: Pair, classifier: Classifier) -> Attribution:
    return attribute(pair, name, METHODS[name](), classifier).result()


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", BUILT_IN)
def test_map_has_the_shape_of_the_image_and_values_from_0_to_1(
    name: str, shape: tuple[int, ...]
) -> None:
    classifier = classifier_of(random_network(shape), 3, shape, (-1, 1))
    found = map_of(name, random_pair(classifier), classifier)
    assert found.values.shape == found.signed.shape == shape
    assert found.values.dtype == torch.float32
    assert not found.values.requires_grad
    if not found.degenerate:
        assert (float(found.values.min()), float(found.values.max())) == (0, 1)


@pytest.mark.parametrize("name", ["d-ig", "d-deeplift", "d-ingrad", "d-gc", "d-ggc", "residual"])
def test_identical_pair_gives_zero_and_not_nan(name: str) -> None:
    shape = (3, 9, 11)
    classifier = classifier_of(random_network(shape), 3, shape)
    found = map_of(name, identical(random_pair(classifier)), classifier)
    assert found.degenerate
    assert not found.values.any()
    assert not found.signed.any()


@pytest.mark.parametrize("name", BUILT_IN)
@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_constant_image_gives_finite_values(name: str, level: float) -> None:
    shape = (1, 8, 8)
    classifier = classifier_of(random_network(shape), 3, shape)
    pair = random_pair(classifier)
    pair.query.image.fill_(level)
    assert torch.isfinite(map_of(name, pair, classifier).values).all()


@pytest.mark.parametrize("name", BUILT_IN)
def test_same_pair_gives_the_same_map_and_nothing_is_changed(name: str) -> None:
    shape = (1, 12, 12)
    network = random_network(shape)
    classifier = classifier_of(network, 3, shape)
    pair = random_pair(classifier)
    before = [t.clone() for t in (pair.query.image, pair.generated, *network.parameters())]
    first, second = (map_of(name, pair, classifier) for _ in range(2))
    assert torch.equal(first.signed, second.signed)
    after = [pair.query.image, pair.generated, *network.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert all(p.grad is None and not p.requires_grad for p in network.parameters())
    assert not any(m._forward_hooks or m._backward_hooks for m in network.modules())


@pytest.mark.parametrize(
    ("name", "limit"), [("d-ig", 0.02), ("ig", 0.02), ("d-deeplift", 1e-5), ("deeplift", 1e-5)]
)
def test_maps_that_promise_it_add_up_to_the_difference_of_the_logit(
    name: str, limit: float
) -> None:
    shape = (3, 9, 11)
    classifier = classifier_of(random_network(shape), 3, shape)
    found = map_of(name, random_pair(classifier, source=2), classifier)
    assert found.completeness is not None
    assert found.completeness < limit


@pytest.mark.parametrize("name", FOR_ANY_FUNCTION)
def test_range_of_the_network_does_not_matter(name: str) -> None:
    shape = (1, 10, 10)
    network = random_network(shape)

    def in_other_range(images: torch.Tensor) -> torch.Tensor:
        return network((images + 1) / 2)

    unit = classifier_of(network, 3, shape, (0, 1))
    signed = classifier_of(in_other_range, 3, shape, (-1, 1), form="callable")
    one, other = (map_of(name, random_pair(c), c) for c in (unit, signed))
    torch.testing.assert_close(one.values, other.values, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["d-ig", "d-deeplift", "d-ingrad", "d-gc", "d-ggc"])
def test_direction_generated_is_the_method_on_the_swapped_pair(name: str) -> None:
    shape = (1, 10, 10)
    classifier = classifier_of(random_network(shape), 3, shape)
    pair = random_pair(classifier, source=2, target=1)
    method = METHODS[name]
    there = attribute(pair, name, method(direction="generated"), classifier).result()
    back = attribute(swap_pair(pair), name, method(), classifier).result()
    assert torch.equal(there.signed, back.signed)
    assert not torch.allclose(there.values, map_of(name, pair, classifier).values, atol=1e-2)


@pytest.mark.parametrize("name", ["d-ig", "d-deeplift", "d-ingrad", "ig", "deeplift", "ingrad"])
def test_source_is_the_class_that_is_attributed(name: str) -> None:
    shape = (1, 10, 10)
    network = random_network(shape)
    classifier = classifier_of(network, 3, shape)
    swapped = classifier_of(lambda images: network(images)[:, [2, 1, 0]], 3, shape, form="callable")
    one = map_of(name, random_pair(classifier, source=2, target=1), classifier)
    other = map_of(name, random_pair(swapped, source=0, target=1), swapped)
    torch.testing.assert_close(one.values, other.values, rtol=0, atol=1e-5)
    third = map_of(name, random_pair(classifier, source=0, target=1), classifier)
    assert not torch.allclose(one.values, third.values, atol=1e-2)
