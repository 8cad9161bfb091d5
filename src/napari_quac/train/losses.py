"""The aims of a StarGAN v2 training, each as a number to make small."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_quac.networks.architectures.stargan_v2 import (
    StarGANHyperparameters,
    convolutional_trunk,
)
from napari_quac.networks.classifier import Classifier
from napari_quac.train.images import enlarge_to, reduce_to, turn


class Discriminator(nn.Module):
    """Says for each class how much an image looks like one of it.

    Parameters
    ----------
    hyper : StarGANHyperparameters
        Its trunk is that of the style encoder.
    """

    def __init__(self, hyper: StarGANHyperparameters) -> None:
        super().__init__()
        base, largest = hyper.style_base_channels, hyper.style_max_channels
        widths = [min(base * 2**i, largest) for i in range(hyper.style_blocks + 1)]
        self.size = hyper.style_image_size
        self.trunk = nn.Sequential(*convolutional_trunk(hyper.channels, widths))
        self.head = nn.Linear(widths[-1], hyper.num_domains)

    def forward(self, images: Tensor, domain: Tensor) -> Tensor:
        """Return logits (N,) of being real, for images (N, C, H, W) of the domains (N,)."""
        if images.shape[-1] != self.size:
            images = F.interpolate(images, (self.size, self.size), mode="bilinear")
        every = self.head(self.trunk(images).flatten(1))
        return cast("Tensor", every.gather(1, domain[:, None])[:, 0])


def looks_real(logits: Tensor) -> Tensor:
    """Return the non-saturating loss for logits (N,) that should be high."""
    return F.softplus(-logits.float()).mean()


def looks_generated(logits: Tensor) -> Tensor:
    """Return the non-saturating loss for logits (N,) that should be low."""
    return F.softplus(logits.float()).mean()


def r1_penalty(discriminator: nn.Module, images: Tensor, domain: Tensor) -> Tensor:
    """Return half the squared gradient of the discriminator at real images (N, C, H, W).

    References
    ----------
    .. [1] Mescheder, Geiger, Nowozin, "Which training methods for GANs do actually converge?",
       2018, arXiv:1801.04406
    """
    images = images.detach().requires_grad_(True)
    logits = discriminator(images, domain)
    (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return 0.5 * gradient.square().sum(dim=(1, 2, 3)).mean()


def guidance(
    classifier: Classifier, images: Tensor, target: Tensor, random: np.random.Generator
) -> Tensor:
    """Return how far the classifier is from calling images the target class.

    The images are moved, turned, blurred and made noisy a little first: otherwise the generator
    finds noise that convinces this one classifier and no other.

    Parameters
    ----------
    classifier : Classifier
        The one under study, which is not trained.
    images : (N, C, S, S) Tensor, in [0, 1]
        Generated images.
    target : (N,) Tensor, int64
        The class that each should have.
    random : numpy Generator
        Decides how they are disturbed.

    Returns
    -------
    loss : Tensor
        Mean cross entropy.
    """
    if classifier.image_size is not None and images.shape[-1] != classifier.image_size[0]:
        size = classifier.image_size[0]
        images = reduce_to(images, size) if images.shape[-1] > size else enlarge_to(images, size)
    images = disturb(images, random)
    return F.cross_entropy(classifier.logits(images).float(), target)


def disturb(images: Tensor, random: np.random.Generator) -> Tensor:
    """Move, turn, blur and add noise to images (N, C, S, S) in [0, 1], differentiably."""
    reach = max(1, images.shape[-1] // 16)
    down, right = (int(value) for value in random.integers(0, 2 * reach + 1, 2))
    size = images.shape[-1]
    padded = F.pad(images, (reach, reach, reach, reach), mode="reflect")
    images = turn(padded[..., down : down + size, right : right + size], int(random.integers(8)))
    if random.random() < 0.5:
        images = F.avg_pool2d(F.pad(images, (1, 1, 1, 1), mode="replicate"), 3, 1)
    noise = torch.from_numpy(random.standard_normal(tuple(images.shape), np.float32))
    return (images + 0.04 * float(random.random()) * noise.to(images.device)).clamp(0, 1)
