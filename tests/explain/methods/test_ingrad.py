from __future__ import annotations

import torch

from explain.small_networks import LinearNetwork, classifier_of, random_network, random_pair
from napari_quac.explain.methods.gradients import DiscriminativeInputGradient
from rounding import F32


def test_map_is_the_size_of_the_gradient_times_the_difference() -> None:
    weights = torch.randn(1, 8, 8, generator=torch.Generator().manual_seed(0))
    classifier = classifier_of(LinearNetwork(weights))
    pair = random_pair(classifier)
    found = DiscriminativeInputGradient().attribute(pair, classifier)
    expected = weights.abs() * (pair.generated - pair.query.image)
    torch.testing.assert_close(found.values, expected)


def test_gradient_is_taken_at_the_query() -> None:
    network = random_network((3, 6, 7))
    classifier = classifier_of(network, 3, (3, 6, 7))
    pair = random_pair(classifier, source=1, target=2)
    leaf = pair.query.image[None].clone().requires_grad_()
    (gradient,) = torch.autograd.grad(network(leaf)[0, 1], leaf)
    found = DiscriminativeInputGradient().attribute(pair, classifier)
    expected = gradient[0].abs() * (pair.generated - pair.query.image)
    torch.testing.assert_close(found.values, expected, rtol=0, atol=F32)


def test_no_sum_is_promised() -> None:
    classifier = classifier_of(random_network((1, 8, 8)), 3)
    found = DiscriminativeInputGradient().attribute(random_pair(classifier), classifier)
    assert found.logit_difference is None
