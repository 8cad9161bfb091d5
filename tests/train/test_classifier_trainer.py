from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from listed import Listed
from safetensors import safe_open
from torch import Tensor

from napari_quac.errors import ShapeError
from napari_quac.networks.classifier_recipe import ClassifierRecipe
from napari_quac.train.classifier_trainer import train_classifier
from napari_quac.train.images import load_pool
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


def test_a_training_that_ends_early_leaves_the_best_state_and_no_earlier_file_is_lost(
    tmp_path: Path,
) -> None:
    def stop_after_epochs(path: Path, n: int) -> None:
        for progress in (steps := train_classifier(dataset(), FAST, path=path)):
            if progress.text.startswith(f"epoch {n}:"):
                break
        steps.close()

    path = tmp_path / "classifier.safetensors"
    stop_after_epochs(path, 2)
    assert ClassifierRecipe(path).load("cpu").class_names == ("empty", "square")
    content = path.read_bytes()
    stop_after_epochs(path, 3)
    assert path.read_bytes() == content
    train_classifier(dataset(), FAST, path=path).result()
    assert path.read_bytes() != content


def test_images_can_be_reduced_first() -> None:
    trained = train_classifier(dataset(32), replace(FAST, image_size=16)).result()
    assert trained.classifier.image_size == (16, 16)


def test_a_size_that_cannot_be_halved_often_enough_is_refused() -> None:
    with pytest.raises(ShapeError, match="multiple of 4"):
        train_classifier(dataset(18), FAST).result()


def test_validation_images_have_to_be_of_the_same_kind() -> None:
    with pytest.raises(ShapeError, match="same classes and image size"):
        train_classifier(dataset(), FAST, dataset(32)).result()


def squares(n: int, seed: int = 0) -> list[Tensor]:
    random = np.random.default_rng(seed)
    return [torch.from_numpy(random.random((1, 16, 16), np.float32)) for _ in range(n)]


def test_held_out_images_that_are_training_images_are_in_the_record(tmp_path) -> None:
    images, classes = squares(8), ("a", "b")
    train = Listed(images, [0, 1] * 4, classes)
    validation = Listed([images[0], *squares(3, 1)], [0, 1, 0, 1], classes)
    settings = ClassifierTrainingSettings(epochs=1, feature_maps=2, levels=2, head=4)
    path = tmp_path / "c.safetensors"
    trained = train_classifier(train, settings, validation, path).result()
    assert trained.overlap is not None
    assert trained.overlap.ids == ("image 0",)
    with safe_open(path, "pt") as file:
        training = json.loads(file.metadata()["training"])
    assert training["overlap"] == {"n_samples": 4, "n_shared": 1, "shared": {"image 0": "image 0"}}


def test_one_odd_image_is_skipped_and_many_are_refused() -> None:
    images, classes = squares(24), ("a", "b")
    images[0] = torch.zeros(1, 9, 9)
    settings = ClassifierTrainingSettings(epochs=1, feature_maps=2, levels=2, head=4)
    trained = train_classifier(Listed(images, [0, 1] * 12, classes), settings).result()
    assert list(trained.skipped) == ["image 0"]
    images[1:6] = [torch.zeros(1, 9, 9)] * 5
    with pytest.raises(ShapeError, match=r"6 of 24 images cannot be used; the first: 'image"):
        train_classifier(Listed(images, [0, 1] * 12, classes), settings).result()


def test_groups_are_not_divided() -> None:
    listed = Listed(squares(40), [0, 1] * 20, ("a", "b"))
    pool = load_pool(listed, r"image \d?(\d)").result()
    first, second = pool.split(0.2, np.random.default_rng(0))
    assert not set(first.groups) & set(second.groups)
    assert set(second.labels) == {0, 1}
