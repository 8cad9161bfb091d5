"""Layer-wise relevance propagation against captum called directly, and where it is refused."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from captum.attr import LRP
from torch import Tensor, nn

from explain.small_networks import LinearNetwork, classifier_of, random_network, random_pair
from napari_quac.data.dataset import Sample
from napari_quac.data.preprocessing import PRESETS
from napari_quac.errors import MethodUnavailableError
from napari_quac.explain.attribution import Attribution, attribute
from napari_quac.explain.methods import METHODS
from napari_quac.explain.pair import make_pair
from napari_quac.networks.classifier import Classifier
from napari_quac.testing import check_method
from rounding import F32

SHAPE = (2, 8, 10)


def map_of(classifier: Classifier, source: int = 0) -> Attribution:
    pair = random_pair(classifier, source=source, target=1 - source)
    return attribute(pair, "lrp", METHODS["lrp"](), classifier).result()


def network(in_place: bool = False) -> nn.Sequential:
    torch.manual_seed(4)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(in_place),
        nn.MaxPool2d(2),
        nn.Dropout(0.3),
        nn.Conv2d(4, 5, 3),
        nn.ReLU(in_place),
        nn.AdaptiveAvgPool2d(1),
        nn.Conv2d(5, 3, 1),
    )


class Flat(nn.Module):
    """A network whose output is flattened outside of its modules, so that captum knows it all."""

    def __init__(self, in_place: bool = False) -> None:
        super().__init__()
        self.layers = network(in_place)

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images).flatten(1)


class Skip(Flat):
    """A network with a connection around its layers."""

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images) + images.mean((2, 3))[:, :1]


class Repeated(Flat):
    """A network that uses a convolution twice."""

    def forward(self, images: Tensor) -> Tensor:
        return self.layers[-1](self.layers[-1](self.layers[:-1](images)).repeat(1, 2, 1, 1)
                               [:, :5]).flatten(1)  # fmt: skip


def test_it_passes_the_checks_of_methods() -> None:
    assert len(check_method(METHODS["lrp"]())) == 6


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("limits", [(0, 1), (-1, 1), (0, 255)])
def test_map_is_that_of_captum(in_place: bool, limits: tuple[float, float]) -> None:
    classifier = classifier_of(Flat(in_place), 3, SHAPE, limits)
    pair = random_pair(classifier, source=2)
    found = attribute(pair, "lrp", METHODS["lrp"](), classifier).result()
    alone = classifier_of(Flat(), 3, SHAPE).module
    inputs = classifier.to_network(pair.query.image[None]).requires_grad_()
    expected = LRP(alone).attribute(inputs, target=2)[0].detach()
    torch.testing.assert_close(found.signed, expected, rtol=1e-4, atol=F32)
    assert not found.degenerate


def test_relevance_without_biases_adds_up_to_the_logit() -> None:
    for shape in ((1, 12, 12), (2, 5, 6, 6)):
        module = random_network(shape)
        for part in module.modules():
            if getattr(part, "bias", None) is not None:
                nn.init.zeros_(part.bias)
        classifier = classifier_of(module, 3, shape)
        pair = random_pair(classifier)
        found = attribute(pair, "lrp", METHODS["lrp"](), classifier).result()
        logit = classifier.logits(pair.query.image[None])[0, 0]
        torch.testing.assert_close(found.signed.sum(), logit, rtol=1e-3, atol=1e-4)


def test_network_is_left_without_rules_and_hooks() -> None:
    module = Flat(in_place=True)
    classifier = classifier_of(module, 3, SHAPE)
    map_of(classifier)
    for part in module.modules():
        assert not hasattr(part, "rule")
        assert not (part._forward_hooks or part._backward_hooks or part._forward_pre_hooks)
    assert module.layers[2].inplace


def test_one_output_has_opposite_relevance_for_its_classes() -> None:
    module = nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                           nn.Linear(3, 1))  # fmt: skip
    classifier = classifier_of(module, 2, SHAPE)
    classifier = Classifier(classifier.module, ("no", "yes"), 2, SHAPE[1:],
                            output="binary logit")  # fmt: skip
    torch.testing.assert_close(map_of(classifier, 0).signed, -map_of(classifier, 1).signed)


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (Skip(), "joins layers by 'add'"),
        (Repeated(), "uses 'layers.8' twice"),
        (nn.Sequential(nn.Flatten(), nn.Linear(160, 3), nn.GELU()), r"a layer .*\(GELU\)"),
    ],
    ids=["skip", "repeated", "activation"],
)
def test_networks_that_captum_gets_wrong_are_refused(module: nn.Module, reason: str) -> None:
    with pytest.raises(MethodUnavailableError, match=reason):
        map_of(classifier_of(module, 3, SHAPE))


def test_programs_are_refused() -> None:
    scripted = torch.jit.trace(Flat().eval(), torch.rand(1, *SHAPE))
    with pytest.raises(MethodUnavailableError, match="is a program"):
        map_of(classifier_of(scripted, 3, SHAPE, form="torchscript"))


def test_network_without_layers_is_refused() -> None:
    with pytest.raises(MethodUnavailableError, match="LRP has no rule"):
        map_of(classifier_of(LinearNetwork(torch.ones(SHAPE)), 2, SHAPE))


def test_relevance_passes_through_the_preprocessing() -> None:
    """Without cropping, no relevance is lost on the way from the input to the gray image."""
    module = Flat()
    module.layers[0] = nn.Conv2d(3, 4, 3)
    preprocessing = replace(PRESETS["imagenet"], channels="repeat", resize=(12, 9))
    classifier = classifier_of(module.eval(), 3, (3, 12, 9)).with_preprocessing(preprocessing)
    image = torch.rand((1, 20, 14), generator=torch.Generator().manual_seed(0))
    pair = make_pair(Sample("gray", image), 1 - image, 1, 0, classifier)
    found = attribute(pair, "lrp", METHODS["lrp"](), classifier).result()
    inputs = classifier.to_network(image[None]).requires_grad_()
    expected = LRP(deepcopy(module).requires_grad_()).attribute(inputs, target=1)
    torch.testing.assert_close(found.signed.sum(), expected.sum().detach(), rtol=1e-3, atol=1e-4)
    with pytest.raises(MethodUnavailableError, match="no rule for the preprocessing"):
        zscore = classifier.with_preprocessing(replace(preprocessing, standardize="zscore"))
        attribute(pair, "lrp", METHODS["lrp"](), zscore).result()
