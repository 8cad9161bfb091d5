"""Preprocessing inside a classifier: values, geometry, gradients, and attributions through it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from napari_quac.data.dataset import Sample
from napari_quac.data.preprocessed import PreprocessedRecipe
from napari_quac.data.preprocessing import (
    PRESETS,
    Preprocessing,
    combine,
    preprocessing_from_metadata,
    preset_of,
)
from napari_quac.errors import DataError, MethodUnavailableError, QuacError, ShapeError
from napari_quac.explain.attribution import attribute
from napari_quac.explain.methods import METHODS
from napari_quac.explain.methods.gradients import integrated_gradients
from napari_quac.explain.pair import make_pair
from napari_quac.networks.classifier import Classifier

GENERATOR = torch.Generator().manual_seed(0)
GRAY = torch.rand(2, 1, 21, 30, generator=GENERATOR)
COLOR = torch.rand(2, 3, 21, 30, generator=GENERATOR)
IMAGENET = PRESETS["imagenet"]


@pytest.mark.parametrize("name", PRESETS)
def test_presets_change_values_as_their_name_says(name: str) -> None:
    changed = PRESETS[name].to_network(COLOR).numpy()
    image = COLOR.numpy()
    column = (1, 3, 1, 1)
    mean, std = np.reshape([0.485, 0.456, 0.406], column), np.reshape([0.229, 0.224, 0.225], column)
    spread = image.std(axis=(1, 2, 3), keepdims=True)
    expected = {
        "quac": image * 2 - 1,
        "unit": image,
        "bytes": image * 255,
        "imagenet": (image - mean) / std,
        "imagenet-gray": (image - 0.449) / 0.226,
        "zscore": (image - image.mean(axis=(1, 2, 3), keepdims=True)) / spread,
    }
    np.testing.assert_allclose(changed, expected[name], rtol=1e-4, atol=1e-5)
    assert preset_of(PRESETS[name]) == name


def test_percentiles_are_those_of_numpy() -> None:
    changed = Preprocessing(standardize=(2.0, 98.5)).to_network(COLOR).numpy()
    image = COLOR.numpy()
    low, high = np.percentile(image, (2, 98.5), axis=(1, 2, 3), keepdims=True)
    np.testing.assert_allclose(changed, ((image - low) / (high - low)).clip(0, 1), atol=1e-5)
    with_range = Preprocessing(standardize=(2.0, 98.5), value_range=(-1, 1)).to_network(COLOR)
    np.testing.assert_allclose(with_range.numpy(), changed * 2 - 1, atol=1e-5)


def test_blank_images_stay_finite_with_their_gradients() -> None:
    for standardize in ("zscore", (1.0, 99.0)):
        blank = torch.full((1, 1, 4, 4), 0.3, requires_grad=True)
        changed = Preprocessing(standardize=standardize).to_network(blank)  # type: ignore[arg-type]
        changed.sum().backward()
        assert torch.isfinite(changed).all() and torch.isfinite(blank.grad).all()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("old", "resize", "size", "window"),
    [
        ((21, 30), 14, (14, 20), None),  # int(14 * 30 / 21) along the longer side
        ((30, 21), 16, (22, 16), None),
        ((21, 30), (8, 9), (8, 9), None),
        ((9, 12), None, (4, 5), (2, 4)),  # halves are rounded to even: 2.5 to 2, 3.5 to 4
    ],
)
def test_sizes_follow_the_rules_of_torchvision(old, resize, size, window) -> None:
    crop = size if window else None
    preprocessing = Preprocessing(resize=resize, crop=crop)
    image = torch.arange(float(np.prod(old))).view(1, 1, *old) / np.prod(old)
    changed = preprocessing.to_network(image)
    assert changed.shape[2:] == size == preprocessing.network_size(old)
    if window:
        y, x = window
        assert torch.equal(changed, image[..., y : y + size[0], x : x + size[1]])


def test_images_smaller_than_the_crop_are_padded_with_black() -> None:
    image = torch.ones(1, 1, 3, 6)
    changed = Preprocessing(crop=(6, 4)).to_network(image)[0, 0]
    expected = torch.zeros(6, 4)
    expected[1:4] = 1  # 3 rows are missing: one above, two below
    assert torch.equal(changed, expected)
    padded = Preprocessing(pad=8).to_network(image)[0, 0]
    assert padded.shape == (8, 8) and padded.sum() == 18 and padded[2:5, 1:7].all()


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_rounding_is_that_of_8_bit_images_and_the_gradient_that_of_floats(interpolation) -> None:
    levels = (COLOR[0] * 255).round()
    image = (levels / 255)[None].requires_grad_()
    exact = Preprocessing(resize=(12, 13), interpolation=interpolation)
    rounded = replace(exact, eight_bit=True).to_network(image)
    picture = Image.fromarray(levels.permute(1, 2, 0).byte().numpy())
    resampling = getattr(Image.Resampling, interpolation.upper())
    expected = np.asarray(picture.resize((13, 12), resampling)).transpose(2, 0, 1)
    difference = (rounded[0] * 255).detach().numpy() - expected
    assert np.abs(difference).max() < 1.01  # Pillow's weights are fixed-point numbers
    assert (np.abs(difference) < 0.01).mean() > 0.9
    weights = torch.rand(rounded.shape, generator=torch.Generator().manual_seed(1))
    (gradient,) = torch.autograd.grad((rounded * weights).sum(), image)
    (of_floats,) = torch.autograd.grad((exact.to_network(image) * weights).sum(), image)
    assert torch.equal(gradient, of_floats)


@pytest.mark.parametrize(
    "preprocessing",
    [
        IMAGENET,
        replace(IMAGENET, resize=12, crop=(10, 11)),
        replace(IMAGENET, pad=(24, 34)),
        Preprocessing("repeat", resize=(9, 8), value_range=(0, 255)),
        Preprocessing(standardize="zscore", resize=15),
        Preprocessing(standardize=(5.0, 95.0), crop=12),
        Preprocessing("average"),
        Preprocessing("luminance"),
        Preprocessing(2, interpolation="bicubic", resize=(10, 10)),
    ],
    ids=str,
)
def test_gradients_pass_through_every_step(preprocessing: Preprocessing) -> None:
    images = (GRAY if preprocessing.channels == "repeat" else COLOR).double()
    weights = torch.rand(preprocessing.to_network(images).shape).double()

    def total(x: Tensor) -> Tensor:
        return (preprocessing.to_network(x) * weights).sum()

    leaf = images.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(total(leaf), leaf)
    direction = torch.rand(images.shape).double() - 0.5
    step = 1e-6
    change = (total(images + step * direction) - total(images - step * direction)) / (2 * step)
    assert float((gradient * direction).sum()) == pytest.approx(float(change), rel=1e-5, abs=1e-6)


class Network(nn.Module):
    """A small convolutional network for RGB images of any size."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.conv, self.relu = nn.Conv2d(3, 6, 3, padding=1), nn.ReLU()
        self.second, self.relu_2 = nn.Conv2d(6, 6, 3, padding=1), nn.ReLU()
        self.head = nn.Linear(6, 2)

    def forward(self, images: Tensor) -> Tensor:
        assert images.shape[1] == 3, "three channels"
        features = self.relu_2(self.second(self.relu(self.conv(images))))
        return self.head(features.mean(dim=(2, 3)))  # type: ignore[no-any-return]


