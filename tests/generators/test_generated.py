"""Images that were generated earlier, looked up by file name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from napari_quac.errors import DataError, NoCounterfactualError, ShapeError
from napari_quac.generators import GENERATORS
from napari_quac.generators.generated.recipe import GeneratedRecipe
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.generator import ConversionRequest, Generator

CLASSES = ("cytosol", "synapse")


def classifier() -> Classifier:
    return Classifier(nn.Identity(), CLASSES)


def request(query_id: str, source: int = 0, target: int = 1, size: int = 4) -> ConversionRequest:
    return ConversionRequest(
        torch.zeros(1, size, size), source, target, classifier(), query_id=query_id
    )


def write(path: Path, value: float, size: int = 4) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, np.full((size, size), value, dtype=np.float32))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    pair = tmp_path / "generated_images" / "latent" / "cytosol" / "synapse"
    write(pair / "a.npy", 0.25)
    write(pair / "b.0.npy", 0.5)
    write(pair / "c.npy", 0.1)
    write(pair / "c_1.npy", 0.2)
    write(pair / "c_10.npy", 0.4)
    write(pair / "c_2.npy", 0.3)
    write(pair / "c" / "more.npy", 0.6)
    write(pair / "small.npy", 0.5, size=3)
    write(tmp_path / "generated_images" / "reference" / "cytosol" / "synapse" / "a.npy", 0.75)
    return tmp_path


@pytest.mark.parametrize("below", ["", "generated_images", "generated_images/latent"])
def test_folder_can_be_given_at_each_level(root: Path, below: str) -> None:
    generator = GeneratedRecipe(root / below).load()
    assert isinstance(generator, Generator)
    proposals = generator.propose(request("somewhere/cytosol/a.npy"), 0, 10)
    assert proposals.images.shape == (1, 1, 4, 4)
    assert float(proposals.images[0, 0, 0, 0]) == 0.25
    assert proposals.origins[0]["path"].endswith("latent/cytosol/synapse/a.npy")


@pytest.mark.parametrize("below", ["", "generated_images", "generated_images/reference"])
def test_style_can_be_chosen(root: Path, below: str) -> None:
    generator = GeneratedRecipe(root / below, style="reference").load()
    assert float(generator.propose(request("a.npy"), 0, 1).images.mean()) == 0.75


@pytest.mark.parametrize("query", ["a.png", "a", "x/y/a.tif", "x\\y\\a.png", "b.0.png", "b.0"])
def test_extension_and_folder_of_the_query_do_not_matter(root: Path, query: str) -> None:
    images = GeneratedRecipe(root).load().propose(request(query), 0, 1).images
    assert float(images.mean()) == (0.5 if "b.0" in query else 0.25)


def test_further_proposals_come_in_order_and_end(root: Path) -> None:
    generator = GeneratedRecipe(root).load()
    everything = generator.propose(request("c.png"), 0, 100).images[:, 0, 0, 0]
    torch.testing.assert_close(everything, torch.tensor([0.1, 0.2, 0.3, 0.4, 0.6]))
    later = generator.propose(request("c.png"), 3, 4)
    torch.testing.assert_close(later.images[:, 0, 0, 0], torch.tensor([0.4, 0.6]))
    assert [origin["proposal"] for origin in later.origins] == [3, 4]
    assert generator.propose(request("c.png"), 5, 4).images.shape == (0, 1, 4, 4)


def test_missing_image_names_the_path(root: Path) -> None:
    generator = GeneratedRecipe(root).load()
    with pytest.raises(NoCounterfactualError, match=r"latent/cytosol/synapse/nothing\.png"):
        generator.propose(request("nothing.png"), 0, 1)
    with pytest.raises(NoCounterfactualError, match=r"synapse/cytosol.*There are: cytosol/synapse"):
        generator.propose(request("a.png", source=1, target=0), 0, 1)


def test_image_of_another_shape_is_refused(root: Path) -> None:
    generator = GeneratedRecipe(root).load()
    with pytest.raises(ShapeError, match=r"small\.npy"):
        generator.propose(request("small.png"), 0, 1)


def test_wrong_folders_are_refused(root: Path) -> None:
    write(root / "flat" / "synapse" / "a.npy", 0.5)
    for wrong in (root / "nothing", root / "flat", root / "flat" / "synapse"):
        with pytest.raises(DataError, match="SOURCE/TARGET"):
            GeneratedRecipe(wrong).load()
    with pytest.raises(DataError, match="is a file"):
        GeneratedRecipe(
            root / "generated_images" / "latent" / "cytosol" / "synapse" / "a.npy"
        ).load()
    with pytest.raises(DataError, match="style 'latent'"):
        GeneratedRecipe(root / "generated_images" / "reference", style="latent").load()


def test_is_registered() -> None:
    assert GENERATORS["generated"] is GeneratedRecipe
