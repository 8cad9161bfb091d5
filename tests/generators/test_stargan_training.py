from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from napari_quac.data.preprocessing import PRESETS
from napari_quac.errors import CheckpointError, DataError, NotFiniteError, ShapeError
from napari_quac.generators.stargan.recipe import StarGANRecipe
from napari_quac.generators.stargan.training import StarGANTask
from napari_quac.generators.stargan.training_settings import (
    StarGANLossWeights,
    StarGANTrainingSettings,
)
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.generator import ConversionRequest
from napari_quac.train.checkpointing import encode_state
from napari_quac.train.generator_trainer import TrainingState, train_generator
from train.listed import Listed

FAST = StarGANTrainingSettings(
    image_size=32,
    minutes=10,
    steps=2,
    batch_size=2,
    base_channels=4,
    max_channels=8,
    style_dim=4,
    latent_dim=3,
    mapping_channels=8,
    guidance_minutes=0.001,
    evaluator_minutes=0,
    precision="float32",
)


class Bright(nn.Module):
    """Bright images are of class 1."""

    def forward(self, images: Tensor) -> Tensor:
        mean = images.mean(dim=(1, 2, 3))
        return torch.stack([-mean, mean], dim=1)


CLASSIFIER = Classifier(Bright(), ("dark", "bright"), 1, None, PRESETS["quac"])


def dataset(channels: int = 1, size: int = 32, n: int = 4) -> Listed:
    random = torch.Generator().manual_seed(0)
    labels = [0, 1] * n
    images = [
        0.3 * label + 0.6 * torch.rand((channels, size, size), generator=random) for label in labels
    ]
    return Listed(images, list(labels), ("dark", "bright"))


def request(size: int = 32) -> ConversionRequest:
    return ConversionRequest(torch.rand(1, size, size), 0, 1, CLASSIFIER)


def test_trained_file_opens_as_generator_and_agrees_with_the_live_one(tmp_path: Path) -> None:
    trained = train_generator(dataset(), tmp_path, FAST, CLASSIFIER).result()
    assert trained.steps == 2
    generator = StarGANRecipe(trained.files[0]).load()
    assert generator.class_names == ("dark", "bright")
    asked = request()
    images = generator.propose(asked, 0, 2).images
    assert torch.equal(images, trained.generator.propose(asked, 0, 2).images)


def test_larger_images_are_reduced_and_queries_keep_their_size(tmp_path: Path) -> None:
    trained = train_generator(dataset(size=48), tmp_path, FAST, CLASSIFIER).result()
    generator = StarGANRecipe(trained.files[0]).load()
    assert generator.query_size == 48
    assert generator.propose(request(48), 0, 1).images.shape == (1, 1, 48, 48)
    with pytest.raises(ShapeError, match=r"\(1, 48, 48\)"):
        generator.propose(request(32), 0, 1)


def test_colour_images_and_the_plain_form(tmp_path: Path) -> None:
    settings = replace(
        FAST,
        residual=False,
        final_activation="tanh",
        weights=StarGANLossWeights(guidance=0, diversity=1),
    )
    trained = train_generator(dataset(channels=3), tmp_path, settings).result()
    generator = StarGANRecipe(trained.files[0]).load()
    assert generator.hyper.final_activation == "tanh"
    classifier = Classifier(Bright(), ("dark", "bright"), 3)
    asked = ConversionRequest(torch.rand(3, 32, 32), 0, 1, classifier)
    assert generator.propose(asked, 0, 2).images.shape == (2, 3, 32, 32)


def test_progress_brings_losses_and_pictures(tmp_path: Path) -> None:
    states = [
        progress.partial
        for progress in train_generator(dataset(), tmp_path, FAST, CLASSIFIER)
        if isinstance(progress.partial, TrainingState)
    ]
    assert [state.step for state in states] == [1, 2]
    assert {"adversarial", "guidance", "cycle", "style"} <= set(states[0].losses)
    assert states[0].picture is not None
    # four queries beside what they become for two classes, with gaps between them
    assert states[0].picture.shape == (1, 4 * 32 + 3 * 2, 3 * 32 + 2 * 2)


