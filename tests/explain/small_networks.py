"""Small networks with known answers, and one of each kind of layer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn

from napari_quac.data.dataset import Sample
from napari_quac.data.preprocessing import Preprocessing
from napari_quac.explain.pair import Pair, make_pair
from napari_quac.networks.classifier import Classifier, NetworkForm
from napari_quac.networks.generator import FunctionGenerator
from napari_quac.testing import corner_image


class LinearNetwork(nn.Module):
    """Two logits ``(-v, v)`` with ``v = Σ w·x - offset``."""

    def __init__(self, weights: Tensor, offset: float = 0.0, factor: float = 1.0) -> None:
        super().__init__()
        self.register_buffer("weights", weights)
        self.offset = offset
        self.factor = factor

    def forward(self, images: Tensor) -> Tensor:
        value = ((images * self.weights).flatten(1).sum(dim=1) - self.offset) * self.factor
        return torch.stack([-value, value], dim=1)


class CountingNetwork(nn.Module):
    """Passes images on to another network and counts them."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.n_images = 0
        self.n_calls = 0

    def forward(self, images: Tensor) -> Tensor:
        self.n_images += len(images)
        self.n_calls += 1
        return self.network(images)


def random_network(shape: tuple[int, ...], n_classes: int = 3, seed: int = 0) -> nn.Module:
    """Return a convolutional network for images (C, *S) in 2-D or 3-D, any size."""
    torch.manual_seed(seed)
    convolution = nn.Conv3d if len(shape) == 4 else nn.Conv2d
    pooling = nn.AdaptiveAvgPool3d if len(shape) == 4 else nn.AdaptiveAvgPool2d
    return nn.Sequential(
        convolution(shape[0], 4, 3, padding=1),
        nn.ReLU(),
        convolution(4, 6, 3, padding=1),
        nn.Tanh(),
        pooling(2),
        nn.Flatten(),
        nn.Linear(6 * 2 ** (len(shape) - 1), n_classes),
    )


def classifier_of(
    network: nn.Module | Callable[[Tensor], Tensor],
    n_classes: int = 2,
    shape: tuple[int, ...] = (1, 8, 8),
    limits: tuple[float, float] = (0, 1),
    form: NetworkForm = "eager",
) -> Classifier:
    """Return a classifier of a network in eval mode."""
    if isinstance(network, nn.Module):
        network = network.eval()
        for parameter in network.parameters():
            parameter.requires_grad_(False)
    return Classifier(
        network,
        tuple(f"class {index}" for index in range(n_classes)),
        channels=shape[0],
        image_size=shape[1:],
        preprocessing=Preprocessing(value_range=limits),
        form=form,
        name="small",
    )


def random_pair(classifier: Classifier, source: int = 0, target: int = 1, seed: int = 0) -> Pair:
    """Return a pair of noise images that differ everywhere."""
    torch.manual_seed(seed)
    shape = (classifier.channels, *(classifier.image_size or ()))
    query, generated = torch.rand(2, *shape)
    return make_pair(Sample("noise", query), generated, source, target, classifier)


def identical(pair: Pair) -> Pair:
    """Return the same pair with its query as the generated image."""
    return replace(
        pair, generated=pair.query.image.clone(), generated_prediction=pair.query_prediction
    )


def distracting_generator() -> FunctionGenerator:
    """Return a generator that repaints the corners, and the middle, where nobody looks, more."""

    def convert(query: Tensor, source: int, target: int, seed: int) -> Tensor:
        converted = corner_image(target, query.shape[-1], seed % 1000)
        converted[..., 10:22, 10:22] = 1
        return converted

    return FunctionGenerator(convert, "distracting")


def left_sample() -> Sample:
    """Return an image of the class *left* whose middle is black."""
    image = corner_image(0)
    image[..., 10:22, 10:22] = 0
    return Sample("left", image)
