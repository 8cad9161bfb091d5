from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from napari_quac.data.dataset import Sample
from napari_quac.data.preprocessed import PreprocessedDataset
from napari_quac.data.preprocessing import Preprocessing
from napari_quac.data.suggestions import suggest_preprocessing
from napari_quac.errors import ShapeError
from napari_quac.testing import CornerSamples

COLORED = Sample("colored", torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(0)))


def labels(suggestions: tuple[tuple[str, Preprocessing], ...]) -> list[str]:
    return [label for label, _ in suggestions]


def test_suggestions_make_the_shape_fit() -> None:
    assert labels(suggest_preprocessing((3, 200, 180), 1, (128, 128))) == [
        "Average channels of the samples", "Use luminance of the samples",
        "Use channel 1 of the samples",
        "Use channel 2 of the samples", "Use channel 3 of the samples"]  # fmt: skip
    assert labels(suggest_preprocessing((1, 200, 180), 1, (128, 128))) == [
        "Resize samples to 128 px", "Resize shorter side of the samples to 128 px, crop center",
        "Crop samples to central 128 px"]  # fmt: skip
    assert labels(suggest_preprocessing((1, 100, 180), 1, (128, 128))) == [
        "Resize samples to 128 px",
        "Resize shorter side of the samples to 128 px, crop center"]  # fmt: skip
    assert labels(suggest_preprocessing((1, 8, 8), 3, None)) == [
        "Repeat channel 3 times of the samples"
    ]
    assert suggest_preprocessing((2, 8, 8), 3, None) == ()
    assert suggest_preprocessing((1, 8, 8, 8), 1, (8, 8)) == ()
    assert suggest_preprocessing((1, 8, 8), 1, (8, 8)) == ()


@pytest.mark.parametrize(
    ("shape", "channels", "size"),
    [((3, 20, 18), 1, (16, 16)), ((1, 8, 9), 1, (16, 16)), ((1, 32, 32), 3, (16, 16)),
     ((2, 9, 20, 20), 1, (9, 16, 16)), ((1, 8, 8, 8), 1, (4, 4, 4))],
)  # fmt: skip
def test_every_suggestion_leads_to_the_shape_of_the_network(
    shape: tuple[int, ...], channels: int, size: tuple[int, ...]
) -> None:
    open_ends = [Sample("a", torch.rand(shape))]
    finished = 0
    while open_ends:
        sample = open_ends.pop()
        suggestions = suggest_preprocessing(sample.image.shape, channels, size)
        if not suggestions:
            assert tuple(sample.image.shape) == (channels, *size)
            assert sample.image.min() >= 0 and sample.image.max() <= 1
            finished += 1
        open_ends += [preprocessing.apply(sample) for _, preprocessing in suggestions]
    assert finished


def test_channels_are_picked_averaged_or_repeated() -> None:
    assert torch.equal(Preprocessing(1).apply(COLORED).image, COLORED.image[1:2])
    assert torch.equal(Preprocessing("average").apply(COLORED).image[0], COLORED.image.mean(0))
    repeated = Preprocessing("repeat").apply(Preprocessing(1).apply(COLORED)).image
    assert torch.equal(repeated, COLORED.image[1:2].expand(3, 8, 8))
    with pytest.raises(ShapeError, match="no channel 4"):
        Preprocessing(3).apply(COLORED)


def test_crop_keeps_pixels_and_their_place_in_the_world() -> None:
    sample = replace(COLORED, scale=(4.0, 2.0), translate=(100.0, 0.0), unit="nm")
    cropped = Preprocessing(crop=(4, 6)).apply(sample)
    assert torch.equal(cropped.image, COLORED.image[:, 2:6, 1:7])
    assert cropped.translate == (108.0, 2.0) and cropped.scale == (4.0, 2.0)
    with pytest.raises(ShapeError, match="too few"):
        Preprocessing(crop=(9, 4)).apply(sample)


def test_resize_averages_and_keeps_the_edges_in_the_world() -> None:
    sample = replace(COLORED, scale=(4.0, 4.0), translate=(10.0, 10.0))
    small = Preprocessing(resize=(4, 4)).apply(sample)
    assert small.scale == (8.0, 8.0)
    # the center of the first pixel moves so that its edge stays at 10 - 4 / 2
    assert small.translate == (12.0, 12.0)
    assert abs(float(small.image.mean() - sample.image.mean())) < 0.02
    again = Preprocessing(resize=(8, 8)).apply(small)
    assert again.scale == (4.0, 4.0) and again.translate == (10.0, 10.0)


def test_dataset_says_in_its_name_how_it_was_changed() -> None:
    samples = CornerSamples(size=32)
    dataset = PreprocessedDataset(samples, Preprocessing(resize=(16, 16)))
    assert dataset.name == "corner images, resized to 16 × 16 px"
    assert len(dataset) == len(samples) and dataset.classes == samples.classes
    assert dataset[3].id == dataset.sample_id(3) == samples.sample_id(3)
    assert dataset[3].label == dataset.label(3) == samples.label(3)
    assert dataset[3].image.shape == (1, 16, 16)
    assert (
        str(Preprocessing("average", crop=(8, 8)))
        == "average of channels, cropped to the central 8 × 8 px"
    )


@pytest.mark.parametrize(
    ("preprocessing", "size", "view"),
    [
        (Preprocessing(), (10, 12), ((0, 10), (0, 12))),
        (Preprocessing(crop=6), (10, 12), ((2, 8), (3, 9))),
        (Preprocessing(pad=16), (10, 12), ((-3, 13), (-2, 14))),
        (Preprocessing(crop=16), (10, 12), ((-3, 13), (-2, 14))),
        (Preprocessing(pad=16, crop=4), (10, 12), ((3, 7), (4, 8))),
        (Preprocessing(resize=(20, 24)), (10, 12), ((0, 10), (0, 12))),
        (Preprocessing(resize=256, crop=224), (128, 128), ((8, 120), (8, 120))),
        (Preprocessing(crop=(4, 6, 8)), (8, 10, 12), ((2, 6), (2, 8), (2, 10))),
    ],
)
def test_field_of_view_is_what_reaches_the_network(
    preprocessing: Preprocessing, size: tuple[int, ...], view: tuple[tuple[float, float], ...]
) -> None:
    field = preprocessing.field_of_view(size)
    assert field == view
    if preprocessing.resize is not None:
        return
    for axis, (start, stop) in enumerate(field):
        shape = [1, 1, *(1,) * len(size)]
        shape[2 + axis] = size[axis]
        ramp = torch.arange(1.0, size[axis] + 1).view(shape).expand(1, 1, *size) / 100
        seen = 100 * preprocessing.to_network(ramp)
        inside = seen[seen > 0]
        assert float(inside.min()) == pytest.approx(max(start, 0) + 1, abs=1e-4)
        assert float(inside.max()) == pytest.approx(min(stop, size[axis]), abs=1e-4)
        assert seen.shape[2 + axis] == stop - start
