from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from listed import Listed

from napari_quac.errors import ShapeError
from napari_quac.networks.classifier_recipe import ClassifierRecipe
from napari_quac.train.classifier_trainer import train_classifier
from napari_quac.train.settings import ClassifierTrainingSettings

FAST = ClassifierTrainingSettings(
    minutes=10,
    epochs=6,
    batch_size=8,
    feature_maps=4,
    levels=2,
    head=8,
    dropout=0.0,
    learning_rate=1e-2,
    precision="float32",
)


def dataset(size: int = 16, n: int = 24) -> Listed:
    """Images with a bright square, and images without one."""
    random = torch.Generator().manual_seed(0)
    images = [0.4 * torch.rand((1, size, size), generator=random) for _ in range(2 * n)]
    for image in images[n:]:
        image[:, size // 4 : size // 2, size // 4 : size // 2] += 0.5
    return Listed(images, [0] * n + [1] * n, ("empty", "square"))


def test_an_easy_task_is_learned_and_the_file_is_read_by_our_loader(tmp_path: Path) -> None:
    path = tmp_path / "classifier.safetensors"
    trained = train_classifier(dataset(), FAST, path=path).result()
    assert trained.accuracy > 0.9
    assert trained.epochs == 6
    loaded = ClassifierRecipe(path).load("cpu")
    assert loaded.class_names == ("empty", "square")
    assert loaded.image_size == (16, 16)
    images = torch.rand(3, 1, 16, 16)
    torch.testing.assert_close(loaded.predict(images), trained.classifier.predict(images))


def test_images_can_be_reduced_first() -> None:
    trained = train_classifier(dataset(32), replace(FAST, image_size=16)).result()
    assert trained.classifier.image_size == (16, 16)


def test_a_size_that_cannot_be_halved_often_enough_is_refused() -> None:
    with pytest.raises(ShapeError, match="multiple of 4"):
        train_classifier(dataset(18), FAST).result()


def test_validation_images_have_to_be_of_the_same_kind() -> None:
    with pytest.raises(ShapeError, match="same classes and image size"):
        train_classifier(dataset(), FAST, dataset(32)).result()
