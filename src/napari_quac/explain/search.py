"""Ask a generator for proposals until the classifier agrees."""

from __future__ import annotations

import hashlib
from collections.abc import Generator as Iterating
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from napari_quac.data.sample import Sample
from napari_quac.errors import NoCounterfactualError, NotFiniteError
from napari_quac.explain.pair import Pair, check_classes
from napari_quac.explain.settings import SearchSettings
from napari_quac.networks.center_slice import adapt_to_query
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.generator import ConversionRequest, Generator, Proposals, ask_generator
from napari_quac.stepwise import Progress, stepwise

PER_STEP_CPU = 2  # measured: a StarGAN decodes one or two at a time fastest on the CPU
PER_STEP_GPU = 16
N_KEPT = 6  # proposals that stay with the pair, to look at side by side


@dataclass(frozen=True, eq=False)
class SearchState:
    """How far a search has come, so that it can go on after it was given up.

    Attributes
    ----------
    request : ConversionRequest
        What is searched.
    generator : Generator
    settings : SearchSettings
    n_seen : int
        Proposals that were looked at.
    best, first_switching : Pair or None
        Among them.
    proposals : tuple of Pair
        The best few of them.
    """

    request: ConversionRequest
    generator: Generator
    settings: SearchSettings
    n_seen: int
    best: Pair | None
    first_switching: Pair | None
    proposals: tuple[Pair, ...] = ()

    def fits(
        self, request: ConversionRequest, generator: Generator, settings: SearchSettings
    ) -> bool:
        """Tell whether a search for this request may go on from here.

        The number of tries may be another one; proposals are the same however many are asked for.
        """
        own = self.request
        return (
            own.query is request.query
            and own.classifier is request.classifier
            and self.generator is generator
            and (own.source, own.target, own.seed) == (request.source, request.target, request.seed)
            and self.settings.block == settings.block
            and self.settings.keep == settings.keep
            and len(own.references) == len(request.references)
            and all(a is b for a, b in zip(own.references, request.references, strict=True))
            and self.n_seen <= settings.max_tries
        )


def task_seed(seed: int, sample_id: str, target: int) -> int:
    """Return the seed for one sample and target, whatever the order of the work."""
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
    """Look for a generated image that the classifier calls the target.

    Parameters
    ----------
    sample : Sample
        The query.
    target : int
        Class to reach.
    classifier : Classifier
        The classifier under study.
    generator : Generator
        What makes the proposals.
    settings : SearchSettings, optional
        How long to search, and which proposal to keep.
    seed : int
        Seed of the whole piece of work; each sample and target derives its own, see
        :func:`task_seed`.
    source : int, optional
        Class to leave; by default the predicted one.
    state : SearchState, optional
        Where an earlier search was given up: it goes on there, with the same result as one that
        was never interrupted. The state of another search is left alone.
    references : sequence of Sample
        Images of the target class to take styles from, for a generator that can.

    Returns
    -------
    Steps of Pair
        ``Progress.partial`` is the best pair so far, ``Progress.state`` what to go on from. When
        no proposal switches, the pair with the highest probability of the target comes back, and
        ``Pair.switches`` is False.

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
    if source is None:
        source = int(query_prediction.argmax())
    check_classes(source, target, classifier)
    generator = adapt_to_query(generator, sample.image)
    request = ConversionRequest(
        query=sample.image,
        source=source,
        target=target,
        classifier=classifier,
        seed=task_seed(seed, sample.id, target),
        query_id=sample.id,
        references=tuple(references),
    )
    per_step = PER_STEP_CPU if classifier.device.type == "cpu" else PER_STEP_GPU
    target_name = classifier.class_names[target]
    if state is None or not state.fits(request, generator, settings):
        state = SearchState(request, generator, settings, 0, None, None)
    best, first_switching, n_seen = state.best, state.first_switching, state.n_seen
    kept_proposals = list(state.proposals)
    exhausted = False
    while n_seen < settings.max_tries and not exhausted:
        if first_switching is not None and n_seen % settings.block == 0:
            break
        block_end = min((n_seen // settings.block + 1) * settings.block, settings.max_tries)
        now = replace(
            state,
            n_seen=n_seen,
            best=best,
            first_switching=first_switching,
            proposals=tuple(kept_proposals),
        )
        yield Progress(n_seen, settings.max_tries, f"search for {target_name}", best, state=now)
        wanted = min(per_step, block_end - n_seen)
        proposals = ask_generator(generator, request, n_seen, wanted)
        exhausted = len(proposals.images) < wanted
        if not len(proposals.images):
            break
        for pair in _judged(sample, request, proposals, query_prediction, classifier, n_seen):
            if best is None or _confidence(pair) > _confidence(best):
                best = pair
            if first_switching is None and pair.switches:
                first_switching = pair
            kept_proposals = _best_few([*kept_proposals, pair])
        n_seen += len(proposals.images)
    if best is None:
        raise NoCounterfactualError(
            f"The generator has no image of '{target_name}' for '{sample.id}'. Choose another "
            "target or another generator."
        )
    kept = first_switching if settings.keep == "first" and first_switching else best
    if not any(pair is kept for pair in kept_proposals):
        kept_proposals = [*kept_proposals[: N_KEPT - 1], kept]
    return Pair(
        kept.query,
        kept.generated,
        source,
        target,
        query_prediction,
        kept.generated_prediction,
        kept.origin,
        n_tried=n_seen,
        proposals=tuple(kept_proposals),
        class_names=tuple(classifier.class_names),
    )


def _best_few(pairs: list[Pair]) -> list[Pair]:
    return sorted(pairs, key=_confidence, reverse=True)[:N_KEPT]


def _confidence(pair: Pair) -> float:
    return float(pair.generated_prediction[pair.target])


def _judged(
    sample: Sample,
    request: ConversionRequest,
    proposals: Proposals,
    query_prediction: torch.Tensor,
    classifier: Classifier,
    first: int,
) -> list[Pair]:
    if not torch.isfinite(proposals.images).all():
        raise NotFiniteError(
            f"The generator returned NaN or infinity for '{sample.id}'. Check its value range and "
            "its weights."
        )
    predictions = classifier.predict(proposals.images)
    return [
        Pair(
            sample,
            image,
            request.source,
            request.target,
            query_prediction,
            prediction,
            dict(origin),
            n_tried=first + index + 1,
            class_names=tuple(classifier.class_names),
        )
        for index, (image, prediction, origin) in enumerate(
            zip(proposals.images, predictions, proposals.origins, strict=True)
        )
    ]
