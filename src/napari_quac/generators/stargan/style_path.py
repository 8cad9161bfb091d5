"""The line between two styles of a StarGAN, along which one class turns into another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from napari_quac.data.image_file import read_image
from napari_quac.errors import DataError
from napari_quac.networks.resizing import resize

if TYPE_CHECKING:
    from napari_quac.generators.stargan.generator import StarGANGenerator

N_DRAWS = 256  # latents of which the mean style and its usual distance are taken
QUANTILE = 0.99


@dataclass(frozen=True, eq=False)
class StylePath:
    """Images on the way from one style to another.

    Attributes
    ----------
    generator : StarGANGenerator
    query : (1, C, S, S) Tensor
    features : Tensor
        The encoded query.
    source, target : (1, style_dim) Tensor
        Where the line begins and where alpha is 1.
    mean : (1, style_dim) Tensor or None
        Mean of mapped styles; None for a network without a mapping.
    usual : float
        Distance to the mean that 99 % of the mapped styles have.
    """

    generator: StarGANGenerator
    query: Tensor
    features: Tensor
    source: Tensor
    target: Tensor
    mean: Tensor | None
    usual: float

    kind = "style"
    meaning = "line between two styles of the generator"
    caution = "outside of the styles that the generator was trained on"
    steps = None

    def style(self, alpha: float) -> Tensor:
        """Return the style at alpha, (1, style_dim)."""
        return (1 - alpha) * self.source + alpha * self.target

    def image(self, alpha: float) -> Tensor:
        """Return the image at alpha, (C, S, S) in [0, 1]."""
        with torch.no_grad():
            return self.generator.decode(self.query, self.features, self.style(alpha))[0].cpu()

    def is_off_manifold(self, alpha: float) -> bool:
        """Tell whether the style is farther from the mean than 99 % of the mapped ones."""
        if self.mean is None:
            return alpha > 1
        return float((self.style(alpha) - self.mean).norm()) > self.usual


def style_path(
    generator: StarGANGenerator,
    query: Tensor,
    origin: Mapping[str, Any],
    source: int,
    class_names: tuple[str, ...],
) -> StylePath:
    """Return the line from the query's own style to the one of a generated image.

    Parameters
    ----------
    generator : StarGANGenerator
        What made the image.
    query : (C, S, S) Tensor in [0, 1]
        The query.
    origin : Mapping
        The record of the generated image, with the latent's seed or the reference.
    source : int
        Class of the query.
    class_names : tuple of str
        Of the classifier.

    Raises
    ------
    DataError
        If the record does not tell the style.
    """
    network, device = generator.network, generator.device
    label = torch.tensor([int(origin["domain"])], device=device)
    own = torch.tensor([generator.domain_of(source, class_names)], device=device)
    with torch.no_grad():
        target = _style_of(generator, origin, label)
        mapped = [_mapped(generator, domain) for domain in (label, own)]
        image = resize(
            generator.value_range.to_network(query[None].to(device)), generator.hyper.img_size
        )
        if network.style_encoder is not None:
            begin = network.style_from_image(image, own)
        elif mapped[1] is not None:
            begin = mapped[1].mean(dim=0, keepdim=True)
        else:
            raise DataError("The StarGAN has neither a style encoder nor a mapping network.")
        mean, usual = None, float("inf")
        if mapped[0] is not None and mapped[1] is not None:
            styles = torch.cat([mapped[0], mapped[1], begin])
            mean = styles.mean(dim=0, keepdim=True)
            usual = float((styles - mean).norm(dim=1).quantile(QUANTILE))
        batch = query[None].to(device)
        return StylePath(generator, batch, generator.encode(batch), begin, target, mean, usual)


def _style_of(generator: StarGANGenerator, origin: Mapping[str, Any], label: Tensor) -> Tensor:
    """Return the style that a record tells of."""
    if "latent_seed" in origin:
        random = torch.Generator().manual_seed(int(origin["latent_seed"]))
        latent = torch.randn((1, generator.hyper.latent_dim), generator=random)
        return generator.network.style_from_latent(latent.to(generator.device), label)
    if "reference" in origin:
        image = read_image(Path(origin["reference"]))[None].to(generator.device)
        image = resize(generator.value_range.to_network(image), generator.hyper.img_size)
        return generator.network.style_from_image(image, label)
    raise DataError(
        "The record of the generated image does not tell its style. Search it again, then "
        "exaggerate it."
    )


def _mapped(generator: StarGANGenerator, label: Tensor) -> Tensor | None:
    if generator.network.mapping_network is None:
        return None
    random = torch.Generator().manual_seed(0)
    latents = torch.randn((N_DRAWS, generator.hyper.latent_dim), generator=random)
    return generator.network.style_from_latent(latents.to(generator.device), label.expand(N_DRAWS))
