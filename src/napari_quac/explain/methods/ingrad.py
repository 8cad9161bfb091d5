"""Gradient times difference: the cheapest discriminative map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from napari_quac.explain.attribution import SignedMap
from napari_quac.explain.methods.gradient import logit_gradient
from napari_quac.explain.pair import Pair
from napari_quac.networks.classifier import Classifier


@dataclass(frozen=True, slots=True)
class DiscriminativeInputGradient:
    """Size of the gradient at the query times the difference to the generated image.

    Notes
    -----
    As in the QuAC library the gradient's absolute value is taken, so the sign is that of the
    difference in brightness.
    """

    label: ClassVar[str] = "D-InGrad"

    def attribute(self, pair: Pair, classifier: Classifier) -> SignedMap:
        """Return ``|∇ℓ_s(x)| ⊙ (x_t − x)``, signed (C, *S)."""
        query, generated = classifier.value_range.to_network(
            torch.stack([pair.query.image, pair.generated])
        )
        gradient = logit_gradient(query[None], pair.source, classifier)[0]
        return SignedMap(gradient.abs() * (generated - query))
