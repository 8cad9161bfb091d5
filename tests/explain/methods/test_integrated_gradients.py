from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from torch import Tensor

from explain.small_networks import LinearNetwork, classifier_of, random_network, random_pair
from napari_quac.errors import MethodUnavailableError
from napari_quac.explain.attribution import SignedMap
from napari_quac.explain.methods import gradients as module
from napari_quac.explain.methods.gradients import (
    COARSE_STEPS,
    NODES_PER_STEP,
    DiscriminativeIG,
    VanillaIG,
    integrated_gradients,
    logit_gradient,
)
from napari_quac.networks.classifier import Classifier
from rounding import F32
from strategies import images, quick


@quick
@given(images(3))
def test_linear_network_gives_weight_times_difference(drawn: tuple[Tensor, ...]) -> None:
    weights, query, generated = drawn
    classifier = classifier_of(LinearNetwork(weights), shape=tuple(weights.shape))
    found = integrated_gradients(query, generated, 1, classifier).result()
    torch.testing.assert_close(found.values, weights * (query - generated), rtol=0, atol=1e-5)


def test_cubic_network_is_integrated_exactly_with_two_nodes() -> None:
    classifier = classifier_of(
        lambda images: torch.stack([(images**3).sum((1, 2, 3))] * 2, dim=1), form="callable"
    )
    pair = random_pair(classifier)
    found = DiscriminativeIG(n_steps=2).attribute(pair, classifier).result()
    expected = pair.query.image**3 - pair.generated**3
    torch.testing.assert_close(found.values, expected, rtol=0, atol=F32)


def test_vanilla_method_starts_at_its_baseline() -> None:
    weights = torch.rand(1, 8, 8)
    classifier = classifier_of(LinearNetwork(weights), limits=(-1, 1))
    pair = random_pair(classifier)
    for level in (0.0, 0.5, 1.0):
        found = VanillaIG(baseline=level).attribute(pair, classifier).result()
        expected = 2 * weights * (level - pair.query.image)  # class 0 has the negative weights
        torch.testing.assert_close(found.values, expected, rtol=0, atol=F32)


def test_default_baseline_is_zero_in_the_range_of_the_quac_library() -> None:
    classifier = classifier_of(random_network((1, 8, 8)), 3, limits=(-1, 1))
    assert float(classifier.attribution_inputs(torch.tensor(VanillaIG().baseline))) == 0


@pytest.mark.parametrize("n_steps", [3, 20, 29, 30, 31, 50, 64])
def test_the_first_map_changes_no_bit_of_the_sum(n_steps: int) -> None:
    classifier = classifier_of(random_network((1, 8, 8)), 3)
    pair = random_pair(classifier)
    image, baseline = pair.query.image, pair.generated
    nodes, node_weights = np.polynomial.legendre.leggauss(n_steps)
    total = torch.zeros_like(image, dtype=torch.float64)
    for start in range(0, n_steps, NODES_PER_STEP):
        part = slice(start, start + NODES_PER_STEP)
        alphas = torch.tensor((nodes[part] + 1) / 2, dtype=torch.float32).view(-1, 1, 1, 1)
        gradients = logit_gradient(baseline + alphas * (image - baseline), 1, classifier)
        weights = torch.tensor(node_weights[part] / 2, dtype=torch.float64).view(-1, 1, 1, 1)
        total += (gradients * weights).sum(dim=0)
    coarse: list[SignedMap] = []
    steps = integrated_gradients(image, baseline, 1, classifier, n_steps)
    computed = steps.follow(lambda step: coarse.append(step.partial) if step.partial else None)
    assert torch.equal(computed.values, total.float() * (image - baseline))
    assert len(coarse) == (n_steps > 2 * COARSE_STEPS * NODES_PER_STEP - NODES_PER_STEP)
    for signed in coarse:
        assert signed.logit_difference is None  # of a part of the path
        assert float((signed.values - computed.values).abs().max()) < float(
            0.5 * computed.values.abs().max()
        )


