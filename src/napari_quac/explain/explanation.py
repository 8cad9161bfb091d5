"""The explanations of a pair: records, and their figures.

Populations of many explanations are drawn in :mod:`napari_quac.reports.figures`.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from napari_quac.errors import PreliminaryError
from napari_quac.explain.attribution import Attribution
from napari_quac.explain.curve import Curve, Hybrid, hybrid_at
from napari_quac.explain.pair import Pair
from napari_quac.explain.score import FINE_ABSCISSAE
from napari_quac.explain.settings import ExplainSettings
from napari_quac.explain.size_axis import SizeAxis, axis_label, set_size_axis
from napari_quac.networks.fido.settings import MaskState
from napari_quac.stepwise import Progress

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANEL_INCHES = 2.0
MASK_COLOR = "#E69F00"
CURVE_COLOR = "#0072B2"
STYLE: dict[str, Any] = {
    "font.family": "sans-serif",
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "axes.linewidth": 0.6,
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
}


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
    is_preliminary : bool
        True for a display while the exact explanation is computed: a coarse attribution or few
        thresholds. Nothing saves, exports or counts it.
    """

    pair: Pair
    attribution: Attribution
    curve: Curve
    counterfactual: Hybrid
    inverse_prediction: Tensor
    is_preliminary: bool = False

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

    def require_exact(self) -> Explanation:
        """Return the explanation.

        Raises
        ------
        PreliminaryError
            If it is preliminary.
        """
        if self.is_preliminary:
            raise PreliminaryError(
                f"The explanation of '{self.pair.query.id}' by {self.method} is preliminary. Wait "
                "until the exact one is computed, or press Resume if it was canceled."
            ).suggesting("resume")
        return self

    def row(self, class_names: Sequence[str]) -> dict[str, str]:
        """Return sample, classes and method, the first columns of tables."""
        self.require_exact()
        pair = self.pair
        source, target = class_names[pair.source], class_names[pair.target]
        method = self.attribution.true_name
        return {"sample": pair.query.id, "source": source, "target": target, "method": method}

    def plot(self, threshold: float | None = None, size_axis: SizeAxis = "linear") -> Figure:
        """Draw query, generated image, hybrid, attribution and curve.

        Parameters
        ----------
        threshold : float, optional
            Point of the curve to draw; by default the optimum.
        size_axis : "linear", "square root" or "logarithmic"
            Axis of mask sizes.

        Returns
        -------
        matplotlib Figure
            Save it by ``figure.savefig("explanation.svg")``.
        """
        return draw_explanation(self, self.at(threshold), size_axis)

    def __repr__(self) -> str:
        pair, best = self.pair, self.counterfactual
        source, target = pair.class_name(pair.source), pair.class_name(pair.target)
        scored = pair.scored_class
        before, after = (float(p[scored]) for p in (pair.query_prediction, best.prediction))
        question = f"{source} against {pair.infill}" if pair.infill else f"{source} → {target}"
        kind = "Preliminary explanation" if self.is_preliminary else "Explanation"
        return (
            f"<{kind} of '{pair.query.id}' by {self.attribution.true_name}: "
            f"{question}, QuAC score {self.quac_score:.3f}, "
            f"mask {best.mask_size:.1%}, p({pair.class_name(scored)}) {before:.2f} → {after:.2f}>"
        )

    def _repr_html_(self) -> str:
        return (
            f'<figure style="margin:0"><img src="data:image/png;base64,{png_of(self.plot())}">'
            f"<figcaption>{escape(repr(self)[1:-1])}</figcaption></figure>"
        )


@dataclass(frozen=True, eq=False)
class PartialMask:
    """The current mask of a method that optimizes it.

    Attributes
    ----------
    method : str
        Name in the registry.
    map, mask : (1, *S) Tensor, float32 in [0, 1]
        Probability of each pixel to belong to the region; the region itself, 0 or 1.
    hybrid : (C, *S) Tensor, float32 in [0, 1]
        The query, infilled.
    text : str
        Step and size of the region.
    """

    method: str
    map: Tensor
    mask: Tensor
    hybrid: Tensor
    text: str

    @classmethod
    def from_progress(cls, method: str, step: Progress) -> PartialMask | None:
        """Return the mask that a step of a method carries; None for all other steps."""
        state = step.partial
        if not isinstance(state, MaskState):
            return None
        text = f"step {state.step} of {step.total} · {state.region_size:.1%}"
        return cls(method, state.map, state.region.float(), state.hybrid, text)


