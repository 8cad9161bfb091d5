from __future__ import annotations

import pytest
import torch
from torch import nn

from explain.small_networks import LinearNetwork, classifier_of, random_network, random_pair
from napari_quac.errors import MethodUnavailableError
from napari_quac.explain.attribution import attribute
from napari_quac.explain.methods.deeplift import (
    GRADIENT_TIMES_DIFFERENCE,
    DiscriminativeDeepLift,
    VanillaDeepLift,
)
from napari_quac.networks.classifier_recipe import classifier_from_module
from rounding import F32


@pytest.mark.parametrize("limits", [(0, 1), (-1, 1), (0, 255)])
def test_map_adds_up_in_any_value_range(limits: tuple[float, float]) -> None:
    classifier = classifier_of(random_network((1, 8, 8)), 3, limits=limits)
    pair = random_pair(classifier)
    found = attribute(pair, "d-deeplift", DiscriminativeDeepLift(), classifier).result()
    assert found.label == "D-DeepLIFT"
    assert found.completeness < 1e-5
    logits = classifier.logits(torch.stack([pair.query.image, pair.generated]))[:, pair.source]
    assert float(found.signed.sum()) == pytest.approx(float(logits[0] - logits[1]), rel=1e-3)


def test_vanilla_method_starts_at_its_baseline() -> None:
    weights = torch.rand(1, 8, 8)
    classifier = classifier_of(LinearNetwork(weights))
    pair = random_pair(classifier, source=1, target=0)
    for level in (0.0, 0.5, 1.0):
        found = VanillaDeepLift(baseline=level).attribute(pair, classifier)
        torch.testing.assert_close(found.values, weights * (pair.query.image - level))


def test_torchscript_is_called_by_its_true_name() -> None:
    network = random_network((1, 8, 8)).eval().requires_grad_(False)
    classifier = classifier_of(torch.jit.script(network), 3, limits=(-1, 1), form="torchscript")
    pair = random_pair(classifier)
    found = attribute(pair, "d-deeplift", DiscriminativeDeepLift(), classifier).result()
    assert found.label == GRADIENT_TIMES_DIFFERENCE == "gradient × difference"
    assert found.completeness is None
    leaf = (2 * pair.query.image - 1)[None].requires_grad_()
    (gradient,) = torch.autograd.grad(network(leaf)[0, 0], leaf)
    expected = gradient[0] * 2 * (pair.query.image - pair.generated)
    torch.testing.assert_close(found.signed, expected, rtol=0, atol=F32)


@pytest.mark.parametrize("method", [DiscriminativeDeepLift(), VanillaDeepLift()])
def test_exported_program_is_refused_with_a_way_out(
    method: DiscriminativeDeepLift | VanillaDeepLift,
) -> None:
    classifier = classifier_of(random_network((1, 8, 8)), 3, form="exported")
    with pytest.raises(MethodUnavailableError, match=r"exported program small.*Choose D-IG"):
        method.attribute(random_pair(classifier), classifier)


def test_function_of_a_module_that_could_be_trained_is_covered() -> None:
    network = random_network((1, 8, 8)).eval()
    classifier = classifier_from_module(
        lambda images: network(images), ("a", "b", "c"), image_size=8, value_range=(0, 1)
    )
    found = attribute(
        random_pair(classifier), "d-deeplift", DiscriminativeDeepLift(), classifier
    ).result()
    assert found.completeness < 1e-4


def test_function_around_torchscript_is_not_called_deeplift() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 3))
    script = torch.jit.script(network.eval().requires_grad_(False))
    classifier = classifier_from_module(
        lambda images: script(images), ("a", "b", "c"), image_size=8, value_range=(0, 1)
    )
    with pytest.raises(MethodUnavailableError, match="cannot be entered"):
        DiscriminativeDeepLift().attribute(random_pair(classifier), classifier)
