"""Formats as microscopes, cameras and scripts write them: the same numbers, or one sentence."""

from __future__ import annotations

import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from napari_quac.data.image_array import EQUAL_COLORS, GRAY_PALETTE, OPAQUE
from napari_quac.data.image_file import open_image, read_array, read_image, read_image_array
from napari_quac.data.picture_file import FURTHER_FRAMES
from napari_quac.data.tiff_pages import FURTHER_IMAGES, LOOKUP_TABLE
from napari_quac.errors import DataError, QuacError, ShapeError, ValueRangeError

RNG = np.random.default_rng(0)
GRAY = RNG.integers(0, 256, (12, 9), np.uint8)
RGB = RNG.integers(0, 256, (12, 9, 3), np.uint8)
GRAY_16 = GRAY.astype(np.uint16) * 257
STACK = RNG.integers(0, 256, (3, 12, 9), np.uint8)


def write_png(path: Path, values: np.ndarray) -> None:
    """Write 16-bit pixels (H, W, C) as a png, which Pillow cannot."""

    def chunk(name: bytes, content: bytes) -> bytes:
        check_sum = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + check_sum

    color = {1: 0, 2: 4, 3: 2, 4: 6}[values.shape[2]]
    header = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 16, color, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


def check(path: Path, expected: np.ndarray, image_range: Any = None) -> None:
    """Compare with expected values (C, H, W) or (H, W) in [0, 1]."""
    image = read_image(path, image_range, None)
    np.testing.assert_allclose(image[0] if expected.ndim == 2 else image, expected, atol=1e-6)


@pytest.mark.parametrize("name", ["a.bmp", "a.webp", "a.png", "a.tif"])
def test_rgb_pictures(tmp_path: Path, name: str) -> None:
    Image.fromarray(RGB).save(tmp_path / name, lossless=True)
    check(tmp_path / name, np.moveaxis(RGB, -1, 0) / 255)


@pytest.mark.parametrize("name", ["a.bmp", "a.gif", "a.png", "a.tif"])
def test_gray_pictures(tmp_path: Path, name: str) -> None:
    Image.fromarray(GRAY).save(tmp_path / name)
    check(tmp_path / name, GRAY / 255)


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif"])
def test_pictures_of_one_bit(tmp_path: Path, name: str) -> None:
    Image.fromarray(GRAY > 128).save(tmp_path / name)
    check(tmp_path / name, (GRAY > 128).astype(float))


def test_gray_palette_in_any_order_is_gray(tmp_path: Path) -> None:
    picture = Image.fromarray(255 - GRAY).convert("P")
    picture.putpalette([255 - k // 3 for k in range(768)])
    picture.save(tmp_path / "a.png")
    check(tmp_path / "a.png", GRAY / 255)
    assert GRAY_PALETTE in open_image(tmp_path / "a.png")[1]


def test_animation_is_refused(tmp_path: Path) -> None:
    frames = [Image.fromarray(plane) for plane in STACK]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    with pytest.raises(ShapeError, match=r"'a.gif' is an animation of 3 frames"):
        read_image(tmp_path / "a.gif")


def test_first_image_of_a_photograph_with_more_is_read(tmp_path: Path) -> None:
    first, second = Image.fromarray(RGB), Image.fromarray(RGB[::-1].copy())
    first.save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=[second], quality=100)
    image, assumptions = open_image(tmp_path / "a.jpg")
    assert image.shape == (3, 12, 9)
    assert FURTHER_FRAMES in assumptions


colors = st.sampled_from([1, 3, 4])
sizes = st.integers(1, 40)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32 - 1), colors, sizes, sizes)
def test_png_of_16_bits_keeps_all_bits(
    tmp_path: Path, seed: int, n: int, height: int, width: int
) -> None:
    values = np.random.default_rng(seed).integers(0, 2**16, (height, width, n)).astype(np.uint16)
    values[..., 3:] = 65535
    cv2.imwrite(str(tmp_path / "a.png"), values[..., ::-1] if n == 3 else
                values[..., [2, 1, 0, 3]] if n == 4 else values)  # fmt: skip
    content = read_image_array(tmp_path / "a.png")
    expected = values[..., 0] if n == 1 else np.moveaxis(values[..., :3], -1, 0)
    assert content.values.dtype == np.uint16
    np.testing.assert_array_equal(content.values, expected)
    assert (OPAQUE in content.assumptions) is (n == 4)


def test_gray_png_of_16_bits_with_alpha(tmp_path: Path) -> None:
    alpha = np.full_like(GRAY_16, 65535)
    write_png(tmp_path / "opaque.png", np.dstack([GRAY_16, alpha]))
    np.testing.assert_array_equal(read_array(tmp_path / "opaque.png"), GRAY_16)
    alpha[3, 4] = 65534
    write_png(tmp_path / "clear.png", np.dstack([GRAY_16, alpha]))
    with pytest.raises(ShapeError, match=r"'clear.png' has an alpha .* Save the image"):
        read_image(tmp_path / "clear.png", (0, 65535))


