from __future__ import annotations

from pathlib import Path

import pytest
import torch
from listed import Listed
from torch import Tensor, nn

from napari_quac.data.image_file import write_image
from napari_quac.data.preprocessing import PRESETS
from napari_quac.errors import DataError
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.generator import FunctionGenerator
from napari_quac.train.evaluate import MaskFolder, evaluate_generator
from napari_quac.train.images import PoolDataset, load_pool


class Bright(nn.Module):
    """Bright in the left half means class 1."""

    def forward(self, images: Tensor) -> Tensor:
        left = images[..., :4].mean(dim=(1, 2, 3))
        return torch.stack([0.5 - left, left - 0.5], dim=1) * 20


EVALUATOR = Classifier(Bright(), ("dark", "bright"), 1, None, PRESETS["unit"], name="evaluator")


def dataset() -> PoolDataset:
    dark, bright = torch.full((1, 8, 8), 0.2), torch.full((1, 8, 8), 0.8)
    listed = Listed([dark] * 3 + [bright] * 3, [0, 0, 0, 1, 1, 1], ("dark", "bright"))
    return PoolDataset(load_pool(listed).result())


def brighten_left(query: Tensor, source: int, target: int, seed: int) -> Tensor:
    image = query.clone()
    if target == 1:  # only this direction works
        image[..., :4] = 0.8
    return image


def test_rates_and_changes_are_those_of_a_known_generator() -> None:
    mask = torch.zeros(8, 8)
    mask[:, :4] = 1
    masks = {f"image {i}": mask for i in range(3)}
    evaluation = evaluate_generator(
        FunctionGenerator(brighten_left), EVALUATOR, dataset(), 4, mask_of=masks
    ).result()
    there, back = evaluation.pairs
    assert (there.source, there.target, there.n_images) == ("dark", "bright", 3)
    assert there.conversion_rate == there.translation_rate == 1
    assert there.mean_change == pytest.approx(0.3, abs=1e-4)
    assert there.change_inside == pytest.approx(0.6, abs=1e-4)
    assert there.change_outside == pytest.approx(0)
    assert back.conversion_rate == 0
    assert back.change_inside is None
    assert evaluation.conversion_rate == 0.5
    assert evaluation.to_json()["evaluator"] == "evaluator"


def test_one_success_in_all_tries_counts_as_converted() -> None:
    calls = iter(range(100))

    def sometimes(query: Tensor, source: int, target: int, seed: int) -> Tensor:
        return torch.full_like(query, float(target)) if next(calls) % 4 == 3 else query

    evaluation = evaluate_generator(FunctionGenerator(sometimes), EVALUATOR, dataset(), 4).result()
    assert evaluation.conversion_rate == 1
    assert evaluation.translation_rate == 0.25


def test_some_images_of_each_class_are_enough() -> None:
    generator = FunctionGenerator(brighten_left)
    evaluation = evaluate_generator(generator, EVALUATOR, dataset(), 1, max_images=2).result()
    assert [pair.n_images for pair in evaluation.pairs] == [2, 2]


def test_a_class_without_images_is_named() -> None:
    only = PoolDataset(
        load_pool(Listed([torch.rand(1, 8, 8)] * 4, [0, 0, 1, 1], ("dark", "bright"))).result()
    )
    only.classes = ("dark", "bright", "grey")
    with pytest.raises(DataError, match="grey"):
        evaluate_generator(FunctionGenerator(brighten_left), EVALUATOR, only, 1).result()


def test_masks_are_found_by_sample_id(tmp_path: Path) -> None:
    (tmp_path / "synapse").mkdir()
    write_image(tmp_path / "synapse" / "a.png", torch.ones(1, 4, 4))
    masks = MaskFolder(tmp_path)
    assert masks("synapse/b.png") is None
    found = masks("synapse/a.png")
    assert found is not None and bool((found == 1).all())