@pytest.mark.parametrize("nodes_per_step", [1, 7, 50])
def test_nodes_per_step_change_nothing(
    monkeypatch: pytest.MonkeyPatch, nodes_per_step: int
) -> None:
    classifier = classifier_of(random_network((1, 8, 8)), 3)
    pair = random_pair(classifier)
    usual = DiscriminativeIG().attribute(pair, classifier).result()
    monkeypatch.setattr(module, "NODES_PER_STEP", nodes_per_step)
    steps = DiscriminativeIG().attribute(pair, classifier)
    assert next(steps).total == 50
    torch.testing.assert_close(steps.result().values, usual.values, rtol=0, atol=F32)


def test_torchscript_gives_the_same_map() -> None:
    network = random_network((1, 8, 8)).eval().requires_grad_(False)
    script = torch.jit.script(network)
    eager = classifier_of(network, 3)
    scripted = classifier_of(script, 3, form="torchscript")
    one, other = (
        DiscriminativeIG().attribute(random_pair(c), c).result() for c in (eager, scripted)
    )
    torch.testing.assert_close(one.values, other.values, rtol=0, atol=F32)


def test_probabilities_are_attributed_as_their_logarithm() -> None:
    network = random_network((1, 8, 8))
    pair = random_pair(classifier_of(network, 3))
    probabilities = replace(
        classifier_of(lambda images: network(images).softmax(1), 3, form="callable"),
        output="probabilities",
    )
    found = DiscriminativeIG().attribute(pair, probabilities).result()
    p = probabilities.predict(torch.stack([pair.query.image, pair.generated]))[:, 0].log()
    assert float(found.values.sum()) == pytest.approx(float(p[0] - p[1]), abs=1e-4)


def test_network_without_gradients_is_refused_with_a_way_out() -> None:
    classifier = classifier_of(
        lambda images: LinearNetwork(torch.ones(1, 8, 8))(images.detach()), form="callable"
    )
    with pytest.raises(MethodUnavailableError, match=r"gives no gradients .* Choose 'residual'"):
        DiscriminativeIG().attribute(random_pair(classifier), classifier).result()


def test_captum_gives_the_same_map() -> None:
    captum = pytest.importorskip("captum.attr")
    shape = (3, 9, 11)
    network = random_network(shape)
    classifier: Classifier = classifier_of(network, 3, shape)
    pair = random_pair(classifier, source=2)
    found = DiscriminativeIG().attribute(pair, classifier).result()
    expected = captum.IntegratedGradients(network).attribute(
        pair.query.image[None], pair.generated[None], target=2, n_steps=50
    )
    torch.testing.assert_close(found.values, expected[0].float(), rtol=0, atol=F32)


class Step(torch.nn.Module):
    """A logit that changes all at once on the way, which takes many nodes to integrate."""

    def forward(self, images: Tensor) -> Tensor:
        mean = images.mean((1, 2, 3))
        return torch.stack([torch.sigmoid(400 * (mean - 0.317)), -mean], dim=1)


def test_nodes_are_doubled_until_the_attribution_adds_up() -> None:
    classifier = classifier_of(Step(), form="callable")
    pair = random_pair(classifier)
    pair = replace(
        pair,
        query=replace(pair.query, image=torch.ones(1, 8, 8)),
        generated=torch.zeros(1, 8, 8),
        source=0,
    )
    few = DiscriminativeIG(n_steps=10).attribute(pair, classifier).result()
    assert few.completeness is not None and few.completeness > 0.05
    assert few.details == {"n_steps": 10}
    method = DiscriminativeIG(n_steps=10, until_complete=True)
    found = method.attribute(pair, classifier).result()
    assert found.completeness is not None and found.completeness <= 0.01
    assert 10 < found.details["n_steps"] < 400
    again = DiscriminativeIG(n_steps=found.details["n_steps"]).attribute(pair, classifier).result()
    assert torch.equal(found.values, again.values)


def test_doubling_ends_at_400_nodes_and_is_not_used_by_default() -> None:
    class Steeper(Step):
        def forward(self, images: Tensor) -> Tensor:
            return torch.sigmoid(1e5 * (images.mean((1, 2, 3)) - 0.3171))[:, None].repeat(1, 2)

    classifier = classifier_of(Steeper(), form="callable")
    image, baseline = torch.ones(1, 8, 8), torch.zeros(1, 8, 8)
    found = module.complete_gradients(image, baseline, 0, classifier, 150).result()
    assert found.details == {"n_steps": 400}
    assert not DiscriminativeIG().until_complete and not VanillaIG().until_complete
