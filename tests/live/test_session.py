"""The actions of the dock, driven without a window."""

from __future__ import annotations

import queue
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_quac.data.image_datasets import ImageFolderRecipe
from napari_quac.example import load_example
from napari_quac.live.choices import Choices, ReadySamples
from napari_quac.live.explain_many import ExplainMany
from napari_quac.live.explanation_cache import ExplanationCache
from napari_quac.live.failure import Failure
from napari_quac.live.session import Session
from napari_quac.testing import CornerSamples, ReadyNetwork, corner_classifier, corner_generator


class Driver:
    """A session whose answers are taken by a loop, and what it has told."""

    def __init__(self, cache: ExplanationCache | None = None) -> None:
        self.calls: queue.Queue[Callable[[], None]] = queue.Queue()
        choices = Choices(shown_method="residual")
        choices.update_settings(methods=("residual", "random"), max_tries=2)
        self.session = Session(self.calls.put, choices=choices, cache=cache)
        self.notes: list[str] = []
        self.failures: list[Failure] = []
        self.explained: list[bool] = []
        self.session.noted.connect(lambda note: self.notes.append(note.text))
        self.session.controller.failed.connect(self.failures.append)
        self.session.explained.connect(lambda: self.explained.append(True))

    def wait(self, condition: Callable[[], Any] | None = None, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            while not self.calls.empty():
                self.calls.get()()
            if condition() if condition else not self.session.controller.running:
                return
            time.sleep(0.001)
        raise TimeoutError(list(self.session.controller.running))

    def load(self) -> None:
        choices = self.session.choices
        choices.classifier = ReadyNetwork(corner_classifier())
        choices.generator = ReadyNetwork(corner_generator())
        choices.samples = ReadySamples(CornerSamples())
        self.wait()
        choices.sample_index = 0
        self.wait()


@pytest.fixture
def driver() -> Iterator[Driver]:
    driver = Driver()
    yield driver
    assert driver.session.close()


def test_the_next_step_is_told_until_all_is_there(driver: Driver) -> None:
    session = driver.session
    assert "classifier" in session.next_step
    session.choices.classifier = ReadyNetwork(corner_classifier())
    driver.wait()
    assert "samples" in session.next_step
    session.choices.samples = ReadySamples(CornerSamples())
    driver.wait()
    assert "generator, or explain without one" in session.next_step
    session.choices.generator = ReadyNetwork(corner_generator())
    driver.wait()
    assert session.next_step == "Ready, on cpu"


def test_explaining_ends_with_a_signal(driver: Driver) -> None:
    driver.load()
    driver.session.explain()
    driver.wait(lambda: driver.explained)
    assert driver.session.is_explained and not driver.failures
    assert driver.session.results.displayed_hybrid is not None


def test_a_picked_point_is_explained_once_it_is_predicted(driver: Driver) -> None:
    driver.load()
    driver.session.select_sample(3, explain=True)
    driver.wait(lambda: driver.explained)
    pair = driver.session.results.pair
    assert pair is not None and pair.query.id == "corner/3"
    driver.session.select_sample(3, explain=True)
    driver.wait(lambda: len(driver.explained) == 2)
    assert driver.session.results.pair is not pair, "the selected sample is explained again"
    driver.session.select_sample(2)
    driver.wait()
    assert driver.session.results.pair is None, "selecting alone explains nothing"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("samples", ReadySamples(CornerSamples(n=3))),  # still being read when the search begins
        ("classifier", ReadyNetwork(corner_classifier())),
        ("sample_index", 2),
        ("filter_text", "number < 4"),
    ],
)
def test_a_search_for_mispredictions_ends_with_its_question(
    driver: Driver, name: str, content: Any
) -> None:
    driver.load()
    is_loaded = name in ("samples", "classifier")
    if is_loaded:
        setattr(driver.session.choices, name, content)
    driver.session.next_misprediction()
    assert "scan" in driver.session.controller.running
    if not is_loaded:
        setattr(driver.session.choices, name, content)
    driver.wait()
    assert driver.session.choices.sample_index == (content if name == "sample_index" else 0)
    assert not driver.notes and not driver.failures


def test_measuring_explains_a_sample_in_view(driver: Driver) -> None:
    driver.load()
    driver.session.choices.filter_text = "number > 6"
    driver.session.measure()
    driver.wait(lambda: driver.explained)
    assert driver.session.choices.sample_index == 6


def test_the_next_misprediction_is_selected(driver: Driver) -> None:
    driver.session.next_misprediction()
    assert "need a classifier" in driver.notes[-1]
    driver.load()
    driver.session.next_misprediction()
    driver.wait()
    assert driver.session.choices.sample_index == 4
    assert driver.notes[-1] == "Sample 5 is mispredicted."
    driver.session.choices.filter_text = "right"
    driver.session.next_misprediction()
    driver.wait()
    assert driver.notes[-1] == "No sample in view is mispredicted."


def test_steps_follow_the_table(driver: Driver) -> None:
    driver.load()
    driver.session.choices.filter_text = "label != right"
    driver.session.choices.sort_ascending = False
    driver.session.choices.sample_index = 8
    for index in (6, 5, 4):
        driver.session.step(1)
        assert driver.session.choices.sample_index == index
    driver.session.step(-1)
    assert driver.session.choices.sample_index == 5


