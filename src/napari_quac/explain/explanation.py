"""The finished record of one query, target and method."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from torch import Tensor

from napari_quac.explain.attribution import Attribution
from napari_quac.explain.curve import Curve, hybrid_at
from napari_quac.explain.explanation_figure import draw_explanation, png_of
from napari_quac.explain.hybrid import Hybrid
from napari_quac.explain.pair import Pair

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, eq=False, repr=False)
class Explanation:
    """The explanation of one pair by one method.

    Attributes
    ----------
    pair : Pair
    attribution : Attribution
    curve : Curve
    counterfactual : Hybrid
        The hybrid at the optimum.
    inverse_prediction : (K,) Tensor, float32 in [0, 1]
        Class probabilities of the inverse hybrid, in which only the unimportant part was changed.
        If its class is the target, the mask left out something that matters.
    """

    pair: Pair
    attribution: Attribution
    curve: Curve
    counterfactual: Hybrid
    inverse_prediction: Tensor

    @property
    def method(self) -> str:
        """Name of the requested method in the registry."""
        return self.attribution.method

    @property
    def quac_score(self) -> float:
        """Area under the QuAC curve."""
        return self.curve.quac_score

    def at(self, threshold: float | None = None) -> Hybrid:
        """Return hybrid, mask and prediction at a threshold, without running the network.

        Parameters
        ----------
        threshold : float, optional
            Attribution above which a pixel is in the mask, in [0, 1]; by default the optimum.
            Thresholds between two points of the curve take the larger mask.

        Returns
        -------
        Hybrid

        Examples
        --------
        ``explanation.at(0.3).mask`` is the (C, *S) mask at threshold 0.3.
        """
        if threshold is None:
            return self.counterfactual
        return hybrid_at(self.pair, self.curve, self.curve.index_at(threshold))

    def plot(self, threshold: float | None = None) -> Figure:
        """Draw query, generated image, hybrid, attribution and curve.

        Parameters
        ----------
        threshold : float, optional
            Point of the curve to draw; by default the optimum.

        Returns
        -------
        matplotlib Figure
            Save it by ``figure.savefig("explanation.svg")``.
        """
        return draw_explanation(self, self.at(threshold))

    def __repr__(self) -> str:
        pair, best = self.pair, self.counterfactual
        source, target = pair.class_name(pair.source), pair.class_name(pair.target)
        before, after = (
            float(pair.query_prediction[pair.target]),
            float(best.prediction[pair.target]),
        )
        return (
            f"<Explanation of '{pair.query.id}' by {self.attribution.true_name}: "
            f"{source} → {target}, QuAC score {self.quac_score:.3f}, "
            f"mask {best.mask_size:.1%}, p({target}) {before:.2f} → {after:.2f}>"
        )

    def _repr_html_(self) -> str:
        return (
            f'<figure style="margin:0"><img src="data:image/png;base64,{png_of(self.plot())}">'
            f"<figcaption>{escape(repr(self)[1:-1])}</figcaption></figure>"
        )
