"""Voxel size, axes and fields of volumes as the tools of the field write them."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

from napari_quac.data.volume import Volume
from napari_quac.data.volume_file import open_volume
from napari_quac.data.volume_metadata import ASSUMED_NM, FIRST_TIME, NO_VOXEL_SIZE
from napari_quac.data.volume_points import VolumePoints
from napari_quac.errors import DataError, SeveralArraysError

from .volumes import write_n5, write_ome_zarr

DATA = np.random.default_rng(0).integers(0, 256, (6, 40, 50), np.uint8)
NM = {"units": ["nm", "nm", "nm"], "axis_names": ["z", "y", "x"]}


def place(volume: Volume) -> tuple[tuple[float, ...], tuple[float, ...], str | None]:
    return volume.finest.transform.scale, volume.finest.transform.translate, volume.unit


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("key", ["voxel_size", "resolution"])
@pytest.mark.parametrize("on", ["array", "group", "root", "nested"])
def test_funlib_in_zarr(tmp_path: Path, zarr_format: Any, key: str, on: str) -> None:
    path = tmp_path / "a.zarr"
    root = zarr.open_group(path, mode="w", zarr_format=zarr_format)
    group = root.create_group("volumes")
    array = group.create_array("raw", data=DATA, chunks=(6, 16, 16))
    attributes = {key: [40, 4, 4], "offset": [400, 40, 40], **NM}
    node = {"array": array, "group": group, "root": root, "nested": array}[on]
    node.attrs.update({"metadata": attributes} if on == "nested" else attributes)
    volume = open_volume(path / "volumes" / "raw")
    assert place(volume) == ((40, 4, 4), (400, 40, 40), "nm")
    assert volume.assumptions == ()


def test_funlib_without_units_is_read_in_nm_and_stated(tmp_path: Path) -> None:
    array = zarr.create_array(tmp_path / "a.zarr", data=DATA, zarr_format=2)
    array.attrs.update({"voxel_size": [40, 4, 4], "offset": [0, 0, 0], "units": ["", "", ""]})
    volume = open_volume(tmp_path / "a.zarr")
    assert place(volume) == ((40, 4, 4), (0, 0, 0), "nm")
    assert volume.assumptions == (ASSUMED_NM,)


def test_voxel_sizes_of_one_by_default_are_unknown(tmp_path: Path) -> None:
    array = zarr.create_array(tmp_path / "a.zarr", data=DATA, zarr_format=2)
    array.attrs.update({"voxel_size": [1, 1, 1], "offset": [0, 0, 0], "units": ["", "", ""]})
    volume = open_volume(tmp_path / "a.zarr")
    assert volume.unit is None
    assert volume.assumptions == (NO_VOXEL_SIZE,)
    assert open_volume(tmp_path / "a.zarr", voxel_size=(40, 4, 4)).assumptions == ()


@pytest.mark.parametrize(
    "attributes",
    [
        {"axis_names": ["c^", "z", "y", "x"]},
        {"types": ["channel", "space", "space", "space"]},
        {},
    ],
)
def test_channels_of_funlib(tmp_path: Path, attributes: dict[str, Any]) -> None:
    two = np.stack([DATA, 255 - DATA])
    array = zarr.create_array(tmp_path / "a.zarr", data=two, zarr_format=2)
    array.attrs.update({"voxel_size": [40, 4, 4], "offset": [0, 0, 0], **attributes})
    volume = open_volume(tmp_path / "a.zarr", channel=1)
    assert (volume.n_channels, volume.finest.shape) == (2, (6, 40, 50))
    np.testing.assert_array_equal(volume.finest.read((0, 0, 0), (6, 40, 50))[0], 255 - DATA)


def test_plane_with_channels_of_funlib(tmp_path: Path) -> None:
    array = zarr.create_array(tmp_path / "a.zarr", data=DATA, zarr_format=2)
    array.attrs.update({"voxel_size": [4, 4], "units": ["nm", "nm"]})
    volume = open_volume(tmp_path / "a.zarr", channel=5)
    assert (volume.n_channels, volume.finest.shape) == (6, (40, 50))


def test_first_time_point_is_stated(tmp_path: Path) -> None:
    array = zarr.create_array(tmp_path / "a.zarr", data=np.stack([DATA] * 2), zarr_format=2)
    array.attrs.update({"axis_names": ["t", "z", "y", "x"], "resolution": [1, 40, 4, 4]})
    volume = open_volume(tmp_path / "a.zarr")
    assert volume.finest.shape == (6, 40, 50)
    assert FIRST_TIME in volume.assumptions


@pytest.mark.parametrize(
    "attributes, sentence",
    [
        ({"axis_names": ["x", "y", "z"]}, "axes x, y, z. Write it in the order z, y, x"),
        ({"axis_names": ["z", "y", "c^"]}, "axes z, y, c^. Write it with the spatial axes last"),
        ({"voxel_size": [40, 0, 4]}, "is not positive. Correct it"),
        ({"voxel_size": [40, "four", 4]}, "is no list of numbers. Correct it"),
    ],
)
def test_attributes_that_make_no_sense(
    tmp_path: Path, attributes: dict[str, Any], sentence: str
) -> None:
    array = zarr.create_array(tmp_path / "a.zarr", data=DATA, zarr_format=2)
    array.attrs.update(attributes)
    with pytest.raises(DataError) as caught:
        open_volume(tmp_path / "a.zarr")
    assert sentence in str(caught.value)


def test_units_of_axes_may_differ(tmp_path: Path) -> None:
    array = zarr.create_array(tmp_path / "a.zarr", data=DATA, zarr_format=2)
    array.attrs.update({"voxel_size": [1, 4, 4], "offset": [2, 8, 8], "units": ["um", "nm", "nm"]})
    assert place(open_volume(tmp_path / "a.zarr")) == ((1000, 4, 4), (2000, 8, 8), "nm")


def test_old_resolution_of_n5_is_reversed_and_new_voxel_size_is_not(tmp_path: Path) -> None:
    write_n5(tmp_path / "a.n5" / "old", DATA, (4, 16, 20), "gzip", resolution=[4, 5, 40],
             offset=[8, 10, 400])  # fmt: skip
    write_n5(tmp_path / "a.n5" / "new", DATA, (4, 16, 20), "gzip", voxel_size=[40, 5, 4],
             offset=[400, 10, 8], units=["nm"] * 3)  # fmt: skip
    for name in ("old", "new"):
        assert place(open_volume(tmp_path / "a.n5", name)) == ((40, 5, 4), (400, 10, 8), "nm")


@pytest.mark.parametrize("on", ["raw", "volumes", "/"])
def test_attributes_of_hdf5(tmp_path: Path, on: str) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["volumes/raw"] = DATA
        node = file if on == "/" else file["volumes"] if on == "volumes" else file["volumes/raw"]
        node.attrs["voxel_size"] = np.array([40, 4, 4])
        node.attrs["offset"] = (400, 40, 40)
        node.attrs["units"] = np.array([b"nm", b"nm", b"nm"])
    assert place(open_volume(tmp_path / "a.h5")) == ((40, 4, 4), (400, 40, 40), "nm")


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_plate_lists_its_fields(tmp_path: Path, version: str) -> None:
    path, zarr_format = tmp_path / "plate.zarr", 2 if version == "0.4" else 3

    def put(folder: Path, content: dict[str, Any]) -> None:
        group = zarr.open_group(folder, mode="a", zarr_format=zarr_format)
        group.attrs.update(content if version == "0.4" else {"ome": content})

    put(path, {"plate": {"wells": [{"path": "A/1"}, {"path": "B/2"}]}})
    for well in ("A/1", "B/2"):
        put(path / well, {"well": {"images": [{"path": "0"}, {"path": "1"}]}})
        for field in "01":
            write_ome_zarr(path / well / field, DATA, version)
    with pytest.raises(SeveralArraysError, match="plate or well with 4 fields") as caught:
        open_volume(path)
    assert list(caught.value.names) == ["A/1/0", "A/1/1", "B/2/0", "B/2/1"]
    with pytest.raises(SeveralArraysError, match="2 fields"):
        open_volume(path / "A" / "1")
    assert open_volume(path, "B/2/1").finest.shape == DATA.shape
    assert open_volume(path / "B" / "2" / "1").finest.shape == DATA.shape


def stack_of_pillow(path: Path, compression: str | None) -> None:
    pages = [Image.fromarray(section) for section in DATA]
    pages[0].save(path, save_all=True, append_images=pages[1:], compression=compression)


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits", None])
def test_compressed_stack_of_pages(tmp_path: Path, compression: str | None) -> None:
    stack_of_pillow(tmp_path / "a.tif", compression)
    volume = open_volume(tmp_path / "a.tif")
    np.testing.assert_array_equal(volume.finest.read((1, 2, 3), (5, 30, 40))[0],
                                  DATA[1:5, 2:30, 3:40])  # fmt: skip
    assert NO_VOXEL_SIZE in volume.assumptions


@pytest.mark.parametrize(
    "options",
    [{}, {"compression": "zlib"}, {"tile": (16, 16)}, {"compression": "zlib", "tile": (16, 16)},
     {"metadata": None}, {"ome": True, "metadata": {"axes": "ZYX"}}],
)  # fmt: skip
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.bool_])
def test_white_is_zero_in_volumes(tmp_path: Path, options: dict[str, Any], dtype: Any) -> None:
    data = DATA > 128 if dtype == np.bool_ else DATA.astype(dtype)
    if dtype == np.bool_ and "tile" in options:
        options = {}  # tifffile writes no tiles of one bit
    stored = ~data if dtype == np.bool_ else np.iinfo(dtype).max - data
    if dtype == np.bool_ and options.get("ome"):
        options = {}
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="miniswhite", **options)
    volume = open_volume(tmp_path / "a.tif")
    assert volume.finest.dtype == data.dtype
    np.testing.assert_array_equal(volume.finest.read((1, 2, 3), (5, 30, 40))[0],
                                  data[1:5, 2:30, 3:40])  # fmt: skip


def test_sections_stored_in_one_page(tmp_path: Path) -> None:
    data = np.pad(DATA, ((0, 0), (0, 8), (0, 14)))
    tifffile.imwrite(tmp_path / "a.tif", data, volumetric=True, tile=(2, 16, 16),
                     compression="zlib", metadata=None)  # fmt: skip
    level = open_volume(tmp_path / "a.tif").finest
    np.testing.assert_array_equal(level.read((1, 2, 3), (5, 30, 40))[0], data[1:5, 2:30, 3:40])
    level.array.store.close()


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_color_planes_are_channels_and_not_sections(
    tmp_path: Path, compression: str | None
) -> None:
    tifffile.imwrite(tmp_path / "a.tif", DATA[:3], photometric="rgb", planarconfig="separate",
                     compression=compression)  # fmt: skip
    volume = open_volume(tmp_path / "a.tif", channel=2)
    assert (volume.n_channels, volume.finest.shape) == (3, (40, 50))
    np.testing.assert_array_equal(volume.finest.read((0, 0), (40, 50))[0], DATA[2])


def test_missing_package_is_named_when_the_file_is_opened(tmp_path: Path) -> None:
    if importlib.util.find_spec("imagecodecs"):
        pytest.skip("imagecodecs is installed")
    tifffile.imwrite(tmp_path / "a.tif", DATA, compression="zlib")
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+b") as file:
        for page in file.pages:
            page.tags["Compression"].overwrite(int(tifffile.COMPRESSION.LERC))
    with pytest.raises(DataError, match=r"LERC compression.*pip install 'napari-quac\[codecs\]'"):
        open_volume(tmp_path / "a.tif")


def test_assumptions_of_points_are_those_of_the_volume_and_its_values(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", DATA)
    points = VolumePoints(open_volume(tmp_path / "a.tif"), [(3, 20, 20)], (1, 8, 8))
    kinds = [assumption.kind for assumption in points.assumptions]
    assert kinds == ["voxel size", "image range"]
    points = VolumePoints(open_volume(tmp_path / "a.tif", voxel_size=(40, 4, 4)), [(3, 20, 20)],
                          (1, 8, 8), value_range=(0, 200))  # fmt: skip
    assert points.assumptions == ()