@dataclass(frozen=True, eq=False, repr=False)
class Explanations(Mapping[str, Explanation]):
    """The explanations of one pair, a mapping from the name of the method.

    Two of them are equal only if they are the same object.

    Attributes
    ----------
    pair : Pair
        The query and the generated image, not swapped.
    settings : ExplainSettings
        Settings of this and the methods still to come.
    by_method : mapping of str to Explanation
        In the order of ``settings.methods``, as far as computed.
    failures : mapping of str to Exception
        Errors of the methods that failed.
    seconds : mapping of str to float
        Computing time of each method, failed ones included.
    is_restored : bool
        Whether they were read from a report instead of computed.
    partial_mask : PartialMask or None
        The mask under optimization, if there is one.
    """

    pair: Pair
    settings: ExplainSettings
    by_method: Mapping[str, Explanation] = field(default_factory=dict)
    failures: Mapping[str, Exception] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    is_restored: bool = False
    partial_mask: PartialMask | None = None

    def __getitem__(self, method: str) -> Explanation:
        return self.by_method[method]

    def __iter__(self) -> Iterator[str]:
        return iter(self.by_method)

    def __len__(self) -> int:
        return len(self.by_method)

    # a mapping compares its contents, so that a new partial mask would emit no event in the dock
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def plot(self, size_axis: SizeAxis = "linear") -> Figure:
        """Draw the QuAC curves of all methods along an axis of mask sizes."""
        return draw_curves(list(self.values()), size_axis)

    def __repr__(self) -> str:
        lines = [repr(explanation)[1:-1] for explanation in self.values()]
        lines += [f"{name} failed: {error}" for name, error in self.failures.items()]
        return "\n".join(lines) or f"<no explanations of '{self.pair.query.id}' yet>"

    def _repr_html_(self) -> str:
        text = escape(repr(self)).replace("\n", "<br>")
        if not self:
            return text
        return f'<img src="data:image/png;base64,{png_of(self.plot())}"><br>{text}'

    @property
    def is_complete(self) -> bool:
        """True when every method has an exact explanation or a failure."""
        methods = self.settings.methods
        return not self.is_preliminary and all(
            name in self or name in self.failures for name in methods
        )

    @property
    def is_preliminary(self) -> bool:
        """True while one of them is preliminary."""
        return any(explanation.is_preliminary for explanation in self.by_method.values())

    def exact(self) -> Explanations:
        """Return them without the preliminary one; themselves if there is none."""
        if not self.is_preliminary:
            return self
        exact = {name: e for name, e in self.by_method.items() if not e.is_preliminary}
        return replace(self, by_method=exact)

    def bind(self, pair: Pair) -> Explanations:
        """Return them for an equal pair, such as one whose query was read again."""
        if self.pair is pair:
            return self
        roles = self.settings.procedure.pair(pair)
        bound = {name: replace(entry, pair=roles) for name, entry in self.by_method.items()}
        return replace(self, pair=pair, by_method=bound)

    def raise_failures(self, *ignored: type[Exception]) -> None:
        """Raise the first failure that is not of an ignored type; do nothing if there is none."""
        for error in self.failures.values():
            if not isinstance(error, ignored):
                raise error


