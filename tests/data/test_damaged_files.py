"""Damaged volumes, images and tables: one sentence, no crash, no memory for what is not there."""

from __future__ import annotations

import json
import os
import random
import struct
from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_quac.data.image_file import read_image
from napari_quac.data.labeled_stack import LabeledStackRecipe, is_labeled_stack
from napari_quac.data.npy_file import open_npy
from napari_quac.data.tables.point_table import read_point_table
from napari_quac.data.volume_file import open_volume
from napari_quac.errors import DataError, QuacError

from .volumes import WITH_ENDS, write_n5, write_ome_zarr


def n5_pyramid(folder: Path) -> Path:
    for number, step in enumerate((1, 2)):
        factors = {"downsamplingFactors": [step] * 3}
        level = WITH_ENDS[::step, ::step, ::step]
        write_n5(folder / f"s{number}", level, (4, 16, 20), "gzip", **factors)
    return folder


def change_json(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_a_backup_and_a_damaged_level_of_n5_cost_only_themselves(tmp_path: Path) -> None:
    path = n5_pyramid(tmp_path / "em.n5")
    n5_pyramid(path / "s0_backup")
    assert len(open_volume(path).levels) == 2
    (path / "s1" / "attributes.json").write_text("[" * 100_000)
    volume = open_volume(path)
    assert len(volume.levels) == 1
    assert [note.kind for note in volume.assumptions].count("resolution") == 1
    assert np.array_equal(volume.finest.read((0, 0, 0), (2, 3, 4))[0], WITH_ENDS[:2, :3, :4])
    (path / "s0" / "attributes.json").write_text("{")
    with pytest.raises(DataError, match="attributes"):
        open_volume(path)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_a_damaged_level_of_ome_zarr_costs_only_itself(tmp_path: Path, version: str) -> None:
    write_ome_zarr(tmp_path / "em.zarr", WITH_ENDS, version)
    metadata = sorted(
        (tmp_path / "em.zarr").glob("*/.zarray" if version == "0.4" else "*/zarr.json")
    )
    assert len(metadata) > 1
    metadata[-1].write_text("{")
    volume = open_volume(tmp_path / "em.zarr")
    assert len(volume.levels) == len(metadata) - 1
    assert "resolution" in [note.kind for note in volume.assumptions]
    metadata[0].write_text("{")
    with pytest.raises(DataError):
        open_volume(tmp_path / "em.zarr")


@pytest.mark.parametrize(
    "changes",
    [
        {"dimensions": 3}, {"dimensions": ["a", 1, 1]}, {"dimensions": [1, 2]},
        {"blockSize": [0, 0, 0]}, {"blockSize": None}, {"dataType": 5}, {"dataType": "object"},
        {"compression": "pickle"}, {"resolution": "abc"}, {"resolution": [0, 1, 1]},
        {"resolution": 7}, {"resolution": [float("nan")] * 3}, {"transform": {"scale": "x"}},
        {"blockSize": [1 << 20, 1 << 20, 1 << 10]},
    ],
)  # fmt: skip
def test_attributes_of_n5_of_another_kind_are_named(tmp_path: Path, changes: dict) -> None:
    write_n5(tmp_path / "a.n5", WITH_ENDS, (4, 16, 20), "gzip")
    change_json(tmp_path / "a.n5" / "attributes.json", **changes)
    with pytest.raises(DataError):
        open_volume(tmp_path / "a.n5")


def test_an_n5_block_that_states_more_than_its_file_is_refused(tmp_path: Path) -> None:
    write_n5(tmp_path / "a.n5", WITH_ENDS, (4, 16, 20), "raw")
    block = tmp_path / "a.n5" / "0" / "0" / "0"
    block.write_bytes(struct.pack(">HH3I", 0, 3, *[2**31] * 3) + bytes(100))
    with pytest.raises(DataError, match="damaged"):
        open_volume(tmp_path / "a.n5").finest.read((0, 0, 0), (1, 1, 1))


def test_a_header_of_npy_that_states_more_than_its_file_is_damaged(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros(9, np.uint8))
    content = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "a.npy").write_bytes(content.replace(b"(9,), }" + b" " * 10, b"(99999999999,), }"))
    with pytest.raises(DataError, match="damaged"):
        open_npy(tmp_path / "a.npy")


