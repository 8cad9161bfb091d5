"""The path from the query to the generated image: that of the generator, or a cross-fade."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from napari_quac.explain.pair import Pair
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.generator import ConversionRequest, Generator, ImagePath


@dataclass(frozen=True, eq=False)
class FadePath:
    """The query and the generated image, mixed pixel by pixel.

    Attributes
    ----------
    query, generated : (C, *S) Tensor
    """

    query: Tensor
    generated: Tensor

    kind = "fade"
    meaning = "cross-fade of pixels: a baseline, no path of the generator"
    caution = ""
    steps = None

    def image(self, alpha: float) -> Tensor:
        """Return the mixture; beyond 1 the difference is exaggerated."""
        return (self.query + alpha * (self.generated - self.query)).clamp(0, 1)

    def is_off_manifold(self, alpha: float) -> bool:
        """Return False: nothing was trained."""
        del alpha
        return False


def image_path(pair: Pair, generator: Generator, classifier: Classifier) -> ImagePath:
    """Return the path of a generator to its image, or a cross-fade if it has none.

    Parameters
    ----------
    pair : Pair
        Found with ``generator``.
    generator : Generator
        The generator of the pair.
    classifier : Classifier
        Its class names select the generator's.
    """
    return generator_path(pair, generator, classifier) or FadePath(pair.query.image, pair.generated)


def generator_path(pair: Pair, generator: Generator, classifier: Classifier) -> ImagePath | None:
    """Return the path of a generator to its image; None if it has none."""
    query = pair.query
    request = ConversionRequest(
        query.image, pair.source, pair.target, classifier, query_id=query.id
    )
    return generator.path(request, pair.origin)
