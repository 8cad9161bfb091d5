"""Estimates of time from what was measured in the session."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from napari_quac.explain.methods import METHODS
from napari_quac.live.job_runner import RunningJob
from napari_quac.live.speeds import GRADIENTS, Speeds
from napari_quac.stepwise import Progress

from .test_session import Driver


@pytest.fixture
def driver() -> Iterator[Driver]:
    made = Driver()
    made.load()
    yield made
    assert made.session.close()


def job(weights: tuple[float, ...], done: int, total: int, since: float, part: float) -> RunningJob:
    now = time.monotonic()
    number = min(done * len(weights) // total, len(weights) - 1)
    progress = Progress(done, total, "working")
    return RunningJob("x", "working", progress, now - since, (), weights, (number, now - part))


@pytest.mark.parametrize(
    ("weights", "done", "since", "part", "left"),
    [
        ((1.0, 100.0), 0, 0.0, 0.0, 101),  # before anything was done
        ((1.0, 100.0), 100, 1.0, 0.0, 100),  # the slow part begins
        ((1.0, 100.0), 150, 31.0, 30.0, 30),  # its own pace: half of it took 30 s
        ((1.0, 100.0), 100, 2.0, 0.0, 200),  # the machine is twice as slow as before
        ((1.0, 100.0), 100, 90.0, 0.0, 500),  # at most five times
        ((10.0, 10.0), 0, 15.0, 15.0, 10),  # longer than expected: nothing is known of this part
    ],
)
def test_parts_of_known_length_count_by_it(
    weights: tuple[float, ...], done: int, since: float, part: float, left: float
) -> None:
    assert job(weights, done, 200, since, part).seconds_left() == pytest.approx(left, rel=0.05)


def test_progress_notes_when_a_part_begins() -> None:
    begun = RunningJob("x", "working", None, 0.0, weights=(1.0, 1.0), part=(0, 1.0))
    first = begun.with_progress(Progress(50, 200, ""))
    assert first.part == (0, 1.0)
    second = first.with_progress(Progress(100, 200, ""))
    assert second.part[0] == 1 and second.part[1] > 1.0
    assert second.with_progress(Progress(200, 200, "")).part == second.part


def test_every_method_of_the_package_has_a_measured_time() -> None:
    assert set(METHODS.names()) >= set(GRADIENTS)
    own = {name for name in METHODS.names() if METHODS[name].__module__.startswith("napari_quac.")}
    assert own <= set(GRADIENTS)


def test_estimates_begin_with_the_gradient_and_end_with_the_work_itself(driver: Driver) -> None:
    speeds, results = driver.session.speeds, driver.session.results
    assert speeds.method("fido") is not None and speeds.method("residual") is not None
    assert speeds.method("fido") > 20 * speeds.method("residual")
    driver.session.explain()
    driver.wait(lambda: driver.session.is_explained)
    driver.wait()
    explanations = results.explanations
    assert explanations is not None
    for name in ("residual", "random"):
        assert speeds.method(name) == explanations.seconds[name]
    each = sum(explanations.seconds.values())
    assert speeds.explanation() == pytest.approx(each + speeds.search())
    assert speeds.explanations(7) == pytest.approx(7 * speeds.explanation())
    every = [speeds.method(name) for name in METHODS.names()]
    assert speeds.comparison() == pytest.approx(sum(every))
    assert speeds.comparison(3) == pytest.approx(3 * (sum(every) + speeds.search()))
    assert 0 < speeds.predictions(9) < 60
    assert speeds.exaggeration() > 0


def test_steps_of_fido_count(driver: Driver) -> None:
    speeds, choices = driver.session.speeds, driver.session.choices
    usual = speeds.method("fido")
    parameters = {"fido": {"n_steps": 600}}
    settings = replace(choices.settings.with_methods(("fido",)), parameters=parameters)
    assert speeds.method("fido", settings) == pytest.approx(2 * usual)


def test_another_classifier_is_measured_anew(driver: Driver) -> None:
    from napari_quac.live.choices import ReadySamples
    from napari_quac.testing import CornerSamples, ReadyNetwork, corner_classifier

    speeds, choices = driver.session.speeds, driver.session.choices
    driver.session.explain()
    driver.wait(lambda: driver.session.is_explained)
    measured = speeds.method("residual")
    changes: list[float | None] = []
    speeds.changed.connect(lambda: changes.append(speeds.method("residual")))
    choices.classifier = ReadyNetwork(corner_classifier(32))
    choices.samples = ReadySamples(CornerSamples(size=32))
    driver.wait()
    choices.sample_index = 0
    driver.wait()
    assert None in changes, "nothing is known of the new classifier at first"
    assert changes[-1] is not None and changes[-1] != measured


def test_weights_of_the_running_work(driver: Driver) -> None:
    speeds: Speeds = driver.session.speeds
    driver.session.explain()
    driver.wait(lambda: driver.session.is_explained)
    driver.wait()
    assert speeds.weights("explanations") == (0.0, 0.0), "both are there already"
    assert len(speeds.weights("comparison")) == len(METHODS.names())
    driver.session.choices.compared_samples = 3
    weights = speeds.weights("comparison")
    assert len(weights) == 3 and len(set(weights)) == 1
    assert speeds.weights("regions") == ()
