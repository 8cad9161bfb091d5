from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from napari_quac.data.preprocessing import PRESETS
from napari_quac.networks.classifier import Classifier
from napari_quac.train.adversarial import (
    Discriminator,
    adversarial_loss,
    augment,
    guidance,
    r1_penalty,
)


class Linear(nn.Module):
    """A discriminator whose gradient is known."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, images: Tensor, domain: Tensor) -> Tensor:
        return (images * self.weight).sum(dim=(1, 2, 3))


def test_penalty_of_a_linear_discriminator_is_half_its_squared_weights() -> None:
    weight = torch.randn(1, 4, 4)
    penalty = r1_penalty(Linear(weight), torch.rand(3, 1, 4, 4), torch.zeros(3, dtype=torch.int64))
    torch.testing.assert_close(penalty, 0.5 * weight.square().sum())
    penalty.backward()


def test_undecided_discriminator_costs_log_two() -> None:
    undecided = torch.zeros(5)
    assert adversarial_loss(undecided, real=True).item() == pytest.approx(math.log(2))
    assert adversarial_loss(undecided, real=False).item() == pytest.approx(math.log(2))


def test_discriminator_answers_for_the_class_asked_about() -> None:
    network = Discriminator(1, 3, 32, 4, 8)
    image = torch.rand(1, 1, 32, 32)
    answers = network(image.expand(3, -1, -1, -1), torch.tensor([0, 1, 2]))
    assert answers.shape == (3,)
    assert len(set(answers.tolist())) == 3


def brightness() -> Classifier:
    class Bright(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            mean = images.mean(dim=(1, 2, 3))
            return torch.stack([-mean, mean], dim=1)

    return Classifier(Bright(), ("dark", "bright"), 1, (16, 16), PRESETS["quac"])


def test_guidance_pulls_towards_the_target_class_at_any_size() -> None:
    images = torch.full((2, 1, 32, 32), 0.5, requires_grad=True)
    target = torch.tensor([1, 0])
    loss = guidance(brightness(), images, target, np.random.default_rng(0))
    loss.backward()
    assert images.grad is not None
    assert images.grad[0].sum() < 0 < images.grad[1].sum()


def test_augmented_images_stay_images() -> None:
    random = np.random.default_rng(0)
    images = torch.rand(2, 3, 32, 32)
    for _ in range(10):
        augmented = augment(images, random)
        assert augmented.shape == images.shape
        assert 0 <= augmented.min() and augmented.max() <= 1
        assert (augmented.mean() - images.mean()).abs() < 0.05
