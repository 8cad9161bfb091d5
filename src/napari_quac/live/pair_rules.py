"""Rules from the sample to its explanations: search, pair, explanations of the pair."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from napari_quac.live.recall import RecalledExplanations, earlier_explanations, is_proposal_of
from napari_quac.stepwise import Steps

if TYPE_CHECKING:
    from napari_quac.data.dataset import Sample
    from napari_quac.explain.explanation import Explanations
    from napari_quac.explain.pair import Pair
    from napari_quac.explain.prediction_table import Neighbors
    from napari_quac.explain.search import SearchState
    from napari_quac.explain.settings import ExplainSettings
    from napari_quac.live.explanation_cache import ExplanationCache
    from napari_quac.live.identity import ResultOrigin
    from napari_quac.live.open_report import LoadedExplanations
    from napari_quac.live.prediction import Prediction
    from napari_quac.networks.classifier import Classifier
    from napari_quac.networks.generator import Generator as ImageGenerator


def search_pair(
    sample: Sample, prediction: Prediction, loaded_classifier: Classifier,
    loaded_generator: ImageGenerator, target: int | None = None,
    *, settings: ExplainSettings, neighbors: Neighbors | None = None, neighbor_styles: bool = False,
    search_state: SearchState | None = None,
) -> Steps[Pair]:  # fmt: skip
    """Search for a generated image that answers the question about the sample."""
    from napari_quac.explain.search import search

    del target  # of the settings; another one makes the result obsolete
    question = prediction.choose_question(settings, loaded_classifier, loaded_generator)
    target = question.targets[0] if question.targets else question.source
    references: tuple[Sample, ...] = ()
    if neighbor_styles and neighbors is not None:
        if neighbors.query is sample and neighbors.label == target:
            references = neighbors.samples
    return search(
        sample, target, loaded_classifier, loaded_generator, settings.search, settings.seed,
        question.source, state=search_state, references=references,
    )  # fmt: skip


def recall_search(
    target: int | None = None, neighbor_styles: bool = False,
    *, settings: ExplainSettings, recalled: RecalledExplanations | None = None,
) -> Pair | None:  # fmt: skip
    """Return the pair that the search found before, if it would find the same again."""
    if recalled is None or not recalled.is_answer or neighbor_styles:
        return None
    return recalled.pair if recalled.entry.search == (settings.search, settings.seed) else None


def _best_pair(
    searched_pair: Pair | None,
    loaded: LoadedExplanations | None,
    recalled: RecalledExplanations | None,
) -> Pair | None:
    """Return the pair of the search, of an earlier one in this session, or of the report."""
    earlier: Any = recalled or loaded
    return searched_pair or (earlier.pair if earlier is not None else None)


def keep_proposal(
    searched_pair: Pair | None = None, loaded_explanations: LoadedExplanations | None = None,
    recalled: RecalledExplanations | None = None,
    *, pair: Pair | None = None, proposal_index: int | None = None,
) -> int | None:  # fmt: skip
    """Return to the best proposal after another search, or to that of the recalled view."""
    best = _best_pair(searched_pair, loaded_explanations, recalled)
    if best is None:
        return None
    if pair is not None and pair.query is best.query and is_proposal_of(pair, best):
        return proposal_index
    return recalled.proposal_index if recalled is not None and best is recalled.pair else None


def choose_pair(
    sample: Sample, searched_pair: Pair | None = None,
    loaded_explanations: LoadedExplanations | None = None,
    recalled: RecalledExplanations | None = None, proposal_index: int | None = None,
    *, pair: Pair | None = None,
) -> Pair | None:  # fmt: skip
    """Return the best pair there is for the sample, with the chosen proposal."""
    best = _best_pair(searched_pair, loaded_explanations, recalled)
    if best is None or best.query is not sample:
        return None
    if proposal_index is None or not 0 <= proposal_index < len(best.proposals):
        return best
    proposal = best.proposals[proposal_index]
    for candidate in (best, pair):
        if candidate is None or candidate.query is not sample:
            continue
        if candidate.generated is proposal.generated:
            return candidate
    return replace(proposal, proposals=best.proposals, n_tried=best.n_tried)


def explain_pair(
    pair: Pair, loaded_classifier: Classifier, pair_settings: ExplainSettings,
    *, loaded_explanations: LoadedExplanations | None = None, origin: ResultOrigin | None = None,
    explanation_cache: ExplanationCache | None = None, explanations: Explanations | None = None,
    shown_method: str = "",
) -> Steps[Explanations]:  # fmt: skip
    """Explain the pair, the displayed method first, and compute nothing again."""
    from napari_quac.explain.pipeline import explain_pair as explain

    if explanations is None or explanations.pair is not pair:
        explanations = earlier_explanations(pair, pair_settings, origin, explanation_cache)
        if explanations is None and loaded_explanations is not None:
            explanations = loaded_explanations.explanations
    return explain(pair, loaded_classifier, pair_settings, explanations, shown_method)


def recall_explanations(
    pair: Pair, pair_settings: ExplainSettings,
    *, loaded_explanations: LoadedExplanations | None = None, origin: ResultOrigin | None = None,
    explanation_cache: ExplanationCache | None = None,
) -> Explanations | None:  # fmt: skip
    """Return the explanations of the pair if all of them were computed before."""
    earlier = earlier_explanations(pair, pair_settings, origin, explanation_cache)
    if earlier is not None and earlier.settings == pair_settings and earlier.is_complete:
        return earlier
    if loaded_explanations is not None and loaded_explanations.pair is pair:
        loaded = loaded_explanations.explanations
        return loaded if loaded.settings == pair_settings else None
    return None
