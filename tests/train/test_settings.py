from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from napari_quac.errors import DataError, ShapeError, UnknownNameError
from napari_quac.generators.stargan.training import hyperparameters
from napari_quac.generators.stargan.training_settings import (
    StarGANLossWeights,
    StarGANTrainingSettings,
)
from napari_quac.generators.trainings import trainable_families, training_settings
from napari_quac.networks.architectures.stargan_v2 import official_hyperparameters
from napari_quac.train.settings import (
    AdversarialTrainingSettings,
    ClassifierTrainingSettings,
    settings_from_json,
)
from napari_quac.train.task import TrainingTask


def test_settings_survive_json() -> None:
    settings = StarGANTrainingSettings(image_size=96, weights=StarGANLossWeights(cycle=2.0))
    stored = json.loads(json.dumps(asdict(settings)))
    assert settings_from_json(StarGANTrainingSettings, stored) == settings
    classifier = ClassifierTrainingSettings(epochs=3)
    assert settings_from_json(ClassifierTrainingSettings, asdict(classifier)) == classifier


def test_settings_of_earlier_files_are_read() -> None:
    stored = {"judge_minutes": 0, "guide_minutes": 2.0, "judged_images": 7, "weights": {"style": 2}}
    settings = settings_from_json(StarGANTrainingSettings, stored)
    assert settings == StarGANTrainingSettings(
        evaluator_minutes=0,
        guidance_minutes=2.0,
        evaluated_images=7,
        weights=StarGANLossWeights(style=2),
    )


@pytest.mark.parametrize("values", [{"minuts": 3}, {"weights": {"cicle": 1}}])
def test_misspelt_settings_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(UnknownNameError, match=r"Did you mean '(minutes|cycle)'"):
        settings_from_json(StarGANTrainingSettings, values)


@pytest.mark.parametrize("size", [16, 72, 100])
def test_sizes_that_cannot_be_trained_name_one_that_can(size: int) -> None:
    with pytest.raises(ShapeError, match=r"Choose (32|64|96)"):
        StarGANTrainingSettings(image_size=size)


def test_too_many_halvings_are_refused() -> None:
    with pytest.raises(ShapeError, match="halvings"):
        StarGANTrainingSettings(image_size=48, n_down=5)


@pytest.mark.parametrize("name", [*trainable_families()])
def test_every_family_checks_its_settings_and_has_a_task(name: str) -> None:
    cls = training_settings(name)
    for wrong in ({"minutes": 0}, {"steps": 0}, {"batch_size": 2.5}, {"decay": 1.5}):
        with pytest.raises(DataError, match=next(iter(wrong))):
            cls(**wrong)
    task = cls.task()
    assert issubclass(task, TrainingTask)
    assert cls.SUMMARY and task.caption(("a", "b")).startswith("Left to right")
    if issubclass(cls, AdversarialTrainingSettings):
        with pytest.raises(DataError, match="cycle"):
            type(cls().weights)(cycle=-1)


def test_times_and_weights_have_to_make_sense() -> None:
    with pytest.raises(DataError, match="validation_share"):
        ClassifierTrainingSettings(validation_share=1.5)
    with pytest.raises(DataError, match="validation_share"):
        ClassifierTrainingSettings(validation_share=0.0)


@pytest.mark.parametrize("size", [64, 96, 128, 256])
def test_official_training_has_the_official_sizes(size: int) -> None:
    official = StarGANTrainingSettings.official(size)
    assert hyperparameters(official, 1, 3) == official_hyperparameters(size, 3)
