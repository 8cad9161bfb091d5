from __future__ import annotations

import json
import threading
from pathlib import Path

from napari_quac.generators.opening import recognize_network
from napari_quac.generators.trainings import training_settings
from napari_quac.live.previous_runs import (
    RunEvaluation,
    next_folder,
    previous_runs,
    read_evaluation,
    read_run,
)
from napari_quac.live.training import TrainingRequest, run_training
from napari_quac.testing import CornerSamples, ReadyNetwork, corner_classifier


def test_runs_are_listed_without_the_damaged_ones(tmp_path: Path) -> None:
    assert previous_runs(tmp_path / "nowhere") == ()
    (tmp_path / "003").mkdir()
    (tmp_path / "003" / "generator.safetensors").write_bytes(b"\x05\0\0\0\0\0\0\0{}")
    assert previous_runs(tmp_path) == ()
    assert next_folder(tmp_path).name == "004"


def test_each_family_is_read_back_with_its_classes_and_settings(tmp_path: Path) -> None:
    samples = CornerSamples(12, 32, wrong=())
    for family in ("cyclegan", "exaggeration", "warp"):
        output = tmp_path / family
        size = {} if family == "warp" else {"image_size": 32}
        request = TrainingRequest(
            samples,
            ReadyNetwork(corner_classifier(32)),
            samples.classes,
            "cpu",
            output,
            training_settings(family)(minutes=5, seed=3, **size),
            pair=("right", "both"),
        )
        stop = threading.Event()
        for progress in run_training(request, stop):
            if getattr(progress.partial, "step", 0) >= 1:
                stop.set()
        run = read_run(output)
        assert run is not None
        assert (run.family, run.pair, run.image_size) == (family, ("right", "both"), 32)
        assert run.settings == request.settings
        assert run.evaluation.conversion_rate is None
        assert run.can_resume
        assert run.sentence.endswith("(right → both); stopped before the evaluation.")
        assert recognize_network(run.path).role == "generator"
    assert {run.family for run in previous_runs(tmp_path)} == {"cyclegan", "exaggeration", "warp"}


def test_numbers_of_an_evaluation_name_the_classifier_that_judged(tmp_path: Path) -> None:
    bins = {"rank_correlation": 0.9712, "n_images": 40, "flipped": 0.9}
    warp = {"sign_agreement": 0.96, "n_images": 30, "switched": 0.8, "folded": 0.001}
    pairs = [{"n_images": 20}]
    path = tmp_path / "evaluation.json"
    path.write_text(json.dumps({"bins": bins, "conversion_rate": 0.5, "pairs": pairs}))
    evaluation = read_evaluation(path, training_settings("exaggeration"))
    assert (evaluation.conversion_rate, evaluation.n_images) == (0.5, 20)
    assert evaluation.summary is not None
    assert evaluation.summary.short == "Spearman 0.97"
    assert "median of 40 held-out samples" in evaluation.summary.sentence
    assert "judged by the classifier being explained" in evaluation.summary.sentence
    path.write_text(json.dumps({"warp": warp}))
    evaluation = read_evaluation(path, training_settings("warp"))
    assert evaluation.conversion_rate is None
    assert evaluation.summary is not None
    assert evaluation.summary.short == "switches 80%"
    assert "96% of 30 held-out samples" in evaluation.summary.sentence
    assert read_evaluation(tmp_path / "none.json", training_settings("warp")) == RunEvaluation()
