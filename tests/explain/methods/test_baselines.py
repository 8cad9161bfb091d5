from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from explain.small_networks import CountingNetwork, LinearNetwork, classifier_of, random_pair
from napari_quac.explain.attribution import attribute
from napari_quac.explain.methods.baselines import Random, Residual
from napari_quac.networks.classifier import Classifier


def classifier_for(shape: tuple[int, ...]) -> Classifier:
    network = CountingNetwork(LinearNetwork(torch.ones(shape)))
    return classifier_of(network, shape=shape, form="callable")


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 5, 7), (1, 3, 4, 5)])
def test_residual_is_the_normalised_difference(shape: tuple[int, ...]) -> None:
    classifier = classifier_for(shape)
    pair = random_pair(classifier)
    found = attribute(pair, "residual", Residual(), classifier).result()
    difference = (pair.query.image - pair.generated).abs()
    expected = (difference - difference.min()) / (difference.max() - difference.min())
    torch.testing.assert_close(found.values, expected)
    assert torch.equal(found.signed, pair.query.image - pair.generated)


def test_random_is_smoothed_noise() -> None:
    classifier = classifier_for((1, 32, 32))
    found = Random(sigma=4, seed=7).attribute(random_pair(classifier), classifier).values
    noise = np.abs(np.random.default_rng(7).standard_normal((1, 32, 32)))
    np.testing.assert_allclose(found.numpy(), gaussian_filter(noise, 4), rtol=1e-6)


def test_random_depends_on_seed_and_shape_alone() -> None:
    classifier = classifier_for((1, 16, 16))
    one, other = random_pair(classifier, seed=0), random_pair(classifier, seed=1)
    assert torch.equal(
        Random().attribute(one, classifier).values, Random().attribute(other, classifier).values
    )
    assert not torch.equal(
        Random(seed=1).attribute(one, classifier).values, Random().attribute(one, classifier).values
    )


@pytest.mark.parametrize("method", [Residual(), Random()])
def test_network_is_not_asked(method: Residual | Random) -> None:
    classifier = classifier_for((1, 8, 8))
    pair = random_pair(classifier)
    asked = classifier.module.n_calls
    found = attribute(pair, "baseline", method, classifier).result()
    assert classifier.module.n_calls == asked
    assert found.completeness is None