def test_what_was_trained_is_kept_when_cancelled_and_can_go_on(tmp_path: Path) -> None:
    steps = train_generator(dataset(), tmp_path, replace(FAST, steps=50), CLASSIFIER)
    for progress in steps:
        if isinstance(progress.partial, TrainingState) and progress.partial.step == 3:
            break
    steps.close()
    StarGANRecipe(tmp_path / "generator.safetensors").load()
    trained = train_generator(
        dataset(), tmp_path, replace(FAST, steps=5), CLASSIFIER, resume=True
    ).result()
    assert trained.steps == 5


def test_resuming_with_other_sizes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no training"):
        train_generator(dataset(), tmp_path, FAST, CLASSIFIER, resume=True).result()
    train_generator(dataset(), tmp_path, FAST, CLASSIFIER).result()
    wider = replace(FAST, base_channels=8)
    with pytest.raises(CheckpointError, match="other network sizes"):
        train_generator(dataset(), tmp_path, wider, CLASSIFIER, resume=True).result()
    (tmp_path / "resume.pt").write_bytes(encode_state({"step": 1}))
    with pytest.raises(CheckpointError, match="cannot be resumed"):
        train_generator(dataset(), tmp_path, FAST, CLASSIFIER, resume=True).result()
    (tmp_path / "resume.pt").write_bytes(b"damaged")
    with pytest.raises(CheckpointError, match="damaged"):
        train_generator(dataset(), tmp_path, FAST, CLASSIFIER, resume=True).result()


def test_a_classifier_is_trained_for_guidance_and_another_to_judge(tmp_path: Path) -> None:
    settings = replace(FAST, evaluator_minutes=0.001, evaluated_images=1)
    trained = train_generator(dataset(n=6), tmp_path, settings).result()
    assert trained.evaluation is not None
    assert trained.evaluation.evaluator == "evaluation_classifier.safetensors"
    assert {path.name for path in tmp_path.iterdir()} == {
        "evaluation.json",
        "generator.safetensors",
        "evaluation_classifier.safetensors",
        "guidance_classifier.safetensors",
        "resume.pt",
    }


@pytest.mark.parametrize(
    ("classifier", "error", "words"),
    [
        (replace(CLASSIFIER, channels=2), ShapeError, "1 channel.*2"),
        (replace(CLASSIFIER, class_names=("dark", "grey")), DataError, "grey"),
    ],
)
def test_classifiers_that_do_not_fit_are_refused(
    classifier: Classifier, error: type[Exception], words: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=words):
        train_generator(dataset(), tmp_path, FAST, classifier).result()


def test_folders_follow_the_order_of_the_classifier(tmp_path: Path) -> None:
    names = ("bright", "dark")
    classifier = replace(CLASSIFIER, class_names=names)
    trained = train_generator(dataset(), tmp_path, FAST, classifier, validation=dataset()).result()
    assert trained.generator.class_names == names


def test_images_smaller_than_the_networks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ShapeError, match="Set image_size to 32"):
        train_generator(dataset(), tmp_path, replace(FAST, image_size=64), CLASSIFIER).result()


def test_divergence_is_said_and_no_bad_state_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def diverged(*_: Any) -> dict[str, float]:
        return {"adversarial": float("nan")}

    monkeypatch.setattr(StarGANTask, "step", diverged)
    with pytest.raises(NotFiniteError, match="diverged"):
        train_generator(dataset(), tmp_path, FAST, CLASSIFIER).result()
    assert not list(tmp_path.iterdir())


def test_an_output_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(DataError, match="cannot be written"):
        train_generator(dataset(), blocked / "folder", FAST, CLASSIFIER).result()


def test_a_torchscript_classifier_guides(tmp_path: Path) -> None:
    scripted = torch.jit.script(Bright().eval())  # type: ignore[no-untyped-call]
    classifier = replace(CLASSIFIER, module=scripted, form="torchscript")
    assert train_generator(dataset(), tmp_path, FAST, classifier).result().steps == 2


def test_two_images_per_class_are_enough(tmp_path: Path) -> None:
    settings = replace(FAST, evaluator_minutes=0.001, evaluated_images=1)
    trained = train_generator(dataset(n=2), tmp_path, settings).result()
    assert trained.evaluation is not None
