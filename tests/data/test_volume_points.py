from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from napari_quac.data.coordinate_reading import Reading
from napari_quac.data.dataset import Dataset
from napari_quac.data.place import Transform
from napari_quac.data.volume import Level, Volume
from napari_quac.data.volume_points import VolumePoints
from napari_quac.data.volume_points_recipe import VolumePointsRecipe
from napari_quac.errors import DataError, ShapeError
from shared_data import shared_data
from strategies import quick

from .volumes import volume_from_array

EM = np.random.default_rng(0).integers(0, 255, (20, 60, 70), dtype=np.uint8)
CENTERS = np.array([[4, 30, 30], [10, 2, 40], [10, 30, 300], [0, 0, 0]], float)


def points(size: tuple[int, ...] = (1, 16, 16), **more: Any) -> VolumePoints:
    volume = volume_from_array(EM, (40, 4, 4), unit="nm", name="em")
    return VolumePoints(volume, CENTERS * (40, 4, 4), size, **more)


def test_samples_are_the_patches_with_their_place() -> None:
    dataset: Dataset = points(labels=[0, 1, 1, None], classes=("a", "b"), ids=list("klmn"))
    assert isinstance(dataset, Dataset)
    assert [dataset.sample_id(i) for i in range(3)] == ["k", "l", "n"], "m lies outside"
    assert [dataset.label(i) for i in range(3)] == [0, 1, None]
    sample = dataset[0]
    assert sample.image.shape == (1, 16, 16) and sample.image.dtype == torch.float32
    expected = EM[4, 22:38, 22:38].astype(np.float32) / np.float32(255)
    np.testing.assert_array_equal(sample.image[0].numpy(), expected)
    assert (sample.scale, sample.translate, sample.unit) == ((4, 4), (88, 88), "nm")
    assert sample.place is not None
    assert (sample.place.offset, sample.place.size) == ((4, 22, 22), (1, 16, 16))
    assert sample.place.spread_out(sample.image[0].numpy()).shape == (1, 16, 16)


def test_points_outside_are_counted_and_keep_their_rows() -> None:
    dataset = points()
    assert (len(dataset), dataset.n_outside, dataset.rows.tolist()) == (3, 1, [0, 1, 3])
    assert [dataset.index_of(row) for row in range(5)] == [0, 1, None, 2, None]
    assert dataset.center_world(2) == (0, 0, 0)


def test_three_dimensional_patches_of_even_and_odd_size() -> None:
    image = points((4, 15, 16))[0].image
    assert image.shape == (1, 4, 15, 16)
    np.testing.assert_array_equal(image[0].numpy(), EM[2:6, 23:38, 22:38] / np.float32(255))


def test_outside_is_filled_up_with_0_before_scaling_or_skipped() -> None:
    padded = points()[1].image[0].numpy()
    assert not padded[:6].any() and padded[6:].any()
    assert points(value_range=(100.0, 400.0), size=(1, 2, 2)) is not None
    lowest = points(value_range=(-255.0, 255.0))[1].image[0].numpy()
    np.testing.assert_allclose(lowest[:6], 0.5)
    skipped = points(outside="skip")
    assert (len(skipped), skipped.n_skipped, skipped.rows.tolist()) == (1, 2, [0])
    with pytest.raises(DataError, match="but all their patches of 20 × 60 × 70"):
        points((20, 60, 70), outside="skip")


def test_values_outside_of_an_explicit_range_are_an_error() -> None:
    with pytest.raises(DataError, match="expected 0 to 10"):
        points(value_range=(0.0, 10.0))[0]


def test_no_point_inside_is_refused() -> None:
    volume = volume_from_array(EM, (40, 4, 4), unit="nm", name="em")
    with pytest.raises(DataError, match=r"0 of 4 inside of 'em' \(20 × 60 × 70 voxels\)"):
        VolumePoints(volume, CENTERS * 1000 + 1e5, (1, 16, 16))


