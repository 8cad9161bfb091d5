"""Each infill on images where its values are known."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from napari_quac.errors import CheckpointError, DataError, ShapeError, UnknownNameError
from napari_quac.networks.fido.settings import InfillChoice, make_infill


def filled(choice: InfillChoice, query: Tensor, kept: Tensor, **more: Tensor) -> Tensor:
    random = torch.Generator().manual_seed(0)
    image = make_infill(choice, query, **more)(kept, random)
    assert image.shape[1:] == query.shape
    assert float(image.min()) >= 0
    assert float(image.max()) <= 1
    return image


def test_mean_is_that_of_each_channel_unless_a_level_is_given() -> None:
    query = torch.stack([torch.full((4, 5), 0.25), torch.full((4, 5), 0.75)])
    kept = torch.ones(3, 1, 4, 5)
    assert filled(InfillChoice("mean"), query, kept)[0, :, 0, 0].tolist() == [0.25, 0.75]
    assert filled(InfillChoice("mean", level=0.5), query, kept).unique().tolist() == [0.5]


def test_blur_keeps_the_mean_and_removes_detail() -> None:
    query = (torch.rand(1, 64, 64, generator=torch.Generator().manual_seed(1)) > 0.5).float()
    blurred = filled(InfillChoice("blur"), query, torch.ones(1, 1, 64, 64))
    assert float(blurred.mean()) == pytest.approx(float(query.mean()), abs=0.02)
    assert float(blurred.std()) < 0.1


def test_random_has_one_colour_per_draw_and_noise() -> None:
    images = filled(InfillChoice("random"), torch.zeros(1, 32, 32), torch.ones(5, 1, 32, 32))
    assert len({round(float(m), 3) for m in images.mean(dim=(1, 2, 3))}) == 5


def test_local_is_the_mean_of_what_is_kept_nearby() -> None:
    query = torch.zeros(1, 40, 40)
    query[..., 20:] = 1
    kept = torch.ones(1, 1, 40, 40)
    kept[..., 30:] = 0
    kept[..., :14] = 0
    image = filled(InfillChoice("local", level=0.3), query, kept)[0, 0]
    assert float(image[20, 32]) == 1  # only kept ones of the right half in its window
    assert float(image[0, 8]) == 0
    assert float(image[20, 39]) == pytest.approx(0.3)  # nothing kept within reach
    assert float(image[5, 20]) == pytest.approx(8 / 14, abs=1e-5)


@pytest.mark.parametrize("shape", [(1, 6, 20, 20), (3, 1, 9, 9)])
@pytest.mark.parametrize("name", ["mean", "blur", "random", "local"])
def test_volumes_are_infilled_too(shape: tuple[int, ...], name: str) -> None:
    query = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    filled(InfillChoice(name), query, torch.ones(2, 1, *shape[1:]))


def test_generated_image_is_taken_as_it_is_and_has_to_fit() -> None:
    query, generated = torch.zeros(1, 8, 8), torch.rand(1, 8, 8)
    image = filled(InfillChoice("generated"), query, torch.ones(1, 1, 8, 8), generated=generated)
    assert torch.equal(image[0], generated)
    with pytest.raises(DataError, match="needs a generated image"):
        make_infill(InfillChoice("generated"), query)
    with pytest.raises(ShapeError, match=r"\(1, 9, 9\).*\(1, 8, 8\)"):
        make_infill(InfillChoice("generated"), query, torch.zeros(1, 9, 9))


class Half(nn.Module):
    def forward(self, images: Tensor, kept: Tensor) -> Tensor:
        return images + 0.5 * (1 - kept)


class OfImageOnly(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images


def saved(network: nn.Module, path: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(network).save(str(path))
    return path


def test_own_inpainter_gets_the_kept_pixels_and_the_mask(tmp_path: Path) -> None:
    path = saved(Half(), tmp_path / "half.pt")
    query, kept = torch.full((1, 8, 8), 0.2), torch.ones(2, 1, 8, 8)
    kept[0, 0, 0, 0] = 0
    image = filled(InfillChoice("inpainter", inpainter=path), query, kept)
    assert float(image[0, 0, 0, 0]) == 0.5
    assert float(image[1, 0, 0, 0]) == pytest.approx(0.2)


def test_inpainter_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    path = saved(OfImageOnly(), tmp_path / "one.pt")
    with pytest.raises(CheckpointError, match=r"takes 1 input .*2 are needed"):
        make_infill(InfillChoice("inpainter", inpainter=path), torch.zeros(1, 8, 8))
    with pytest.raises(DataError, match=r"needs a TorchScript or \.pt2 file"):
        make_infill(InfillChoice("inpainter"), torch.zeros(1, 8, 8))


def test_unknown_infill_names_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match=r"blurr.*'blur'"):
        make_infill(InfillChoice("blurr"), torch.zeros(1, 8, 8))
