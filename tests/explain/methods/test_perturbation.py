"""Captum's methods against captum called directly, and against known answers."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from captum.attr import FeatureAblation, Occlusion, ShapleyValues
from torch import Tensor

from explain.small_networks import (
    CountingNetwork,
    LinearNetwork,
    classifier_of,
    random_network,
    random_pair,
)
from napari_quac.data.dataset import Sample
from napari_quac.errors import NotFiniteError
from napari_quac.explain.attribution import Attribution, attribute
from napari_quac.explain.methods import METHODS
from napari_quac.explain.methods.superpixels import superpixels
from napari_quac.explain.pair import Pair, make_pair
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.infill_image import infill_image
from napari_quac.testing import check_method, corner_classifier, corner_image
from rounding import F32

NAMES = ("occlusion", "ablation", "shapley", "smoothgrad")
SHAPE = (1, 12, 12)


def map_of(name: str, pair: Pair, classifier: Classifier, **parameters: object) -> Attribution:
    return attribute(pair, name, METHODS[name](**parameters), classifier).result()


def linear(shape: tuple[int, ...] = SHAPE, seed: int = 1) -> tuple[Classifier, Pair, Tensor]:
    """Return a linear classifier, a pair whose source logit is ``Σ w·x``, and ``w(x − x_t)``."""
    weights = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    classifier = classifier_of(LinearNetwork(weights), 2, shape)
    pair = random_pair(classifier, source=1, target=0)
    return classifier, pair, weights * (pair.query.image - pair.generated)


@pytest.mark.parametrize("baseline", ["generated", "blur", "mean", "gray"])
@pytest.mark.parametrize("name", NAMES)
def test_each_passes_the_checks_of_methods(name: str, baseline: str) -> None:
    assert len(check_method(METHODS[name](baseline=baseline))) >= 6


def test_shapley_values_of_a_linear_network_are_the_sums_of_each_superpixel() -> None:
    for shape in (SHAPE, (3, 8, 10), (2, 4, 6, 6)):
        classifier, pair, parts = linear(shape)
        labels = superpixels(pair.query.image, 8)
        found = map_of("shapley", pair, classifier, n_superpixels=8, n_samples=2)
        for label in range(int(labels.max()) + 1):
            inside = (labels == label).expand(shape)
            expected = parts[inside].mean().expand(int(inside.sum()))
            torch.testing.assert_close(found.signed[inside], expected, rtol=1e-3, atol=1e-4)
        assert found.completeness is not None and found.completeness < 1e-3


def test_ablation_of_a_linear_network_is_the_same() -> None:
    classifier, pair, _ = linear()
    maps = [map_of(name, pair, classifier, n_superpixels=9).signed for name in ("ablation",
            "shapley")]  # fmt: skip
    torch.testing.assert_close(*maps, rtol=1e-3, atol=1e-4)


def test_occlusion_of_a_linear_network_is_the_mean_over_its_windows() -> None:
    classifier, pair, parts = linear((1, 6, 6))
    found = map_of("occlusion", pair, classifier, window=2, stride=2).signed
    expected = torch.nn.functional.avg_pool2d(parts[None], 2) * 4
    expected = expected.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)[0]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_smoothgrad_of_a_linear_network_is_the_gradient_without_noise() -> None:
    classifier, pair, parts = linear()
    found = map_of("smoothgrad", pair, classifier, n_samples=7).signed
    torch.testing.assert_close(found, parts, rtol=1e-4, atol=1e-5)
    plain = map_of("smoothgrad", pair, classifier, baseline="none").signed
    torch.testing.assert_close(plain, classifier.module.weights, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [SHAPE, (3, 9, 13), (1, 5, 7, 6)], ids=str)
@pytest.mark.parametrize("baseline", ["generated", "blur", "gray"])
def test_maps_are_those_of_captum(shape: tuple[int, ...], baseline: str) -> None:
    classifier = classifier_of(random_network(shape), 3, shape, (-1, 1))
    pair = random_pair(classifier, source=2)
    other = pair.generated
    if baseline != "generated":
        other = infill_image(baseline, pair.query.image)  # type: ignore[arg-type]
    images = {"inputs": pair.query.image[None], "baselines": other[None], "target": 2}
    labels = superpixels(pair.query.image, 6)
    mask = labels.expand(shape)[None].contiguous()
    sizes = (torch.bincount(labels.flatten()) * shape[0])[labels]
    with torch.no_grad():
        windows = (shape[0], *(2 for _ in shape[1:]))
        occluded = Occlusion(classifier.logits).attribute(
            **images, sliding_window_shapes=windows, strides=windows
        )
        ablated = FeatureAblation(classifier.logits).attribute(**images, feature_mask=mask)
        exact = ShapleyValues(classifier.logits).attribute(**images, feature_mask=mask)
    ours = map_of("occlusion", pair, classifier, window=2, stride=2, baseline=baseline)
    torch.testing.assert_close(ours.signed, occluded[0], rtol=1e-4, atol=F32)
    ours = map_of("ablation", pair, classifier, n_superpixels=6, baseline=baseline)
    torch.testing.assert_close(ours.signed, ablated[0] / sizes, rtol=1e-4, atol=F32)
    ours = map_of("shapley", pair, classifier, n_superpixels=6, n_samples=200, baseline=baseline)
    assert torch.nn.functional.cosine_similarity(
        ours.signed.flatten(), (exact[0] / sizes).flatten(), dim=0
    ) > 0.99  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_decisive_corners_are_found(name: str) -> None:
    """Of the pixels that rank highest, nearly all are in the corners that the network sees."""
    size = 32
    classifier = corner_classifier(size)
    pair = make_pair(
        Sample("left", corner_image(0, size)), corner_image(1, size, 5), 0, 1, classifier
    )
    values = map_of(name, pair, classifier).values[0]
    corners = torch.zeros((size, size), dtype=torch.bool)
    corners[: size // 4, : size // 4] = corners[-size // 4 :, -size // 4 :] = True
    highest = values.flatten().argsort(descending=True)[:64]
    assert corners.flatten()[highest].float().mean() > 0.8


@pytest.mark.parametrize("name", NAMES)
def test_work_stops_within_one_batch(name: str) -> None:
    network = CountingNetwork(random_network(SHAPE))
    classifier = classifier_of(network, 3, SHAPE)
    pair = random_pair(classifier)
    steps = METHODS[name]().attribute(pair, classifier)
    progress = [next(steps) for _ in range(3)]
    before = network.n_images
    steps.close()
    assert network.n_images == before
    assert [step.done for step in progress] == sorted(step.done for step in progress)
    assert all(step.total and step.done <= step.total for step in progress)


@pytest.mark.parametrize("name", NAMES)
def test_other_random_numbers_between_steps_change_nothing(name: str) -> None:
    classifier = classifier_of(random_network(SHAPE), 3, SHAPE)
    pair = random_pair(classifier)
    expected = map_of(name, pair, classifier).signed
    steps = METHODS[name]().attribute(pair, classifier)
    found = steps.follow(lambda step: torch.rand(3))
    assert torch.equal(found.values, expected)


@pytest.mark.parametrize("name", ("occlusion", "ablation", "shapley"))
def test_network_with_nan_is_an_error(name: str) -> None:
    classifier = classifier_of(lambda images: images.sum((1, 2, 3))[:, None] * torch.nan
                               + torch.zeros(2), 2, SHAPE, form="callable")  # fmt: skip
    pair = replace(random_pair(classifier_of(random_network(SHAPE), 2, SHAPE)), source=0, target=1)
    with pytest.raises(NotFiniteError, match="contains NaN"):
        map_of(name, pair, classifier)


def test_superpixels_are_the_same_every_time_and_without_gaps() -> None:
    for shape in ((1, 32, 32), (3, 20, 31), (1, 6, 16, 16), (1, 1, 2)):
        image = torch.rand(shape, generator=torch.Generator().manual_seed(2))
        labels = superpixels(image, 12, spacing=(4.0, 1.0, 1.0))
        assert torch.equal(labels, superpixels(image.clone(), 12, spacing=(4.0, 1.0, 1.0)))
        assert labels.shape == shape[1:]
        assert labels.unique().tolist() == list(range(int(labels.max()) + 1))


def test_superpixels_follow_edges() -> None:
    image = torch.zeros((1, 40, 40))
    image[:, 7:23, 11:33] = 0.8
    labels = superpixels(image, 30)
    for label in labels.unique():
        assert image[0][labels == label].unique().numel() == 1


@pytest.mark.long
@pytest.mark.parametrize("name", NAMES)
def test_few_images_of_512_pixels_are_in_memory_at_a_time(name: str) -> None:
    shape, sizes = (1, 512, 512), []
    network = random_network(shape)

    def note_size(images: Tensor) -> Tensor:
        sizes.append(len(images))
        return network(images)

    classifier = classifier_of(note_size, 3, shape, form="callable")
    steps = METHODS[name]().attribute(random_pair(classifier), classifier)
    sizes.clear()
    for _, _ in zip(steps, range(6), strict=False):
        pass
    steps.close()
    assert sizes and max(sizes) <= classifier.batch_for(shape[1:])
