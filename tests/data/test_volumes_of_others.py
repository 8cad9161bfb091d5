"""Volumes as ImageJ, OME, BigDataViewer and converters write them: voxels, and which image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr

from napari_quac.data.place import Transform
from napari_quac.data.volume import Volume
from napari_quac.data.volume_file import open_volume
from napari_quac.errors import DataError, SeveralArraysError

from .volumes import WITH_ENDS, write_n5, write_ome_zarr

SIZE = {"PhysicalSizeX": 4.6, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 4.6,
        "PhysicalSizeYUnit": "nm", "PhysicalSizeZ": 0.05, "PhysicalSizeZUnit": "µm"}  # fmt: skip


def holds(volume: Volume, expected: np.ndarray = WITH_ENDS) -> bool:
    assert volume.finest.shape == expected.shape
    box = (slice(2, 5), slice(13, 41), slice(7, 61))[-expected.ndim :]
    read = volume.finest.read([s.start for s in box], [s.stop for s in box])
    return bool(np.array_equal(read[0], expected[box]))


@pytest.mark.parametrize(
    ("how", "scale", "unit"),
    [
        ({"imagej": True, "resolution": (1 / 0.0046, 1 / 0.005),
          "metadata": {"axes": "ZYX", "spacing": 0.05, "unit": "micron"}},
         (0.05, 0.005, 0.0046), "µm"),
        ({"imagej": True, "resolution": (1 / 4.6, 1 / 4.6),
          "metadata": {"axes": "ZYX", "spacing": 50.0, "unit": "nm"}}, (50, 4.6, 4.6), "nm"),
        ({"ome": True, "metadata": {"axes": "ZYX", **SIZE}}, (50, 4.6, 4.6), "nm"),
        ({"resolution": (1e7 / 4, 1e7 / 4), "resolutionunit": "CENTIMETER"}, (1, 1, 1), None),
        ({"resolution": (72, 72), "resolutionunit": "INCH"}, (1, 1, 1), None),
    ],
)  # fmt: skip
def test_tags_of_a_tiff_stack(
    tmp_path: Path, how: dict[str, Any], scale: tuple[float, ...], unit: str | None
) -> None:
    tifffile.imwrite(tmp_path / "a.tif", WITH_ENDS, **how)
    volume = open_volume(tmp_path / "a.tif")
    assert holds(volume)
    assert volume.finest.transform.scale == pytest.approx(scale) and volume.unit == unit
    said = open_volume(tmp_path / "a.tif", voxel_size=(40, 4, 4))
    assert (said.finest.transform.scale, said.unit) == ((40, 4, 4), "nm")


def test_plain_resolution_counts_for_one_image_only(tmp_path: Path) -> None:
    for unit, value in (("CENTIMETER", 1e7 / 4), ("INCH", 25.4e6 / 4)):
        tifffile.imwrite(tmp_path / "a.tif", WITH_ENDS[0], resolution=(value, value),
                         resolutionunit=unit)  # fmt: skip
        volume = open_volume(tmp_path / "a.tif")
        assert volume.finest.transform.scale == pytest.approx((4, 4)) and volume.unit == "nm"


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_pages_written_one_by_one_are_one_stack(tmp_path: Path, compression: str | None) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for page in WITH_ENDS:
            file.write(page, contiguous=False, compression=compression)
    assert holds(open_volume(tmp_path / "a.tif"))


@pytest.mark.parametrize("axes", ["CZYX", "ZCYX"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_channel_of_a_tiff_stack(tmp_path: Path, axes: str, compression: str | None) -> None:
    both = np.stack([WITH_ENDS // 2, WITH_ENDS], axis=axes.index("C"))
    tifffile.imwrite(tmp_path / "a.tif", both, metadata={"axes": axes}, compression=compression)
    assert holds(open_volume(tmp_path / "a.tif"), WITH_ENDS // 2)
    volume = open_volume(tmp_path / "a.tif", channel=1)
    assert holds(volume) and volume.n_channels == 2
    with pytest.raises(DataError, match="no channel 2"):
        open_volume(tmp_path / "a.tif", channel=2)


def test_large_tiled_pages_are_read_tile_by_tile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("napari_quac.data.tiff_volume.LARGE_PAGE", 1000)
    tifffile.imwrite(tmp_path / "a.tif", WITH_ENDS, tile=(16, 16), compression="zlib")
    volume = open_volume(tmp_path / "a.tif")
    assert volume.finest.array.chunks == (1, 16, 16) and holds(volume)
    volume.finest.array.store.close()


def test_array_of_an_ome_zarr_keeps_the_place_of_its_level(tmp_path: Path) -> None:
    write_ome_zarr(tmp_path / "em.zarr", WITH_ENDS, "0.5")
    for path, dataset in ((tmp_path / "em.zarr", "1"), (tmp_path / "em.zarr" / "1", "")):
        volume = open_volume(path, dataset)
        assert (volume.finest.transform, volume.unit) == (Transform((40, 8, 8), (0, 2, 2)), "nm")


def test_image_in_a_group_is_found_and_several_are_named(tmp_path: Path) -> None:
    zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=2)
    write_ome_zarr(tmp_path / "a.zarr" / "0", WITH_ENDS, "0.4", channel=True)
    volume = open_volume(tmp_path / "a.zarr")
    assert (len(volume.levels), volume.n_channels) == (2, 2)
    write_ome_zarr(tmp_path / "a.zarr" / "1", WITH_ENDS, "0.4")
    with pytest.raises(SeveralArraysError, match="holds 2 images") as caught:
        open_volume(tmp_path / "a.zarr")
    assert caught.value.names == ("0", "1")
    assert holds(open_volume(tmp_path / "a.zarr", "1"))


def test_order_of_axes_that_is_turned_round_is_refused(tmp_path: Path) -> None:
    write_ome_zarr(tmp_path / "a.zarr", WITH_ENDS, "0.4")
    group = zarr.open_group(tmp_path / "a.zarr", mode="a")
    images: Any = group.attrs["multiscales"]
    for axis, name in zip(images[0]["axes"], "xyz", strict=True):
        axis["name"] = name
    group.attrs["multiscales"] = images
    with pytest.raises(DataError, match="order x, y, z, but OME-Zarr requires z, y, x"):
        open_volume(tmp_path / "a.zarr")
    np.save(tmp_path / "last.npy", np.zeros((20, 9, 9, 3)))
    with pytest.raises(DataError, match="apparently with the channels last"):
        open_volume(tmp_path / "last.npy")


def test_levels_of_an_n5_are_one_image(tmp_path: Path) -> None:
    for number, step in enumerate((1, 2)):
        write_n5(tmp_path / "a.n5" / "setup0" / "timepoint0" / f"s{number}",
                 WITH_ENDS[:, ::step, ::step], (9, 50, 61), pixelResolution=[4, 4, 40])  # fmt: skip
    volume = open_volume(tmp_path / "a.n5")
    assert holds(volume) and len(volume.levels) == 2
    assert volume.finest.transform.scale == (40, 4, 4)


def test_path_may_go_on_inside_of_a_file(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["volumes/raw"], file["labels"] = WITH_ENDS, WITH_ENDS
        file["volumes"].attrs["resolution"] = (40.0, 4.0, 4.0)
    volume = open_volume(tmp_path / "a.h5" / "volumes" / "raw")
    assert holds(volume) and volume.finest.transform.scale == (40, 4, 4)
    volume.finest.array.file.close()
    with pytest.raises(SeveralArraysError) as caught:
        open_volume(tmp_path / "a.h5")
    assert caught.value.names == ("labels", "volumes/raw")
    with pytest.raises(DataError, match="does not exist"):
        open_volume(tmp_path / "b.h5" / "raw")


def test_npy_that_holds_no_numbers_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(b"junk")
    with pytest.raises(DataError, match="cannot be read as npy"):
        open_volume(tmp_path / "a.npy")
