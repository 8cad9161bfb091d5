"""Gradient times difference, the cheapest discriminative map, and gradient times image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from napari_quac.explain.attribution import SignedMap
from napari_quac.explain.methods.gradient import logit_gradient
from napari_quac.explain.pair import Pair, Side, orient_pair
from napari_quac.networks.classifier import Classifier


@dataclass(frozen=True, slots=True)
class DiscriminativeInputGradient:
    """Size of the gradient at the query times the difference to the generated image.

    Attributes
    ----------
    direction : "query" or "generated"
        Which image the gradient is taken at.
    absolute : bool
        Drop the sign, as DAPI does.

    Notes
    -----
    As in the QuAC library the gradient's absolute value is taken, so the sign is that of the
    difference in brightness.
    """

    label: ClassVar[str] = "D-InGrad"
    group: ClassVar[str] = "discriminative"
    summary: ClassVar[str] = (
        "Discriminative input × gradient: gradient × difference of the two images"
    )
    short: ClassVar[str] = "input × gradient"
    colors: ClassVar[tuple[str, str]] = ("#3ecf8e", "#0c8a57")
    direction: Side = "query"
    absolute: bool = False

    def attribute(self, pair: Pair, classifier: Classifier) -> SignedMap:
        """Return ``|∇ℓ_s(x)| ⊙ (x_t − x)``, signed (C, *S)."""
        pair = orient_pair(pair, self.direction)
        query, generated = classifier.value_range.to_network(
            torch.stack([pair.query.image, pair.generated])
        )
        gradient = logit_gradient(query[None], pair.source, classifier)[0]
        values = gradient.abs() * (generated - query)
        return SignedMap(values.abs() if self.absolute else values)


@dataclass(frozen=True, slots=True)
class InputGradient:
    """Gradient at the query times the query itself, without its sign.

    Notes
    -----
    The image counts in the classifier's own value range, so a pixel that is 0 there (mid-gray for
    most networks) gets nothing.
    """

    label: ClassVar[str] = "InGrad"
    group: ClassVar[str] = "gradients"
    summary: ClassVar[str] = "Input × gradient of the query alone"
    short: ClassVar[str] = "input × gradient"
    colors: ClassVar[tuple[str, str]] = ("#8bd17c", "#3d7d2c")
    of_query_alone: ClassVar[bool] = True

    def attribute(self, pair: Pair, classifier: Classifier) -> SignedMap:
        """Return ``|x ⊙ ∇ℓ_s(x)|``, (C, *S)."""
        query = classifier.value_range.to_network(pair.query.image)
        gradient = logit_gradient(query[None], pair.source, classifier)[0]
        return SignedMap((query * gradient).abs())
