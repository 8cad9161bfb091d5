from __future__ import annotations

from pathlib import Path
from typing import Any

import dask.array
import numpy as np
import pytest
import tifffile
import zarr
from zarr.storage import LocalStore

from napari_quac.data.n5 import N5Array
from napari_quac.data.place import Transform
from napari_quac.data.volume import Level, SpatialView, Volume
from napari_quac.data.volume_file import open_volume
from napari_quac.data.volume_layout import volume_from_zarr
from napari_quac.errors import DataError

from .volumes import WITH_ENDS, CountingStore, volume_from_array, write_n5, write_ome_zarr


def same(volume: Volume, expected: np.ndarray = WITH_ENDS) -> None:
    assert volume.finest.shape == expected.shape
    boxes = [((0, 0, 0), expected.shape), ((2, 13, 7), (5, 41, 61)), ((8, 0, 3), (9, 1, 4))]
    for start, stop in boxes:
        box = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
        np.testing.assert_array_equal(volume.finest.read(start, stop)[0], expected[box])


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_plain_zarr(tmp_path: Path, zarr_format: Any) -> None:
    made = zarr.create_array(tmp_path / "raw.zarr", shape=WITH_ENDS.shape, chunks=(4, 16, 16),
                             dtype="u1", zarr_format=zarr_format)  # fmt: skip
    made[:] = WITH_ENDS
    made.attrs.update({"resolution": [40, 4, 4], "offset": [0, 8, 0]})
    volume = open_volume(tmp_path / "raw.zarr")
    same(volume)
    assert (volume.finest.transform.scale, volume.unit) == ((40, 4, 4), "nm")
    assert volume.finest.transform.translate == (0, 8, 0)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_ome_zarr_gives_levels_scale_and_unit(tmp_path: Path, version: str) -> None:
    write_ome_zarr(tmp_path / "em.ome.zarr", WITH_ENDS, version)
    volume = open_volume(tmp_path / "em.ome.zarr")
    same(volume)
    assert (volume.unit, volume.name, len(volume.levels)) == ("nm", "em", 2)
    assert volume.levels[1].transform == Transform((40, 8, 8), (0, 2, 2))


