"""Views of the samples and of the explanations at the chosen method and threshold."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from napari_quac.data.dataset import evenly_spaced
from napari_quac.errors import QuacError
from napari_quac.stepwise import Progress, stepwise

if TYPE_CHECKING:
    from napari_quac.data.dataset import Dataset, Sample
    from napari_quac.explain.curve import Hybrid
    from napari_quac.explain.explanation import Explanation, Explanations
    from napari_quac.live.recall import RecalledExplanations

N_PREVIEWS = 6


@dataclass(frozen=True, eq=False)
class DisplayedHybrid:
    """The hybrid at the chosen threshold.

    Attributes
    ----------
    explanation : Explanation
        The explanation it belongs to.
    hybrid : Hybrid
    index : int
        Position in the thresholds of the curve.
    """

    explanation: Explanation
    hybrid: Hybrid
    index: int


@dataclass(frozen=True, eq=False)
class Preview:
    """A sample as a small picture.

    Attributes
    ----------
    index : int
    sample : Sample or None
        None if it cannot be read.
    low, high : float
        Smallest and largest value, in [0, 1].
    problem : str
        Reason why it cannot be read.
    """

    index: int
    sample: Sample | None
    low: float = 0.0
    high: float = 0.0
    problem: str = ""


@stepwise
def read_previews(loaded_samples: Dataset) -> Generator[Progress, None, tuple[Preview, ...]]:
    """Read six samples, evenly spread over the dataset."""
    indices = evenly_spaced(len(loaded_samples), N_PREVIEWS)
    previews = []
    for n_read, index in enumerate(indices):
        yield Progress(n_read, len(indices), "previews")
        try:
            sample = loaded_samples[index]
        except QuacError as error:
            previews.append(Preview(index, None, problem=str(error)))
        else:
            low, high = float(sample.image.min()), float(sample.image.max())
            previews.append(Preview(index, sample, low, high))
    return tuple(previews)


def choose_shown_method(
    explanations: Explanations,
    *, shown_method: str, recalled: RecalledExplanations | None = None,
    displayed_hybrid: DisplayedHybrid | None = None, proposal_index: int | None = None,
) -> str:  # fmt: skip
    """Show the method of the recalled view; the first one if the chosen one has no explanation."""
    if recalled is not None and displayed_hybrid is None:
        view = recalled.view_of(explanations.pair, proposal_index)
        if view is not None and view.shown_method in explanations:
            return view.shown_method
    is_final = explanations.is_complete or explanations.is_restored
    if shown_method in explanations or not is_final:
        return shown_method
    return next(iter(explanations), shown_method)


def keep_threshold(
    explanations: Explanations, shown_method: str,
    *, displayed_hybrid: DisplayedHybrid | None = None, threshold: float | None = None,
    recalled: RecalledExplanations | None = None, proposal_index: int | None = None,
) -> float | None:  # fmt: skip
    """Return to the optimum, or to the recalled view, when another explanation is displayed.

    A threshold that was chosen on a preliminary explanation also applies to the exact one.
    """
    explanation = explanations.get(shown_method)
    if explanation is None:
        return None
    if displayed_hybrid is None:
        view = recalled.view_of(explanations.pair, proposal_index) if recalled is not None else None
        return view.threshold if view is not None and view.shown_method == shown_method else None
    before = displayed_hybrid.explanation
    is_same_question = before.pair is explanation.pair and before.method == explanation.method
    is_kept = before is explanation or (before.is_preliminary and is_same_question)
    return threshold if is_kept else None


def display_hybrid(
    explanations: Explanations, shown_method: str, threshold: float | None = None,
    *, displayed_hybrid: DisplayedHybrid | None = None,
) -> DisplayedHybrid | None:  # fmt: skip
    """Look up the hybrid at the threshold; no network is needed."""
    from napari_quac.explain.curve import hybrid_at

    explanation = explanations.get(shown_method)
    if explanation is None:
        return None
    curve = explanation.curve
    index = curve.best if threshold is None else curve.index_at(threshold)
    before = displayed_hybrid
    if before is not None and before.explanation is explanation and before.index == index:
        return before
    return DisplayedHybrid(explanation, hybrid_at(explanation.pair, curve, index), index)


def without_partial_results(explanations: Explanations) -> Explanations:
    """Return the exact explanations, without a mask under optimization, after a cancellation."""
    exact = explanations.exact()
    return replace(exact, partial_mask=None) if exact.partial_mask else exact
