"""``napari-quac train`` on a few small images, and its files in use."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pytest

from napari_quac.cli import main
from napari_quac.commands.train import (
    add_parser,
    flat_parameters,
    option_name,
    settings_from_options,
)
from napari_quac.generators.stargan.training_settings import (
    StarGANLossWeights,
    StarGANTrainingSettings,
)
from napari_quac.generators.trainings import trainable_families, training_settings
from napari_quac.train.settings import ClassifierTrainingSettings


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
    assert "\nnapari-quac: 'plain' has" in "\n" + capsys.readouterr().err


@pytest.mark.parametrize("family", ["classifier", *trainable_families()])
def test_every_setting_is_an_option(family: str) -> None:
    cls = ClassifierTrainingSettings if family == "classifier" else training_settings(family)
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers())
    command = ["train", family, "--samples", "s", "--out", "o"]
    command += ["--classifier", "c"] if family == "warp" else []
    assert settings_from_options(cls, parser.parse_args(command)) == cls()
    for name, parameter in flat_parameters(cls):
        if parameter.kind is int:
            number = 96 if name == "image_size" else 3
            options = [option_name(name), str(number)]
            settings = settings_from_options(cls, parser.parse_args([*command, *options]))
            assert getattr(settings, name) == number
        elif parameter.kind is bool:
            flag = option_name(name, not parameter.default)
            settings = settings_from_options(cls, parser.parse_args([*command, flag]))
            assert getattr(settings, name) is not parameter.default


def test_options_of_earlier_versions_are_accepted() -> None:
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers())
    common = ["--samples", "s", "--out", "o", "--judge", "j"]
    options = ["--size", "48", "--width", "8", "--plain", "--cycle-weight", "3"]
    parsed = parser.parse_args(["train", "stargan", *common, *options])
    cls = StarGANTrainingSettings
    weights = StarGANLossWeights(cycle=3)
    expected = cls(image_size=48, base_channels=8, residual=False, weights=weights)
    assert settings_from_options(cls, parsed) == expected
    assert parsed.evaluator == Path("j")
    parsed = parser.parse_args(["train", "exaggeration", *common, "--bins", "5"])
    assert settings_from_options(training_settings("exaggeration"), parsed).n_bins == 5
    parsed = parser.parse_args(["train", "stargan", *common, "--official", "--size", "256"])
    assert settings_from_options(cls, parsed) == cls.official(256, minutes=20.0)


def test_a_setting_out_of_range_is_refused_in_one_sentence(
    capsys: pytest.CaptureFixture[str],
) -> None:
    command = ["train", "stargan", "--samples", "s", "--out", "o", "--batch-size", "0"]
    with pytest.raises(SystemExit) as end:
        main(command)
    assert end.value.code == 2
    assert "'batch_size' must be between 1" in capsys.readouterr().err
