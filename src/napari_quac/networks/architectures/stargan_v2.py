"""StarGAN v2: one generator for all classes, conditioned on a style.

An independent implementation with the key names of published ``*_nets_ema.ckpt`` files, so that
they load strictly. ``stargan_v2_shapes`` reads the hyperparameters off the shapes of a file.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_quac.errors import CheckpointError, ShapeError

FinalActivation = Literal["none", "tanh", "sigmoid"]

NORM_EPSILON = 1e-5
SLOPE = 0.2
N_BOTTLENECK = 2


@dataclass(frozen=True, slots=True)
class StarGANHyperparameters:
    """Sizes and output form of the three networks.

    Attributes
    ----------
    img_size : int
        Height and width of the images, pixels.
    channels : int
        Channels of the images.
    num_domains : int
        Classes of the style networks.
    style_dim, latent_dim : int
        Length of a style and of the random vector that it is computed from.
    base_channels : int
        Feature maps at full resolution; each halving doubles them.
    max_channels : int
        Maximum number of feature maps.
    n_down : int
        Halvings of the resolution in the generator before the bottleneck.
    mapping_channels : int
        Width of the mapping network.
    style_base_channels, style_max_channels : int
        As above, for the style encoder.
    style_blocks : int
        Halvings in the style encoder, whose images have ``4 * 2**style_blocks`` pixels a side.
    single_head : bool
        One style head for all classes, instead of one for each.
    has_mapping, has_style_encoder : bool
        Presence of the style networks.
    variational_generator, variational_style : bool
        Prediction of a mean and a variance, of which only the mean is used.
    residual : bool
        The generator predicts the change: ``clamp(x + 2 * tanh(out))``, instead of the image.
    final_activation : {"none", "tanh", "sigmoid"}
        Final activation of the plain form.
    """

    img_size: int
    channels: int = 1
    num_domains: int = 2
    style_dim: int = 64
    latent_dim: int = 16
    base_channels: int = 64
    max_channels: int = 512
    n_down: int = 4
    mapping_channels: int = 512
    style_base_channels: int = 64
    style_max_channels: int = 512
    style_blocks: int = 6
    single_head: bool = False
    has_mapping: bool = True
    has_style_encoder: bool = True
    variational_generator: bool = False
    variational_style: bool = False
    residual: bool = False
    final_activation: FinalActivation = "none"

    @property
    def style_image_size(self) -> int:
        """Height and width in pixels to which the style encoder resizes its images."""
        return int(4 * 2**self.style_blocks)


def official_hyperparameters(
    img_size: int, num_domains: int, channels: int = 1, **others: object
) -> StarGANHyperparameters:
    """Return the widths and depths of the authors' StarGAN v2 for an image size.

    Parameters
    ----------
    img_size : int
        Height and width, pixels; at least 32.
    num_domains, channels : int
        Classes, and channels of the images.
    **others
        Any other field of :class:`StarGANHyperparameters`.

    Raises
    ------
    ShapeError
        If there is no such network for this size.
    """
    power = int(math.log2(img_size)) if img_size > 0 else 0
    n_down = power - 4
    if n_down < 1 or img_size % 2**n_down:
        multiple = 2 ** max(1, n_down)
        raise ShapeError(
            f"StarGAN v2 cannot be built for images of {img_size} pixels: the size has to be at "
            f"least 32 and a multiple of {multiple}. Choose {max(32, round(img_size / 16) * 16)}."
        )
    base = 2**14 // img_size
    sizes: dict[str, Any] = {"base_channels": base, "style_base_channels": base, "n_down": n_down}
    sizes |= {"style_blocks": power - 2, **others}
    return StarGANHyperparameters(img_size, channels, num_domains, **sizes)


class AdaptiveInstanceNorm(nn.Module):
    """An instance norm with gain and offset from a style."""

    def __init__(self, style_dim: int, channels: int) -> None:
        super().__init__()
        self.fc = nn.Linear(style_dim, 2 * channels)

    def forward(self, features: Tensor, style: Tensor) -> Tensor:
        """Return features (N, C, H, W), normalized by styles (N, style_dim)."""
        gain, offset = self.fc(style)[:, :, None, None].chunk(2, dim=1)
        normed = F.instance_norm(features, eps=NORM_EPSILON)
        return cast("Tensor", (1 + gain) * normed + offset)


class DownBlock(nn.Module):
    """A residual block that may halve the resolution, with or without instance norm."""

    def __init__(self, c_in: int, c_out: int, norm: bool = False, down: bool = False) -> None:
        super().__init__()
        self.down = down
        self.conv1 = nn.Conv2d(c_in, c_in, 3, 1, 1)
        self.conv2 = nn.Conv2d(c_in, c_out, 3, 1, 1)
        self.norm1 = nn.InstanceNorm2d(c_in, affine=True, eps=NORM_EPSILON) if norm else None
        self.norm2 = nn.InstanceNorm2d(c_in, affine=True, eps=NORM_EPSILON) if norm else None
        self.conv1x1 = nn.Conv2d(c_in, c_out, 1, bias=False) if c_in != c_out else None

    def forward(self, features: Tensor) -> Tensor:
        """Return features (N, C', H', W')."""
        short = features if self.conv1x1 is None else self.conv1x1(features)
        inner = features if self.norm1 is None else self.norm1(features)
        inner = self.conv1(F.leaky_relu(inner, SLOPE))
        if self.down:
            short, inner = F.avg_pool2d(short, 2), F.avg_pool2d(inner, 2)
        inner = inner if self.norm2 is None else self.norm2(inner)
        inner = self.conv2(F.leaky_relu(inner, SLOPE))
        return cast("Tensor", (short + inner) / math.sqrt(2))


class UpBlock(nn.Module):
    """A residual block that is conditioned on a style and may double the resolution."""

    def __init__(self, c_in: int, c_out: int, style_dim: int, up: bool = False) -> None:
        super().__init__()
        self.up = up
        self.conv1 = nn.Conv2d(c_in, c_out, 3, 1, 1)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, 1, 1)
        self.norm1 = AdaptiveInstanceNorm(style_dim, c_in)
        self.norm2 = AdaptiveInstanceNorm(style_dim, c_out)
        self.conv1x1 = nn.Conv2d(c_in, c_out, 1, bias=False) if c_in != c_out else None

    def forward(self, features: Tensor, style: Tensor) -> Tensor:
        """Return features (N, C', H', W') for styles (N, style_dim)."""
        # the 1×1 convolution commutes with the upsampling and is cheaper before it
        short = features if self.conv1x1 is None else self.conv1x1(features)
        inner = F.leaky_relu(self.norm1(features, style), SLOPE)
        if self.up:
            short = F.interpolate(short, scale_factor=2.0, mode="nearest")
            inner = F.interpolate(inner, scale_factor=2.0, mode="nearest")
        inner = self.conv1(inner)
        inner = self.conv2(F.leaky_relu(self.norm2(inner, style), SLOPE))
        return cast("Tensor", (short + inner) / math.sqrt(2))


