"""StarGAN v2 as a generator: styles from random vectors or from reference images."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from napari_quac.data.dataset import Sample
from napari_quac.data.image_datasets import ImageFolder
from napari_quac.data.image_file import read_image
from napari_quac.data.name_match import match_by_name
from napari_quac.errors import DataError, ShapeError
from napari_quac.generators.forward import require_finite
from napari_quac.networks.architectures.stargan_v2 import StarGAN, activate
from napari_quac.networks.device import in_batches
from napari_quac.networks.generator import ConversionRequest, Generator, Proposals, proposal_seed
from napari_quac.networks.resizing import resize
from napari_quac.networks.value_range import ValueRange
from napari_quac.registry import unknown_name

GPU_BATCH = 8  # on the CPU images are decoded one by one, which is fastest there
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
        """Return True if the style is farther from the mean than 99 % of the mapped ones."""
        if self.mean is None:
            return alpha > 1
        return float((self.style(alpha) - self.mean).norm()) > self.usual


class StarGANGenerator(Generator):
    """A live StarGAN v2; see :class:`~napari_quac.networks.generator.Generator`.

    Parameters
    ----------
    network : StarGAN
        With its weights.
    class_names : tuple of str
        Names of its domains; empty if they are unknown.
    query_size : int, optional
        Height and width of queries, pixels. Where they are larger than what the network was
        trained on, they are reduced for it and the change that it predicts is enlarged.
    value_range : ValueRange, optional
        Input range of the network.
    references : ImageFolder, optional
        Images from which styles are taken; without, styles come from random vectors.
    domains : sequence of int, optional
        Domain of each class of the classifier.
    device : torch.device, optional
        The CPU by default.
    name : str
        Shown to the user.
    description : Mapping[str, str]
        Added to the card.
    """

    def __init__(
        self,
        network: StarGAN,
        class_names: tuple[str, ...] = (),
        query_size: int | None = None,
        value_range: ValueRange | None = None,
        references: ImageFolder | None = None,
        domains: Sequence[int] | None = None,
        device: torch.device | None = None,
        name: str = "StarGAN v2",
        description: Mapping[str, str] | None = None,
    ) -> None:
        self.device = device or torch.device("cpu")
        self.network = network.to(self.device).eval().requires_grad_(False)
        self.hyper = network.hyper
        self.class_names = class_names
        self.n_classes = self.hyper.num_domains
        self.query_size = query_size or self.hyper.img_size
        self.value_range = value_range or ValueRange()
        self._references = references
        self._domains = tuple(domains) if domains is not None else None
        self.takes_references = network.style_encoder is not None
        self._last_encoded: tuple[Tensor, Tensor] | None = None
        self.name = name
        self.n_axes = 2
        size, channels = self.query_size, self.hyper.channels
        self.description: Mapping[str, str] = {
            "Kind": "StarGAN v2",
            "Image size": f"{size} × {size}, {channels} channel{'s' if channels != 1 else ''}",
            "Classes": ", ".join(class_names) or str(self.hyper.num_domains),
            "Style from": "reference images" if references else "random vectors",
            "Value range": str(self.value_range),
            **(description or {}),
        }

    def propose(self, request: ConversionRequest, first: int, n: int) -> Proposals:
        """Return proposals number ``first`` to ``first + n - 1``; the query is encoded once.

        With references there are as many proposals as images of the target class, or as the
        request brings.

        Raises
        ------
        ShapeError
            If the query, or a reference image, has another shape than the network was trained on.
        UnknownNameError
            If the target is unknown to this network.
        NotFiniteError
            If the network returns NaN or infinity.
        """
        self._check(tuple(request.query.shape), "The query", is_query=True)
        with torch.inference_mode():
            styles, origins = self._styles(request, first, n)
            if not origins:
                return Proposals(request.query.new_empty((0, *request.query.shape)), ())
            query = request.query[None].to(self.device)
            features = self._features_of(query)

            def decode(batch: Tensor) -> Tensor:
                return self.decode(query, features, batch).cpu()

            batch_size = 1 if self.device.type == "cpu" else GPU_BATCH
            images = in_batches(decode, styles, batch_size, f"generator {self.name}")
        require_finite(f"The generator {self.name}", images)
        # leaving inference mode, so that others may use the images in autograd
        return Proposals(images.clone(), tuple(origins))

    def path(self, request: ConversionRequest, origin: Mapping[str, Any]) -> StylePath | None:
        """Return the line from the query's style to that of the generated image.

        Raises
        ------
        DataError
            If the record of the image lacks its style.
        NotFiniteError
            If styles contain NaN or infinity.
        """
        if "style" not in origin:
            return None
        network, names = self.network, request.classifier.class_names
        domains = int(origin["domain"]), self.domain_of(request.source, names)
        target_label, source_label = (torch.tensor([d], device=self.device) for d in domains)
        with torch.no_grad():
            target = self._recorded_style(origin, target_label)
            begin, mean, usual = None, None, float("inf")
            if network.style_encoder is not None:
                begin = self._encoded_style(request.query, source_label)
            if network.mapping_network is not None:
                latents = self._latents(0, N_DRAWS)
                mapped = [
                    network.style_from_latent(latents, label.expand(N_DRAWS))
                    for label in (target_label, source_label)
                ]
                begin = mapped[1].mean(dim=0, keepdim=True) if begin is None else begin
                # no image shows NaN here, only the distance from usual styles
                styles = require_finite(f"The generator {self.name}", torch.cat([*mapped, begin]))
                mean = styles.mean(dim=0, keepdim=True)
                usual = float((styles - mean).norm(dim=1).quantile(QUANTILE))
            if begin is None:
                raise DataError("The StarGAN has neither a style encoder nor a mapping network.")
            query = request.query[None].to(self.device)
            return StylePath(self, query, self.encode(query), begin, target, mean, usual)

    def _latents(self, seed: int, n: int = 1) -> Tensor:
        random = torch.Generator().manual_seed(seed)
        return torch.randn((n, self.hyper.latent_dim), generator=random).to(self.device)

    def _encoded_style(self, image: Tensor, label: Tensor) -> Tensor:
        """Return the style of an image (C, S, S) in [0, 1]."""
        inputs = self.value_range.to_network(image[None].to(self.device))
        return self.network.style_from_image(resize(inputs, self.hyper.img_size), label)

    def _recorded_style(self, origin: Mapping[str, Any], label: Tensor) -> Tensor:
        """Return the style that the record of a generated image describes."""
        if "latent_seed" in origin:
            latent = self._latents(int(origin["latent_seed"]))
            return self.network.style_from_latent(latent, label)
        if "reference" in origin:
            return self._encoded_style(read_image(Path(origin["reference"])), label)
        raise DataError("The record of the generated image lacks its style. Search it again.")

    def _features_of(self, query: Tensor) -> Tensor:
        """Encode a query, unless it was the last one: a search asks for a few images at a time."""
        last = self._last_encoded
        if last is None or not torch.equal(last[0], query):
            last = (query.clone(), self.encode(query))
            self._last_encoded = last
        return last[1]

    def encode(self, query: Tensor) -> Tensor:
        """Return what the decoder needs of a query (1, C, S, S) in [0, 1]."""
        small = resize(self.value_range.to_network(query), self.hyper.img_size)
        return self.network.generator.encode_query(small)

    def decode(self, query: Tensor, features: Tensor, styles: Tensor) -> Tensor:
        """Return generated images (n, C, S, S) in [0, 1] for styles (n, style_dim)."""
        n = len(styles)
        out = self.network.generator.decode_style(features.expand(n, -1, -1, -1), styles)
        if self.hyper.residual:
            # half of the change on a range of 2 is the change on our range of 1
            change = resize(self.network.change(out) / 2, query.shape[-1])
            return (query + change).clamp(0, 1)
        images = activate(out, self.hyper.final_activation)
        return resize(self.value_range.from_network(images), query.shape[-1]).clamp(0, 1)

    def domain(self, request: ConversionRequest) -> int:
        """Return the network's domain for the target of a request.

        Raises
        ------
        UnknownNameError
            If there is none.
        """
        return self.domain_of(request.target, tuple(request.classifier.class_names))

    def domain_of(self, label: int, names: tuple[str, ...]) -> int:
        """Return the network's domain for a class of the classifier; see :meth:`domain`."""
        n, domain = self.hyper.num_domains, label
        numbered = [f"class {index}" for index in range(n)]
        if self._domains is not None:
            domain = self._domains[label] if label < len(self._domains) else -1
        elif label < len(names) and (self.class_names or names[label] in numbered):
            own = list(self.class_names) or numbered
            domain = own.index(names[label]) if names[label] in own else -1
        if self.hyper.single_head and self._references is not None and domain >= 0:
            return domain
        if not 0 <= domain < n:
            name = names[label] if 0 <= label < len(names) else str(label)
            available = list(self.class_names) or [str(i) for i in range(n)]
            raise unknown_name(f"class of the generator {self.name} called", name, available)
        return domain

    def _check(self, shape: tuple[int, ...], title: str, is_query: bool = False) -> None:
        size, channels = self.query_size, self.hyper.channels
        if shape != (channels, size, size):
            raise ShapeError(
                f"{title} has shape {shape}, but the generator {self.name} was trained on "
                f"{(channels, size, size)} (channels, height, width). Crop the images.",
                shape if is_query else None,
                (channels, (size, size)),
            )

    def _styles(
        self, request: ConversionRequest, first: int, n: int
    ) -> tuple[Tensor, list[dict[str, Any]]]:
        """Return styles (m, style_dim) and their origins; m may be less than n."""
        domain = self.domain(request)
        # one at a time, so that the batch size changes not a single bit
        label = torch.tensor([domain], device=self.device)
        common = {"generator": self.name, "domain": domain, "seed": request.seed}
        samples = self._reference_samples(request, first, n)
        origins: list[dict[str, Any]] = []
        styles: list[Tensor] = []
        if samples is None:
            for number in range(first, first + n):
                seed = proposal_seed(request.seed, number)
                styles.append(self.network.style_from_latent(self._latents(seed), label))
                origin = {"style": "latent", "proposal": number, "latent_seed": seed}
                origins.append({**common, **origin})
        else:
            for number, sample in enumerate(samples, first):
                self._check(tuple(sample.image.shape), f"The reference '{sample.id}'")
                styles.append(self._encoded_style(sample.image, label))
                source = str(sample.path or sample.id)
                origin = {"style": "reference", "proposal": number, "reference": source}
                origins.append({**common, **origin})
        return (torch.cat(styles) if styles else torch.empty(0)), origins

    def _reference_samples(
        self, request: ConversionRequest, first: int, n: int
    ) -> list[Sample] | None:
        """Return the images that styles are taken from; None for random vectors."""
        if request.references and self.takes_references:
            return list(request.references[first : first + n])
        references = self._references
        if references is None:
            return None
        indices = _reference_order(references, request, self.domain(request))
        return [references[index] for index in indices[first : first + n]]


def _reference_order(references: ImageFolder, request: ConversionRequest, domain: int) -> list[int]:
    """Return the reference images of the target class in an order that the seed decides.

    A network that was trained without names has numbered the sorted folders.
    """
    names = request.classifier.class_names
    target = names[request.target] if request.target < len(names) else str(request.target)
    classes = references.classes
    (label,) = match_by_name([target], classes).indices
    if label is None and re.fullmatch(r"class \d+", target) and domain < len(classes):
        label = domain
    if label is None:
        raise DataError(
            f"The reference folder has no images of class '{target}'; it has "
            f"{', '.join(classes) or 'no class folders'}. Add a folder '{target}' to it."
        )
    of_class = [i for i in range(len(references)) if references.label(i) == label]
    random = np.random.default_rng([request.seed, request.target])
    return [of_class[i] for i in random.permutation(len(of_class))]