@pytest.mark.parametrize("n", [1, 3])
def test_transparent_color_of_16_bits(tmp_path: Path, n: int) -> None:
    values = np.repeat(np.arange(108, dtype=np.uint16).reshape(12, 9, 1), n, axis=2)
    write_png(tmp_path / "a.png", values)
    content = (tmp_path / "a.png").read_bytes()
    for key, is_used in ((500, False), (7, True)):
        body = b"tRNS" + struct.pack(">H", key) * n
        chunk = struct.pack(">I", 2 * n) + body + struct.pack(">I", zlib.crc32(body))
        start = content.index(b"IDAT") - 4
        (tmp_path / "a.png").write_bytes(content[:start] + chunk + content[start:])
        if is_used:
            with pytest.raises(ShapeError, match="transparent pixels"):
                read_array(tmp_path / "a.png")
        else:
            assert OPAQUE in read_image_array(tmp_path / "a.png").assumptions


def test_16_bits_of_rgb_need_a_range(tmp_path: Path) -> None:
    twelve_bits = (RGB.astype(np.uint16) << 4) + 7
    write_png(tmp_path / "a.png", twelve_bits)
    with pytest.raises(ValueRangeError, match=r"uint16 values from .*--image-range"):
        read_image(tmp_path / "a.png")
    check(tmp_path / "a.png", np.moveaxis(twelve_bits, -1, 0) / 4095, (0, 4095))


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_alpha_that_is_opaque_is_dropped(tmp_path: Path, name: str) -> None:
    opaque = np.dstack([RGB, np.full((12, 9), 255, np.uint8)])
    Image.fromarray(opaque).save(tmp_path / name, lossless=True)
    check(tmp_path / name, np.moveaxis(RGB, -1, 0) / 255)
    assert OPAQUE in open_image(tmp_path / name)[1]


def test_rotation_of_cameras_is_not_applied_and_stated(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(GRAY).save(tmp_path / "a.jpg", exif=exif)
    image, assumptions = open_image(tmp_path / "a.jpg")
    assert image.shape == (1, 12, 9)
    assert any("EXIF orientation 6" in str(note) for note in assumptions)


def test_gray_stored_as_rgb_is_stated(tmp_path: Path) -> None:
    Image.fromarray(GRAY).convert("RGB").save(tmp_path / "a.jpg", quality=90)
    image, assumptions = open_image(tmp_path / "a.jpg")
    assert image.shape[0] == 3
    assert EQUAL_COLORS in assumptions


# TIFF

WAYS: dict[str, dict[str, Any]] = {
    "plain": {},
    "big endian": {"byteorder": ">"},
    "tiles": {"tile": (16, 16)},
    "strips": {"rowsperstrip": 5},
    "deflate": {"compression": "zlib"},
    "deflate with predictor": {"compression": "zlib", "predictor": True},
    "BigTIFF": {"bigtiff": True},
    "OME": {"ome": True},
    "ImageJ": {"imagej": True},
    "no metadata": {"metadata": None},
}


ZEROS = {"black is 0": False, "white is 0": True}
IMAGEJ = ("white is 0", "ImageJ")  # tifffile writes no such files


@pytest.mark.parametrize("zero, way", [(z, w) for z in ZEROS for w in WAYS if (z, w) != IMAGEJ])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_gray_tiff(tmp_path: Path, way: str, dtype: Any, zero: str) -> None:
    white_is_zero = ZEROS[zero]
    gray = GRAY if dtype == np.uint8 else GRAY_16
    stored = np.iinfo(dtype).max - gray if white_is_zero else gray
    photometric = "miniswhite" if white_is_zero else "minisblack"
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric=photometric, **WAYS[way])
    check(tmp_path / "a.tif", GRAY / 255, None if dtype == np.uint8 else (0, 65535))


@pytest.mark.parametrize("planes", ["contig", "separate"])
@pytest.mark.parametrize("options", [{}, {"tile": (16, 16)}, {"compression": "zlib"}])
def test_rgb_tiff(tmp_path: Path, planes: str, options: dict[str, Any]) -> None:
    values = RGB if planes == "contig" else np.moveaxis(RGB, -1, 0)
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="rgb", planarconfig=planes, **options)
    check(tmp_path / "a.tif", np.moveaxis(RGB, -1, 0) / 255)


