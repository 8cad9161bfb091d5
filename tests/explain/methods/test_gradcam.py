"""Grad-CAM and guided backpropagation against Captum, where Captum is right, and by hand."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from captum.attr import GuidedBackprop, GuidedGradCam, InputXGradient, LayerGradCam
from torch import Tensor, nn

from explain.small_networks import classifier_of, random_pair
from napari_quac.errors import MethodUnavailableError, UnknownNameError
from napari_quac.explain.attribution import attribute
from napari_quac.explain.methods import METHODS
from napari_quac.explain.methods.gradcam import guided_gradient
from napari_quac.explain.pair import Pair
from napari_quac.networks.classifier import Classifier
from rounding import F32

SHAPE = (3, 16, 12)
pytestmark = pytest.mark.filterwarnings("ignore:Setting backward hooks on ReLU:UserWarning")


def network(in_place: bool = False) -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(3, 5, 3, padding=1),
        nn.ReLU(in_place),
        nn.MaxPool2d(2),
        nn.Conv2d(5, 7, 3, padding=1),
        nn.ReLU(in_place),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(28, 3),
    )


class FunctionalRelu(nn.Module):
    """The same network with activations that are no modules."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.layers, self.kind = network(), kind

    def relu(self, values: Tensor) -> Tensor:
        if self.kind == "function":
            return F.relu(values)
        if self.kind == "in place":
            return F.relu(values, inplace=True)
        if self.kind == "method":
            return values.relu()
        if self.kind == "method in place":
            return values.relu_()
        return _scripted_relu(values)

    def forward(self, images: Tensor) -> Tensor:
        for layer in self.layers:
            images = self.relu(images) if isinstance(layer, nn.ReLU) else layer(images)
        return images


@torch.jit.script
def _scripted_relu(values: Tensor) -> Tensor:
    return torch.relu(values)


@pytest.fixture
def small() -> tuple[Classifier, Pair]:
    classifier = classifier_of(network(), 3, SHAPE, (-1, 1))
    return classifier, random_pair(classifier, source=2, target=1)


def signed(name: str, pair: Pair, classifier: Classifier, **parameters: object) -> Tensor:
    return attribute(pair, name, METHODS[name](**parameters), classifier).result().signed


def in_range(image: Tensor) -> Tensor:
    return (2 * image - 1)[None].requires_grad_()


def test_gradcam_is_captums(small: tuple[Classifier, Pair]) -> None:
    classifier, pair = small
    expected = LayerGradCam(classifier.module, classifier.module[3]).attribute(
        in_range(pair.query.image), target=2
    )
    expected = F.interpolate(expected, SHAPE[1:], mode="bilinear", align_corners=False)
    found = signed("gc", pair, classifier)
    torch.testing.assert_close(found, expected[0].expand(SHAPE), rtol=1e-4, atol=F32)
    assert (found < 0).any()


def test_guided_gradcam_is_captums(small: tuple[Classifier, Pair]) -> None:
    classifier, pair = small
    expected = GuidedGradCam(classifier.module, classifier.module[3]).attribute(
        in_range(pair.query.image), target=2
    )
    found = signed("ggc", pair, classifier)
    assert found.any()
    torch.testing.assert_close(found, expected[0], rtol=1e-4, atol=F32)


def test_gradient_times_input_is_captums(small: tuple[Classifier, Pair]) -> None:
    classifier, pair = small
    expected = InputXGradient(classifier.module).attribute(in_range(pair.query.image), target=2)
    found = signed("ingrad", pair, classifier)
    torch.testing.assert_close(found, expected[0].abs(), rtol=F32, atol=F32)


def stereo_by_hand(module: nn.Sequential, here: Tensor, other: Tensor, label: int) -> Tensor:
    """Stereo Grad-CAM, channel by channel as it is defined."""
    first, rest = module[:4], module[4:]
    activation = first(in_range(here)).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(rest(activation)[0, label], activation)
    product = gradient * (first(in_range(other)) - activation)
    summed = torch.zeros(SHAPE[1:])
    for channel in range(product.shape[1]):
        summed += F.interpolate(
            product[:, channel : channel + 1], SHAPE[1:], mode="bilinear", align_corners=False
        )[0, 0]
    return (summed.abs() / summed.abs().max()).detach()


def test_stereo_gradcam_by_hand_in_both_directions(small: tuple[Classifier, Pair]) -> None:
    classifier, pair = small
    query, generated = pair.query.image, pair.generated
    for direction, expected in (
        ("query", stereo_by_hand(classifier.module, query, generated, 2)),
        ("generated", stereo_by_hand(classifier.module, generated, query, 1)),
    ):
        found = signed("d-gc", pair, classifier, direction=direction)
        torch.testing.assert_close(found, expected.expand(SHAPE), rtol=1e-4, atol=F32)
        assert float(found.max()) == 1