def test_ome_zarr_with_time_and_channel(tmp_path: Path) -> None:
    write_ome_zarr(tmp_path / "em.zarr", WITH_ENDS, "0.4", channel=True)
    same(open_volume(tmp_path / "em.zarr", channel=1))
    same(open_volume(tmp_path / "em.zarr"), WITH_ENDS // 2)
    with pytest.raises(DataError, match="no channel 2"):
        open_volume(tmp_path / "em.zarr", channel=2)


@pytest.mark.parametrize("codec", ["raw", "gzip", "zlib", "bzip2", "xz", "lz4", "blosc", "zstd"])
def test_n5_of_every_codec(tmp_path: Path, codec: str) -> None:
    array = WITH_ENDS.astype(np.uint16) * 257
    write_n5(tmp_path / "a.n5" / "raw", array, (4, 16, 20), codec, resolution=[4, 4, 40])
    volume = open_volume(tmp_path / "a.n5")
    same(volume, array)
    assert volume.finest.transform.scale == (40, 4, 4)


def test_n5_reads_the_blocks_of_a_patch_only_and_missing_ones_are_zero(tmp_path: Path) -> None:
    write_n5(tmp_path / "raw", WITH_ENDS, (4, 16, 20))
    read: list[Path] = []

    def note(path: Path) -> bytes | None:
        read.append(path.relative_to(tmp_path / "raw"))
        return path.read_bytes() if path.exists() else None

    array = N5Array(tmp_path / "raw", note)
    (tmp_path / "raw" / "1" / "1" / "0").unlink()
    part = array[0:2, 16:32, 18:22]
    assert sorted(map(str, read)) == ["0/1/0", "1/1/0"]
    np.testing.assert_array_equal(part[:, :, :2], WITH_ENDS[0:2, 16:32, 18:20])
    assert not part[:, :, 2:].any()


def test_n5_pyramid(tmp_path: Path) -> None:
    write_n5(tmp_path / "a.n5" / "em" / "s0", WITH_ENDS, (9, 50, 61),
             pixelResolution={"dimensions": [4, 4, 40], "unit": "nm"})  # fmt: skip
    write_n5(tmp_path / "a.n5" / "em" / "s1", WITH_ENDS[:, ::2, ::2], (9, 25, 31),
             downsamplingFactors=[2, 2, 1])  # fmt: skip
    volume = open_volume(tmp_path / "a.n5", "em")
    assert volume.unit == "nm"
    assert volume.levels[1].transform == Transform((40, 8, 8), (0, 2, 2))


def test_damaged_n5_block_is_named(tmp_path: Path) -> None:
    write_n5(tmp_path / "raw", WITH_ENDS, (9, 50, 61))
    (tmp_path / "raw" / "0" / "0" / "0").write_bytes(b"\0\0\0\3junk")
    with pytest.raises(DataError, match="damaged"):
        open_volume(tmp_path / "raw").finest.read((0, 0, 0), (1, 1, 1))


def test_hdf5_reads_the_patch_only(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        made = file.create_dataset("volumes/raw", data=WITH_ENDS, chunks=(3, 16, 16))
        made.attrs["resolution"] = (40.0, 4.0, 4.0)
    volume = open_volume(tmp_path / "a.h5")
    same(volume)
    assert volume.finest.transform.scale == (40, 4, 4)
    volume.finest.array.file.close()


def test_hdf5_with_several_arrays_lists_them(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["raw"], file["labels"] = WITH_ENDS, WITH_ENDS
    with pytest.raises(DataError, match=r"holds 2 arrays.*labels, raw"):
        open_volume(tmp_path / "a.h5")
    volume = open_volume(tmp_path / "a.h5", "labels", voxel_size=(40, 4, 4))
    assert (volume.unit, volume.finest.transform.scale) == ("nm", (40, 4, 4))
    volume.finest.array.file.close()


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_tiff_stack_is_mapped_or_read_by_page(tmp_path: Path, compression: str | None) -> None:
    tifffile.imwrite(tmp_path / "a.tif", WITH_ENDS, compression=compression, metadata=None)
    volume = open_volume(tmp_path / "a.tif")
    same(volume)
    assert isinstance(volume.finest.array, np.memmap) == (compression is None)


@pytest.mark.parametrize("wrap", [np.asarray, dask.array.from_array])
def test_arrays_of_numpy_and_dask(wrap: Any) -> None:
    same(volume_from_array(wrap(WITH_ENDS)))


def test_view_of_the_spatial_axes_slices_as_numpy_does() -> None:
    stored = np.stack([WITH_ENDS // 2, WITH_ENDS])
    view = SpatialView(Level(stored, Transform((1, 1, 1), (0, 0, 0)), fixed=(1,)))
    assert (view.shape, view.dtype, view.ndim) == (WITH_ENDS.shape, np.uint8, 3)
    for key in (3, -1, np.int64(2), (slice(2, 5), 7), (1, slice(None, None, 3), slice(9, 2, -2)),
                (slice(1, 3), slice(100, 200), 0), ()):  # fmt: skip
        np.testing.assert_array_equal(np.asarray(view[key]), WITH_ENDS[key])
    lazy = view[:, 5:40:2][2:4, ::-3, 1]
    np.testing.assert_array_equal(np.asarray(lazy), WITH_ENDS[:, 5:40:2][2:4, ::-3, 1])
    np.testing.assert_array_equal(np.asarray(view), WITH_ENDS)
    for wrong in (99, (0, 0, 0, 0)):
        with pytest.raises(IndexError):
            view[wrong]


def test_view_tells_a_fault_and_its_strict_one_raises(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", WITH_ENDS, compression="zlib")
    level = open_volume(tmp_path / "a.tif").finest
    (tmp_path / "a.tif").unlink()
    told: list[DataError] = []
    view = SpatialView(level, on_fault=told.append)
    assert not np.asarray(view[3, 5:9]).any() and "file exists" in str(told[0])
    assert view.strict() is view.strict() and view.strict().strict() is view.strict()
    for other in (view.strict(), view[2:].strict(), SpatialView(level)):
        with pytest.raises(DataError, match="file exists"):
            np.asarray(other)


def test_level_is_chosen_by_voxel_size() -> None:
    levels = tuple(
        Level(WITH_ENDS[:, ::k, ::k], Transform((40, 4 * k, 4 * k), (0, 0, 0))) for k in (1, 2, 4)
    )
    volume = Volume(levels, "em", "nm")
    chosen = [volume.levels.index(volume.level_for(size))
              for size in (None, (4.6, 4.6), (7.5, 7.5), (40, 30, 30))]  # fmt: skip
    assert chosen == [0, 0, 1, 2]


def test_zarr_reads_the_chunks_of_a_patch_only(tmp_path: Path) -> None:
    made = zarr.create_array(tmp_path / "a.zarr", shape=(20, 200, 200), chunks=(1, 50, 50),
                             dtype="u1", compressors=None)  # fmt: skip
    made[:] = 7
    store = CountingStore(LocalStore(tmp_path / "a.zarr", read_only=True))
    volume = volume_from_zarr(zarr.open_array(store, mode="r"), None, "a.zarr")
    volume.finest.read((3, 60, 60), (4, 90, 110))
    assert store.chunks == {"c/3/1/1", "c/3/1/2"}
    assert store.n_bytes == 2 * 50 * 50


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("nothing.zarr", "does not exist"), ("a.docx", "not a volume"),
     ("empty.zarr", "cannot be opened"), ("a.n5", "not an N5 array"),
     ("bad.h5", "is damaged"), ("bad.tif", "is no TIFF")],
)  # fmt: skip
def test_what_is_no_volume_says_so(tmp_path: Path, name: str, sentence: str) -> None:
    for folder in ("empty.zarr", "a.n5"):
        (tmp_path / folder).mkdir()
    for file in ("a.docx", "bad.h5", "bad.tif"):
        (tmp_path / file).write_bytes(b"nothing")
    with pytest.raises(DataError, match=sentence):
        open_volume(tmp_path / name)


def test_file_that_vanishes_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", WITH_ENDS, compression="zlib")
    volume = open_volume(tmp_path / "a.tif")
    (tmp_path / "a.tif").unlink()
    with pytest.raises(DataError, match="file exists"):
        volume.finest.read((0, 0, 0), (1, 2, 2))