@pytest.mark.parametrize("compression", ["tiff_lzw", "jpeg", "tiff_adobe_deflate", "packbits"])
def test_compressions_of_pillow(tmp_path: Path, compression: str) -> None:
    smooth = np.add.outer(np.arange(32), np.arange(24)).astype(np.uint8)
    Image.fromarray(smooth).save(tmp_path / "a.tif", compression=compression)
    image = read_image(tmp_path / "a.tif")[0]
    assert float((image - torch.from_numpy(smooth) / 255).abs().max()) < 6 / 255


@pytest.mark.parametrize(
    "mode, compression",
    [("L", "tiff_lzw"), ("L", None), ("1", "tiff_lzw"), ("1", "group4"), ("1", None),
     ("I;16", "tiff_lzw"), ("I;16", None)],
)  # fmt: skip
def test_white_is_zero_also_by_pillow(tmp_path: Path, mode: str, compression: str | None) -> None:
    wanted = {"L": GRAY / 255, "1": (GRAY > 128) * 1.0, "I;16": GRAY_16 / 65535}[mode]
    black_is_zero = {"L": GRAY, "1": GRAY > 128, "I;16": GRAY_16}[mode]
    Image.fromarray(black_is_zero).save(tmp_path / "a.tif", compression=compression)
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+b") as file:
        file.pages[0].tags["PhotometricInterpretation"].overwrite(0)
    check(tmp_path / "a.tif", 1 - wanted, (0, 65535) if mode == "I;16" else None)


def test_narrow_bits_fill_the_range(tmp_path: Path) -> None:
    picture = Image.fromarray(GRAY >> 4)
    picture.save(tmp_path / "a.tif")
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+b") as file:
        offset, page = file.pages[0].dataoffsets[0], file.pages[0]
        page.tags["BitsPerSample"].overwrite(4)
        page.tags["StripByteCounts"].overwrite(12 * 5)
    rows = np.pad(GRAY >> 4, ((0, 0), (0, 1))).reshape(12, 5, 2)
    packed = (rows[..., 0] << 4 | rows[..., 1]).astype(np.uint8).tobytes()
    content = bytearray((tmp_path / "a.tif").read_bytes())
    content[offset : offset + len(packed)] = packed
    (tmp_path / "a.tif").write_bytes(content)
    check(tmp_path / "a.tif", (GRAY >> 4) / 15)


@pytest.mark.parametrize("dtype", [np.float32, np.int16])
def test_white_is_zero_needs_unsigned_numbers(tmp_path: Path, dtype: Any) -> None:
    tifffile.imwrite(tmp_path / "a.tif", GRAY.astype(dtype), photometric="miniswhite")
    with pytest.raises(DataError, match=r"'a.tif' declares 0 as white, .* Invert the image"):
        read_image(tmp_path / "a.tif", (0, 255))


def test_pages_are_sections_and_never_colors(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "one.tif", STACK, photometric="minisblack")
    pages = [Image.fromarray(plane) for plane in STACK]
    pages[0].save(tmp_path / "pillow.tif", save_all=True, append_images=pages[1:])
    with tifffile.TiffWriter(tmp_path / "separate.tif") as writer:
        for plane in STACK:
            writer.write(plane)
    tifffile.imwrite(tmp_path / "z.tif", STACK, imagej=True, metadata={"axes": "ZYX"})
    tifffile.imwrite(tmp_path / "t.tif", STACK, imagej=True, metadata={"axes": "TYX"})
    tifffile.imwrite(tmp_path / "ome.tif", STACK, ome=True, metadata={"axes": "ZYX"})
    for path in sorted(tmp_path.iterdir()):
        with pytest.raises(ShapeError, match=r"holds 3 pages, .* expected one image"):
            read_image(path, n_axes=2)
        image, assumptions = open_image(path, n_axes=None)
        np.testing.assert_allclose(image, STACK[None] / 255, atol=1e-6)
        assert any("sections" in str(note) for note in assumptions)


def test_declared_channels_are_channels(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "ij.tif", STACK, imagej=True, metadata={"axes": "CYX"})
    tifffile.imwrite(tmp_path / "ome.tif", STACK, ome=True, metadata={"axes": "CYX"})
    tifffile.imwrite(tmp_path / "plain.tif", STACK, metadata={"axes": "CYX"},
                     photometric="minisblack")  # fmt: skip
    for path in sorted(tmp_path.iterdir()):
        check(path, STACK / 255)
        with pytest.raises(ShapeError, match="holds no sections"):
            read_image(path, n_axes=3)


