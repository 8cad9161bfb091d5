"""Pictures for the gallery, from this session's samples and from explanations in a folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from napari_quac.data.dataset import Sample
from napari_quac.errors import DataError
from napari_quac.live.open_report import open_explanations
from napari_quac.live.thumbnails import Thumbnails, ThumbnailSource, picture, read_thumbnails
from napari_quac.notebook import explain_folder
from napari_quac.testing import CornerSamples, corner_classifier, corner_generator


def read(source: ThumbnailSource, *indices: int) -> list[Thumbnails]:
    return [step.partial for step in read_thumbnails(indices, source)]


@pytest.mark.parametrize("shape", [(1, 300, 200), (3, 97, 400), (2, 5, 1), (1, 4, 250, 250)])
def test_pictures_are_small_and_keep_the_mean(shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(0).random(shape, dtype=np.float32)
    pixels = picture(image, side=96)
    assert max(pixels.shape[:2]) <= 96 and min(pixels.shape[:2]) >= 1
    assert pixels.ndim == (3 if shape[0] == 3 else 2)
    assert abs(pixels.mean() / 255 - image.mean()) < 0.1


def test_pictures_of_explanations_in_a_folder(tmp_path: Path) -> None:
    dataset = CornerSamples(n=3)
    networks = corner_classifier(), corner_generator()
    explain_folder(dataset, *networks, tmp_path / "out", methods=("residual", "random"))
    report = open_explanations(tmp_path / "out")
    source = ThumbnailSource(dataset, np.array([True, True, False]), "residual", report=report)
    first, _, last = read(source, 0, 1, 2)
    assert len(first.pictures) == 3 and len(last.pictures) == 1
    entry = next(e for e in report.by_sample[dataset.sample_id(0)] if e.method == "residual")
    mask = entry.array("mask")[0]
    np.testing.assert_allclose(first.pictures[2] / 255, mask, atol=1 / 255)
    (other,) = read(replace(source, method="d-ig"), 0)  # which is not in the folder
    assert len(other.pictures) == 3


class Unreadable(CornerSamples):
    """Samples of which one cannot be read."""

    def __getitem__(self, index: int) -> Sample:
        if index == 1:
            raise DataError("The file is damaged.")
        return super().__getitem__(index)


def test_a_sample_that_cannot_be_read_costs_itself_only() -> None:
    source = ThumbnailSource(Unreadable(), np.zeros(9, np.bool_), "residual")
    before, damaged, after = read(source, 0, 1, 2)
    assert damaged.problem == "The file is damaged." and not damaged.pictures
    assert len(before.pictures) == len(after.pictures) == 1


def test_arrays_of_another_size_are_left_out(tmp_path: Path) -> None:
    networks = corner_classifier(), corner_generator()
    explain_folder(CornerSamples(n=1), *networks, tmp_path / "out", methods=("residual",))
    report = open_explanations(tmp_path / "out")
    larger = CornerSamples(n=1, size=48)
    assert torch.is_tensor(larger[0].image)
    source = ThumbnailSource(larger, np.ones(1, np.bool_), "residual", report=report)
    assert len(read(source, 0)[0].pictures) == 1
