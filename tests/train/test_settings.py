from __future__ import annotations

import json

import pytest

from napari_quac.errors import DataError, ShapeError, UnknownNameError
from napari_quac.networks.architectures.stargan_v2 import official_hyperparameters
from napari_quac.train.settings import (
    ClassifierTraining,
    LossWeights,
    StarGANTraining,
    from_json,
    official_training,
    to_json,
)


def test_settings_survive_json() -> None:
    settings = StarGANTraining(image_size=96, weights=LossWeights(cycle=2.0))
    assert from_json(StarGANTraining, json.loads(json.dumps(to_json(settings)))) == settings
    classifier = ClassifierTraining(epochs=3)
    assert from_json(ClassifierTraining, to_json(classifier)) == classifier


@pytest.mark.parametrize("values", [{"minuts": 3}, {"weights": {"cicle": 1}}])
def test_misspelt_settings_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(UnknownNameError, match=r"Did you mean '(minutes|cycle)'"):
        from_json(StarGANTraining, values)


@pytest.mark.parametrize("size", [16, 72, 100])
def test_sizes_that_cannot_be_trained_name_one_that_can(size: int) -> None:
    with pytest.raises(ShapeError, match=r"Choose (32|64|96)"):
        StarGANTraining(image_size=size)


def test_too_many_halvings_are_refused() -> None:
    with pytest.raises(ShapeError, match="halvings"):
        StarGANTraining(image_size=48, n_down=5)


def test_times_and_weights_have_to_make_sense() -> None:
    with pytest.raises(DataError, match="minutes"):
        StarGANTraining(minutes=0)
    with pytest.raises(DataError, match="cycle"):
        LossWeights(cycle=-1)
    with pytest.raises(DataError, match="validation_share"):
        ClassifierTraining(validation_share=1.5)


@pytest.mark.parametrize("size", [64, 96, 128, 256])
def test_official_training_has_the_official_sizes(size: int) -> None:
    assert official_training(size).hyperparameters(1, 3) == official_hyperparameters(size, 3)