@pytest.mark.parametrize("axes, kind", [("ZCYX", "imagej"), ("ZCYX", "ome"), ("CZYX", "ome")])
def test_hyperstack_is_a_volume_of_channels(tmp_path: Path, axes: str, kind: str) -> None:
    values = RNG.integers(0, 256, (5, 2, 12, 9), np.uint8)  # Z, C
    stored = values if axes == "ZCYX" else np.moveaxis(values, 1, 0)
    tifffile.imwrite(tmp_path / "a.tif", stored, metadata={"axes": axes}, **{kind: True})
    check(tmp_path / "a.tif", np.moveaxis(values, 1, 0) / 255)


def test_time_and_sections_are_refused(tmp_path: Path) -> None:
    values = np.zeros((2, 3, 12, 9), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", values, imagej=True, metadata={"axes": "TZYX"})
    with pytest.raises(ShapeError, match=r"axes TZYX \(2 × 3 × 12 × 9\).* Export"):
        read_image(tmp_path / "a.tif", n_axes=None)


@pytest.mark.parametrize("first", ["preview", "image"])
def test_thumbnails_are_left_out(tmp_path: Path, first: str) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writes = [
            lambda: writer.write(GRAY[::3, ::3], subfiletype=1),
            lambda: writer.write(GRAY, subfiletype=0),
        ]
        for write in writes if first == "preview" else reversed(writes):
            write()
    check(tmp_path / "a.tif", GRAY / 255)


def test_further_images_are_stated(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(GRAY[:4, :4])
        writer.write(GRAY)
    image, assumptions = open_image(tmp_path / "a.tif")
    assert image.shape == (1, 12, 9)
    assert FURTHER_IMAGES in assumptions


def test_pyramid_is_one_image(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.ome.tif", ome=True) as writer:
        writer.write(GRAY, subifds=1)
        writer.write(GRAY[::2, ::2], subfiletype=1)
    check(tmp_path / "a.ome.tif", GRAY / 255)


def test_lookup_table_of_imagej_is_ignored(tmp_path: Path) -> None:
    fire = np.stack([np.arange(256), np.arange(256)[::-1], np.zeros(256)]).astype(np.uint16) * 257
    description = "ImageJ=1.53\nimages=1\n"
    tifffile.imwrite(tmp_path / "a.tif", GRAY, photometric="palette", colormap=fire,
                     description=description, metadata=None)  # fmt: skip
    image, assumptions = open_image(tmp_path / "a.tif")
    np.testing.assert_allclose(image[0], GRAY / 255, atol=1e-6)
    assert LOOKUP_TABLE in assumptions


@pytest.mark.parametrize("photometric", ["cielab", "cfa"])
def test_other_colors_are_named(tmp_path: Path, photometric: str) -> None:
    values = RGB if photometric == "cielab" else GRAY
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="rgb" if values.ndim == 3 else None)
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+b") as file:
        number = tifffile.PHOTOMETRIC[photometric.upper()]
        file.pages[0].tags["PhotometricInterpretation"].overwrite(int(number))
    with pytest.raises(ShapeError, match=r"'a.tif' has .* colors. Save the image in gray or RGB"):
        read_image(tmp_path / "a.tif")


def written(folder: Path, name: str) -> bytes:
    """Return a small file of one of the formats."""
    path = folder / name
    if name == "deep.png":
        write_png(path, np.repeat(GRAY_16[..., None], 3, axis=2))
    elif name == "tiles.tif":
        tifffile.imwrite(path, STACK, compression="zlib", tile=(16, 16), photometric="miniswhite")
    elif name == "imagej.tif":
        tifffile.imwrite(path, STACK, imagej=True, metadata={"axes": "CYX"})
    elif name == "lzw.tif":
        Image.fromarray(GRAY).save(path, compression="tiff_lzw")
    elif name == "gray.npy":
        np.save(path, GRAY)
    else:
        Image.fromarray(RGB if name != "gray.gif" else GRAY).save(path)
    return path.read_bytes()


NAMES = ["deep.png", "color.png", "tiles.tif", "imagej.tif", "lzw.tif", "gray.npy", "gray.gif",
         "color.bmp", "color.webp", "color.jpg"]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_damaged_files_give_one_sentence(tmp_path: Path, name: str, data: st.DataObject) -> None:
    content = bytearray(written(tmp_path, name))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    del content[data.draw(st.integers(len(content) // 2, len(content))) :]
    (tmp_path / name).write_bytes(content)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Pillow, about broken EXIF
            image = read_image(tmp_path / name, (0, 65535), None)
    except QuacError as error:
        assert name in str(error) and "\n" not in str(error)
    else:
        assert image.ndim in (3, 4) and torch.isfinite(image).all()


def test_damaged_size_in_a_header_is_no_lack_of_memory(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", GRAY, compression="zlib", metadata=None)
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+b") as file:
        file.pages[0].tags["ImageWidth"].overwrite(2**31)
    with pytest.raises(DataError, match=r"'a.tif' .* damaged"):
        read_image(tmp_path / "a.tif")
