"""Programs of two inputs: what they are shows in what they return, TorchScript and .pt2 alike."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from napari_quac.commands.shared import with_settings
from napari_quac.errors import CheckpointError, UnknownNameError
from napari_quac.generators.cyclegan.recipe import CycleGANRecipe
from napari_quac.generators.exaggeration.generator import ExaggerationGenerator
from napari_quac.generators.opening import inspect_network, recognize_generator, recognize_network
from napari_quac.generators.program.recipe import ProgramRecipe
from napari_quac.generators.warp.generator import WarpGenerator
from napari_quac.generators.warp.recipe import WarpRecipe
from napari_quac.networks.generator import ConversionRequest
from napari_quac.networks.warp.field import warp
from napari_quac.testing import check_generator
from napari_quac.testing.corners import corner_classifier, corner_image

Save = Callable[[nn.Module, tuple[Tensor, ...], str], Path]


class Push(nn.Module):
    """A field of 2 pixels down, or up; x first if it is said to be so."""

    def forward(self, image: Tensor, option: Tensor) -> Tensor:
        down = 2 * option[:, :, None, None] * torch.ones_like(image[:, :1])
        return torch.cat([down, torch.zeros_like(down)], dim=1)


class Binned(nn.Module):
    """Adds what a table says of the bin, and returns a code beside the image."""

    def __init__(self, n_bins: int) -> None:
        super().__init__()
        self.table = nn.Embedding(n_bins, 1)
        self.table.weight.data = torch.linspace(-0.5, 0.5, n_bins)[:, None]

    def forward(self, image: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
        return image + self.table(index)[:, :, None, None], image.flatten(1)


class Darker(nn.Module):
    def forward(self, image: Tensor) -> Tensor:
        return image * 0.5 - 0.5


@pytest.fixture(params=["torchscript", "pt2"])
def save(tmp_path: Path, request: pytest.FixtureRequest) -> Save:
    def saved(module: nn.Module, inputs: tuple[Tensor, ...], name: str) -> Path:
        module.eval()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if request.param == "torchscript":
                path = tmp_path / f"{name}.pt"
                torch.jit.trace(module, inputs, check_trace=False).save(str(path))
            else:
                path = tmp_path / f"{name}.pt2"
                torch.export.save(torch.export.export(module, inputs), path)
        return path

    return saved


@pytest.fixture
def request_() -> ConversionRequest:
    return ConversionRequest(corner_image(0), 0, 1, corner_classifier(), 3)


def test_a_field_makes_a_simulator(save: Save, request_: ConversionRequest) -> None:
    path = save(Push(), (torch.rand(1, 1, 32, 32), torch.ones(1, 1)), "push")
    found = recognize_network(path)
    assert found.recipe == ProgramRecipe(path)
    assert found.is_program
    generator = found.recipe.load("cpu")
    proposals = generator.propose(request_, 0, 15)
    assert isinstance(generator.inner, WarpGenerator)
    field = torch.zeros(1, 2, 32, 32)
    field[:, 0] = 2
    expected = warp(request_.query[None], field)[0]
    torch.testing.assert_close(proposals.images[9], expected)
    straight = WarpRecipe(path).load("cpu").propose(request_, 0, 15)
    assert torch.equal(straight.images, proposals.images)


def test_axes_and_unit_are_what_the_settings_say(save: Save, request_: ConversionRequest) -> None:
    path = save(Push(), (torch.rand(1, 1, 32, 32), torch.ones(1, 1)), "push")
    recipe = with_settings(
        ProgramRecipe(path), ["order=reversed", "unit=normalised", "positive=left"]
    )
    generator = recipe.load("cpu").identify(request_.query)
    assert isinstance(generator, WarpGenerator)
    # x first, a half width for each 1, and the other direction: the source is the positive class
    field = generator.field(request_.query, generator.option(request_))
    assert generator.option(request_) == -1
    torch.testing.assert_close(field[1], torch.full((32, 32), -31.0))
    assert not field[0].any()


def test_images_make_an_explainer_with_as_many_bins_as_it_takes(
    save: Save, request_: ConversionRequest
) -> None:
    path = save(Binned(7), (torch.rand(1, 1, 32, 32), torch.zeros(1, dtype=torch.long)), "binned")
    generator = recognize_network(path).recipe.load("cpu")
    proposals = generator.propose(request_, 0, 100)
    assert isinstance(generator.inner, ExaggerationGenerator)
    assert len(proposals.images) == 7
    steps = torch.linspace(-0.25, 0.25, 7)  # half of it, since the network has a range of 2
    expected = (request_.query[None] + steps[:, None, None, None]).clamp(0, 1)
    torch.testing.assert_close(proposals.images, expected)


def test_images_alone_make_a_translation(save: Save, request_: ConversionRequest) -> None:
    path = save(Darker(), (torch.rand(1, 1, 32, 32),), "darker")
    for recipe in (
        recognize_generator([f"left:right={path}"]).recipe,
        recognize_network(Path(f"left:right={path}")).recipe,
    ):
        assert isinstance(recipe, CycleGANRecipe)
        if path.suffix == ".pt2":  # made for 32 pixels, which it says
            assert recipe.load("cpu").pairs == ["left → right"]
        made = recipe.load("cpu").propose(request_, 0, 1).images[0]
        torch.testing.assert_close(made, request_.query / 2)
    assert recognize_network(path, role="generator").is_program
    assert inspect_network(path).role == "generator"


def test_a_classifier_is_no_translation(save: Save) -> None:
    network = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1, 3))
    path = save(network, (torch.rand(1, 1, 32, 32),), "classifier")
    with pytest.raises(CheckpointError, match="it is a classifier"):
        recognize_generator([f"left:right={path}"]).recipe.load("cpu")


def test_a_program_that_returns_something_else_is_refused(
    save: Save, request_: ConversionRequest
) -> None:
    class Sum(nn.Module):
        def forward(self, image: Tensor, option: Tensor) -> Tensor:
            return image.sum() + option

    path = save(Sum(), (torch.rand(1, 1, 32, 32), torch.ones(1, 1)), "sum")
    with pytest.raises(CheckpointError, match="neither a warping simulator nor"):
        recognize_network(path).recipe.load("cpu").propose(request_, 0, 1)


def test_programs_answer_like_our_own_generators(save: Save) -> None:
    path = save(Push(), (torch.rand(1, 1, 32, 32), torch.ones(1, 1)), "push")
    check_generator(ProgramRecipe(path))


def test_unknown_settings_are_named() -> None:
    with pytest.raises(UnknownNameError, match="'positive'"):
        with_settings(ProgramRecipe(Path("a.pt")), ["positiv=left"])
