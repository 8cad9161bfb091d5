from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from napari_quac.data.fitted import Fit, FittedDataset, ways_to_fit
from napari_quac.data.sample import Sample
from napari_quac.errors import ShapeError
from napari_quac.testing import CornerSamples

COLOURED = Sample("coloured", torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(0)))


def labels(ways: tuple[tuple[str, Fit], ...]) -> list[str]:
    return [label for label, _ in ways]


def test_ways_out_are_those_that_make_it_fit() -> None:
    assert labels(ways_to_fit((3, 200, 180), 1, (128, 128))) == [
        "Average of channels", "Use channel 1", "Use channel 2", "Use channel 3"]  # fmt: skip
    assert labels(ways_to_fit((1, 200, 180), 1, (128, 128))) == [
        "Resize samples to 128 px", "Crop the centre, 128 px"]  # fmt: skip
    assert labels(ways_to_fit((1, 100, 180), 1, (128, 128))) == ["Resize samples to 128 px"]
    assert labels(ways_to_fit((1, 8, 8), 3, None)) == ["Repeat the channel 3 times"]
    assert ways_to_fit((2, 8, 8), 3, None) == ()
    assert ways_to_fit((1, 8, 8, 8), 1, (8, 8)) == ()
    assert ways_to_fit((1, 8, 8), 1, (8, 8)) == ()


@pytest.mark.parametrize(
    ("found", "channels", "size"),
    [((3, 20, 18), 1, (16, 16)), ((1, 8, 9), 1, (16, 16)), ((1, 32, 32), 3, (16, 16)),
     ((2, 9, 20, 20), 1, (9, 16, 16)), ((1, 8, 8, 8), 1, (4, 4, 4))],
)  # fmt: skip
def test_every_way_leads_to_the_shape_of_the_network(
    found: tuple[int, ...], channels: int, size: tuple[int, ...]
) -> None:
    open_ends = [Sample("a", torch.rand(found))]
    finished = 0
    while open_ends:
        sample = open_ends.pop()
        ways = ways_to_fit(sample.image.shape, channels, size)
        if not ways:
            assert tuple(sample.image.shape) == (channels, *size)
            assert sample.image.min() >= 0 and sample.image.max() <= 1
            finished += 1
        open_ends += [fit.apply(sample) for _, fit in ways]
    assert finished


def test_channels_are_picked_averaged_or_repeated() -> None:
    assert torch.equal(Fit(1).apply(COLOURED).image, COLOURED.image[1:2])
    assert torch.equal(Fit("average").apply(COLOURED).image[0], COLOURED.image.mean(0))
    repeated = Fit("repeat").apply(Fit(1).apply(COLOURED)).image
    assert torch.equal(repeated, COLOURED.image[1:2].expand(3, 8, 8))
    with pytest.raises(ShapeError, match="no channel 4"):
        Fit(3).apply(COLOURED)


def test_crop_keeps_pixels_and_their_place_in_the_world() -> None:
    sample = replace(COLOURED, scale=(4.0, 2.0), translate=(100.0, 0.0), unit="nm")
    cropped = Fit(size=(4, 6), how="crop").apply(sample)
    assert torch.equal(cropped.image, COLOURED.image[:, 2:6, 1:7])
    assert cropped.translate == (108.0, 2.0) and cropped.scale == (4.0, 2.0)
    with pytest.raises(ShapeError, match="too few"):
        Fit(size=(9, 4), how="crop").apply(sample)


def test_resize_averages_and_keeps_the_edges_in_the_world() -> None:
    sample = replace(COLOURED, scale=(4.0, 4.0), translate=(10.0, 10.0))
    small = Fit(size=(4, 4)).apply(sample)
    assert small.scale == (8.0, 8.0)
    # the centre of the first pixel moves so that its edge stays at 10 - 4 / 2
    assert small.translate == (12.0, 12.0)
    assert abs(float(small.image.mean() - sample.image.mean())) < 0.02
    again = Fit(size=(8, 8)).apply(small)
    assert again.scale == (4.0, 4.0) and again.translate == (10.0, 10.0)


def test_dataset_says_in_its_name_how_it_was_changed() -> None:
    samples = CornerSamples(size=32)
    dataset = FittedDataset(samples, Fit(size=(16, 16)))
    assert dataset.name == "corner images, resized to 16 × 16 px"
    assert len(dataset) == len(samples) and dataset.classes == samples.classes
    assert dataset[3].id == dataset.sample_id(3) == samples.sample_id(3)
    assert dataset[3].label == dataset.label(3) == samples.label(3)
    assert dataset[3].image.shape == (1, 16, 16)
    assert str(Fit("average", (8, 8), "crop")) == "average of channels, centre of 8 × 8 px"
