"""Explanations of samples that are selected again: rules that find them, and their recording."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from psygnal import Signal

from napari_quac.errors import one_line
from napari_quac.explain.settings import AUTO, derive_pair_settings
from napari_quac.live.connections import Connections
from napari_quac.live.explanation_cache import (
    CachedExplanations,
    ExplanationCache,
    ExplanationKey,
    ExplanationView,
    Question,
)
from napari_quac.live.lane import Lane, Priority

if TYPE_CHECKING:
    from napari_quac.batch.tasks import Earlier
    from napari_quac.data.dataset import Sample
    from napari_quac.explain.explanation import Explanations
    from napari_quac.explain.pair import Pair
    from napari_quac.explain.settings import ExplainSettings
    from napari_quac.live.choices import Choices
    from napari_quac.live.identity import ResultOrigin
    from napari_quac.live.prediction import Prediction
    from napari_quac.live.results import Results
    from napari_quac.networks.classifier import Classifier
    from napari_quac.networks.generator import Generator

logger = logging.getLogger(__name__)
_hashes: WeakKeyDictionary[Sample, str] = WeakKeyDictionary()


@dataclass(frozen=True, eq=False)
class RecalledExplanations:
    """Explanations of the selected sample that were computed before.

    Attributes
    ----------
    entry : CachedExplanations
        About the sample itself.
    key : ExplanationKey
        Their key in the cache.
    cache : ExplanationCache
    is_answer : bool
        False if they answer another question than the chosen one.
    """

    entry: CachedExplanations
    key: ExplanationKey
    cache: ExplanationCache
    is_answer: bool

    @property
    def pair(self) -> Pair:
        """The pair that the search chose."""
        return self.entry.pair

    @property
    def proposal_index(self) -> int | None:
        """The proposal that was displayed last."""
        view = self.cache.view(self.key, (self.pair.source, self.pair.target))
        return view.proposal_index if view is not None else None

    def view_of(self, pair: Pair | None, proposal_index: int | None) -> ExplanationView | None:
        """Return the last view of a proposal; None if another one was displayed last."""
        if pair is None or not is_proposal_of(pair, self.pair):
            return None
        view = self.cache.view(self.key, (self.pair.source, self.pair.target))
        return view if view is not None and view.proposal_index == proposal_index else None


def is_proposal_of(pair: Pair, best: Pair) -> bool:
    """Tell whether a pair is that of a search, or one of its other proposals."""
    return any(pair.generated is proposal.generated for proposal in (best, *best.proposals))


def explanation_key(sample: Sample, origin: ResultOrigin) -> ExplanationKey:
    """Return the key of explanations of a sample."""
    if sample not in _hashes:
        _hashes[sample] = hashlib.sha256(sample.image.numpy().tobytes()).hexdigest()
    return ExplanationKey(origin.classifier, origin.generator, sample.id, _hashes[sample])


def current_question(
    prediction: Prediction,
    classifier: Classifier,
    generator: Generator,
    settings: ExplainSettings,
    target: int | None,
) -> Question | None:
    """Return source and target of the chosen question; None if it has several targets."""
    from napari_quac.explain.question import choose_question

    if target is None and settings.targets != AUTO:
        return None
    targets = None if target is None else (target,)
    question = choose_question(
        prediction.probabilities, prediction.truth, settings, classifier, generator, targets=targets
    )
    return (question.source, question.targets[0]) if question.targets else None


def recall(
    prediction: Prediction, loaded_classifier: Classifier, loaded_generator: Generator,
    origin: ResultOrigin, target: int | None = None,
    explanations_on_disk: ExplanationKey | None = None,
    *, settings: ExplainSettings, explanation_cache: ExplanationCache,
) -> RecalledExplanations | None:  # fmt: skip
    """Return the explanations of the question, else the last ones of the sample, from memory."""
    if explanation_cache.is_empty:
        return None
    sample = prediction.sample
    key = explanation_key(sample, origin)
    question = current_question(prediction, loaded_classifier, loaded_generator, settings, target)
    entry = explanation_cache.get(key, question)
    if entry is None:
        return None
    is_answer = (entry.pair.source, entry.pair.target) == question
    return RecalledExplanations(entry.bind(sample), key, explanation_cache, is_answer)


def is_on_disk(
    prediction: Prediction, loaded_classifier: Classifier, loaded_generator: Generator,
    origin: ResultOrigin, explanation_cache: ExplanationCache, target: int | None,
    settings: ExplainSettings,
) -> bool:  # fmt: skip
    """Tell whether the explanations of the question lie in a file."""
    if explanation_cache.is_empty:
        return False
    key = explanation_key(prediction.sample, origin)
    question = current_question(prediction, loaded_classifier, loaded_generator, settings, target)
    return explanation_cache.is_on_disk(key, question)


def read_from_disk(
    prediction: Prediction, loaded_classifier: Classifier, loaded_generator: Generator,
    origin: ResultOrigin, target: int | None = None,
    *, settings: ExplainSettings, explanation_cache: ExplanationCache,
) -> ExplanationKey | None:  # fmt: skip
    """Read the explanations of the question back into memory."""
    key = explanation_key(prediction.sample, origin)
    question = current_question(prediction, loaded_classifier, loaded_generator, settings, target)
    return key if explanation_cache.read(key, question) else None


def earlier_explanations(
    pair: Pair,
    settings: ExplainSettings,
    origin: ResultOrigin | None,
    cache: ExplanationCache | None,
) -> Explanations | None:
    """Return earlier explanations of a pair; they may have other settings."""
    if origin is None or cache is None:
        return None
    entry = cache.get(explanation_key(pair.query, origin), (pair.source, pair.target))
    earlier = entry.explanations_of(pair, settings) if entry is not None else None
    return earlier.bind(pair) if earlier is not None else None


def find_earlier(results: Results, settings: ExplainSettings) -> Earlier | None:
    """Return a function that finds explanations as a search with these settings would make them.

    It runs in the lane. The caller saves what it finds.
    """
    origin, cache = results.origin, results.explanation_cache
    if origin is None or cache is None:
        return None
    search = (settings.search, settings.seed)

    def earlier(sample: Sample, source: int, target: int) -> Explanations | None:
        key = explanation_key(sample, origin)
        entry = cache.peek(key, (source, target))
        if entry is None or entry.search != search:
            return None
        entry = entry.bind(sample)
        explanations = entry.explanations_of(entry.pair, derive_pair_settings(settings))
        if explanations is not None:
            cache.note_saved(key, (source, target))
        return explanations

    return earlier


class ExplanationKeeper:
    """Puts explanations and their views into a cache as they are computed and displayed.

    Parameters
    ----------
    choices : Choices
    results : Results
    lane : Lane
        Writes files.
    """

    failed = Signal(str)
    """A sentence: explanations are no longer kept beyond the memory."""

    def __init__(self, choices: Choices, results: Results, lane: Lane) -> None:
        cache = results.explanation_cache
        if cache is None:
            cache = results.explanation_cache = ExplanationCache()
        self._choices, self._results, self._lane = choices, results, lane
        self.cache = cache
        self._connections = Connections(
            (results.events.searched_pair, self._on_pair),
            (results.events.explanations, self._on_explanations),
            (results.events.displayed_hybrid, self._on_displayed),
            (results.events.explanations_on_disk, self._free_memory),
        )
        lane.submit("leftovers", cache.folder.remove_leftovers, _ignore, _log,
                    priority=Priority.BACKGROUND)  # fmt: skip

    def close(self) -> None:
        """Disconnect all signals."""
        self._connections.close()
        self.failed.disconnect()

    def _on_pair(self) -> None:
        pair, key = self._results.searched_pair, self._key()
        if pair is None or key is None:
            return
        settings = self._choices.settings
        is_repeatable = not self._choices.neighbor_styles
        search = (settings.search, settings.seed) if is_repeatable else None
        known = self.cache.get(key, (pair.source, pair.target))
        # a search with more tries may choose the same image
        if known is None or known.pair.generated is not pair.generated:
            self.cache.put(key, CachedExplanations(pair, search))
            self._free_memory()

    def _on_explanations(self) -> None:
        explanations, key, pair = self._results.explanations, self._key(), self._results.pair
        if explanations is None or key is None or pair is None or explanations.is_restored:
            return
        if not explanations.exact() or explanations.pair is not pair:
            return
        entry = self.cache.get(key, (pair.source, pair.target))
        if entry is None or not is_proposal_of(pair, entry.pair):
            entry = CachedExplanations(pair)
        if not entry.includes(explanations):
            self.cache.put(key, entry.with_explanations(explanations))
            self._free_memory()

    def _on_displayed(self) -> None:
        displayed, key, pair = self._results.displayed_hybrid, self._key(), self._results.pair
        if displayed is None or key is None or pair is None:
            return
        choices = self._choices
        view = ExplanationView(choices.shown_method, choices.threshold, choices.proposal_index)
        self.cache.set_view(key, (pair.source, pair.target), view)

    def _free_memory(self) -> None:
        if self.cache.needs_disk:
            self._lane.submit("explanation cache", self.cache.move_to_disk, _ignore, self._on_full,
                              priority=Priority.SHORT)  # fmt: skip

    def _on_full(self, error: BaseException) -> None:
        logger.warning("explanations cannot be written: %s", one_line(error))
        size = self.cache.memory_bytes // 2**20
        self.failed.emit(
            f"The cache folder '{self.cache.folder.parent}' cannot be written "
            f"({one_line(error.__cause__ or error)}), so that only the last {size} MB of "
            "explanations are kept."
        )

    def _key(self) -> ExplanationKey | None:
        sample, origin = self._results.sample, self._results.origin
        if sample is None or origin is None:
            return None
        return explanation_key(sample, origin)


def _ignore(_: Any) -> None:
    """Take a result without a use."""


def _log(error: BaseException) -> None:
    logger.error("remains of ended processes cannot be removed", exc_info=error)
