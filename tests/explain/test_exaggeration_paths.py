"""Bins and strengths as paths, on networks whose answer is worked out by hand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from napari_quac.data.dataset import Sample
from napari_quac.data.preprocessing import PRESETS
from napari_quac.errors import NetworkError
from napari_quac.explain.exaggeration import exaggerate, image_path
from napari_quac.explain.pair import Pair
from napari_quac.explain.search import search
from napari_quac.explain.settings import SearchSettings
from napari_quac.generators.exaggeration.generator import BinLayout, ExaggerationGenerator
from napari_quac.generators.warp.generator import WarpGenerator
from napari_quac.generators.warp.recipe import WarpRecipe
from napari_quac.networks.classifier import Classifier
from napari_quac.networks.value_range import ValueRange
from napari_quac.networks.warp.field import warp

UNIT = ValueRange(0, 1)


class Brightness(nn.Module):
    """Calls an image the second class the brighter it is: p = mean."""

    def forward(self, images: Tensor) -> Tensor:
        mean = images.flatten(1).mean(1).clamp(1e-4, 1 - 1e-4)
        return torch.stack([torch.zeros_like(mean), mean.logit()], dim=1)


@dataclass
class FlatBins:
    """Paints the whole image with the centre of the bin: a perfect explainer of brightness."""

    n_bins: int = 5
    channels: int = 1
    multiple: int = 1

    def __call__(self, images: Tensor, bins: Tensor) -> Tensor:
        return torch.zeros_like(images) + ((bins + 0.5) / self.n_bins)[:, None, None, None]


@pytest.fixture
def classifier() -> Classifier:
    return Classifier(
        Brightness().eval(), ("dark", "bright"), 1, (8, 8), PRESETS["unit"], name="brightness"
    )


def binned(classifier: Classifier, grey: float, target: int) -> tuple[Pair, ExaggerationGenerator]:
    layout = BinLayout("bright", value_range=UNIT)
    generator = ExaggerationGenerator(FlatBins(), layout, "flat", torch.device("cpu"))
    query = Sample("q", torch.full((1, 8, 8), grey))
    settings = SearchSettings(max_tries=5, block=5)
    return search(query, target, classifier, generator, settings).result(), generator


@pytest.mark.parametrize(("grey", "target", "own"), [(0.13, 1, 0), (0.93, 0, 0), (0.31, 1, 1)])
def test_bins_are_their_own_ladder(
    classifier: Classifier, grey: float, target: int, own: int
) -> None:
    pair, generator = binned(classifier, grey, target)
    found = exaggerate(pair, generator, classifier).result()
    centres = np.array([0.1, 0.3, 0.5, 0.7, 0.9])
    assert found.kind == "bins"
    np.testing.assert_allclose(found.desired, centres)
    # towards *dark* the probability of *dark* rises, while the bins of *bright* fall
    np.testing.assert_allclose(found.achieved, centres, atol=1e-5)
    assert found.monotonicity == pytest.approx(1)
    given_back = centres[own] if target == 1 else 1 - centres[own]
    assert found.reconstruction_error == pytest.approx(abs(given_back - grey), abs=1e-5)
    assert found.reconstruction_shift == pytest.approx(abs(given_back - grey), abs=1e-4)
    assert len(found.images) == len(found.ladder) == 5


def test_validity_is_asked_of_sure_queries_only(classifier: Classifier) -> None:
    unsure, sure = (
        exaggerate(*binned(classifier, grey, 1), classifier).result() for grey in (0.31, 0.05)
    )
    assert unsure.is_valid is None
    assert sure.is_valid is True  # 0.05 becomes 0.9


def test_a_simulator_is_followed_along_its_strength(classifier: Classifier) -> None:
    def simulator(images: Tensor, options: Tensor) -> Tensor:
        field = torch.zeros(len(images), 2, 8, 8)
        field[:, 0] = 4  # down by four: zeros come in, the image gets darker
        return field * options[:, :, None, None].abs()

    generator = WarpGenerator(
        simulator, WarpRecipe("w.pt", "dark", value_range=UNIT), "w", torch.device("cpu"), None
    )
    query = Sample("q", torch.full((1, 8, 8), 0.8))
    pair = search(query, 0, classifier, generator, SearchSettings(max_tries=15)).result()
    assert image_path(pair, generator, classifier).kind == "warp"
    found = exaggerate(pair, generator, classifier, n_grid=5).result()
    torch.testing.assert_close(found.images[4], pair.generated)
    strength = pair.origin["strength"]
    half = torch.zeros(1, 2, 8, 8)
    half[:, 0] = 4 * strength / 2
    torch.testing.assert_close(found.images[2], warp(query.image[None], half)[0])
    assert found.monotonicity == pytest.approx(1)
    assert not found.off_manifold.any()


def test_a_generator_that_fails_for_a_path_raises_a_sentence(classifier: Classifier) -> None:
    pair, generator = binned(classifier, 0.13, 1)

    def fail(*_: object) -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    generator.path = fail  # type: ignore[method-assign]
    with pytest.raises(NetworkError, match=r"The generator .*mat1 and mat2"):
        image_path(pair, generator, classifier)
