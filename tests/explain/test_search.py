from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor

from explain.small_networks import CountingNetwork, LinearNetwork, classifier_of
from napari_quac.data.dataset import Sample
from napari_quac.errors import (
    DataError,
    NetworkError,
    NoCounterfactualError,
    NotFiniteError,
    ShapeError,
)
from napari_quac.explain import search as search_module
from napari_quac.explain.search import MAX_PROPOSALS, SearchState, search, task_seed
from napari_quac.explain.settings import SearchSettings
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.generator import (
    ConversionRequest,
    FunctionGenerator,
    Generator,
    Proposals,
)
from napari_quac.testing import CornerSamples, corner_classifier, corner_generator
from rounding import F32

SHAPE = (1, 4, 4)
DARK = Sample("dark", torch.full(SHAPE, 0.25))


class ListedGenerator(Generator):
    """Offers flat images of the levels of a list, and nothing after its end."""

    def __init__(self, levels: Sequence[float]) -> None:
        self.levels = list(levels)
        self.asked: list[int] = []
        self.requests: list[ConversionRequest] = []
        self.name = "listed"
        self.description: dict[str, str] = {}

    def propose(self, request: ConversionRequest, first: int, n: int) -> Proposals:
        self.requests.append(request)
        numbers = range(first, min(first + n, len(self.levels)))
        self.asked += numbers
        images = [torch.full(SHAPE, self.levels[number]) for number in numbers]
        return Proposals(
            torch.stack(images) if images else torch.zeros(0, *SHAPE),
            tuple({"proposal": number} for number in numbers),
        )


def noise(query: Tensor, source: int, target: int, seed: int) -> Tensor:
    level = torch.rand(1, generator=torch.Generator().manual_seed(seed))
    return query + (0.8 - query) * level


@pytest.fixture
def classifier() -> Classifier:
    """Class 1 where the mean is above 0.5."""
    return classifier_of(LinearNetwork(torch.ones(SHAPE), 8.0, 0.25), shape=SHAPE)


def test_search_ends_after_the_first_block_in_which_one_switches(classifier: Classifier) -> None:
    generator = ListedGenerator([0.3] * 7 + [0.7] + [0.9] * 30)
    pair = search(DARK, 1, classifier, generator, SearchSettings(block=5)).result()
    assert generator.asked == list(range(10))
    assert pair.n_tried == 10
    assert pair.origin == {"proposal": 8}  # the most confident of those seen
    assert pair.switches


def test_first_switching_proposal_can_be_kept(classifier: Classifier) -> None:
    generator = ListedGenerator([0.3] * 7 + [0.7] + [0.9] * 30)
    settings = SearchSettings(block=5, keep="first")
    pair = search(DARK, 1, classifier, generator, settings).result()
    assert pair.origin == {"proposal": 7}
    assert pair.n_tried == 10


@pytest.mark.parametrize("keep", ["most_confident", "first"])
def test_without_success_the_best_pair_comes_back(classifier: Classifier, keep: str) -> None:
    generator = ListedGenerator([0.1, 0.4, 0.2, 0.45, 0.3] * 5)
    pair = search(DARK, 1, classifier, generator, SearchSettings(max_tries=12, keep=keep)).result()
    assert pair.origin == {"proposal": 3}
    assert not pair.switches
    assert pair.n_tried == 12
    assert generator.asked == list(range(12))


@pytest.mark.parametrize("per_step", [1, 2, 3, 7, 100])
@pytest.mark.parametrize("keep", ["most_confident", "first"])
def test_batch_size_changes_nothing(
    classifier: Classifier, monkeypatch: pytest.MonkeyPatch, per_step: int, keep: str
) -> None:
    settings = SearchSettings(max_tries=24, block=6, keep=keep)
    generator = FunctionGenerator(noise)
    expected = search(DARK, 1, classifier, generator, settings, seed=3).result()
    monkeypatch.setattr(search_module, "PER_STEP_CPU", per_step)
    found = search(DARK, 1, classifier, generator, settings, seed=3).result()
    assert torch.equal(found.generated, expected.generated)
    assert found.origin == expected.origin
    assert found.n_tried == expected.n_tried
    torch.testing.assert_close(
        found.generated_prediction, expected.generated_prediction, rtol=0, atol=F32
    )


