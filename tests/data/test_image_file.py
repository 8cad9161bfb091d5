"""What is read, what is refused, and that a refusal names the file, the finding, the way out."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from napari_quac.data.image_file import open_image, read_image, to_unit_range, write_image
from napari_quac.errors import DataError, QuacError, ShapeError, ValueRangeError

GREY = np.arange(12 * 9, dtype=np.uint8).reshape(12, 9)
RGB = np.stack([GREY, GREY + 50, GREY + 100], axis=-1)


def png(array: np.ndarray, mode: str | None = None) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        picture = Image.fromarray(array)
        (picture.convert(mode) if mode else picture).save(path)

    return write


def npy(array: np.ndarray) -> Callable[[Path], None]:
    return lambda path: np.save(path, array)


def tif(array: np.ndarray, **options: object) -> Callable[[Path], None]:
    return lambda path: tifffile.imwrite(path, array, **options)


def data(content: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(content) and None


def shortened(write: Callable[[Path], None], share: float) -> Callable[[Path], None]:
    def write_part(path: Path) -> None:
        write(path)
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * share)])

    return write_part


def with_pickle(path: Path) -> None:
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)


READ = {
    "grey.png": (png(GREY), GREY[None] / 255),
    "rgb.png": (png(RGB), np.moveaxis(RGB, -1, 0) / 255),
    "grey.tif": (tif(GREY), GREY[None] / 255),
    "grey.TIFF": (tif(GREY), GREY[None] / 255),
    "rgb.tif": (tif(RGB, photometric="rgb"), np.moveaxis(RGB, -1, 0) / 255),
    "planes.tif": (
        tif(np.moveaxis(RGB, -1, 0).copy(), photometric="minisblack", metadata={"axes": "CYX"}),
        np.moveaxis(RGB, -1, 0) / 255,
    ),
    "white_is_0.tif": (tif(255 - GREY, photometric="miniswhite"), GREY[None] / 255),
    "lzw.tif": (
        lambda path: Image.fromarray(GREY).save(path, compression="tiff_lzw"),
        GREY[None] / 255,
    ),
    "deflate.tif": (
        lambda path: Image.fromarray(RGB).save(path, compression="tiff_adobe_deflate"),
        np.moveaxis(RGB, -1, 0) / 255,
    ),
    "float.tif": (tif((GREY / 255).astype(np.float32)), GREY[None] / 255),
    "float.npy": (npy(GREY / 255), GREY[None] / 255),
    "channels.npy": (npy(np.moveaxis(RGB, -1, 0) / 255), np.moveaxis(RGB, -1, 0) / 255),
    "bytes.npy": (npy(GREY), GREY[None] / 255),
    "bool.npy": (npy(GREY > 50), (GREY > 50)[None].astype(float)),
    "big_endian.npy": (npy((GREY / 255).astype(">f4")), GREY[None] / 255),
    "fortran.npy": (npy(np.asfortranarray(GREY / 255)), GREY[None] / 255),
}


@pytest.mark.parametrize("name", READ)
def test_image_is_read_as_channels_first_in_0_to_1(tmp_path: Path, name: str) -> None:
    write, expected = READ[name]
    write(tmp_path / name)
    image = read_image(tmp_path / name)
    assert image.dtype == torch.float32
    np.testing.assert_allclose(image, expected, rtol=0, atol=1e-6)


def test_jpg_is_read(tmp_path: Path) -> None:
    Image.fromarray(np.full((16, 16), 128, np.uint8)).save(tmp_path / "a.JPG", format="jpeg")
    torch.testing.assert_close(
        read_image(tmp_path / "a.JPG"), torch.full((1, 16, 16), 128 / 255), rtol=0, atol=0.01
    )


def test_palette_picture_is_read_in_its_colors(tmp_path: Path) -> None:
    picture = Image.fromarray(np.array([[0, 1], [1, 0]], np.uint8), mode=None).convert("P")
    picture.putpalette([255, 0, 0, 0, 0, 255] + [0] * 762)
    picture.save(tmp_path / "palette.png")
    image = read_image(tmp_path / "palette.png")
    assert image.tolist() == [[[1, 0], [0, 1]], [[0, 0], [0, 0]], [[0, 1], [1, 0]]]


@pytest.mark.parametrize("write", [png(GREY.astype(np.uint16) * 500), tif(GREY.astype(np.uint16))])
def test_range_that_is_given_becomes_0_and_1(tmp_path: Path, write: Callable[[Path], None]) -> None:
    path = tmp_path / ("a.png" if "png" in write.__qualname__ else "a.tif")
    write(path)
    factor = 500 if path.suffix == ".png" else 1
    image = read_image(path, (0, 53500))
    np.testing.assert_allclose(image, GREY[None] * (factor / 53500), rtol=0, atol=1e-6)


def test_quac_range_of_minus_1_to_1_can_be_given(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([[-1.0, 0, 1]], np.float32))
    assert read_image(tmp_path / "a.npy", (-1, 1)).tolist() == [[[0, 0.5, 1]]]


def test_values_that_overshoot_by_rounding_are_clipped(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([[-1e-7, 1 + 5e-7]]))
    assert read_image(tmp_path / "a.npy").tolist() == [[[0, 1]]]


def test_brightness_is_not_stretched(tmp_path: Path) -> None:
    np.save(tmp_path / "dark.npy", np.array([[0.1, 0.2]], np.float32))
    np.testing.assert_allclose(read_image(tmp_path / "dark.npy"), [[[0.1, 0.2]]])


NAN = np.where(GREY == 5, np.nan, 0.5).astype(np.float32)
REFUSED: dict[str, tuple[Callable[[Path], None], type[QuacError], str, str]] = {
    # file name: how it is written, the error, the finding, the way out
    "truncated.png": (
        shortened(png(np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8)), 0.5),
        DataError,
        "damaged",
        "Copy or export the image again",
    ),
    "truncated.jpg": (
        shortened(lambda p: Image.effect_noise((64, 64), 50).save(p), 0.4),
        DataError,
        "damaged",
        "Copy or export",
    ),
    "truncated.tif": (
        shortened(tif(np.zeros((64, 64), np.float32)), 0.5),
        DataError,
        "damaged",
        "Copy or export",
    ),
    "header_only.tif": (
        shortened(tif(GREY), 0.05),
        DataError,
        "damaged",
        "Copy or export",
    ),
    "truncated.npy": (
        shortened(npy(np.zeros((64, 64))), 0.6),
        DataError,
        "damaged",
        "Copy or export",
    ),
    "text.png": (data(b"not an image at all"), DataError, "another format", "Copy or export"),
    "text.tif": (data(b"not an image at all"), DataError, "another format", "Copy or export"),
    "text.npy": (data(b"not an image at all"), DataError, "another format", "Copy or export"),
    "pickle.npy": (with_pickle, DataError, "cannot be read as npy", "Copy or export"),
    "raw_pickle.npy": (
        data(pickle.dumps({"a": 1})),
        DataError,
        "cannot be read as npy",
        "Copy or export",
    ),
    "empty.png": (data(b""), DataError, "0 bytes", "Copy or export"),
    "empty.tif": (data(b""), DataError, "0 bytes", "Copy or export"),
    "empty.npy": (data(b""), DataError, "0 bytes", "Copy or export"),
    "folder.png": (lambda p: p.mkdir(), DataError, "is a folder", "Choose a png, tif or npy file"),
    "missing.png": (lambda p: None, DataError, "does not exist", "Check the path"),
    "table.csv": (data(b"a,b\n1,2\n"), DataError, "ending '.csv'", "Convert it to one of"),
    "no_ending": (data(b"abc"), DataError, "ending ''", "Convert it to one of"),
    "rgba.png": (
        png(np.dstack([RGB, GREY])),
        ShapeError,
        "alpha (transparency) channel",
        "Save the image",
    ),
    "la.png": (png(np.dstack([GREY, GREY]), "LA"), ShapeError, "alpha", "Save the image"),
    "rgba.tif": (
        tif(np.dstack([RGB, GREY]), photometric="rgb", extrasamples=["unassalpha"]),
        ShapeError,
        "alpha",
        "Save the image",
    ),
    "cmyk.tif": (
        tif(np.zeros((12, 9, 4), np.uint8), photometric="separated"),
        ShapeError,
        "CMYK",
        "in gray or RGB",
    ),
    "palette.tif": (
        tif(np.stack([GREY] * 2), photometric="palette", colormap=np.zeros((3, 256), np.uint16)),
        ShapeError,
        "palette",
        "in gray or RGB",
    ),
    "cmyk.jpg": (png(RGB, "CMYK"), ShapeError, "CMYK", "in gray or RGB"),
    "16bit.png": (
        png(GREY.astype(np.uint16) * 500),
        ValueRangeError,
        "from 0 to 53500",
        "Enter the range",
    ),
    "16bit.tif": (
        tif(GREY.astype(np.uint16)),
        ValueRangeError,
        "uint16 values from 0 to 107",
        "Enter the range",
    ),
    "int.npy": (npy(GREY.astype(np.int64)), ValueRangeError, "int64 values", "Enter the range"),
    "nan.tif": (tif(NAN), DataError, "1 values that are NaN", "Repair or replace"),
    "nan.npy": (npy(NAN), DataError, "1 values that are NaN", "Repair or replace"),
    "infinite.npy": (npy(np.full((4, 4), np.inf)), DataError, "16 values", "Repair or replace"),
    "minus_1_to_1.npy": (
        npy(np.linspace(-1, 1, 16).reshape(4, 4)),
        ValueRangeError,
        "from -1 to 1, expected 0 to 1",
        "Enter the range",
    ),
    "0_to_255.tif": (
        tif(GREY.astype(np.float32)),
        ValueRangeError,
        "from 0 to 107",
        "Enter the range",
    ),
    "stack.tif": (
        tif(np.zeros((7, 12, 9), np.uint8), photometric="minisblack"),
        ShapeError,
        "(7, 12, 9)",
        "Open a stack as a napari layer",
    ),
    "hwc.npy": (npy(np.zeros((12, 9, 2))), ShapeError, "(12, 9, 2)", "save it as (C, H, W)"),
    "line.npy": (npy(np.zeros(5)), ShapeError, "(5,)", "Open a stack as a napari layer"),
    "scalar.npy": (npy(np.array(0.5)), ShapeError, "()", "Open a stack"),
    "batch.npy": (npy(np.zeros((1, 1, 4, 4))), ShapeError, "(1, 1, 4, 4)", "Open a stack"),
    "no_pixels.npy": (npy(np.zeros((0, 4))), ShapeError, "(1, 0, 4)", "Export it again"),
    "complex.npy": (npy(np.zeros((4, 4), complex)), DataError, "complex128", "Export the image"),
    "text_array.npy": (npy(np.array([["a"]])), DataError, "type <U1", "Export the image"),
    "npz_inside.npy": (
        lambda p: p.write_bytes(_npz_bytes()) and None,
        DataError,
        "npy",
        "Copy or export",
    ),
}


def _npz_bytes() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, a=np.zeros((4, 4)))
    return buffer.getvalue()


@pytest.mark.parametrize("name", REFUSED)
def test_bad_image_is_refused_with_file_finding_and_way_out(tmp_path: Path, name: str) -> None:
    write, error, finding, way_out = REFUSED[name]
    write(tmp_path / name)
    with pytest.raises(error) as caught:
        read_image(tmp_path / name)
    text = str(caught.value)
    for expected in (name, finding, way_out):
        assert expected in text
    assert "\n" not in text


def test_values_outside_of_the_given_range_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", GREY.astype(np.uint16))
    with pytest.raises(ValueRangeError, match=r"'a.npy' holds values from 0 to 107, expected 0 to"):
        read_image(tmp_path / "a.npy", (0, 100))


@pytest.mark.parametrize("limits", [(1, 0), (5, 5)])
def test_empty_range_is_refused(limits: tuple[float, float]) -> None:
    with pytest.raises(ValueRangeError, match="is empty"):
        to_unit_range(np.zeros((2, 2)), limits, "a")


@pytest.mark.parametrize("name", ["a.npy", "a.tif"])
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_written_image_is_read_without_loss(tmp_path: Path, name: str, channels: int) -> None:
    image = torch.rand(channels, 12, 9)
    write_image(tmp_path / name, image)
    assert torch.equal(read_image(tmp_path / name), image)


@pytest.mark.parametrize("channels", [1, 3])
def test_png_is_rounded_to_the_nearest_of_256_levels(tmp_path: Path, channels: int) -> None:
    image = torch.rand(channels, 12, 9)
    write_image(tmp_path / "a.png", image)
    again = read_image(tmp_path / "a.png")
    assert float((again - image).abs().max()) <= 0.5 / 255 + 1e-6
    write_image(tmp_path / "b.png", again)
    assert torch.equal(read_image(tmp_path / "b.png"), again)


def test_png_of_values_outside_of_0_to_1_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueRangeError, match=r"'a.png': values from .* Write a tif instead"):
        write_image(tmp_path / "a.png", torch.tensor([[[-0.5, 1.0]]]))


def test_png_of_two_channels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ShapeError, match=r"'a.png': 2 channels do not fit .* Write a tif"):
        write_image(tmp_path / "a.png", torch.rand(2, 4, 4))


def test_unknown_ending_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'a.bmp': choose the ending .tif, .npy or .png"):
        write_image(tmp_path / "a.bmp", torch.zeros(1, 2, 2))


@pytest.mark.parametrize("n_channels", [1, 3])
def test_channels_of_an_array_may_be_last(tmp_path: Path, n_channels: int) -> None:
    colors = np.random.default_rng(0).random((12, 9, n_channels), dtype=np.float32)
    np.save(tmp_path / "a.npy", colors)
    image, notes = open_image(tmp_path / "a.npy")
    np.testing.assert_array_equal(image, np.moveaxis(colors, -1, 0))
    assert any("last axis" in note.sentence for note in notes)


def test_a_palette_of_a_tiff_is_read_in_its_colors(tmp_path: Path) -> None:
    colors = np.random.default_rng(0).integers(0, 256, (3, 256)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", GREY, photometric="palette", colormap=colors * 257)
    image, notes = open_image(tmp_path / "a.tif")
    np.testing.assert_allclose(image, colors[:, GREY] / 255, atol=1e-6)
    assert any("palette" in note.sentence for note in notes)


def test_portable_graymaps_are_read(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "a.pgm")
    np.testing.assert_allclose(read_image(tmp_path / "a.pgm")[0], GREY / 255, atol=1e-6)
