"""Loss terms of trainings against a discriminator, and the augmentation of generated images."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_quac.networks.architectures.stargan_v2 import convolutional_trunk
from napari_quac.networks.classifier import Classifier
from napari_quac.train.images import resize_for, turn


class Discriminator(nn.Module):
    """Network that distinguishes real from generated images, for each domain.

    Parameters
    ----------
    channels : int
        Channels of the images.
    n_domains : int
        Classes, or other sets of images to resemble.
    image_size : int
        Network resolution, pixels.
    width, max_width : int
        Feature maps at full resolution, and at most.
    """

    def __init__(
        self, channels: int, n_domains: int, image_size: int, width: int, max_width: int
    ) -> None:
        super().__init__()
        n_blocks = image_size.bit_length() - 3
        widths = [min(width * 2**i, max_width) for i in range(n_blocks + 1)]
        self.size = 4 * 2**n_blocks
        self.trunk = nn.Sequential(*convolutional_trunk(channels, widths))
        self.head = nn.Linear(widths[-1], n_domains)

    def forward(self, images: Tensor, domain: Tensor) -> Tensor:
        """Return logits (N,) of being real, for images (N, C, H, W) of the domains (N,)."""
        if images.shape[-1] != self.size:
            images = F.interpolate(images, (self.size, self.size), mode="bilinear")
        logits = self.head(self.trunk(images).flatten(1))
        return cast("Tensor", logits.gather(1, domain[:, None])[:, 0])


def adversarial_loss(logits: Tensor, *, real: bool) -> Tensor:
    """Return the non-saturating loss of logits (N,) that should be high if ``real``, else low."""
    return F.softplus(-logits.float() if real else logits.float()).mean()


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
    """Return the cross entropy of the target class for generated images.

    The images are augmented first: otherwise the generator finds noise that convinces this
    classifier and no other.

    Parameters
    ----------
    classifier : Classifier
        Guidance classifier, which is not trained.
    images : (N, C, S, S) Tensor, in [0, 1]
        Generated images.
    target : (N,) Tensor, int64
        Target class of each image.
    random : numpy Generator
        Source of the augmentation.

    Returns
    -------
    loss : Tensor
        Mean cross entropy.
    """
    images = augment(resize_for(classifier, images), random)
    return F.cross_entropy(classifier.logits(images).float(), target)


def augment(images: Tensor, random: np.random.Generator) -> Tensor:
    """Shift, turn, blur and add noise to images (N, C, S, S) in [0, 1], differentiably."""
    reach = max(1, images.shape[-1] // 16)
    down, right = (int(value) for value in random.integers(0, 2 * reach + 1, 2))
    size = images.shape[-1]
    padded = F.pad(images, (reach, reach, reach, reach), mode="reflect")
    images = turn(padded[..., down : down + size, right : right + size], int(random.integers(8)))
    if random.random() < 0.5:
        images = F.avg_pool2d(F.pad(images, (1, 1, 1, 1), mode="replicate"), 3, 1)
    noise = torch.from_numpy(random.standard_normal(tuple(images.shape), np.float32))
    return (images + 0.04 * float(random.random()) * noise.to(images.device)).clamp(0, 1)