class Generator(nn.Module):
    """An encoder of the query, and a decoder conditioned on a style.

    The output is raw; :meth:`StarGAN.finish` turns it into an image.
    """

    def __init__(self, hyper: StarGANHyperparameters) -> None:
        super().__init__()
        widths = _widths(hyper.base_channels, hyper.max_channels, hyper.n_down)
        deep, style_dim = widths[-1], hyper.style_dim
        pairs = list(pairwise(widths))
        self.from_rgb = nn.Conv2d(hyper.channels, widths[0], 3, 1, 1)
        self.encode = nn.ModuleList(
            [DownBlock(a, b, norm=True, down=True) for a, b in pairs]
            + [DownBlock(deep, deep, norm=True) for _ in range(N_BOTTLENECK)]
        )
        self.decode = nn.ModuleList(
            [UpBlock(deep, deep, style_dim) for _ in range(N_BOTTLENECK)]
            + [UpBlock(b, a, style_dim, up=True) for a, b in reversed(pairs)]
        )
        self.to_rgb = nn.Sequential(
            nn.InstanceNorm2d(widths[0], affine=True, eps=NORM_EPSILON),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(widths[0], hyper.channels, 1),
        )
        self.mu: nn.Module | None = None
        self.logvar: nn.Module | None = None
        if hyper.variational_generator:
            self.mu, self.logvar = nn.Conv2d(deep, deep, 1), nn.Conv2d(deep, deep, 1)

    def encode_query(self, images: Tensor) -> Tensor:
        """Return features of images (N, C, H, W) in the network's range, for the decoder."""
        features = self.from_rgb(images)
        for block in self.encode:
            features = block(features)
        return cast("Tensor", features if self.mu is None else self.mu(features))

    def decode_style(self, features: Tensor, style: Tensor) -> Tensor:
        """Return the raw output (N, C, H, W) for styles (N, style_dim)."""
        for block in self.decode:
            features = block(features, style)
        return cast("Tensor", self.to_rgb(features))

    def forward(self, images: Tensor, style: Tensor) -> Tensor:
        """Encode and decode."""
        return self.decode_style(self.encode_query(images), style)


class MappingNetwork(nn.Module):
    """A network from a random vector and a class to a style."""

    def __init__(self, hyper: StarGANHyperparameters) -> None:
        super().__init__()
        width = hyper.mapping_channels
        self.shared = nn.Sequential(*_linear_relu(hyper.latent_dim, width, 4))
        self.unshared = nn.ModuleList(
            nn.Sequential(*_linear_relu(width, width, 3), nn.Linear(width, hyper.style_dim))
            for _ in range(hyper.num_domains)
        )

    def forward(self, latent: Tensor, domain: Tensor) -> Tensor:
        """Return styles (N, style_dim) for latents (N, latent_dim) and domains (N,) int64."""
        return _by_domain(self.shared(latent), domain, self.unshared)