def draw_explanation(
    explanation: Explanation, hybrid: Hybrid, size_axis: SizeAxis = "linear"
) -> Figure:
    """Draw query, generated image, hybrid with mask outline, attribution and QuAC curve in a row.

    Parameters
    ----------
    explanation : Explanation
        The explanation to draw. Volumes are drawn at their middle section.
    hybrid : Hybrid
        The hybrid whose mask is outlined and whose point is marked on the curve.
    size_axis : "linear", "square root" or "logarithmic"
        Axis of mask sizes.

    Returns
    -------
    matplotlib Figure
        Not registered with pyplot, so it need not be closed.
    """
    pair = explanation.require_exact().pair
    with _styled_figure(5 * PANEL_INCHES, PANEL_INCHES + 0.5) as figure:
        query_axes, generated_axes, hybrid_axes, map_axes, curve_axes = figure.subplots(1, 5)
        _draw_image(query_axes, pair.query.image, pair, "query", pair.query_prediction)
        _draw_image(generated_axes, pair.generated, pair, "generated", pair.generated_prediction)
        _draw_image(hybrid_axes, hybrid.image, pair, "hybrid", hybrid.prediction)
        mask = _section(hybrid.mask).max(axis=-1)
        if 0 < mask.max() and mask.min() < 0.5 < mask.max():
            hybrid_axes.contour(mask, levels=[0.5], colors=MASK_COLOR, linewidths=1)
        signed = _section(explanation.attribution.signed).sum(axis=-1)
        limit = float(np.abs(signed).max()) or 1.0
        map_axes.imshow(signed, cmap="RdBu_r", vmin=-limit, vmax=limit)
        map_axes.set_title(f"attribution\n{explanation.attribution.true_name}")
        map_axes.set_axis_off()
        _draw_curve(curve_axes, explanation, hybrid, size_axis)
    return figure


def draw_curves(explanations: Sequence[Explanation], size_axis: SizeAxis = "linear") -> Figure:
    """Draw the QuAC curves of several explanations of one pair into one panel.

    Parameters
    ----------
    explanations : sequence of Explanation
        One for each method.
    size_axis : "linear", "square root" or "logarithmic"
        Axis of mask sizes.

    Returns
    -------
    matplotlib Figure
    """
    with _styled_figure(4.2, 2.8) as figure:
        axes = figure.subplots()
        for explanation in explanations:
            curve = explanation.require_exact().curve
            label = f"{explanation.attribution.true_name} {curve.quac_score:.2f}"
            axes.plot(*_line(curve), linewidth=1.2, label=label)
        _label_curve_axes(axes, size_axis)
        axes.legend(frameon=False, fontsize=7, title="method, QuAC score", title_fontsize=7)
    return figure


@contextmanager
def _styled_figure(width: float, height: float) -> Iterator[Figure]:
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        yield figure


def png_of(figure: Figure, dots_per_inch: int = 110) -> str:
    """Return a figure as the base64 text of a PNG, for HTML."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=dots_per_inch)
    return base64.b64encode(stream.getvalue()).decode("ascii")


def _draw_image(axes: Axes, image: Tensor, pair: Pair, name: str, prediction: Tensor) -> None:
    section = _section(image)
    if section.shape[-1] == 3:
        axes.imshow(section.clip(0, 1))
    else:
        axes.imshow(section[..., 0], cmap="gray", vmin=0, vmax=1)
    name = "infill" if pair.infill and name == "generated" else name
    probability = float(prediction[pair.scored_class])
    axes.set_title(f"{name}\np({pair.class_name(pair.scored_class)}) = {probability:.2f}")
    axes.set_axis_off()


def _line(curve: Curve) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the points of a curve, dense enough for an axis that is not linear."""
    sizes = np.union1d(curve.mask_sizes, FINE_ABSCISSAE)
    return sizes, curve.interpolate(sizes)


def _draw_curve(axes: Axes, explanation: Explanation, hybrid: Hybrid, size_axis: SizeAxis) -> None:
    curve = explanation.curve
    axes.plot(*_line(curve), color=CURVE_COLOR, linewidth=1.2)
    axes.plot([hybrid.mask_size], [hybrid.score_change], "o", color=MASK_COLOR, markersize=5)
    _label_curve_axes(axes, size_axis)
    axes.set_title(f"QuAC score {curve.quac_score:.2f}\nmask {hybrid.mask_size:.1%}")


def _label_curve_axes(axes: Axes, size_axis: SizeAxis) -> None:
    axes.axhline(0, color="#bbbbbb", linewidth=0.5, zorder=0)
    set_size_axis(axes, size_axis)
    axes.set_xlabel(axis_label(size_axis))
    axes.set_ylabel("score change")
    axes.spines[["top", "right"]].set_visible(False)


def _section(values: Tensor) -> NDArray[Any]:
    """Return (H, W, C) of a (C, H, W) image, or of the middle section of a (C, D, H, W) volume."""
    array = values.detach().cpu().numpy()
    if array.ndim == 4:
        array = array[:, array.shape[1] // 2]
    return np.moveaxis(array, 0, -1)
