"""Procedures of QuAC and DAPI: direction of hybrids, sign of maps, criterion of the optimum.

Both use the same engine for opposite questions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

if TYPE_CHECKING:
    from napari_quac.explain.pair import Pair

Grid = Literal["quac_0_2", "corrected", "dapi"]
Optimum = Literal["difference", "squares"]
Aggregate = Literal["median", "mean"]


@dataclass(frozen=True, slots=True)
class Procedure:
    """Direction of the hybrids, and the rules that turn them into a curve and its optimum.

    Attributes
    ----------
    into : "query" or "generated"
        Image into which the hybrids paste. ``query``: the masked part of the generated image is
        copied into the query, and the probability of the target rises. ``generated``: the masked
        part of the query is copied back into the generated image, and the probability of the
        source rises.
    signed : bool
        Threshold signed maps, divided by their largest absolute value, instead of absolute values.
    optimum : "difference" or "squares"
        The best point has the largest *change − size*, or the smallest *size² + (1 − change)²*.
    aggregate : "median" or "mean"
        Summary of the curves of many pairs.
    min_confidence : float in [0, 1]
        Lower limit of the predicted probability of either image for its class.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}
    into: Literal["query", "generated"] = "query"
    signed: bool = False
    optimum: Optimum = "difference"
    aggregate: Aggregate = "median"
    min_confidence: float = 0.0

    def pair(self, pair: Pair) -> Pair:
        """Return the pair in the roles that this procedure gives to its images."""
        return _in_roles(pair, self.into == "generated")

    def attributed(self, pair: Pair, method: object) -> Pair:
        """Return the pair for a method; a method that uses one image gets the image of the data."""
        alone = getattr(method, "of_query_alone", False)
        return _in_roles(pair, self.into == "generated" and not alone)

    def accepts(self, pair: Pair) -> bool:
        """Tell whether both images reach the minimum confidence."""
        if not self.min_confidence:
            return True
        confidence = min(
            float(pair.query_prediction[pair.source]), float(pair.generated_prediction[pair.target])
        )
        return confidence > self.min_confidence


def _in_roles(pair: Pair, is_swapped: bool) -> Pair:
    from napari_quac.explain.pair import swap_pair  # imports torch, which the dock loads later

    return swap_pair(pair) if pair.is_swapped != is_swapped else pair