def test_same_seed_gives_the_same_pair_and_another_seed_another(classifier: Classifier) -> None:
    generator = FunctionGenerator(noise)
    one, again, other = (
        search(DARK, 1, classifier, generator, seed=seed).result() for seed in (1, 1, 2)
    )
    assert torch.equal(one.generated, again.generated)
    assert not torch.equal(one.generated, other.generated)


def test_kept_image_can_be_made_again_from_its_record(classifier: Classifier) -> None:
    pair = search(DARK, 1, classifier, FunctionGenerator(noise), seed=5).result()
    assert torch.equal(noise(DARK.image, 0, 1, pair.origin["seed"]), pair.generated)


def test_seed_depends_on_seed_sample_and_target_alone() -> None:
    seeds = {
        task_seed(seed, sample, target)
        for seed in (0, 1)
        for sample in ("a", "b")
        for target in (0, 1)
    }
    assert len(seeds) == 8
    assert all(0 <= seed < 2**63 for seed in seeds)
    # written down in records: it must never change
    assert task_seed(0, "synapse/s10.png", 2) == 1579102705899403468


def test_exhausted_generator_ends_the_search(classifier: Classifier) -> None:
    generator = ListedGenerator([0.1, 0.4, 0.2])
    pair = search(DARK, 1, classifier, generator).result()
    assert pair.n_tried == 3
    assert pair.origin == {"proposal": 1}
    assert not pair.switches


def test_generator_without_any_proposal_is_an_error_by_name(classifier: Classifier) -> None:
    with pytest.raises(NoCounterfactualError, match="no image of 'class 1' for 'dark'") as caught:
        search(DARK, 1, classifier, ListedGenerator([])).result()
    assert caught.value.best is None


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_proposal_that_is_not_finite_is_refused(classifier: Classifier, bad: float) -> None:
    with pytest.raises(NotFiniteError, match="The generator returned NaN or infinity for 'dark'"):
        search(DARK, 1, classifier, ListedGenerator([0.2, 0.3, bad])).result()


def test_prediction_that_is_not_finite_is_refused() -> None:
    broken = classifier_of(LinearNetwork(torch.full(SHAPE, float("nan"))), shape=SHAPE)
    with pytest.raises(NotFiniteError, match="The classifier small returned NaN"):
        search(DARK, 1, broken, ListedGenerator([0.2])).result()


def test_source_is_the_predicted_class_unless_it_is_given(classifier: Classifier) -> None:
    generator = ListedGenerator([0.2])
    assert search(DARK, 1, classifier, generator).result().source == 0
    given = search(DARK, 0, classifier, generator, source=1).result()
    assert (given.source, given.target) == (1, 0)
    assert [(r.source, r.target) for r in generator.requests[::1]][-1] == (1, 0)


def test_predicted_class_as_target_is_refused(classifier: Classifier) -> None:
    with pytest.raises(DataError, match="both 'class 0'"):
        search(DARK, 0, classifier, ListedGenerator([0.9])).result()


def test_query_that_does_not_fit_the_classifier_is_refused(classifier: Classifier) -> None:
    large = Sample("large", torch.zeros(1, 8, 8))
    with pytest.raises(ShapeError, match="The query 'large' has 1 channel of 8 × 8 pixels"):
        search(large, 1, classifier, ListedGenerator([0.9])).result()


def test_generator_learns_the_query_and_its_id(classifier: Classifier) -> None:
    generator = ListedGenerator([0.9])
    search(DARK, 1, classifier, generator, seed=4).result()
    (request, *_) = generator.requests
    assert torch.equal(request.query, DARK.image)
    assert request.query_id == "dark"
    assert request.classifier is classifier
    assert request.seed == task_seed(4, "dark", 1)


def test_progress_shows_the_best_pair_so_far(classifier: Classifier) -> None:
    steps = search(
        DARK, 1, classifier, ListedGenerator([0.1, 0.4, 0.2, 0.45] * 3), SearchSettings(8)
    )
    progress = list(steps)
    assert progress[0].partial is None
    confidences = [float(p.partial.generated_prediction[1]) for p in progress[1:]]
    assert confidences == sorted(confidences)
    assert [p.done for p in progress] == [0, 2, 4, 6]
    assert {p.total for p in progress} == {8}


def test_search_can_be_given_up_between_two_steps() -> None:
    network = CountingNetwork(LinearNetwork(torch.ones(SHAPE), 8.0))
    classifier = classifier_of(network, shape=SHAPE, form="callable")
    steps = search(DARK, 1, classifier, ListedGenerator([0.1] * 50))
    next(steps)
    next(steps)
    asked = network.n_images
    steps.close()
    assert list(steps) == []
    assert network.n_images == asked


