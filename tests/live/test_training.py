from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from napari_quac.errors import NetworkError
from napari_quac.generators.stargan.recipe import StarGANRecipe
from napari_quac.generators.stargan.training_settings import StarGANTrainingSettings
from napari_quac.live.previous_runs import read_run
from napari_quac.live.training import Training, TrainingRequest, TrainingStatus
from napari_quac.stepwise import Progress
from napari_quac.testing import CornerSamples, ReadyNetwork, corner_classifier
from napari_quac.train.generator_trainer import TrainingState


class Window:
    """Runs what the training's thread hands over, as an event loop does."""

    def __init__(self) -> None:
        self.calls: queue.Queue[Callable[[], None]] = queue.Queue()

    def wait(self, condition: Callable[[], Any], seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "waited too long"
            try:
                self.calls.get(timeout=0.05)()
            except queue.Empty:
                continue


@pytest.fixture
def window() -> Window:
    return Window()


@pytest.fixture
def training(window: Window) -> Iterator[Training]:
    made = Training(window.calls.put)
    yield made
    assert made.close()


def request(output: Path, classifier: Any = None, resume: bool = False) -> TrainingRequest:
    recipe = ReadyNetwork(corner_classifier(32)) if classifier is None else classifier
    samples = CornerSamples(12, 32, wrong=())
    settings = StarGANTrainingSettings(
        minutes=5, image_size=32, preview_seconds=15, checkpoint_minutes=0.25
    )
    return TrainingRequest(samples, recipe, samples.classes, "cpu", output, settings, resume)


def steps_of(training: Training) -> int:
    state = training.status.state if training.status else None
    return state.step if state else 0


@pytest.mark.long
def test_a_training_can_be_stopped_used_and_taken_up_again(
    training: Training, window: Window, tmp_path: Path
) -> None:
    finished: list[Path] = []
    pictures: list[Any] = []
    training.finished.connect(finished.append)
    training.previewed.connect(lambda state: pictures.append(state.picture))
    training.start(request(tmp_path / "001"))
    window.wait(
        lambda: training.status and training.status.state and training.status.state.step >= 3
    )
    assert torch.isfinite(pictures[0]).all()
    training.stop()
    assert training.is_stopping
    window.wait(lambda: not training.is_running)
    assert finished == [tmp_path / "001"]
    assert StarGANRecipe(tmp_path / "001" / "generator.safetensors").load().class_names == (
        "left",
        "right",
        "both",
    )
    first = read_run(tmp_path / "001")
    assert first is not None
    assert first.steps >= 3
    assert first.can_resume
    training.start(request(tmp_path / "001", resume=True))
    window.wait(
        lambda: (
            training.status and training.status.state and training.status.state.step > first.steps
        )
    )


def test_a_failure_is_said_and_another_training_can_follow(
    training: Training, window: Window, tmp_path: Path
) -> None:
    failures: list[Any] = []
    training.failed.connect(failures.append)
    broken = ReadyNetwork(None, NetworkError("the file has gone"))
    training.start(request(tmp_path / "001", broken))
    window.wait(lambda: failures)
    assert failures[0].sentence == "the file has gone"
    assert not training.is_running
    training.start(request(tmp_path / "001"))
    window.wait(lambda: training.status and training.status.state)


def test_closing_in_the_middle_keeps_what_was_learnt(
    training: Training, window: Window, tmp_path: Path
) -> None:
    training.start(request(tmp_path / "001"))
    window.wait(
        lambda: training.status and training.status.state and training.status.state.step >= 2
    )
    assert training.close()
    assert read_run(tmp_path / "001") is not None


def test_only_one_training_runs_at_a_time(
    training: Training, window: Window, tmp_path: Path
) -> None:
    training.start(request(tmp_path / "001"))
    training.start(request(tmp_path / "002"))
    assert training.request is not None
    assert training.request.output.name == "001"


def test_time_left_is_at_most_the_requested_time(training: Training, tmp_path: Path) -> None:
    training.request = request(tmp_path / "001")  # for five minutes
    training.status = TrainingStatus("training")
    training._start_time = time.monotonic() - 200
    slow = Progress(100, 1000, "training", TrainingState(3, 0.1))
    assert training._seconds_left(slow, 0.1) == pytest.approx(0.9 * 60 * 5)
    training._start_time = time.monotonic() - 20
    assert training._seconds_left(slow, 0.1) == pytest.approx(180, abs=5)
    training.status = None
