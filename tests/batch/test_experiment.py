"""Experiments of the QuAC library open as plans, and run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from torch import Tensor, nn

from napari_quac.batch.plan import BatchPlan
from napari_quac.cli import main
from napari_quac.errors import DataError
from napari_quac.generators.generated.recipe import GeneratedRecipe
from napari_quac.generators.stargan.recipe import StarGANRecipe
from napari_quac.networks.value_range import ValueRange
from napari_quac.reports.opening import open_report

SIZE = 16


class Brightness(nn.Module):
    """Two classes: dark and bright, for images between -1 and 1."""

    def forward(self, images: Tensor) -> Tensor:
        mean = images.mean((1, 2, 3))
        return torch.stack([mean, -mean], 1) * 20


def experiment(folder: Path, **changes: Any) -> Path:
    """Write an experiment with two classes, its classifier and its generated images."""
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        for name, level in (("bright", 200), ("dark", 50)):
            (folder / split / name).mkdir(parents=True, exist_ok=True)
            for number in range(2):
                image = rng.integers(level - 20, level + 20, (2 * SIZE, 2 * SIZE)).astype(np.uint8)
                Image.fromarray(image).save(folder / split / name / f"{number}.png")
    for source, target, level in (("bright", "dark", 50), ("dark", "bright", 200)):
        generated = folder / "results" / "generated_images" / "latent" / source / target
        generated.mkdir(parents=True, exist_ok=True)
        for number in range(2):
            image = np.full((SIZE, SIZE), level, np.uint8)
            Image.fromarray(image).save(generated / f"{number}.png")
    torch.jit.script(Brightness()).save(str(folder / "classifier.pt"))
    data = {"img_size": SIZE, "grayscale": True, "batch_size": 4}
    values = {
        "log_type": "tensorboard",
        "log": {"log_dir": "logs"},
        "data": {"source": "train", **data},
        "validation_data": {"source": "val", **data},
        "solver": {"root_dir": "results", "lr": 1e-4},
        "validation_config": {"classifier_checkpoint": "classifier.pt", "img_size": SIZE},
        "model": {"img_size": SIZE, "input_dim": 1, "num_domains": 2},
        "attribution": {"attributions": ["DIntegratedGradients", "residual", "MyOwn"]},
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump({**values, **changes}))
    return path


def test_an_experiment_is_a_plan(tmp_path: Path) -> None:
    plan = BatchPlan.read(experiment(tmp_path))
    assert plan.samples.source.directory == tmp_path / "val"
    assert plan.samples.preprocessing.resize == (SIZE, SIZE)
    assert plan.classifier.path == tmp_path / "classifier.pt"
    assert plan.classifier.preprocessing is not None
    assert plan.classifier.preprocessing.value_range == (-1, 1)
    assert plan.classifier.channels == 1
    assert isinstance(plan.generator, GeneratedRecipe)
    assert plan.settings.methods == ("d-ig", "residual")
    notes = " ".join(plan.notes)
    assert "'validation_data'" in notes and "MyOwn" in notes and "log of the training" in notes
    plan.write(tmp_path / "plan.yaml")
    assert BatchPlan.read(tmp_path / "plan.yaml") == plan


def test_it_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", str(experiment(tmp_path)), "--trust"]) == 0
    printed = capsys.readouterr()
    assert "4 samples" in printed.out and "MyOwn" in printed.err
    report = open_report(tmp_path / "results" / "napari-quac")
    assert len(report) == 8  # 4 samples, 2 methods
    assert {entry.target for entry in report.entries} == {0, 1}


@pytest.mark.parametrize(
    ("data", "evaluation", "value_range"),
    [
        ({}, {}, (-1, 1)),
        ({"scale": 1, "shift": 0}, {}, (0, 1)),
        ({}, {"scale": 0.5, "shift": 0.5}, (0, 1)),
        ({"mean": 0.5, "std": 0.5}, {"do_nothing": True}, (-1, 1)),
        ({"mean": 0.5, "std": 0.5}, {"mean": 0.5, "std": 0.25}, (-2, 2)),
        ({"scale": None, "shift": None}, {"scale": None}, (-1, 1)),
    ],
)
def test_the_range_of_the_classifier(
    data: dict[str, Any],
    evaluation: dict[str, Any],
    value_range: tuple[float, float],
    tmp_path: Path,
) -> None:
    validation = {"source": "val", "img_size": SIZE, "rgb": False, **data}
    checkpoint = {"classifier_checkpoint": "classifier.pt", **evaluation}
    path = experiment(tmp_path, validation_data=validation, validation_config=checkpoint)
    preprocessing = BatchPlan.read(path).classifier.preprocessing
    assert preprocessing is not None
    assert preprocessing.value_range == pytest.approx(value_range)


def test_without_generated_images_its_generator_is_used(tmp_path: Path) -> None:
    path = experiment(tmp_path, test_data={"source": "train", "scale": 1, "shift": 0})
    (tmp_path / "results" / "generated_images").rename(tmp_path / "elsewhere")
    with pytest.raises(DataError, match=r"neither 'generated_images' nor a generator"):
        BatchPlan.read(path)
    for number in (100, 20000):
        (tmp_path / "results" / f"{number:06d}_nets_ema.ckpt").write_bytes(b"0")
    plan = BatchPlan.read(path)
    assert isinstance(plan.generator, StarGANRecipe)
    assert plan.generator.path.name == "020000_nets_ema.ckpt"
    assert plan.generator.final_activation == "tanh"
    assert plan.generator.value_range == ValueRange(0, 1)
    assert plan.samples.source.directory == tmp_path / "train"
    assert plan.samples.preprocessing.channels == "repeat"  # RGB is the default


def test_mistakes_are_named(tmp_path: Path) -> None:
    path = experiment(tmp_path, validation_config={"scale": 1})
    with pytest.raises(DataError, match=r"validation_config\.classifier_checkpoint' is missing"):
        BatchPlan.read(path)
    checkpoint = {"classifier_checkpoint": "classifier.pt", "scale": 0}
    path = experiment(tmp_path, validation_config=checkpoint)
    with pytest.raises(DataError, match="Scale and shift"):
        BatchPlan.read(path)