def test_pages_of_a_tiff_that_form_a_circle_are_refused(tmp_path: Path) -> None:
    tifffile.imwrite(
        tmp_path / "a.tif",
        WITH_ENDS[:3],
        metadata=None,
        photometric="minisblack",
        compression="zlib",
    )
    content = bytearray((tmp_path / "a.tif").read_bytes())
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        first, last = file.pages[0].offset, file.pages[2].offset
    n_tags = struct.unpack_from("<H", content, last)[0]
    struct.pack_into("<I", content, last + 2 + 12 * n_tags, first)
    (tmp_path / "a.tif").write_bytes(content)
    for read in (open_volume, read_image):
        with pytest.raises(DataError, match="circle"):
            read(tmp_path / "a.tif")


def test_a_picture_of_more_pixels_than_its_bytes_hold_is_refused(tmp_path: Path) -> None:
    from PIL import Image

    Image.fromarray(WITH_ENDS[0].astype(np.uint8)).save(tmp_path / "a.gif")
    content = bytearray((tmp_path / "a.gif").read_bytes())
    struct.pack_into("<HH", content, 6, 13326, 6482)
    (tmp_path / "a.gif").write_bytes(content)
    with pytest.raises(DataError, match="bytes declare 86379132 pixels"):
        read_image(tmp_path / "a.gif")


def test_a_tiff_that_is_cut_short_leads_to_no_circle(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, WITH_ENDS[0], metadata=None, photometric="minisblack")
    with tifffile.TiffFile(path) as file:
        place = file.pages[0].offset + 2 + 12 * len(file.pages[0].tags)
    content = path.read_bytes()
    second = struct.pack("<H12sHHII", 4, bytes(12), 257, 4, 1, len(content))
    path.write_bytes(
        content[:place] + struct.pack("<I", len(content)) + content[place + 4 :] + second
    )
    for read in (open_volume, read_image):
        with pytest.raises(DataError, match="circle"):
            read(path)


def test_a_tiff_of_more_strips_than_bytes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, WITH_ENDS[0], rowsperstrip=4, photometric="minisblack")
    with tifffile.TiffFile(path) as file:
        tag = file.pages[0].tags["ImageLength"]
    content = bytearray(path.read_bytes())
    struct.pack_into("<HII", content, tag.offset + 2, 4, 1, 2**31)
    path.write_bytes(content)
    for read in (open_volume, read_image):
        with pytest.raises(DataError, match="536870912 strips or tiles"):
            read(path)


def test_pages_of_a_tiff_beyond_their_file_are_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", WITH_ENDS[0], compression="zlib")
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        tags = file.pages[0].tags
        places = [tags[name].valueoffset for name in ("ImageWidth", "ImageLength")]
    content = bytearray((tmp_path / "a.tif").read_bytes())
    for place in places:
        struct.pack_into("<H", content, place, 60_000)
    (tmp_path / "a.tif").write_bytes(content)
    for read in (open_volume, read_image):
        with pytest.raises(DataError, match="declare"):
            read(tmp_path / "a.tif")


def test_blosc_that_states_more_bytes_than_it_has_is_refused(tmp_path: Path) -> None:
    import zarr
    from numcodecs import Blosc

    write_n5(tmp_path / "a.n5", WITH_ENDS, (8, 16, 20), "blosc")
    zarr.create_array(tmp_path / "2.zarr", data=WITH_ENDS, zarr_format=2, compressors=Blosc())
    size = WITH_ENDS.shape
    for name, more in (("3.zarr", {"chunks": size}), ("s.zarr", {"chunks": size, "shards": size})):
        zarr.create_array(
            tmp_path / name, data=WITH_ENDS, compressors=zarr.codecs.BloscCodec(), **more
        )
    for path in sorted(tmp_path.iterdir()):
        assert np.array_equal(open_volume(path).finest.read((0, 0, 0), size)[0], WITH_ENDS)
        for file in (file for file in path.rglob("*") if file.is_file()):
            content = bytearray(file.read_bytes())
            if (place := content.find(b"\x02\x01")) >= 0 and content[:1] != b"{":
                struct.pack_into("<I", content, place + 12, 2**31 - 5)  # ended the process
                file.write_bytes(content)
        with pytest.raises(DataError, match="bytes of Blosc instead of 2147483643"):
            open_volume(path).finest.read((0, 0, 0), size)


