"""Classifiers of volumes: the network of the transmitter project, and programs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from napari_quac.errors import CheckpointError, ShapeError
from napari_quac.networks.classifier_recipe import ClassifierRecipe, classifier_from_module
from networks.architectures.published_vgg3d import PublishedVgg3d, published, trained
from rounding import F32

SIZE = (4, 16, 16)


def volumes(n: int = 3, size: tuple[int, ...] = SIZE) -> torch.Tensor:
    return torch.rand((n, 1, *size), generator=torch.Generator().manual_seed(1))


def expected(network: nn.Module, images: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return network(2 * images - 1).softmax(dim=1)


@pytest.mark.parametrize("wrapper", ["", "model_state_dict", "module."])
def test_published_network_gives_the_same_from_its_checkpoint(tmp_path: Path, wrapper: str) -> None:
    network = published()
    state = network.state_dict()
    content = {
        "": state,
        "model_state_dict": {"model_state_dict": state, "optimizer_state_dict": {"state": {}}},
        "module.": {f"module.{name}": tensor for name, tensor in state.items()},
    }[wrapper]
    torch.save(content, tmp_path / "model_checkpoint_1")
    recipe = ClassifierRecipe(tmp_path / "model_checkpoint_1", image_size=SIZE)
    classifier = recipe.load("cpu")
    assert classifier.description["Kind"] == "vgg3d"
    assert (classifier.n_axes, classifier.image_size, classifier.channels) == (3, SIZE, 1)
    together = classifier.predict(volumes())
    torch.testing.assert_close(together, expected(network, volumes()), atol=F32, rtol=0)
    one_by_one = torch.cat([classifier.predict(one[None]) for one in volumes()])
    torch.testing.assert_close(together, one_by_one, atol=F32, rtol=0)


def test_defaults_of_the_transmitter_project_need_nothing_given(tmp_path: Path) -> None:
    factors = [(1, 2, 2), (1, 2, 2), (1, 2, 2), (2, 2, 2)]
    network = trained(PublishedVgg3d((16, 160, 160), 1, factors, (1,) * 4, (1,) * 4, 4, 6))
    torch.save({"model_state_dict": network.state_dict()}, tmp_path / "checkpoint")
    classifier = ClassifierRecipe(tmp_path / "checkpoint").load("cpu")
    assert classifier.image_size == (16, 160, 160)
    assert classifier.preprocessing.value_range == (-1, 1)
    assert "synister" in classifier.description["Notes"]
    images = volumes(1, (16, 160, 160))
    torch.testing.assert_close(
        classifier.predict(images), expected(network, images), atol=F32, rtol=0
    )


def test_order_of_pooling_can_be_given_in_recipe_and_file(tmp_path: Path) -> None:
    factors = ((2, 2, 2), (1, 2, 2))
    torch.manual_seed(3)
    network = trained(PublishedVgg3d(SIZE, 3, factors, (1, 2), (3, 2)))
    path, told = tmp_path / "c.pt", tmp_path / "told.pt"
    torch.save(network.state_dict(), path)
    torch.save({"state_dict": network.state_dict(), "downsample_factors": factors}, told)
    wanted = expected(network, volumes())
    guessed = ClassifierRecipe(path, image_size=SIZE).load("cpu")
    assert "1 other choice would fit" in guessed.description["Notes"]
    assert not torch.allclose(guessed.predict(volumes()), wanted, atol=1e-4)
    for recipe in (
        ClassifierRecipe(path, image_size=SIZE, pools=factors),
        ClassifierRecipe(told, image_size=SIZE),
    ):
        torch.testing.assert_close(recipe.load("cpu").predict(volumes()), wanted, atol=F32, rtol=0)


@pytest.mark.parametrize("has_channel_axis", [True, False])
@pytest.mark.parametrize("size", [SIZE, None])
def test_torchscript_of_volumes_is_tried_until_it_runs(
    tmp_path: Path, has_channel_axis: bool, size: tuple[int, ...] | None
) -> None:
    full = size or (8, 32, 32)
    torch.manual_seed(0)
    network = trained(
        PublishedVgg3d(
            full, 2, [(1, 2, 2), (2, 2, 2)], (1, 1), (2, 2), has_channel_axis=has_channel_axis
        )
    )
    torch.jit.script(network).save(str(tmp_path / "c.pt"))
    classifier = ClassifierRecipe(tmp_path / "c.pt", image_size=size).load("cpu")
    assert classifier.n_axes == 3
    if size is None:
        classifier.check_image((1, *full))  # the first volume decides between sizes that fit
    images = volumes(2, full)
    inputs = images if has_channel_axis else images[:, 0]
    torch.testing.assert_close(
        classifier.predict(images), expected(network, inputs), atol=F32, rtol=0
    )


def test_network_of_volumes_of_any_size_refuses_images() -> None:
    network = nn.Sequential(nn.Conv3d(1, 2, 3), nn.AdaptiveAvgPool3d(1), nn.Flatten(),
                            nn.Linear(2, 2))  # fmt: skip
    classifier = classifier_from_module(network, ("a", "b"))
    assert (classifier.n_axes, classifier.image_size) == (3, None)
    assert classifier.description["Image size"] == "any volume"
    classifier.check_image((1, 5, 9, 9))
    with pytest.raises(ShapeError, match="an image of 9 × 9 pixels, but the classifier"):
        classifier.check_image((1, 9, 9))


def test_size_that_does_not_fit_is_said_in_voxels(tmp_path: Path) -> None:
    torch.save(published().state_dict(), tmp_path / "c.pt")
    with pytest.raises(CheckpointError, match=r"32 positions.*Give the image size"):
        ClassifierRecipe(tmp_path / "c.pt").load("cpu")
    classifier = ClassifierRecipe(tmp_path / "c.pt", image_size=SIZE).load("cpu")
    with pytest.raises(ShapeError, match="1 channel of 4 × 16 × 16 voxels"):
        classifier.check_image((1, 4, 16, 20))
    with pytest.raises(ShapeError, match=r"image of 16 × 16 pixels, but .* takes volumes"):
        classifier.check_image((1, 16, 16))


def test_memory_that_runs_out_halves_the_batch_of_volumes() -> None:
    asked: list[int] = []

    def network(images: torch.Tensor) -> torch.Tensor:
        asked.append(len(images))
        if len(images) > 2:
            raise RuntimeError("CUDA out of memory")
        return images.flatten(1)[:, :2]

    classifier = classifier_from_module(
        lambda images: images.flatten(1)[:, :2], ("a", "b"), image_size=SIZE
    )
    classifier = replace(classifier, module=network)
    images = volumes(5)
    found = classifier.predict(images, batch_size=5)
    assert asked == [5, 2, 2, 1]
    torch.testing.assert_close(found, expected(lambda x: x.flatten(1)[:, :2], images))


def test_large_volumes_are_asked_about_in_small_batches() -> None:
    classifier = classifier_from_module(lambda x: x.flatten(1)[:, :2], ("a", "b"), image_size=SIZE)
    assert classifier.batch_for((128, 128)) == classifier.batch_for((512, 512)) == 8
    assert classifier.batch_for(SIZE) == 8
    assert classifier.batch_for((16, 160, 160)) == 1
