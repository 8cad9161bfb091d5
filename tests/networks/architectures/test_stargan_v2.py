from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from napari_quac.errors import CheckpointError, ShapeError
from napari_quac.networks.architectures.stargan_v2 import (
    StarGAN,
    StarGANHyperparameters,
    official_hyperparameters,
)
from napari_quac.networks.architectures.stargan_v2_shapes import (
    drop_stale_heads,
    infer_hyperparameters,
    infer_image_size,
)

TINY = StarGANHyperparameters(
    img_size=32,
    num_domains=3,
    style_dim=5,
    latent_dim=4,
    base_channels=4,
    max_channels=8,
    n_down=1,
    mapping_channels=6,
    style_base_channels=4,
    style_max_channels=8,
    style_blocks=3,
)


def states_of(network: StarGAN) -> dict[str, Mapping[str, Tensor]]:
    parts = ("generator", "mapping_network", "style_encoder")
    return {
        part: getattr(network, part).state_dict()
        for part in parts
        if getattr(network, part) is not None
    }


@pytest.mark.parametrize("size", [32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 512])
def test_image_size_follows_from_widths(size: int) -> None:
    hyper = official_hyperparameters(size, 2)
    assert infer_image_size(hyper.base_channels, hyper.n_down) == size


@pytest.mark.parametrize("size", [16, 102, 257])
def test_sizes_that_cannot_be_built_are_refused(size: int) -> None:
    with pytest.raises(ShapeError, match=str(size)):
        official_hyperparameters(size, 2)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"channels": 3, "num_domains": 2},
        {"single_head": True},
        {"has_mapping": False},
        {"has_style_encoder": False},
        {"variational_style": True},
        {"variational_generator": True},
        {"style_base_channels": 2, "style_blocks": 4},
    ],
)
def test_hyperparameters_are_read_off_the_shapes(changes: dict[str, int]) -> None:
    hyper = replace(TINY, **changes)
    found = infer_hyperparameters(states_of(StarGAN(hyper)), img_size=32)
    # what a missing network does not tell has no effect either
    if not hyper.has_mapping:
        found = replace(found, mapping_channels=6, latent_dim=4)
    if not hyper.has_style_encoder:
        found = replace(found, style_base_channels=4, style_max_channels=8, style_blocks=3)
    assert found == hyper


def test_stale_heads_of_single_head_files_are_dropped() -> None:
    network = StarGAN(replace(TINY, single_head=True))
    encoder = dict(states_of(network)["style_encoder"])
    stale = {f"unshared.{k}.weight": torch.zeros(64, 512) for k in range(2)}
    clean = drop_stale_heads({**encoder, **stale})
    assert clean.keys() == encoder.keys()
    domain = torch.tensor([0, 2])
    images = torch.rand(2, 1, 32, 32)
    same = network.style_from_image(images, domain * 0)
    assert torch.equal(network.style_from_image(images, domain), same)


def test_high_pass_filtered_networks_are_refused() -> None:
    states = states_of(StarGAN(TINY))
    states["generator"] = {**states["generator"], "hpf.filter": torch.zeros(3, 3)}
    with pytest.raises(CheckpointError, match="w_hpf"):
        infer_hyperparameters(states, 32)


def test_other_networks_are_refused_in_words() -> None:
    with pytest.raises(CheckpointError, match="generator"):
        infer_hyperparameters({"style_encoder": {}}, 32)
    with pytest.raises(CheckpointError, match=r"from_rgb\.weight"):
        infer_hyperparameters({"generator": {"a": torch.zeros(1)}}, 32)


def test_an_untrained_residual_network_changes_nothing() -> None:
    network = StarGAN(replace(TINY, residual=True)).eval()
    images = torch.rand(2, 1, 32, 32) * 2 - 1
    assert torch.equal(network(images, torch.randn(2, 5)), images)


def test_references_of_another_size_are_resized_for_the_style_encoder() -> None:
    network = StarGAN(TINY).eval()
    domain = torch.tensor([1])
    image = torch.rand(1, 1, 48, 48)
    small = torch.nn.functional.interpolate(image, (32, 32), mode="bilinear", align_corners=False)
    expected = network.style_from_image(small, domain)
    assert torch.equal(network.style_from_image(image, domain), expected)


def test_each_row_gets_the_head_of_its_domain() -> None:
    network = StarGAN(TINY).eval()
    latent = torch.randn(3, 4)
    together = network.style_from_latent(latent, torch.tensor([2, 0, 1]))
    for row, domain in enumerate([2, 0, 1]):
        alone = network.style_from_latent(latent[row : row + 1], torch.tensor([domain]))
        torch.testing.assert_close(together[row : row + 1], alone)
