"""What a path from the query to the target can be made of: styles, strengths of a warp, a fade."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

from napari_quac.explain.pair import Pair
from napari_quac.generators.exaggeration.generator import ExaggerationGenerator
from napari_quac.generators.program.generator import ProgramGenerator
from napari_quac.generators.stargan.generator import StarGANGenerator
from napari_quac.generators.stargan.style_path import style_path
from napari_quac.generators.warp.generator import WarpGenerator
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.warp.jacobian import determinant, folding
from napari_quac.networks.warp.sampling import warp

PathKind = Literal["style", "bins", "warp", "fade"]

MEANINGS: dict[PathKind, str] = {
    "style": "line between two styles of the generator",
    "bins": "bins of the explainer",
    "warp": "strength of the deformation",
    "fade": "cross-fade of pixels: a baseline, no path of the generator",
}
FLAGS: dict[PathKind, str] = {
    "style": "outside of what the generator has learnt",
    "bins": "",
    "warp": "the deformation folds",
    "fade": "",
}


class ImagePath(Protocol):
    """Images between alpha 0, the source, and alpha 1, the generated image, and beyond."""

    def image(self, alpha: float) -> Tensor:
        """Return the image (C, *S) in [0, 1] at alpha."""

    def is_off_manifold(self, alpha: float) -> bool:
        """Tell whether the image at alpha is to be read with care."""


@dataclass(frozen=True, eq=False)
class WarpPath:
    """The query, deformed more and more.

    Attributes
    ----------
    query : (C, *S) Tensor
    field : (n, *S) Tensor
        That of the generated image, voxels.
    """

    query: Tensor
    field: Tensor

    def image(self, alpha: float) -> Tensor:
        """Return the query under alpha times the field."""
        return warp(self.query[None], alpha * self.field[None])[0].clamp(0, 1)

    def is_off_manifold(self, alpha: float) -> bool:
        """Tell whether the field folds somewhere."""
        return bool(folding(determinant(alpha * self.field.numpy())).any())


@dataclass(frozen=True, eq=False)
class FadePath:
    """The query and the generated image, mixed pixel by pixel.

    Attributes
    ----------
    query, generated : (C, *S) Tensor
    """

    query: Tensor
    generated: Tensor

    def image(self, alpha: float) -> Tensor:
        """Return the mixture; beyond 1 the difference is exaggerated."""
        return (self.query + alpha * (self.generated - self.query)).clamp(0, 1)

    def is_off_manifold(self, alpha: float) -> bool:
        """Return False: nothing has been learnt."""
        del alpha
        return False


def path_kind(pair: Pair, generator: Any) -> PathKind:
    """Tell what the path to a generated image is made of, by its record and its generator."""
    inner = inner_generator(generator)
    if isinstance(inner, StarGANGenerator) and "style" in pair.origin:
        return "style"
    if isinstance(inner, ExaggerationGenerator) and "bin" in pair.origin:
        return "bins"
    if isinstance(inner, WarpGenerator) and "strength" in pair.origin:
        return "warp"
    return "fade"


def inner_generator(generator: Any) -> Any:
    """Return what a program turned out to be; any other generator is returned as it is."""
    return generator.inner if isinstance(generator, ProgramGenerator) else generator


def image_path(pair: Pair, generator: Any, classifier: Classifier) -> ImagePath:
    """Return the path to a generated image, of every kind but bins, which have no between.

    Parameters
    ----------
    pair : Pair
        Found with ``generator``.
    generator : Generator
        What made the pair.
    classifier : Classifier
        Its class names tell the generator's.
    """
    query, kind = pair.query.image, path_kind(pair, generator)
    inner = inner_generator(generator)
    if kind == "style":
        return style_path(inner, query, pair.origin, pair.source, classifier.class_names)
    if kind == "warp":
        field = inner.field(query, int(pair.origin["option"]))
        return WarpPath(query, torch.as_tensor(float(pair.origin["strength"]) * field))
    return FadePath(query, pair.generated)