@pytest.mark.parametrize(
    ("centers", "size", "sentence"),
    [
        (CENTERS[:, 1:], (1, 16, 16), "2 coordinates each"),
        (CENTERS, (16, 16), "does not fit"),
        (CENTERS, (1, 0, 16), "at least 1"),
        (np.full((2, 3), np.nan), (1, 16, 16), "not finite"),
        (np.empty((0, 3)), (1, 16, 16), "no points"),
    ],
)
def test_wrong_points_and_sizes(centers: Any, size: tuple[int, ...], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        VolumePoints(volume_from_array(EM, name="em"), centers, size)
    assert issubclass(ShapeError, DataError)


def test_mirrored_axis_keeps_the_array_as_it_is_stored() -> None:
    volume = volume_from_array(EM, (40, -4, 4), (0, 236, 0), "nm", "em")
    dataset = VolumePoints(volume, volume.finest.transform.to_world([[4, 30, 30]]), (1, 16, 16))
    np.testing.assert_array_equal(dataset[0].image[0].numpy(),
                                  EM[4, 22:38, 22:38] / np.float32(255))  # fmt: skip
    assert dataset[0].scale == (4, 4)
    assert dataset[0].place.transform.scale == (40, -4, 4)  # type: ignore[union-attr]


def pyramid() -> Volume:
    coarse = EM.reshape(20, 30, 2, 35, 2).mean(axis=(2, 4)).astype(np.uint8)
    return Volume((Level(EM, Transform((40, 4, 4), (0, 0, 0))),
                   Level(coarse, Transform((40, 8, 8), (0, 2, 2)))), "em", "nm")  # fmt: skip


def test_level_follows_the_voxel_size_of_the_network() -> None:
    fine = VolumePoints(pyramid(), CENTERS[:1] * (40, 4, 4), (1, 8, 8), voxel_size=(4.2, 4.2))
    coarse = VolumePoints(pyramid(), CENTERS[:1] * (40, 4, 4), (1, 8, 8), voxel_size=(8, 8))
    assert fine[0].scale == (4, 4) and coarse[0].scale == (8, 8)
    assert "were 4 × 4" not in fine.size_mismatch()
    assert fine.size_mismatch().startswith(
        "The voxels have 4 × 4 nm, but the network was trained with"
    )
    assert coarse.size_mismatch() == ""
    middles = [d[0].place.transform.to_world((0, 4, 4)) for d in (fine, coarse)]
    np.testing.assert_allclose(middles[0], middles[1], atol=4)


def test_resampling_only_when_asked_for_and_its_place_is_true() -> None:
    ramp = np.broadcast_to(np.arange(200, dtype=np.uint8), (5, 200, 200))
    volume = volume_from_array(ramp, (40, 4, 4), unit="nm", name="ramp")
    dataset = VolumePoints(volume, [[80, 400, 400]], (1, 32, 32), voxel_size=(2, 2), resample=True)
    sample = dataset[0]
    assert sample.scale == (2, 2) and dataset.size_mismatch() == ""
    place = sample.place
    assert place is not None
    for column in (0, 5, 31):
        x_world = place.transform.to_world((0, 0, column))[2]
        assert float(sample.image[0, 3, column]) * 255 == pytest.approx(x_world / 4, abs=1e-4)
    assert place.transform.to_world((0, 16, 16)).tolist() == [80, 400, 400]


def test_some_of_the_samples_keep_their_rows() -> None:
    part = points().take([2, 0])
    assert [part.sample_id(i) for i in range(2)] == ["point 3", "point 0"]
    assert part.index_of(3) == 0 and part.index_of(1) is None


def test_names_that_occur_twice_are_told_apart() -> None:
    dataset = points(ids=["7", "7", "x", "7 #2"])
    assert [dataset.sample_id(i) for i in range(3)] == ["7", "7 #3", "7 #2"]
    assert points(ids=["", "a", "b", ""]).sample_id(2) == "point 3"


turns = st.floats(-np.pi, np.pi)


@given(
    scale=st.tuples(*[st.floats(0.5, 50) | st.floats(-50, -0.5)] * 3),
    turn=st.tuples(turns, turns, turns),
    shift=st.tuples(*[st.floats(-1e4, 1e4)] * 3),
    voxel=st.tuples(st.floats(0, 19), st.floats(0, 59), st.floats(0, 69)),
    size=st.tuples(st.integers(1, 5), st.integers(1, 17), st.integers(1, 17)),
    order=st.sampled_from(["z-y-x", "x-y-z"]),
    unit=st.sampled_from(["voxel", "nm", "µm"]),
)
@quick
def test_world_position_of_a_patch_is_that_of_its_point(
    scale: Any, turn: Any, shift: Any, voxel: Any, size: Any, order: Any, unit: Any
) -> None:
    a, b, c = turn
    rotation = (
        np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
        @ np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
        @ np.array([[np.cos(c), 0, np.sin(c)], [0, 1, 0], [-np.sin(c), 0, np.cos(c)]])
    )
    transform = Transform(scale, shift, tuple(map(tuple, rotation.tolist())))
    volume = Volume((Level(EM, transform),), "em", "nm")
    world = transform.to_world(voxel)
    written = {"voxel": np.array(voxel), "nm": world, "µm": world / 1000}[unit]
    written = written if order == "z-y-x" else written[::-1]
    read = Reading(order, unit).to_world(written[None], volume)
    np.testing.assert_allclose(read[0], world, rtol=1e-9, atol=1e-6)
    place = VolumePoints(volume, read, size)[0].place
    assert place is not None
    middle = place.transform.to_world([n // 2 for n in size])
    assert np.abs(transform.to_voxel(middle) - voxel).max() <= 0.5 + 1e-5
    np.testing.assert_allclose(place.center_world, world, rtol=1e-9, atol=1e-6)


@pytest.mark.parametrize("name", ["synapses", "mitochondria"])
def test_real_patches_equal_those_cut_by_hand_bit_for_bit(name: str) -> None:
    folder = shared_data("vnc_volume")
    stack = folder / "stack1_sections00-13.tif"
    dataset = VolumePointsRecipe(
        stack, folder / f"{name}.csv", volume_voxel_size=(50, 4.6, 4.6)
    ).load()
    import tifffile

    sections = tifffile.imread(stack)
    with (folder / f"{name}.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(dataset) == len(rows) > 100
    for index in range(0, len(rows), 7):
        z, y, x = (int(rows[index][axis]) for axis in "zyx")
        patch = np.pad(sections[z], 64)[y : y + 128, x : x + 128]
        np.testing.assert_array_equal(
            dataset[index].image[0].numpy(), patch.astype(np.float32) / np.float32(255)
        )


def test_recipe_without_columns_to_guess_asks(tmp_path: Path) -> None:
    np.save(tmp_path / "em.npy", EM)
    (tmp_path / "p.csv").write_text("a;b;c;name\n4;30;30;k\n")
    recipe = VolumePointsRecipe(tmp_path / "em.npy", tmp_path / "p.csv", size=(1, 8, 8))
    with pytest.raises(DataError, match="coordinates of 'p' cannot be recognized"):
        recipe.load()
    named = VolumePointsRecipe(tmp_path / "em.npy", tmp_path / "p.csv", (1, 8, 8),
                               columns=("a", "b", "c"), label_column="name")  # fmt: skip
    dataset = named.load()
    assert dataset.classes == ("k",)
    np.testing.assert_array_equal(dataset[0].image[0], EM[4, 26:34, 26:34] / np.float32(255))
