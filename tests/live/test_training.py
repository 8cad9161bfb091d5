from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from napari_quac.errors import NetworkError
from napari_quac.generators.opening import recognize_network
from napari_quac.generators.stargan.recipe import StarGANRecipe
from napari_quac.live.earlier_trainings import (
    earlier_trainings,
    judgement,
    next_folder,
    read_training,
)
from napari_quac.live.training import Training, TrainingOrder, TrainingView
from napari_quac.live.training_kinds import trained
from napari_quac.stepwise import Progress
from napari_quac.testing import CornerSamples, ReadyNetwork, corner_classifier
from napari_quac.train import TrainingState


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


def order(output: Path, classifier: Any = None, resume: bool = False) -> TrainingOrder:
    recipe = ReadyNetwork(corner_classifier(32)) if classifier is None else classifier
    samples = CornerSamples(12, 32, wrong=())
    return TrainingOrder(samples, recipe, samples.classes, "cpu", output, 5, 32, resume)


@pytest.mark.long
def test_a_training_can_be_stopped_used_and_taken_up_again(
    training: Training, window: Window, tmp_path: Path
) -> None:
    finished: list[Path] = []
    pictures: list[Any] = []
    training.finished.connect(finished.append)
    training.pictured.connect(lambda picture, glance: pictures.append(picture))
    training.start(order(tmp_path / "001"))
    window.wait(lambda: training.view and training.view.state and training.view.state.step >= 3)
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
    first = read_training(tmp_path / "001")
    assert first is not None
    assert first.steps >= 3
    assert first.can_go_on
    training.start(order(tmp_path / "001", resume=True))
    window.wait(
        lambda: training.view and training.view.state and training.view.state.step > first.steps
    )


def test_a_failure_is_said_and_another_training_can_follow(
    training: Training, window: Window, tmp_path: Path
) -> None:
    failures: list[Any] = []
    training.failed.connect(failures.append)
    broken = ReadyNetwork(None, NetworkError("the file has gone"))
    training.start(order(tmp_path / "001", broken))
    window.wait(lambda: failures)
    assert failures[0].sentence == "the file has gone"
    assert not training.is_running
    training.start(order(tmp_path / "001"))
    window.wait(lambda: training.view and training.view.state)


def test_closing_in_the_middle_keeps_what_was_learnt(
    training: Training, window: Window, tmp_path: Path
) -> None:
    training.start(order(tmp_path / "001"))
    window.wait(lambda: training.view and training.view.state and training.view.state.step >= 2)
    assert training.close()
    assert read_training(tmp_path / "001") is not None


def test_only_one_training_runs_at_a_time(
    training: Training, window: Window, tmp_path: Path
) -> None:
    training.start(order(tmp_path / "001"))
    training.start(order(tmp_path / "002"))
    assert training.order is not None
    assert training.order.output.name == "001"


def test_earlier_trainings_are_listed_without_the_damaged_ones(tmp_path: Path) -> None:
    assert earlier_trainings(tmp_path / "nowhere") == ()
    (tmp_path / "003").mkdir()
    (tmp_path / "003" / "generator.safetensors").write_bytes(b"\x05\0\0\0\0\0\0\0{}")
    assert earlier_trainings(tmp_path) == ()
    assert next_folder(tmp_path).name == "004"


def test_time_left_is_never_more_than_was_ordered_and_the_judge_takes(
    training: Training, tmp_path: Path
) -> None:
    training.order = order(tmp_path / "001")  # for five minutes
    training.view = TrainingView("training")
    training._begun = time.monotonic() - 200
    slow = Progress(100, 1000, "training", TrainingState(3, 0.1))
    assert training._seconds_left(slow) == pytest.approx(0.9 * 60 * 8)
    training._begun = time.monotonic() - 20
    assert training._seconds_left(slow) == pytest.approx(180, abs=5)
    training.view = None


def test_each_kind_is_read_back_with_its_classes_and_its_own_number(tmp_path: Path) -> None:
    samples = CornerSamples(12, 32, wrong=())
    for kind in ("cyclegan", "exaggeration", "warp"):
        output = tmp_path / kind
        wanted = TrainingOrder(
            samples, ReadyNetwork(corner_classifier(32)), samples.classes, "cpu", output, 5, 32,
            kind=kind, pair=("right", "both"),
        )  # fmt: skip
        stop = threading.Event()
        for progress in trained(wanted, stop):
            if getattr(progress.partial, "step", 0) >= 1:
                stop.set()
        found = read_training(output)
        assert found is not None
        assert (found.kind, found.pair, found.image_size) == (kind, ("right", "both"), 32)
        assert found.conversion_rate is None
        assert found.can_go_on
        assert recognize_network(found.path).role == "generator"
    assert {one.kind for one in earlier_trainings(tmp_path)} == {"cyclegan", "exaggeration", "warp"}


def test_numbers_of_an_evaluation_say_who_judged(tmp_path: Path) -> None:
    bins = {"rank_correlation": 0.9712, "n_images": 40, "flipped": 0.9}
    warp = {"sign_agreement": 0.96, "n_images": 30, "switched": 0.8, "folded": 0.001}
    pairs = [{"n_images": 20}]
    path = tmp_path / "evaluation.json"
    path.write_text(json.dumps({"bins": bins, "conversion_rate": 0.5, "pairs": pairs}))
    found = judgement(path)
    assert (found.own, found.conversion_rate, found.n_images) == ("Spearman 0.97", 0.5, 20)
    assert "median of 40 samples" in found.own_in_words
    assert "your classifier's own word" in found.own_in_words
    path.write_text(json.dumps({"warp": warp}))
    found = judgement(path)
    assert (found.own, found.conversion_rate) == ("switches 80%", None)
    assert "96% of 30 samples" in found.own_in_words
    assert judgement(tmp_path / "none.json").own == ""
