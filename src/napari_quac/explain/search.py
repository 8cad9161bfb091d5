"""Search a proposal of a generator that the classifier assigns to the target class."""

from __future__ import annotations

import hashlib
from collections.abc import Generator as Iterating
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from napari_quac.data.dataset import Sample
from napari_quac.errors import NoCounterfactualError, NotFiniteError
from napari_quac.explain.pair import Pair, check_classes
from napari_quac.explain.settings import SearchSettings
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.generator import (
    ConversionRequest,
    Generator,
    Proposals,
    adapt_to_query,
    ask_generator,
)
from napari_quac.stepwise import Progress, Steps, stepwise

PER_STEP_CPU = 2  # measured: a StarGAN decodes one or two at a time fastest on the CPU
PER_STEP_GPU = 16
MAX_PROPOSALS = 6
"""Number of proposals that stay with a pair, for display side by side."""


@dataclass(frozen=True, eq=False)
class SearchState:
    """The state of a search, from which a stopped search can be resumed.

    Attributes
    ----------
    request : ConversionRequest
        Query, classes and seed.
    generator : Generator
        Source of the proposals.
    settings : SearchSettings
        Length of the search, and the proposal to choose.
    n_seen : int
        Number of classified proposals.
    first_switching : Pair or None
        The first of them that switches.
    proposals : tuple of Pair
        The few most confident of them, the best first.
    """

    request: ConversionRequest
    generator: Generator
    settings: SearchSettings
    n_seen: int = 0
    first_switching: Pair | None = None
    proposals: tuple[Pair, ...] = ()

    @property
    def best(self) -> Pair | None:
        """The most confident proposal."""
        return self.proposals[0] if self.proposals else None

    def fits(
        self, request: ConversionRequest, generator: Generator, settings: SearchSettings
    ) -> bool:
        """Return True if a search for this request can be resumed from here.

        The number of tries may differ, because proposals do not depend on it.
        """
        before = self.request
        return (
            before.query is request.query
            and before.classifier is request.classifier
            and self.generator is generator
            and (before.source, before.target, before.seed)
            == (request.source, request.target, request.seed)
            and self.settings.block == settings.block
            and self.settings.keep == settings.keep
            and [*map(id, before.references)] == [*map(id, request.references)]
            and self.n_seen <= settings.max_tries
        )

    def n_next(self, per_step: int) -> int:
        """Return the number of proposals to classify next; 0 at the end of the search."""
        max_tries, block = self.settings.max_tries, self.settings.block
        if self.n_seen >= max_tries:
            return 0
        if self.first_switching is not None and self.n_seen % block == 0:
            return 0
        # the search ends at the end of a block, however many proposals a device takes at a time
        block_end = min((self.n_seen // block + 1) * block, max_tries)
        return min(per_step, block_end - self.n_seen)

    def with_proposals(self, pairs: Sequence[Pair]) -> SearchState:
        """Return the state after more proposals, in the order of the generator."""
        first = self.first_switching or next((pair for pair in pairs if pair.switches), None)
        few = sorted([*self.proposals, *pairs], key=_confidence, reverse=True)[:MAX_PROPOSALS]
        n_seen = self.n_seen + len(pairs)
        return replace(self, n_seen=n_seen, first_switching=first, proposals=tuple(few))

    def chosen_pair(self) -> Pair | None:
        """Return the chosen pair with the other proposals; None without any proposal."""
        pair = self.best
        if pair is None:
            return None
        if self.settings.keep == "first":
            pair = self.first_switching or pair
        proposals = self.proposals
        if not any(proposal is pair for proposal in proposals):
            proposals = (*proposals[: MAX_PROPOSALS - 1], pair)
        return replace(pair, n_tried=self.n_seen, proposals=proposals)


def task_seed(seed: int, sample_id: str, target: int) -> int:
    """Return the seed of one sample and target, which does not depend on the order of the work."""
    digest = hashlib.sha256(f"{seed}\0{sample_id}\0{target}".encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


@stepwise
def search(
    sample: Sample,
    target: int,
    classifier: Classifier,
    generator: Generator,
    settings: SearchSettings | None = None,
    seed: int = 0,
    source: int | None = None,
    state: SearchState | None = None,
    references: Sequence[Sample] = (),
) -> Iterating[Progress, None, Pair]:
    """Search a generated image that the classifier assigns to the target class.

    Parameters
    ----------
    sample : Sample
        The query.
    target : int
        Class to reach.
    classifier : Classifier
        The classifier under study.
    generator : Generator
        Source of the proposals.
    settings : SearchSettings, optional
        Length of the search, and the proposal to choose.
    seed : int
        Seed of the whole work; each sample and target derives its own, see :func:`task_seed`.
    source : int, optional
        Class to leave; by default the predicted class.
    state : SearchState, optional
        State of a stopped search to resume, with equal results; that of another one is ignored.
    references : sequence of Sample
        Images of the target class as a source of styles, for generators that take references.

    Returns
    -------
    Steps of Pair
        ``Progress.partial`` is the best pair so far, ``Progress.state`` the state to resume from.
        Without a proposal that switches, it has the highest probability of the target.

    Raises
    ------
    NoCounterfactualError
        If the generator has no proposal at all.
    NotFiniteError
        If it returns NaN or infinity.
    """
    settings = settings or SearchSettings()
    classifier.check_image(sample.image.shape, f"The query '{sample.id}'")
    query_prediction = classifier.predict(sample.image[None])[0]
    source = int(query_prediction.argmax()) if source is None else source
    check_classes(source, target, classifier)
    generator = adapt_to_query(generator, sample.image)
    task = task_seed(seed, sample.id, target)
    request = ConversionRequest(
        sample.image, source, target, classifier, task, sample.id, tuple(references)
    )
    per_step = PER_STEP_CPU if classifier.device.type == "cpu" else PER_STEP_GPU
    target_name = classifier.class_names[target]
    if state is not None and state.fits(request, generator, settings):
        state = replace(state, settings=settings)
    else:
        state = SearchState(request, generator, settings)
    while n := state.n_next(per_step):
        text = f"search for {target_name}"
        yield Progress(state.n_seen, settings.max_tries, text, state.best, state=state)
        steps = ask_generator(generator, request, state.n_seen, n)
        proposals = yield from _as_tries(steps, text, state)
        if len(proposals.images):
            pairs = _classified(sample, request, proposals, query_prediction, state.n_seen)
            state = state.with_proposals(pairs)
        if len(proposals.images) < n:  # the generator has no more
            break
    if (pair := state.chosen_pair()) is None:
        raise NoCounterfactualError(
            f"The generator has no image of '{target_name}' for '{sample.id}'. Choose another "
            "target or generator."
        )
    return pair


def _as_tries(
    steps: Steps[Proposals], text: str, state: SearchState
) -> Iterating[Progress, None, Proposals]:
    """Do the steps of a generator, with the progress of the search."""
    inner = iter(steps)
    try:
        while True:
            step = next(inner)
            yield Progress(state.n_seen, state.settings.max_tries, f"{text}: {step.text}")
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    finally:
        inner.close()


def _confidence(pair: Pair) -> float:
    return float(pair.generated_prediction[pair.target])


def _classified(
    sample: Sample,
    request: ConversionRequest,
    proposals: Proposals,
    before: torch.Tensor,
    first: int,
) -> list[Pair]:
    if not torch.isfinite(proposals.images).all():
        raise NotFiniteError(
            f"The generator returned NaN or infinity for '{sample.id}'. Check its value range."
        )
    classifier = request.classifier
    source, target, names = request.source, request.target, tuple(classifier.class_names)
    predictions = classifier.predict(proposals.images)
    rows = zip(proposals.images, predictions, proposals.origins, strict=True)
    return [
        Pair(sample, image, source, target, before, after, dict(origin), n, class_names=names)
        for n, (image, after, origin) in enumerate(rows, first + 1)
    ]
