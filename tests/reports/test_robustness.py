"""Infidelity, sensitivity and sanity on networks whose answers can be worked out."""

from __future__ import annotations

import pytest
import torch
from captum.metrics import infidelity as captum_infidelity
from torch import nn

from napari_quac.data.dataset import Sample
from napari_quac.data.preprocessing import PRESETS
from napari_quac.errors import DataError, MethodUnavailableError
from napari_quac.explain.methods import METHODS
from napari_quac.explain.pair import Pair, make_pair
from napari_quac.networks.classifier import Classifier
from napari_quac.reports.robustness import cascading_randomization, infidelity, max_sensitivity


class Small(nn.Module):
    """Two layers, with a ReLU between them if it is to be curved."""

    def __init__(self, curved: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Linear(36, 8)
        self.between = nn.ReLU() if curved else nn.Identity()
        self.last = nn.Linear(8, 2)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.last(self.between(self.first(images.flatten(1))))


def small(curved: bool = False) -> Classifier:
    network = Small(curved).eval().requires_grad_(False)
    return Classifier(network, ("0", "1"), 1, (6, 6), PRESETS["quac"])


@pytest.fixture(scope="module")
def images() -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(1)
    return torch.rand(1, 6, 6, generator=random), torch.rand(1, 6, 6, generator=random)


def gradient(classifier: Classifier, image: torch.Tensor) -> torch.Tensor:
    image = image.clone().requires_grad_()
    return torch.autograd.grad(classifier.logits(image[None])[0, 0], image)[0]


def pair_of(images, classifier: Classifier) -> Pair:
    return make_pair(Sample("x", images[0]), images[1], 0, 1, classifier)


def test_gradient_of_a_linear_network_is_faithful(images):
    classifier, image = small(), images[0]
    right = gradient(classifier, image)
    assert infidelity(image, right, classifier, 0).result() < 1e-9
    wrong = infidelity(image, -right, classifier, 0).result()
    assert wrong > 1e-4
    # twice a good map is as good once it may be scaled, and the reverse of it too
    assert infidelity(image, 2 * right, classifier, 0).result() > 1e-5
    assert infidelity(image, 2 * right, classifier, 0, normalize=True).result() < 1e-9


def test_map_that_was_multiplied_is_judged_by_the_change_over_its_difference(images):
    classifier, (image, baseline) = small(), images
    baseline = baseline.clone()
    baseline[0, 0] = image[0, 0]  # there is nothing to explain here
    multiplied = gradient(classifier, image) * (image - baseline)
    judged = infidelity(image, multiplied, classifier, 0, multiplied_by=image - baseline)
    assert judged.result() < 1e-9
    assert infidelity(image, multiplied, classifier, 0).result() > 1e-5


def test_infidelity_equals_captums_on_the_same_changes(images):
    classifier, image = small(curved=True), images[0]
    right = gradient(classifier, image)
    random = torch.Generator().manual_seed(3)
    changes = iter([torch.randn(image.shape, generator=random) * 0.3 for _ in range(6)])

    def perturb(inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        change = torch.stack([next(changes) for _ in range(len(inputs))])
        return change, inputs - change

    expected = captum_infidelity(
        classifier.logits, perturb, image[None], right[None], target=0, n_perturb_samples=6
    )
    ours = infidelity(image, right, classifier, 0, noise=0.3, n_samples=6, seed=3).result()
    assert ours == pytest.approx(float(expected), rel=1e-4)
    assert ours > 1e-6


def test_infidelity_without_noise_is_refused(images):
    with pytest.raises(DataError, match="above 0"):
        infidelity(images[0], images[0], small(), 0, noise=0).result()


def test_sensitivity_of_a_linear_network_follows_from_the_change_alone(images):
    classifier = small()
    pair = pair_of(images, classifier)
    # the map is w·(x − x_t); with a radius of 0.02 in a range of 2 a pixel moves by 0.01 at most
    found = max_sensitivity(pair, "d-ingrad", METHODS["d-ingrad"](), classifier).result()
    weights = gradient(classifier, images[0]).abs()
    bound = 0.01 * weights.norm() / (weights * (images[0] - images[1])).norm()
    assert 0.3 * bound < found < bound
    same = max_sensitivity(pair, "random", METHODS["random"](), classifier).result()
    assert same == 0


def test_sensitivity_of_nothing_is_refused(images):
    classifier = small()
    pair = pair_of((images[0], images[0]), classifier)
    with pytest.raises(DataError, match="zero everywhere"):
        max_sensitivity(pair, "residual", METHODS["residual"](), classifier).result()


def test_randomisation_changes_what_explains_the_network_and_not_the_residual(images):
    classifier = small(curved=True)
    before = [parameter.clone() for parameter in classifier.module.parameters()]
    pair = pair_of(images, classifier)
    steps = cascading_randomization(pair, "d-ig", METHODS["d-ig"](), classifier, seed=1).result()
    assert [step.layer for step in steps] == ["last", "first"]
    assert steps[-1].rank_correlation < 0.9
    blind = cascading_randomization(pair, "residual", METHODS["residual"](), classifier).result()
    assert [step.rank_correlation for step in blind] == [1, 1]
    assert all(
        torch.equal(old, new)
        for old, new in zip(before, classifier.module.parameters(), strict=True)
    )


def test_running_statistics_stay(images):
    network = nn.Sequential(nn.BatchNorm2d(1), nn.Flatten(), nn.Linear(36, 2)).eval()
    network.requires_grad_(False)
    network[0].running_mean.fill_(0.3)
    classifier = Classifier(network, ("0", "1"), 1, (6, 6), PRESETS["unit"])
    steps = cascading_randomization(
        pair_of(images, classifier), "d-ingrad", METHODS["d-ingrad"](), classifier
    ).result()
    assert [step.layer for step in steps] == ["2", "0"]
    assert float(network[0].running_mean) == pytest.approx(0.3)


def test_a_network_without_layers_is_refused(images):
    class Function(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images.flatten(1)[:, :2]

    classifier = Classifier(Function().eval(), ("0", "1"), 1, (6, 6), PRESETS["unit"])
    pair = pair_of(images, classifier)
    with pytest.raises(MethodUnavailableError, match="no layers"):
        cascading_randomization(pair, "d-ingrad", METHODS["d-ingrad"](), classifier).result()