class StyleEncoder(nn.Module):
    """A network from an image and its class to its style."""

    def __init__(self, hyper: StarGANHyperparameters) -> None:
        super().__init__()
        self.style_dim = hyper.style_dim
        self.image_size = hyper.style_image_size
        widths = _widths(hyper.style_base_channels, hyper.style_max_channels, hyper.style_blocks)
        self.shared = nn.Sequential(*convolutional_trunk(hyper.channels, widths))
        length = hyper.style_dim * (2 if hyper.variational_style else 1)
        if hyper.single_head:
            self.output = nn.Linear(widths[-1], length)
        else:
            self.unshared = nn.ModuleList(
                nn.Linear(widths[-1], length) for _ in range(hyper.num_domains)
            )

    def forward(self, images: Tensor, domain: Tensor) -> Tensor:
        """Return styles (N, style_dim) of images (N, C, H, W) of the domains (N,) int64.

        Images of another size are resized first, bilinear, corners not aligned.
        """
        if images.shape[-1] != self.image_size or images.shape[-2] != self.image_size:
            size = (self.image_size, self.image_size)
            images = F.interpolate(images, size, mode="bilinear", align_corners=False)
        features = self.shared(images).flatten(1)
        if hasattr(self, "output"):
            styles = self.output(features)
        else:
            styles = _by_domain(features, domain, self.unshared)
        return cast("Tensor", styles[:, : self.style_dim])


class StarGAN(nn.Module):
    """The three networks of StarGAN v2 together.

    Parameters
    ----------
    hyper : StarGANHyperparameters
        Sizes and output form.
    """

    def __init__(self, hyper: StarGANHyperparameters) -> None:
        super().__init__()
        self.hyper = hyper
        self.generator = Generator(hyper)
        self.mapping_network = MappingNetwork(hyper) if hyper.has_mapping else None
        self.style_encoder = StyleEncoder(hyper) if hyper.has_style_encoder else None
        if hyper.residual:
            # so the untrained network changes nothing
            last = cast("nn.Conv2d", self.generator.to_rgb[2])
            nn.init.zeros_(last.weight)
            nn.init.zeros_(cast("Tensor", last.bias))

    def style_from_latent(self, latent: Tensor, domain: Tensor) -> Tensor:
        """Return styles (N, style_dim) for latents (N, latent_dim) and domains (N,) int64.

        Raises
        ------
        CheckpointError
            If there is no mapping network.
        """
        if self.mapping_network is None:
            raise CheckpointError(
                "This StarGAN v2 has no 'mapping_network'. Choose style 'reference'."
            )
        return cast("Tensor", self.mapping_network(latent, domain))

    def style_from_image(self, images: Tensor, domain: Tensor) -> Tensor:
        """Return styles (N, style_dim) of images (N, C, H, W) of the domains (N,) int64.

        Raises
        ------
        CheckpointError
            If there is no style encoder.
        """
        if self.style_encoder is None:
            raise CheckpointError("This StarGAN v2 has no 'style_encoder'. Choose style 'latent'.")
        return cast("Tensor", self.style_encoder(images, domain))

    @staticmethod
    def change(out: Tensor) -> Tensor:
        """Return the change (N, C, H, W) on a range of 2 that a raw residual output stands for."""
        return 2 * torch.tanh(out)

    def finish(self, images: Tensor, out: Tensor) -> Tensor:
        """Return generated images (N, C, H, W) from queries in [-1, 1] and the raw output.

        The plain form returns the output of the final activation, in any range.
        """
        if self.hyper.residual:
            return (images + self.change(out)).clamp(-1, 1)
        return activate(out, self.hyper.final_activation)

    def forward(self, images: Tensor, style: Tensor) -> Tensor:
        """Return generated images for queries (N, C, H, W) and styles (N, style_dim)."""
        return self.finish(images, self.generator(images, style))


def activate(out: Tensor, activation: FinalActivation) -> Tensor:
    """Apply a final activation."""
    if activation == "tanh":
        return torch.tanh(out)
    return torch.sigmoid(out) if activation == "sigmoid" else out


def convolutional_trunk(channels: int, widths: list[int]) -> list[nn.Module]:
    """Return the layers that style encoder and discriminator share, down to one pixel."""
    blocks = [DownBlock(a, b, down=True) for a, b in pairwise(widths)]
    return [
        nn.Conv2d(channels, widths[0], 3, 1, 1),
        *blocks,
        nn.LeakyReLU(SLOPE),
        nn.Conv2d(widths[-1], widths[-1], 4),
        nn.LeakyReLU(SLOPE),
    ]


def _widths(base: int, largest: int, n_doublings: int) -> list[int]:
    return [min(base * 2**i, largest) for i in range(n_doublings + 1)]


def _linear_relu(n_in: int, width: int, n_layers: int) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for i in range(n_layers):
        layers += [nn.Linear(n_in if i == 0 else width, width), nn.ReLU()]
    return layers


def _by_domain(features: Tensor, domain: Tensor, heads: nn.ModuleList) -> Tensor:
    """Apply to each row the head of its domain, and no other."""
    first = int(domain[0])
    if bool((domain == first).all()):
        return cast("Tensor", heads[first](features))
    every = torch.stack([head(features) for head in heads], dim=1)
    return every[torch.arange(len(domain), device=domain.device), domain]
