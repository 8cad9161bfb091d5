"""``napari-quac train`` on a few small images, and its files in use."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from napari_quac.cli import main


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Noise, with a bright square in the middle of one class."""
    rng = np.random.default_rng(0)
    for number in range(24):
        for name in ("plain", "square"):
            image = rng.uniform(0.2, 0.5, (32, 32)).astype(np.float32)
            if name == "square":
                image[12:20, 12:20] += 0.4
            path = tmp_path / "images" / name / f"{number:02d}.npy"
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, image)
    return tmp_path / "images"


@pytest.mark.long
def test_classifier_and_generator_are_made_and_used(images, tmp_path, capsys):
    common = ["--samples", str(images), "--device", "cpu", "--json"]
    out = tmp_path / "networks"
    command = ["train", "classifier", *common, "--out", str(out), "--epochs", "60"]
    assert main(command) == 0
    trained = json.loads(capsys.readouterr().out)
    assert trained["accuracy"] > 0.5
    classifier = trained["file"]
    command = ["train", "stargan", *common, "--out", str(out), "--minutes", "0.1", "--size", "32"]
    command += ["--width", "4", "--steps", "3", "--classifier", classifier, "--judge", classifier]
    assert main(command) == 0
    generator = json.loads(capsys.readouterr().out)
    assert {(p["source"], p["target"]) for p in generator["pairs"]} == {
        ("plain", "square"),
        ("square", "plain"),
    }
    assert main(["inspect", generator["file"], "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["role"] == "generator"
    command = ["explain", "--classifier", classifier, "--generator", generator["file"]]
    command += ["--samples", str(images / "plain" / "00.npy"), "--methods", "residual"]
    command += ["--tries", "2", "--device", "cpu", "--out", str(tmp_path / "out"), "--json"]
    assert main(command) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["explanations"][0]["n_tried"] == 2 or document["n_switched"] == 1
    assert document["explanations"][0]["origin"]["latent_seed"] is not None


def test_images_of_one_class_are_refused(images, tmp_path, capsys):
    command = ["train", "classifier", "--samples", str(images / "plain"), "--out", str(tmp_path)]
    assert main(command) == 2
    assert capsys.readouterr().err.startswith("napari-quac: ")