def classifier_with(preprocessing: Preprocessing) -> Classifier:
    network = Network().eval().requires_grad_(False)
    return Classifier(network, ("a", "b"), 3, None).with_preprocessing(preprocessing)


def signed_map(name: str, classifier: Classifier, images: Tensor) -> Tensor:
    pair = make_pair(Sample("x", images[0]), images[1], 0, 1, classifier)
    return attribute(pair, name, METHODS[name](), classifier).result().signed


GEOMETRY = replace(IMAGENET, resize=18, crop=(16, 20))


@pytest.mark.parametrize("preprocessing", [IMAGENET, GEOMETRY], ids=["values", "geometry"])
@pytest.mark.parametrize("images", [GRAY, COLOR], ids=["gray", "color"])
def test_integrated_gradients_are_those_of_the_composed_module(preprocessing, images) -> None:
    captum = pytest.importorskip("captum.attr")
    classifier = classifier_with(preprocessing)
    composed = captum.IntegratedGradients(lambda x: classifier.logits(x))
    image, baseline = images[:1], images[1:]
    expected = composed.attribute(
        image.clone(), baseline, target=0, n_steps=50, method="gausslegendre"
    )[0]
    signed = integrated_gradients(image[0], baseline[0], 0, classifier, 50).result()
    assert signed.values.shape == images.shape[1:]
    assert float((signed.values - expected).abs().max()) <= 1e-5 * float(expected.abs().max())
    assert signed.completeness is not None and signed.completeness < 0.05  # of 50 nodes


