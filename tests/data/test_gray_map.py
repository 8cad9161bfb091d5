"""Gray values of a volume that are matched to those of the training images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage.exposure import match_histograms

from napari_quac.data.gray_map import GrayMap, match_grays
from napari_quac.data.volume_points_recipe import VolumePointsRecipe
from napari_quac.errors import DataError

SIZE = 32


@pytest.fixture
def recipe(tmp_path: Path) -> VolumePointsRecipe:
    """Return points on a volume whose gray values are those of the training images, changed."""
    rng = np.random.default_rng(0)
    tissue = rng.beta(2, 5, (8, 128, 128))
    np.save(tmp_path / "em.npy", (255 * tissue**0.5 * 0.7 + 60).astype(np.uint8))
    (tmp_path / "training").mkdir()
    for number, plane in enumerate(rng.beta(2, 5, (6, 64, 64))):
        Image.fromarray((255 * plane).astype(np.uint8)).save(
            tmp_path / "training" / f"{number}.png"
        )
    centers = [(z, y, x) for z in (1, 3, 6) for y in (2, 40, 80) for x in (40, 90)]
    rows = [f"{z},{y},{x}" for z, y, x in centers]
    (tmp_path / "points.csv").write_text("\n".join(["z,y,x", *rows]))
    return VolumePointsRecipe(
        tmp_path / "em.npy", tmp_path / "points.csv", (1, SIZE, SIZE),
        match_histogram=tmp_path / "training",
    )  # fmt: skip


def test_the_distribution_becomes_that_of_the_training_images() -> None:
    rng = np.random.default_rng(1)
    values, targets = rng.beta(2, 5, 20_000), rng.beta(5, 2, 20_000)
    mapped = match_grays(values, targets).apply(values.astype(np.float32))
    expected = match_histograms(values, targets)
    assert np.abs(mapped - expected).mean() < 0.004
    levels = np.linspace(0.01, 0.99, 50)
    np.testing.assert_allclose(np.quantile(mapped, levels), np.quantile(targets, levels), atol=0.02)


def test_equal_gray_values_remain_equal_in_all_patches(recipe: VolumePointsRecipe) -> None:
    plain, matched = replace(recipe, match_histogram=None).load(), recipe.load()
    assert recipe.match_histogram is not None
    values: dict[float, float] = {}
    for index in range(len(plain)):
        before, after = plain[index].image.numpy(), matched[index].image.numpy()
        if index % 6 < 2:  # at the border
            assert (after[:, : SIZE // 2 - 2] == 0).all(), "the padding stays black"
            before, after = before[:, SIZE // 2 - 2 :], after[:, SIZE // 2 - 2 :]
        for value, mapped in zip(before.ravel().tolist(), after.ravel().tolist(), strict=True):
            assert values.setdefault(value, mapped) == mapped
    ordered = [values[value] for value in sorted(values)]
    assert ordered == sorted(ordered)
    images = [np.asarray(Image.open(p)) for p in recipe.match_histogram.iterdir()]
    inside = [matched[index].image.numpy() for index in range(len(matched)) if index % 6 >= 2]
    assert abs(np.median(inside) - np.median(images) / 255) < 0.02
    sentences = [str(assumption) for assumption in matched.assumptions]
    assert any("one mapping for all patches matches" in sentence for sentence in sentences)


def test_a_plan_repeats_the_mapping_without_the_images(recipe: VolumePointsRecipe) -> None:
    matched = recipe.load()
    resolved = recipe.resolved(matched)
    assert resolved.gray_map and matched[0].place.gray_map == resolved.gray_map  # type: ignore[union-attr]
    again = replace(resolved, match_histogram=Path("elsewhere")).load()
    for index in range(len(matched)):
        assert np.array_equal(again[index].image, matched[index].image)


def test_impossible_mappings_are_refused(recipe: VolumePointsRecipe, tmp_path: Path) -> None:
    for nodes in ((), ((0.5, 0.1), (0.2, 0.3)), ((0.0, 0.5), (1.0, 0.2)), ((0.0, float("nan")),)):
        with pytest.raises(DataError, match="gray_map"):
            GrayMap(nodes)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty"):
        replace(recipe, match_histogram=tmp_path / "empty").load()