def test_the_second_question_is_about_a_neighbor(driver: Driver) -> None:
    driver.load()
    session = driver.session
    session.choices.sample_index = 4
    driver.wait()
    session.choices.update_settings(source_basis="label")
    assert session.results.neighbors is not None
    session.explain()
    driver.wait(lambda: driver.explained)
    pair = session.results.pair
    assert pair is not None and pair.query.id in {"corner/2", "corner/5", "corner/8"}
    assert (pair.source, pair.target) == (2, 1)
    session.neighbor_query.go_back()
    driver.wait()
    assert session.choices.sample_index == 4 and session.choices.settings.targets == "auto"


def test_a_method_is_shown_and_added(driver: Driver) -> None:
    driver.load()
    session = driver.session
    session.explain()
    driver.wait(lambda: driver.explained)
    session.choices.threshold = 0.9
    session.show_method("d-ig")
    driver.wait()
    assert session.choices.settings.methods == ("d-ig", "residual", "random")
    hybrid = session.results.displayed_hybrid
    assert hybrid is not None and hybrid.explanation.method == "d-ig"
    assert session.choices.threshold is None, "another explanation begins at its optimum"
    session.compare_methods()
    driver.wait()
    assert session.results.comparison is not None


def test_paths_are_opened_as_what_they_are(driver: Driver, tmp_path: Path) -> None:
    session, example = driver.session, load_example()
    session.open_path(example.classifier_path)
    driver.wait()
    assert session.results.loaded_classifier is not None
    session.open_path(example.generator_path)
    driver.wait()
    assert session.results.loaded_generator is not None
    size = session.results.loaded_classifier.image_size
    for name in ("ACh", "GABA"):
        (tmp_path / "images" / name).mkdir(parents=True)
        np.save(tmp_path / "images" / name / "a.npy", np.zeros(size, np.float32))
    session.open_path(tmp_path / "images")
    assert session.choices.samples == ImageFolderRecipe(tmp_path / "images")
    driver.wait()
    output = tmp_path / "out"
    session.save_plan(tmp_path / "plan.yaml", output)
    assert "all samples" in driver.notes[-1] and not driver.failures
    settings, opened = session.choices.settings, []
    session.choices.update_settings(seed=9, max_tries=50)
    session.plan_opened.connect(opened.append)
    session.open_path(tmp_path / "plan.yaml")
    driver.wait()
    assert session.choices.settings == settings and opened == [output]
    session.open_path(tmp_path / "missing.pt")
    driver.wait()
    assert "missing.pt" in driver.failures[-1].sentence


def test_the_example_opens_ready_to_be_explained(driver: Driver) -> None:
    driver.session.open_example()
    driver.wait(lambda: driver.session.results.loaded_samples is not None)
    driver.wait()
    assert driver.session.next_step.startswith("Ready") and not driver.failures


def test_a_report_without_its_samples_brings_them(driver: Driver, tmp_path: Path) -> None:
    driver.load()
    session = driver.session
    many = ExplainMany(session.choices, session.results, session.controller)
    session.choices.filter_text = "number <= 2"
    many.start(tmp_path / "store")
    driver.wait(lambda: many.state == "done")
    driver.wait()
    session.choices.filter_text = ""
    session.choices.report_source = None
    other = CornerSamples(n=5)
    object.__setattr__(other, "sample_id", lambda index: f"other/{index}")
    session.choices.samples = ReadySamples(other)
    driver.wait()
    session.open_path(tmp_path / "store")
    driver.wait()
    session.choices.sample_index = None
    session.choices.sample_index = 1
    driver.wait()
    assert session.results.sample is not None and session.results.sample.id == "corner/1"
    explanations = session.results.explanations
    assert explanations is not None and explanations.is_restored and session.is_explained
    before = session.results.report
    shutil.rmtree(tmp_path / "store")
    session.open_explanations(tmp_path / "store")
    driver.wait()
    assert driver.failures and session.results.report is before, "the open report stays"
    many.close()


def test_an_explanation_of_a_proposal_and_the_reset_of_its_threshold(driver: Driver) -> None:
    driver.load()
    session = driver.session
    session.explain()
    driver.wait(lambda: driver.explained)
    best = session.results.pair
    assert best is not None and len(best.proposals) == 2
    session.choices.threshold = 0.9
    session.choices.proposal_index = 1
    driver.wait()
    pair = session.results.pair
    assert pair is not None and pair.generated is best.proposals[1].generated
    assert session.choices.threshold is None
    session.explain()
    driver.wait()
    assert session.choices.proposal_index is None, "another search begins at its best proposal"


def test_a_method_that_fails_is_told_once(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    from napari_quac.explain.methods.baselines import Residual

    def fail(*_: Any) -> Any:
        raise RuntimeError("out of order")

    monkeypatch.setattr(Residual, "attribute", fail)
    driver.load()
    driver.session.explain()
    driver.wait(lambda: driver.explained)
    assert [failure.slot for failure in driver.failures] == ["explanations"]
    assert driver.session.choices.shown_method == "random", "the one that has an explanation"
