from __future__ import annotations

import queue
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from napari_quac.errors import CheckpointError, MethodFailedError, NetworkError
from napari_quac.explain.explanation import Explanations
from napari_quac.explain.mask import Masking
from napari_quac.explain.pipeline import explain_pair
from napari_quac.generators.family import GeneratorFamily
from napari_quac.live.choices import Choices, ReadySamples
from napari_quac.live.controller import Controller
from napari_quac.live.failure import Failure
from napari_quac.live.lane import Lane
from napari_quac.live.prediction import next_misprediction
from napari_quac.live.results import Results
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.generator import Generator, Proposals
from napari_quac.testing import (
    CornerSamples,
    ReadyNetwork,
    corner_classifier,
    corner_generator,
)


class Session:
    """The whole interaction without a window."""

    def __init__(self) -> None:
        self.calls: queue.Queue[Callable[[], None]] = queue.Queue()
        self.lane = Lane(self.calls.put)
        self.choices, self.results = (
            Choices(shown_method="residual"),
            Results(),
        )
        self.choices.update_settings(methods=("residual", "random"), max_tries=2)
        self.controller = Controller(self.choices, self.results, self.lane)
        self.failures: list[Failure] = []
        self.controller.failed.connect(self.failures.append)

    def wait(self, condition: Callable[[], Any] | None = None, seconds: float = 30) -> None:
        """Take answers until a condition holds, or until nothing is left to do."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            while not self.calls.empty():
                self.calls.get()()
            if condition() if condition else not self.controller.running:
                return
            time.sleep(0.001)
        raise TimeoutError

    def load(self) -> None:
        self.choices.classifier = ReadyNetwork(corner_classifier())
        self.choices.generator = ReadyNetwork(corner_generator())
        self.choices.samples = ReadySamples(CornerSamples())
        self.wait()
        self.choices.sample_index = 0
        self.wait()

    def explain(self) -> None:
        assert self.controller.request("searched_pair")
        self.wait()


@pytest.fixture
def session() -> Iterator[Session]:
    made = Session()
    yield made
    assert made.controller.close()


def test_choices_lead_to_results(session: Session) -> None:
    session.load()
    assert session.results.prediction is not None
    assert session.results.prediction.predicted == 0
    assert len(session.results.previews) == 6
    assert session.results.pair is None, "a search is made on demand only"
    session.explain()
    results = session.results
    assert results.pair is not None and results.pair.switches
    assert results.explanations is not None
    assert list(results.explanations.by_method) == ["residual", "random"]
    assert results.displayed_hybrid is not None
    assert results.displayed_hybrid.index == results.displayed_hybrid.explanation.curve.best
    assert not session.failures


def test_asking_without_inputs_is_refused(session: Session) -> None:
    assert not session.controller.request("searched_pair")
    assert "loaded_classifier" in session.controller.missing_for("searched_pair")


def test_threshold_gives_the_hybrid_of_the_curve_at_once_and_without_the_network(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.load()
    session.explain()

    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(Classifier, "predict", never)
    assert session.results.displayed_hybrid is not None
    curve = session.results.displayed_hybrid.explanation.curve
    for index in curve.distinct():
        session.choices.threshold = float(curve.thresholds[index])
        shown = session.results.displayed_hybrid
        assert shown is not None and shown.index == index
        assert shown.hybrid.mask_size == curve.mask_sizes[index]
        assert np.array_equal(shown.hybrid.prediction.numpy(), curve.predictions[index])
    assert not session.failures


def test_new_classifier_clears_what_was_made_with_the_old_one(session: Session) -> None:
    session.load()
    session.explain()
    session.choices.classifier = ReadyNetwork(corner_classifier())
    assert session.results.pair is not None, "kept until the new one is there"
    session.wait()
    assert session.results.pair is None
    assert session.results.explanations is None
    assert session.results.displayed_hybrid is None
    assert session.results.prediction is not None


def test_classifier_that_cannot_be_loaded_leaves_the_old_one(session: Session) -> None:
    session.load()
    session.explain()
    before = session.choices.classifier
    session.choices.classifier = ReadyNetwork(None, CheckpointError("'x.pt' is empty"))
    session.wait()
    assert [failure.sentence for failure in session.failures] == ["'x.pt' is empty"]
    assert session.choices.classifier is before
    assert session.results.loaded_classifier is before.network
    assert session.results.pair is not None
    session.choices.classifier = ReadyNetwork(corner_classifier())
    session.wait()
    assert session.results.loaded_classifier is session.choices.classifier.network


def test_first_network_that_cannot_be_loaded_leaves_none(session: Session) -> None:
    session.choices.generator = ReadyNetwork(None, MemoryError())
    session.wait()
    assert session.choices.generator is None
    assert "Memory ran out" in session.failures[0].sentence


def test_new_sample_clears_the_pair_and_keeps_the_old_sample_until_the_new_one(
    session: Session,
) -> None:
    session.load()
    session.explain()
    old = session.results.sample
    session.choices.sample_index = 1
    assert session.results.sample is old
    session.wait()
    assert session.results.sample is not old
    assert session.results.pair is None and session.results.displayed_hybrid is None


def test_only_the_newest_of_many_samples_is_shown(session: Session) -> None:
    session.load()
    for index in (1, 2, 3, 4, 5, 6, 7, 8, 3):
        session.choices.sample_index = index
    session.wait()
    assert session.results.sample is not None and session.results.sample.id == "corner/3"


def test_added_method_is_computed_and_the_others_are_kept(session: Session) -> None:
    session.load()
    session.choices.update_settings(methods=("residual",))
    session.explain()
    assert session.results.explanations is not None
    first = session.results.explanations.by_method["residual"]
    session.choices.update_settings(methods=("residual", "random"))
    session.wait()
    assert session.results.explanations.by_method["residual"] is first
    assert "random" in session.results.explanations.by_method


def test_method_that_fails_is_named_and_the_others_go_on(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    from napari_quac.explain.methods.baselines import Residual

    def fail(*_: Any) -> Any:
        raise RuntimeError("out of order")

    monkeypatch.setattr(Residual, "attribute", fail)
    session.load()
    session.explain()
    explanations = session.results.explanations
    assert explanations is not None
    assert list(explanations.by_method) == ["random"]
    assert isinstance(explanations.failures["residual"], MethodFailedError)


@pytest.mark.parametrize("error", [RuntimeError("boom"), MemoryError(), NetworkError("nan")])
def test_search_that_fails_says_so_and_can_be_repeated(session: Session, error: Exception) -> None:
    session.load()
    generator = session.results.loaded_generator
    assert generator is not None
    works = generator.propose

    def fail(*_: Any) -> Any:
        raise error

    generator.propose = fail  # type: ignore[method-assign]
    session.explain()
    found = session.failures[0].error
    assert error in (found, found.__cause__)
    assert len(session.failures[0].sentence) > 2
    assert not session.controller.running
    generator.propose = works  # type: ignore[method-assign]
    session.explain()
    assert session.results.pair is not None


def test_cancel_keeps_what_was_finished(session: Session) -> None:
    session.load()
    assert session.controller.request("searched_pair")
    session.wait(lambda: session.results.explanations and session.results.explanations.exact())
    session.controller.cancel()
    session.wait()
    assert not session.controller.running
    assert session.results.explanations is not None
    assert session.results.explanations.by_method
    session.explain()
    assert len(session.results.explanations.by_method) == 2


def wait_for_preview(session: Session) -> Explanations:
    """Wait until the preliminary explanation is displayed; what follows it is not yet taken."""
    session.load()
    session.choices.shown_method = "d-ig"
    session.choices.update_settings(methods=("residual", "d-ig"))
    assert session.controller.request("searched_pair")
    end = time.monotonic() + 30
    while not (session.results.explanations and session.results.explanations.is_preliminary):
        assert time.monotonic() < end
        if not session.calls.empty():
            session.calls.get()()
    return session.results.explanations


def test_the_displayed_method_is_explained_first_and_provisionally(session: Session) -> None:
    explanations = wait_for_preview(session)
    assert list(explanations) == ["d-ig"] and not explanations.is_complete
    preliminary = session.results.displayed_hybrid
    assert preliminary is not None and preliminary.explanation is explanations["d-ig"]
    assert not session.results.explanation_status.explained.any()  # type: ignore[union-attr]
    session.wait()
    exact = session.results.explanations
    assert exact is not None and exact.is_complete and not exact.is_preliminary
    assert session.results.displayed_hybrid.explanation is exact["d-ig"]  # type: ignore[union-attr]
    assert session.results.explanation_status.explained.sum() == 1  # type: ignore[union-attr]
    expected = explain_pair(exact.pair, corner_classifier(), exact.settings).result()
    for name in ("residual", "d-ig"):
        assert np.array_equal(exact[name].curve.predictions, expected[name].curve.predictions)
        assert exact[name].quac_score == expected[name].quac_score
    assert not session.failures


def test_a_threshold_chosen_on_the_preliminary_mask_stays(session: Session) -> None:
    wait_for_preview(session)
    curve = session.results.displayed_hybrid.explanation.curve  # type: ignore[union-attr]
    chosen = float(curve.thresholds[curve.distinct()[2]])
    session.choices.threshold = chosen
    session.wait()
    displayed = session.results.displayed_hybrid
    assert displayed is not None and not displayed.explanation.is_preliminary
    assert session.choices.threshold == chosen
    assert displayed.index == displayed.explanation.curve.index_at(chosen)


def test_an_untouched_threshold_follows_the_optimum(session: Session) -> None:
    wait_for_preview(session)
    session.wait()
    displayed = session.results.displayed_hybrid
    assert session.choices.threshold is None
    assert displayed is not None and displayed.index == displayed.explanation.curve.best


def test_a_canceled_refinement_leaves_nothing_preliminary(session: Session) -> None:
    wait_for_preview(session)
    assert "explanations" in session.controller.cancel()
    session.wait()
    assert not session.results.explanations
    assert session.results.displayed_hybrid is None
    assert not session.results.explanation_status.explained.any()  # type: ignore[union-attr]
    assert session.controller.can_resume
    session.controller.resume()
    session.wait()
    explanations = session.results.explanations
    assert explanations is not None and explanations.is_complete


def test_cancelled_loading_goes_back(session: Session) -> None:
    session.load()
    before = session.choices.classifier
    session.choices.classifier = ReadyNetwork(corner_classifier())
    session.controller.cancel()
    session.wait()
    assert session.choices.classifier is before


def test_misprediction_is_found_and_its_default_target_is_the_true_class(
    session: Session,
) -> None:
    session.load()
    classifier = session.results.loaded_classifier
    assert classifier is not None
    dataset = CornerSamples()
    assert next_misprediction(dataset, classifier, 0).result() == 4
    assert next_misprediction(dataset, classifier, 4).result() == 4
    assert next_misprediction(CornerSamples(wrong=()), classifier, 0).result() is None
    session.choices.sample_index = 4
    session.wait()
    prediction = session.results.prediction
    assert prediction is not None and prediction.is_mispredicted
    settings, generator = session.choices.settings, session.results.loaded_generator
    question = prediction.choose_question(settings, classifier, generator)
    assert question.targets == (dataset.label(4),)


@dataclass(frozen=True)
class NamedRecipe(GeneratorFamily):
    class_names: tuple[str, ...] | None = None

    def load(self, device: object) -> Any:
        classifier = corner_classifier()
        names = self.class_names or ("class 0", "class 1", "class 2")
        return replace(classifier, class_names=names, sha256="named")


LABELS = ("axon", "dendrite", "soma")
UNSORTED = ("T-bar", "PSD", "plain")
NUMBERED = ("class 0", "class 1", "class 2")


def names_in(session: Session) -> tuple[str, ...]:
    session.wait()
    assert session.results.loaded_classifier is not None
    return session.results.loaded_classifier.class_names


@pytest.mark.parametrize("samples_first", [True, False])
def test_sorted_labels_name_the_classes_as_an_assumption(
    session: Session, samples_first: bool
) -> None:
    if samples_first:
        session.choices.samples = ReadySamples(CornerSamples(classes=LABELS))
        session.wait()
    session.choices.classifier = NamedRecipe()
    session.wait()
    session.choices.samples = ReadySamples(CornerSamples(classes=LABELS))
    assert names_in(session) == LABELS
    classifier = session.results.loaded_classifier
    assert classifier is not None
    (assumption,) = [a for a in classifier.assumptions if a.kind == "class names"]
    assert "axon, dendrite, soma" in assumption.sentence


def test_labels_in_no_order_name_nothing(session: Session) -> None:
    session.choices.classifier = NamedRecipe()
    session.choices.samples = ReadySamples(CornerSamples(classes=UNSORTED))
    assert names_in(session) == NUMBERED


def test_other_samples_replace_names_that_were_assumed(session: Session) -> None:
    session.choices.classifier = NamedRecipe()
    session.choices.samples = ReadySamples(CornerSamples(classes=LABELS))
    session.wait()
    session.choices.samples = ReadySamples(CornerSamples(classes=UNSORTED))
    assert names_in(session) == NUMBERED


@pytest.mark.parametrize("names", [("a", "b", "c"), NUMBERED])
def test_stated_names_win_over_labels(session: Session, names: tuple[str, ...]) -> None:
    session.choices.classifier = NamedRecipe(names)
    session.choices.samples = ReadySamples(CornerSamples(classes=LABELS))
    assert names_in(session) == names


def test_stated_names_stay_whatever_else_is_loaded_meanwhile(session: Session) -> None:
    session.choices.classifier = NamedRecipe()
    session.choices.samples = ReadySamples(CornerSamples(classes=LABELS))
    assert names_in(session) == LABELS
    session.choices.classifier = NamedRecipe(("a", "b", "c"))
    session.choices.samples = ReadySamples(CornerSamples(classes=LABELS))
    session.choices.generator = ReadyNetwork(corner_generator())
    assert names_in(session) == ("a", "b", "c")
    session.choices.device = "cpu"
    assert names_in(session) == ("a", "b", "c")
    session.choices.classifier = NamedRecipe()
    assert names_in(session) == LABELS


def test_a_new_classifier_has_no_names_from_samples_of_the_one_before(session: Session) -> None:
    session.choices.classifier = ReadyNetwork(corner_classifier())
    session.choices.samples = ReadySamples(CornerSamples(classes=LABELS))
    session.wait()
    session.choices.classifier = NamedRecipe()
    assert names_in(session) == NUMBERED
    naming = session.results.class_naming
    assert naming is not None and naming.is_offered and naming.labels == LABELS


def test_live_state_loads_without_torch() -> None:
    code = "import sys, napari_quac.live.controller; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_parameters_of_a_method_renew_that_method_only(session: Session) -> None:
    session.load()
    session.explain()
    before = session.results.explanations.by_method
    session.choices.update_settings(parameters={"random": {"seed": 5}})
    session.wait()
    after = session.results.explanations
    assert after.settings.parameters == {"random": {"seed": 5}}
    assert after.by_method["residual"] is before["residual"]
    different = after.by_method["random"].attribution.values != before["random"].attribution.values
    assert different.any()


def test_another_masking_keeps_the_attributions(session: Session) -> None:
    session.load()
    session.explain()
    before = session.results.explanations.by_method
    session.choices.update_settings(masking=Masking(closing=3, blur=5))
    session.wait()
    after = session.results.explanations.by_method
    for name in ("residual", "random"):
        assert after[name].attribution is before[name].attribution
        assert after[name].curve.masking == Masking(closing=3, blur=5)
    assert session.results.displayed_hybrid.explanation is after["residual"]
    session.choices.update_settings(grid="corrected")
    session.wait()
    assert len(session.results.explanations.by_method["random"].curve.thresholds) == 102


def test_a_wrong_parameter_is_said_and_the_others_go_on(session: Session) -> None:
    session.load()
    session.choices.update_settings(parameters={"random": {"sigma": -1.0}})
    session.explain()
    explanations = session.results.explanations
    assert "residual" in explanations.by_method
    assert "between 0 and 50" in str(explanations.failures["random"])


class Deaf(Generator):
    """A generator whose images never switch, and that counts what it was asked for."""

    name = "deaf"
    description: ClassVar[dict[str, str]] = {}

    def __init__(self) -> None:
        self.asked: list[int] = []

    def propose(self, request: Any, first: int, n: int) -> Proposals:
        time.sleep(0.002)
        self.asked += range(first, first + n)
        levels = torch.linspace(0, 0.01, 1000)[first : first + n]
        images = torch.stack([request.query + level for level in levels]).clamp(0, 1)
        return Proposals(images, tuple({"proposal": i} for i in range(first, first + n)))


def test_cancelled_search_is_resumed_where_it_stopped(session: Session) -> None:
    session.load()
    whole, generator = Deaf(), Deaf()
    session.choices.update_settings(max_tries=60)
    session.choices.generator = ReadyNetwork(whole)
    session.wait()
    session.explain()
    expected = session.results.pair
    session.choices.generator = ReadyNetwork(generator)
    session.wait()
    assert not session.controller.can_resume
    session.controller.request("searched_pair")
    session.wait(lambda: len(generator.asked) > 20)
    assert session.controller.cancel() == ("searched_pair",)
    assert session.lane.wait_idle()
    assert session.controller.can_resume
    n_before = len(generator.asked)
    session.controller.resume()
    session.wait()
    assert generator.asked[n_before] > 15
    found = session.results.pair
    assert (found.origin, found.n_tried) == (expected.origin, expected.n_tried)
    assert (found.generated == expected.generated).all()
    assert not session.controller.can_resume


@pytest.mark.parametrize("choice", ["sample_index", "targets", "seed"])
def test_another_question_is_not_resumed(session: Session, choice: str) -> None:
    session.load()
    session.choices.generator = ReadyNetwork(Deaf())
    session.choices.update_settings(max_tries=60)
    session.wait()
    session.controller.request("searched_pair")
    session.wait(lambda: session.results.search_state is not None)
    session.controller.cancel()
    assert session.controller.can_resume
    if choice == "sample_index":
        session.choices.sample_index = 1
    else:
        session.choices.update_settings(**{choice: ("right",) if choice == "targets" else 1})
    session.wait()
    assert not session.controller.can_resume


def test_cancelled_explanations_are_resumed_with_what_was_there(session: Session) -> None:
    session.load()
    session.choices.update_settings(methods=("residual", "random", "ig"))
    session.controller.request("searched_pair")
    session.wait(lambda: session.results.explanations and session.results.explanations.exact())
    kept = session.results.explanations.by_method["residual"]
    assert "explanations" in session.controller.cancel()
    assert session.lane.wait_idle()
    session.controller.resume()
    session.wait()
    found = session.results.explanations.by_method
    assert set(found) == {"residual", "random", "ig"}
    assert found["residual"] is kept