def test_stereo_guided_gradcam_is_the_guided_gradient_at_the_other_image(
    small: tuple[Classifier, Pair],
) -> None:
    classifier, pair = small
    guided = GuidedBackprop(classifier.module).attribute(in_range(pair.query.image), target=2)
    coarse = signed("d-gc", pair, classifier, direction="generated")
    found = signed("d-ggc", pair, classifier, direction="generated")
    torch.testing.assert_close(found, guided[0] * coarse, rtol=1e-4, atol=F32)


def test_activation_in_place_changes_nothing(small: tuple[Classifier, Pair]) -> None:
    classifier, pair = small
    in_place = classifier_of(network(in_place=True), 3, SHAPE, (-1, 1))
    for name in ("gc", "d-gc", "ggc", "d-ggc"):
        assert torch.equal(signed(name, pair, in_place), signed(name, pair, classifier))


@pytest.mark.parametrize("kind", ["function", "in place", "method", "method in place"])
def test_functional_relu_is_guided_too(kind: str, small: tuple[Classifier, Pair]) -> None:
    classifier, pair = small
    functional = classifier_of(FunctionalRelu(kind), 3, SHAPE, (-1, 1))
    expected = guided_gradient(pair.query.image, 2, classifier)
    found = guided_gradient(pair.query.image, 2, functional)
    assert torch.equal(found, expected)
    (plain,) = torch.autograd.grad(
        classifier.class_evidence(leaf := in_range(pair.query.image))[0, 2], leaf
    )
    assert not torch.allclose(found, plain[0], atol=1e-4)


def test_relu_out_of_reach_is_refused_and_not_called_guided() -> None:
    hidden = classifier_of(FunctionalRelu("scripted"), 3, SHAPE, (-1, 1))
    pair = random_pair(hidden)
    for _ in range(3):  # TorchScript optimises itself in its first runs
        with pytest.raises(MethodUnavailableError, match="does not reach"):
            signed("ggc", pair, hidden)
    assert signed("gc", pair, hidden).any()


def test_network_without_relu_has_no_guided_gradient() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Tanh(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    classifier = classifier_of(module, 4, SHAPE)
    pair = random_pair(classifier)
    with pytest.raises(MethodUnavailableError, match="no ReLU"):
        signed("d-ggc", pair, classifier)
    assert signed("d-gc", pair, classifier).any()


@pytest.mark.parametrize("name", ["gc", "d-gc", "ggc", "d-ggc"])
def test_torchscript_is_refused_with_a_way_out(name: str) -> None:
    scripted = torch.jit.script(network().eval())
    classifier = classifier_of(scripted, 3, SHAPE, (-1, 1), form="torchscript")
    with pytest.raises(MethodUnavailableError, match=r"TorchScript.*'d-ig'"):
        signed(name, random_pair(classifier), classifier)


def test_convolution_that_is_used_twice_is_refused() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Conv2d(3, 3, 3, padding=1)

        def forward(self, images: Tensor) -> Tensor:
            return self.layer(self.layer(images).relu()).mean(dim=(2, 3))

    classifier = classifier_of(Twice(), 3, SHAPE)
    with pytest.raises(MethodUnavailableError, match="2 times"):
        signed("gc", random_pair(classifier), classifier)
    assert not classifier.module.layer._forward_hooks


def test_network_without_convolution_is_refused() -> None:
    classifier = classifier_of(nn.Sequential(nn.Flatten(), nn.Linear(576, 3)), 3, SHAPE)
    with pytest.raises(MethodUnavailableError, match="Conv2d"):
        signed("d-gc", random_pair(classifier), classifier)


@pytest.mark.parametrize(("layer", "index"), [("0", 0), ("3", 3), ("last", 3)])
def test_chosen_convolution_is_that_of_captum(layer: str, index: int) -> None:
    module = network()
    classifier = classifier_of(module, 3, SHAPE)
    pair = random_pair(classifier)
    found = attribute(pair, "gc", METHODS["gc"](layer=layer), classifier).result()
    raw = LayerGradCam(classifier.module, module[index])
    expected = raw.attribute(pair.query.image[None], target=0)[0].detach()
    expected = F.interpolate(expected[None], SHAPE[1:], mode="bilinear")[0].expand(SHAPE)
    torch.testing.assert_close(found.signed, expected, rtol=1e-4, atol=F32)


@pytest.mark.parametrize("name", ["d-gc", "d-ggc", "gc", "ggc"])
def test_unknown_convolution_is_an_error_with_all_names(name: str) -> None:
    classifier = classifier_of(network(), 3, SHAPE)
    with pytest.raises(UnknownNameError, match=r"no convolution '1'.*Known: last, 0, 3"):
        attribute(random_pair(classifier), name, METHODS[name](layer="1"), classifier).result()
    first, last = (
        attribute(random_pair(classifier), name, METHODS[name](layer=layer), classifier).result()
        for layer in ("0", "3")
    )
    assert not torch.equal(first.signed, last.signed)