@pytest.mark.parametrize("images", [GRAY, COLOR], ids=["gray", "color"])
def test_deeplift_is_complete_through_linear_preprocessing(images: Tensor) -> None:
    pair_images = images.clone()
    classifier = classifier_with(GEOMETRY)
    pair = make_pair(Sample("x", pair_images[0]), pair_images[1], 0, 1, classifier)
    attribution = attribute(pair, "d-deeplift", METHODS["d-deeplift"](), classifier).result()
    assert attribution.signed.shape == images.shape[1:]
    assert attribution.completeness is not None and attribution.completeness < 1e-4
    cropped = GEOMETRY.to_image(torch.ones(16, 20), images.shape[2:]) == 0
    assert not attribution.signed[:, cropped].any()
    nonlinear = classifier_with(replace(GEOMETRY, standardize="zscore", mean=None, std=None))
    with pytest.raises(MethodUnavailableError, match="no rule for this preprocessing"):
        attribute(pair, "d-deeplift", METHODS["d-deeplift"](), nonlinear).result()


@pytest.mark.parametrize("name", ["gc", "ggc", "d-gc", "d-ggc", "d-ingrad", "ingrad", "residual"])
def test_maps_are_those_of_the_image_and_not_of_the_input(name: str) -> None:
    for images in (GRAY, COLOR):
        signed = signed_map(name, classifier_with(GEOMETRY), images)
        assert signed.shape == images.shape[1:]


def test_gradcam_lies_where_the_crop_was() -> None:
    coarse = torch.ones(10, 10)
    whole = Preprocessing(resize=20, crop=10).to_image(coarse, (40, 60))
    assert whole.shape == (40, 60)
    assert float(whole[10:30, 20:40].min()) > 0.4
    assert not whole[:8].any() and not whole[:, :18].any() and not whole[:, 42:].any()
    padded = Preprocessing(pad=12).to_image(torch.arange(144.0).view(12, 12), (6, 12))
    assert torch.equal(padded, torch.arange(144.0).view(12, 12)[3:9])


def test_gray_images_are_repeated_in_an_rgb_network() -> None:
    classifier = classifier_with(IMAGENET)
    repeated = GRAY.expand(-1, 3, -1, -1)
    assert torch.equal(classifier.predict(GRAY), classifier.predict(repeated))
    classifier.check_image((1, 21, 30))
    with pytest.raises(ShapeError):
        classifier.check_image((2, 21, 30))
    explicit = classifier_with(combine(IMAGENET, Preprocessing("repeat")))
    assert (explicit.channels, explicit.image_size) == (1, None)
    assert torch.allclose(explicit.predict(GRAY), classifier.predict(GRAY))


def test_impossible_preprocessing_is_refused() -> None:
    for change in (
        {"std": (0.2, 0.0)}, {"crop": 0}, {"standardize": (90.0, 10.0)}, {"value_range": (1, 1)},
        {"standardize": "zscore", "value_range": (0, 1)}, {"mean": (1.0, 2.0), "std": (1.0,) * 3},
    ):  # fmt: skip
        with pytest.raises(QuacError):
            Preprocessing(**change)
    with pytest.raises(ShapeError, match="2 means"):
        Preprocessing(mean=(0.5, 0.5)).to_network(COLOR)
    with pytest.raises(DataError, match="Set the preprocessing of the classifier"):
        PreprocessedRecipe(None, IMAGENET)
    fixed = replace(classifier_with(IMAGENET), image_size=(32, 32), network_size=(32, 32))
    with pytest.raises(ShapeError, match="network takes 32"):
        fixed.with_preprocessing(replace(IMAGENET, crop=24))


def test_metadata_state_a_preprocessing() -> None:
    metadata = {"mean": "[0.485, 0.456, 0.406]", "std": "0.229,0.224,0.225", "resize": "256"}
    stated = preprocessing_from_metadata({**metadata, "crop": "[224, 224]"})
    assert stated == replace(IMAGENET, resize=256, crop=(224, 224))
    assert preprocessing_from_metadata({"range": "[0, 1]"}) == PRESETS["unit"]
    assert preprocessing_from_metadata({"standardize": "zscore"}) == PRESETS["zscore"]
    assert preprocessing_from_metadata({"standardize": "[1, 99]"}) == Preprocessing(
        standardize=(1.0, 99.0)
    )
    assert preprocessing_from_metadata({"resize": "256", "class_names": "a,b"}) is None


def test_numbers_of_a_preprocessing_are_finite() -> None:
    with pytest.raises(DataError, match="finite"):
        Preprocessing(mean=(float("nan"),), std=(1.0,))
