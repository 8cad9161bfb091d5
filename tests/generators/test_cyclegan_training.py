from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_quac.cli import main
from napari_quac.data.preprocessing import PRESETS
from napari_quac.errors import CheckpointError, DataError, ShapeError
from napari_quac.generators.cyclegan.training import translator
from napari_quac.generators.cyclegan.training_settings import (
    CycleGANLossWeights,
    CycleGANTrainingSettings,
)
from napari_quac.generators.opening import inspect_network, recognize_generator
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.generator import ConversionRequest
from napari_quac.train.generator_trainer import TrainingState, train_generator
from train.listed import Listed

SMALL = CycleGANTrainingSettings(
    image_size=32, minutes=5, steps=3, batch_size=2, width=4, blocks=1, evaluator_minutes=0,
    precision="float32", symmetries=False,
)  # fmt: skip


class SquareNetwork(torch.nn.Module):
    """Says *bright* of images whose middle is bright."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        middle = images[:, :, 10:22, 10:22].mean(dim=(1, 2, 3))
        return torch.stack([-6 * middle, 6 * middle, torch.full_like(middle, -9)], dim=1)


def square_classifier() -> Classifier:
    names = ("dark", "bright", "other")
    return Classifier(SquareNetwork().eval(), names, 1, (32, 32), PRESETS["quac"], name="squares")


def squares(n: int = 12, size: int = 32, classes: tuple[str, ...] = ("dark", "bright")) -> Listed:
    """Images of noise whose middle is dark or bright."""
    random = np.random.default_rng(0)
    images = []
    labels = [index % len(classes) for index in range(n)]
    for label in labels:
        image = 0.5 + 0.05 * random.standard_normal((1, size, size))
        third = size // 3
        image[:, third:-third, third:-third] += 0.35 if label == 1 else -0.35
        images.append(torch.from_numpy(image.clip(0, 1).astype(np.float32)))
    return Listed(images, labels, classes)


def test_untrained_network_changes_nothing() -> None:
    network = translator(1, SMALL).eval()
    assert not network(squares()[0].image[None] * 2 - 1).any()


def test_files_are_read_by_our_loader_and_know_their_direction(tmp_path: Path) -> None:
    trained = train_generator(squares(), tmp_path, SMALL, square_classifier()).result()
    assert trained.steps == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "bright_to_dark.safetensors",
        "dark_to_bright.safetensors",
        "resume.pt",
    ]
    generator = recognize_generator([str(tmp_path)]).recipe.load("cpu")
    assert sorted(generator.pairs) == ["bright → dark", "dark → bright"]
    request = ConversionRequest(squares()[0].image, 0, 1, square_classifier())
    again, live = (g.propose(request, 0, 1).images for g in (generator, trained.generator))
    assert torch.equal(again, live)
    found = inspect_network(tmp_path / "dark_to_bright.safetensors")
    assert found.problem is None and "turns dark into bright" in found.findings[0]


@pytest.mark.long
def test_training_learns_to_turn_the_middle(tmp_path: Path) -> None:
    settings = replace(SMALL, steps=60, learning_rate=4e-3, batch_size=4,
                       weights=CycleGANLossWeights(guidance=1.0, sparsity=0.3))  # fmt: skip
    judge = square_classifier()
    trained = train_generator(
        squares(24), tmp_path, settings, square_classifier(), validation=squares(8), evaluator=judge
    ).result()
    assert trained.evaluation is not None
    assert trained.evaluation.conversion_rate >= 0.75
    assert {(p.source, p.target) for p in trained.evaluation.pairs} == {
        ("dark", "bright"),
        ("bright", "dark"),
    }
    assert (tmp_path / "evaluation.json").exists()


def test_images_larger_than_the_networks_are_judged_by_a_classifier_of_their_size(
    tmp_path: Path,
) -> None:
    settings = replace(SMALL, evaluator_minutes=0.01, evaluated_images=2)
    trained = train_generator(
        squares(12, size=64), tmp_path, settings, square_classifier()
    ).result()
    assert trained.evaluation is not None
    request = ConversionRequest(squares(1, size=64)[0].image, 0, 1, square_classifier())
    assert trained.generator.propose(request, 0, 1).images.shape == (1, 1, 64, 64)


def test_resuming_goes_on_and_gives_what_one_run_gives(tmp_path: Path) -> None:
    at_once, in_two = tmp_path / "a", tmp_path / "b"
    settings = replace(SMALL, decay=0.0)
    train_generator(squares(), at_once, replace(settings, steps=4), square_classifier()).result()
    train_generator(squares(), in_two, replace(settings, steps=2), square_classifier()).result()
    resumed = train_generator(
        squares(), in_two, replace(settings, steps=4), square_classifier(), resume=True
    ).result()
    assert resumed.steps == 4
    request = ConversionRequest(squares()[0].image, 0, 1, square_classifier())
    images = [
        recognize_generator([str(folder)]).recipe.load("cpu").propose(request, 0, 1).images
        for folder in (at_once, in_two)
    ]
    assert not torch.equal(images[0][0], request.query)
    assert torch.equal(*images)


def test_pictures_come_and_cancelling_keeps_what_was_learnt(tmp_path: Path) -> None:
    settings = replace(SMALL, steps=50, preview_seconds=1e-6)
    steps = train_generator(squares(), tmp_path, settings, square_classifier())
    states = [p.partial for p, _ in zip(steps, range(8), strict=False)
              if isinstance(p.partial, TrainingState)]  # fmt: skip
    pictures = [state.picture for state in states if state.picture is not None]
    assert pictures[0].shape == (1, 4 * 34 - 2, 3 * 34 - 2)
    assert {"adversarial", "cycle", "identity", "sparsity", "guidance"} <= set(states[-1].losses)
    steps.close()
    assert (tmp_path / "dark_to_bright.safetensors").exists()
    assert (tmp_path / "resume.pt").exists()


def test_pair_has_to_be_said_where_there_are_three_classes(tmp_path: Path) -> None:
    three = squares(12, classes=("dark", "bright", "grey"))
    with pytest.raises(DataError, match="Choose a pair"):
        train_generator(three, tmp_path, SMALL, square_classifier()).result()
    with pytest.raises(DataError, match="There are: dark, bright, grey"):
        train_generator(three, tmp_path, SMALL, square_classifier(), pair=("dark", "x")).result()
    trained = train_generator(
        three, tmp_path, SMALL, square_classifier(), pair=("bright", "dark")
    ).result()
    assert trained.generator.pairs == ["bright → dark", "dark → bright"]


def test_wrong_input_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no training to resume"):
        train_generator(squares(), tmp_path, SMALL, square_classifier(), resume=True).result()
    with pytest.raises(ShapeError, match="less than the network resolution of 32"):
        train_generator(squares(size=24), tmp_path, SMALL, square_classifier()).result()
    with pytest.raises(DataError, match="has no class 'pale'"):
        pale = squares(classes=("dark", "pale"))
        train_generator(pale, tmp_path, SMALL, square_classifier()).result()
    with pytest.raises(ShapeError, match="Choose 32"):
        CycleGANTrainingSettings(image_size=40)
    with pytest.raises(DataError, match="steps"):
        CycleGANTrainingSettings(steps=0)
    with pytest.raises(DataError, match="blocks"):
        CycleGANTrainingSettings(blocks=0)


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dataset = squares(8)
    for sample in (dataset[index] for index in range(len(dataset))):
        path = tmp_path / "images" / dataset.classes[sample.label] / f"{sample.id}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, sample.image[0].numpy())
    torch.jit.script(SquareNetwork().eval()).save(str(tmp_path / "c.pt"))
    arguments = ["train", "cyclegan", "--samples", str(tmp_path / "images"), "--out",
                 str(tmp_path / "out"), "--classifier", str(tmp_path / "c.pt"), "--classes",
                 "dark,bright,other", "--judge", str(tmp_path / "c.pt"), "--size", "32", "--width",
                 "4", "--blocks", "1", "--steps", "2", "--device", "cpu"]  # fmt: skip
    assert main(arguments) == 0
    said = capsys.readouterr().out
    assert "bright_to_dark.safetensors" in said and "conversion rate" in said