def test_parts_of_a_tiff_beyond_their_file_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, WITH_ENDS, compression="zlib", photometric="minisblack")
    with tifffile.TiffFile(path) as file:
        place = file.pages[1].tags["StripByteCounts"].offset + 4
    content = bytearray(path.read_bytes())
    struct.pack_into("<HII", content, place - 2, 4, 1, 2**32 - 65536)
    path.write_bytes(content)
    with pytest.raises(DataError, match="4294901760 bytes in a file"):
        open_volume(path).levels[0].read((0, 0, 0), (2, 2, 2))


def test_a_damaged_table_is_refused_by_the_other_process(tmp_path) -> None:
    (tmp_path / "a.feather").write_bytes(b"ARROW1" + b"x" * 100)
    with pytest.raises(DataError, match=r"'a\.feather' is damaged"):
        read_point_table(tmp_path / "a.feather")


def test_pipes_and_impossible_names_are_no_files(tmp_path: Path) -> None:
    for name in ("a.npy", "a.tif", "a.csv", "a.h5", "a.png"):
        os.mkfifo(tmp_path / name)
    for path in (*tmp_path.iterdir(), tmp_path / ("x" * 300), tmp_path / "a\0.tif"):
        for read in (open_volume, read_image, read_point_table, LabeledStackRecipe):
            with pytest.raises(DataError):
                read(path).load() if read is LabeledStackRecipe else read(path)


def mutate(content: bytes, generator: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(generator.choice((1, 2, 8))):
        place = generator.randrange(len(changed) or 1)
        kind = generator.randrange(4)
        if kind == 0:
            changed[place : place + 1] = bytes([generator.randrange(256)])
        elif kind == 1:
            changed[place : place + 4] = generator.choice((b"\xff" * 4, b"\0" * 4, b"\0\0\1\0"))
        elif kind == 2:
            del changed[place : place + generator.choice((1, 16, 200))]
        else:
            changed = changed[: max(place, 1)]
    return bytes(changed)


@pytest.mark.parametrize("ending", [".tif", ".npy", ".npz", ".csv"])
def test_mutated_files_raise_only_our_own_errors(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a{ending}"
    image = WITH_ENDS[:3, :9, :11]
    if ending == ".tif":
        tifffile.imwrite(path, image, photometric="minisblack", compression="zlib")
    elif ending == ".csv":
        path.write_text("id,z,y,x\n1,2,3,4\n5,6,7,8\n")
    else:
        save = np.save if ending == ".npy" else np.savez
        save(path, image)
    content, generator = path.read_bytes(), random.Random(0)
    n_refused = 0
    for _ in range(60):
        path.write_bytes(mutate(content, generator))
        for read in (
            lambda p: open_volume(p).finest.read((0, 0, 0), (1, 2, 2)), read_image,
            is_labeled_stack, lambda p: LabeledStackRecipe(p).load(),
            lambda p: read_point_table(p).coordinates(["z", "y", "x"]),
        ):  # fmt: skip
            try:
                read(path)
            except QuacError as error:
                n_refused += 1
                assert "\n" not in str(error) and len(str(error)) < 1000
    assert n_refused > 60


def test_a_damaged_row_of_a_table_costs_only_itself(tmp_path: Path) -> None:
    rows = [f"{n},{n},2.5,3" for n in range(100)]
    rows[7], rows[60] = "7,7", "60,x" + "y" * 3000 + ",2.5,3"
    (tmp_path / "a.csv").write_text("\n".join(["id,z,y,x", *rows]))
    table = read_point_table(tmp_path / "a.csv")
    values, kept = table.positions(["z", "y", "x"])
    assert len(values) == 98
    assert not {7, 60} & {*kept.tolist()}
    assert "2 rows have no position" in table.notes(["z", "y", "x"])[0]
    rows[:10] = ["1"] * 10
    (tmp_path / "a.csv").write_text("\n".join(["id,z,y,x", *rows]))
    with pytest.raises(DataError, match=r"Line 2 .* 1 values for 4 names"):
        read_point_table(tmp_path / "a.csv")
