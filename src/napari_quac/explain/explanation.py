"""The finished record of one query, target and method."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from napari_quac.explain.attribution import Attribution
from napari_quac.explain.curve import Curve
from napari_quac.explain.hybrid import Hybrid
from napari_quac.explain.pair import Pair


@dataclass(frozen=True, eq=False)
class Explanation:
    """What one method says about one pair.

    Attributes
    ----------
    pair : Pair
    attribution : Attribution
    curve : Curve
    counterfactual : Hybrid
        The hybrid at the optimum.
    inverse_prediction : (K,) Tensor, float32 in [0, 1]
        Of the inverse hybrid, in which only the unimportant part was changed. If it is the target,
        the mask left out something that matters.
    """

    pair: Pair
    attribution: Attribution
    curve: Curve
    counterfactual: Hybrid
    inverse_prediction: Tensor

    @property
    def method(self) -> str:
        """Name of the method that was asked for."""
        return self.attribution.method

    @property
    def quac_score(self) -> float:
        """Area under the QuAC curve."""
        return self.curve.quac_score
