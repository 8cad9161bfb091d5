"""Trainings are found by their family, those of other packages included."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file

from generators.shift_training import ShiftRecipe, ShiftTrainingSettings
from generators.test_cyclegan_training import squares
from napari_quac.cli import main
from napari_quac.errors import UnknownNameError
from napari_quac.generators import GENERATORS
from napari_quac.generators.trainings import trainable_families, training_settings
from napari_quac.live.previous_runs import previous_runs


def test_families_with_a_training_are_listed_and_others_say_so() -> None:
    assert list(trainable_families()) == ["stargan", "cyclegan", "exaggeration", "warp"]
    assert training_settings("explainer") is training_settings("exaggeration")
    with pytest.raises(UnknownNameError, match=r"'fido' has no training. Choose from stargan"):
        training_settings("fido")


def test_a_family_of_another_package_is_trained_by_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = squares(16)
    for index in range(len(dataset)):
        path = tmp_path / "images" / dataset.classes[dataset.labels[index]] / f"{index}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, dataset[index].image[0].numpy())
    command = ["train", "shift", "--samples", str(tmp_path / "images"), "--pair", "dark,bright"]
    command += ["--out", str(tmp_path / "runs" / "001"), "--steps", "40", "--pull", "2"]
    command += ["--learning-rate", "0.02", "--device", "cpu"]
    with GENERATORS.temporarily("shift", ShiftRecipe):
        assert main(command) == 0
        assert "shift.safetensors" in capsys.readouterr().out
        (run,) = previous_runs(tmp_path / "runs")
    shift = load_file(run.path)["shift"]
    difference = np.diff([
        np.mean([dataset.images[i].mean() for i in range(16) if dataset.labels[i] == label])
        for label in (0, 1)
    ])  # fmt: skip
    assert float(shift) == pytest.approx(float(difference[0]), abs=0.05)
    expected = ShiftTrainingSettings(steps=40, pull=2.0, learning_rate=0.02)
    assert (run.family, run.settings, run.pair) == ("shift", expected, ("dark", "bright"))