@pytest.mark.parametrize(
    "function",
    [lambda q, s, t, seed: q[..., :2], lambda q, s, t, seed: q.expand(3, 4, 4)],
)
def test_function_that_returns_another_shape_is_refused(
    classifier: Classifier, function: Callable[..., Tensor]
) -> None:
    with pytest.raises(NetworkError, match="not a tensor of shape"):
        search(DARK, 1, classifier, FunctionGenerator(function)).result()


def given_up_after(n_steps: int, *arguments: object, **named: object) -> SearchState | None:
    """Do some steps of a search and return what it can go on from."""
    steps = search(*arguments, **named)  # type: ignore[arg-type]
    state = None
    for _, progress in zip(range(n_steps), steps, strict=False):
        state = progress.state
    steps.close()
    return state


@pytest.mark.parametrize("keep", ["most_confident", "first"])
@pytest.mark.parametrize("n_steps", range(1, 9))
def test_resumed_search_equals_one_that_was_not_interrupted(
    classifier: Classifier, keep: str, n_steps: int
) -> None:
    # the third block holds one that switches and then a more confident one
    levels = [0.3] * 8 + [0.45, 0.2, 0.7, 0.4, 0.9, 0.1, 0.95, 0.2]
    settings = SearchSettings(max_tries=16, block=5, keep=keep)  # type: ignore[arg-type]
    whole = ListedGenerator(levels)
    expected = search(DARK, 1, classifier, whole, settings).result()
    generator = ListedGenerator(levels)
    state = given_up_after(n_steps, DARK, 1, classifier, generator, settings)
    assert state is not None
    found = search(DARK, 1, classifier, generator, settings, state=state).result()
    assert found.origin == expected.origin
    assert found.n_tried == expected.n_tried
    assert torch.equal(found.generated, expected.generated)
    # the step that was given up is the only one that may be done again
    assert len(generator.asked) <= len(whole.asked) + search_module.PER_STEP_CPU
    assert generator.asked[-1] == whole.asked[-1]


def test_state_of_another_search_is_left_alone(classifier: Classifier) -> None:
    generator = ListedGenerator([0.3] * 30)
    settings = SearchSettings(max_tries=12)
    state = given_up_after(4, DARK, 1, classifier, generator, settings)
    others = [
        (DARK, 1, classifier, ListedGenerator([0.3] * 30), settings, 0),
        (DARK, 1, classifier, generator, settings, 1),
        (Sample("dark", DARK.image.clone()), 1, classifier, generator, settings, 0),
        (DARK, 1, classifier, generator, SearchSettings(max_tries=12, block=3), 0),
        (DARK, 1, classifier, generator, SearchSettings(max_tries=3), 0),
    ]
    for sample, target, network, made, how, seed in others:
        made.asked.clear()
        search(sample, target, network, made, how, seed, state=state).result()
        assert made.asked[0] == 0


def test_more_tries_go_on_after_those_that_were_made(classifier: Classifier) -> None:
    generator = ListedGenerator([0.3] * 20 + [0.9] * 10)
    few, many = SearchSettings(max_tries=8), SearchSettings(max_tries=30)
    state = given_up_after(4, DARK, 1, classifier, generator, few)
    expected = search(DARK, 1, classifier, generator, many).result()
    generator.asked.clear()
    found = search(DARK, 1, classifier, generator, many, state=state).result()
    assert generator.asked[0] == 6
    assert (found.origin, found.n_tried) == (expected.origin, expected.n_tried)


def test_the_best_proposals_stay_with_the_pair() -> None:
    images = CornerSamples(size=32)
    settings = SearchSettings(max_tries=20, block=20)
    pair = search(images[0], 1, corner_classifier(), corner_generator(), settings).result()
    confidences = [float(one.generated_prediction[1]) for one in pair.proposals]
    assert len(confidences) == MAX_PROPOSALS and confidences == sorted(confidences, reverse=True)
    assert pair.proposals[0].generated is pair.generated
    assert len({one.origin["proposal"] for one in pair.proposals}) == MAX_PROPOSALS
    every = search(images[0], 1, corner_classifier(), corner_generator(),
                   SearchSettings(max_tries=20, block=20, keep="first")).result()  # fmt: skip
    assert any(one.generated is every.generated for one in every.proposals)
