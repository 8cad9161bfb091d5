"""StarGAN v2 as a generator: styles from random vectors or from reference images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from napari_quac.data.dataset import Sample
from napari_quac.data.image_datasets import ImageFolder
from napari_quac.errors import DataError, NotFiniteError, ShapeError
from napari_quac.generators.stargan.style_path import StylePath, style_path
from napari_quac.networks.architectures.stargan_v2 import StarGAN, activate
from napari_quac.networks.device import in_batches
from napari_quac.networks.generator import ConversionRequest, Generator, Proposals, proposal_seed
from napari_quac.networks.resizing import resize
from napari_quac.networks.value_range import ValueRange
from napari_quac.registry import unknown_name

GPU_BATCH = 8  # on the CPU images are decoded one by one, which is fastest there


class StarGANGenerator(Generator):
    """A live StarGAN v2; see :class:`~napari_quac.networks.generator.Generator`.

    Parameters
    ----------
    network : StarGAN
        With its weights.
    class_names : tuple of str
        Names of its domains; empty if nobody knows.
    query_size : int, optional
        Height and width of queries, pixels. Where they are larger than what the network was
        trained on, they are reduced for it and the change that it predicts is enlarged.
    value_range : ValueRange, optional
        What the network was trained on.
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
        self.query_size = query_size or self.hyper.img_size
        self.value_range = value_range or ValueRange()
        self._references = references
        self._domains = tuple(domains) if domains is not None else None
        self.takes_references = network.style_encoder is not None
        self._last_encoded: tuple[Tensor, Tensor] | None = None
        self.name = name
        self.n_axes = 2
        style = "reference images" if references else "random vectors"
        self.description: Mapping[str, str] = {
            "Kind": "StarGAN v2",
            "Image size": f"{self.query_size} × {self.query_size}, {self.hyper.channels} channel"
            + ("s" if self.hyper.channels != 1 else ""),
            "Classes": ", ".join(class_names) or str(self.hyper.num_domains),
            "Style from": style,
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
        if not torch.isfinite(images).all():
            raise NotFiniteError(
                f"The generator {self.name} returned NaN or infinity. Check its value range (now "
                f"{self.value_range}) and its weights."
            )
        # leaving inference mode, so that others may use the images in autograd
        return Proposals(images.clone(), tuple(origins))

    def path(self, request: ConversionRequest, origin: Mapping[str, Any]) -> StylePath | None:
        """Return the line from the query's style to that of the generated image."""
        if "style" not in origin:
            return None
        names = request.classifier.class_names
        return style_path(self, request.query, origin, request.source, names)

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
        return self._domain(request.target, tuple(request.classifier.class_names))

    def domain_of(self, label: int, names: tuple[str, ...]) -> int:
        """Return the network's domain for a class of the classifier; see :meth:`domain`."""
        return self._domain(label, names)

    def _domain(self, label: int, names: tuple[str, ...]) -> int:
        n = self.hyper.num_domains
        own = self.class_names or tuple(str(i) for i in range(n))
        if self._domains is not None:
            domain = self._domains[label] if label < len(self._domains) else -1
        elif self.class_names and label < len(names) and set(names) & set(self.class_names):
            domain = (
                self.class_names.index(names[label]) if names[label] in self.class_names else -1
            )
        else:
            domain = label
        if self.hyper.single_head and self._references is not None and domain >= 0:
            return domain
        if not 0 <= domain < n:
            shown = names[label] if 0 <= label < len(names) else str(label)
            raise unknown_name(f"class of the generator {self.name} called", shown, list(own))
        return domain

    def _check(self, shape: tuple[int, ...], what: str, is_query: bool = False) -> None:
        size, channels = self.query_size, self.hyper.channels
        if shape != (channels, size, size):
            raise ShapeError(
                f"{what} has shape {shape}, but the generator {self.name} was trained on "
                f"{(channels, size, size)} (channels, height, width). Choose other images, another "
                "generator, or crop the images to that size.",
                shape if is_query else None,
                (channels, (size, size)),
            )

    def _styles(
        self, request: ConversionRequest, first: int, n: int
    ) -> tuple[Tensor, list[dict[str, Any]]]:
        """Return styles (m, style_dim) and how each came about; m may be less than n."""
        domain = self.domain(request)
        origins: list[dict[str, Any]] = []
        styles: list[Tensor] = []
        # one at a time, so that the batch size changes not a single bit
        label = torch.tensor([domain], device=self.device)
        common = {"generator": self.name, "domain": domain, "seed": request.seed}
        samples = self._reference_samples(request, first, n)
        if samples is None:
            for number in range(first, first + n):
                seed = proposal_seed(request.seed, number)
                random = torch.Generator().manual_seed(seed)
                latent = torch.randn((1, self.hyper.latent_dim), generator=random)
                styles.append(self.network.style_from_latent(latent.to(self.device), label))
                origins.append(
                    {**common, "style": "latent", "proposal": number, "latent_seed": seed}
                )
        else:
            for number, sample in enumerate(samples, first):
                self._check(tuple(sample.image.shape), f"The reference '{sample.id}'")
                image = self.value_range.to_network(sample.image[None].to(self.device))
                styles.append(
                    self.network.style_from_image(resize(image, self.hyper.img_size), label)
                )
                origins.append(
                    {
                        **common,
                        "style": "reference",
                        "proposal": number,
                        "reference": str(sample.path or sample.id),
                    }
                )
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
        indices = _reference_order(references, request)
        return [references[index] for index in indices[first : first + n]]


def _reference_order(references: ImageFolder, request: ConversionRequest) -> list[int]:
    """Return the reference images of the target class in an order that the seed decides."""
    names = request.classifier.class_names
    target = names[request.target] if request.target < len(names) else str(request.target)
    classes = references.classes
    if target in classes:
        label = classes.index(target)
    elif len(classes) == len(names):
        label = request.target
    else:
        raise DataError(
            f"The reference folder has no images of class '{target}'; it has "
            f"{', '.join(classes) or 'no class folders'}. Add a folder '{target}' to it."
        )
    of_class = [i for i in range(len(references)) if references.label(i) == label]
    random = np.random.default_rng([request.seed, request.target])
    return [of_class[i] for i in random.permutation(len(of_class))]
