"""Compressions of TIFF files that need imagecodecs, and the sentence without it."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from napari_quac.data.image_file import read_image
from napari_quac.data.volume_file import open_volume

needs_codecs = pytest.mark.skipif(
    importlib.util.find_spec("imagecodecs") is None, reason="needs the extra 'codecs'"
)
DATA = np.random.default_rng(0).integers(0, 256, (4, 40, 50), np.uint8)
OPTIONS: list[dict[str, Any]] = [
    {"compression": "lzw"},
    {"compression": "lzw", "predictor": True, "tile": (16, 16)},
    {"compression": "zstd"},
    {"compression": "lzma"},
    {"compression": "packbits"},
    {"compression": "lerc"},
    {"compression": "jpeg2000", "compressionargs": {"level": 0}},
    {"compression": "jpegxl"},
    {"compression": "png"},
]


@needs_codecs
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: options["compression"])
def test_lossless_compressions(tmp_path: Path, options: dict[str, Any], dtype: Any) -> None:
    data = DATA.astype(dtype)
    tifffile.imwrite(tmp_path / "stack.tif", data, photometric="minisblack", **options)
    part = open_volume(tmp_path / "stack.tif").finest.read((1, 2, 3), (3, 30, 40))[0]
    np.testing.assert_array_equal(part, data[1:3, 2:30, 3:40])
    tifffile.imwrite(tmp_path / "page.tif", data[0], photometric="miniswhite", **options)
    white = np.iinfo(dtype).max
    np.testing.assert_allclose(
        read_image(tmp_path / "page.tif", (0, white))[0], (white - data[0]) / white, atol=1e-6
    )


@needs_codecs
def test_colors_of_a_jpeg_tiff(tmp_path: Path) -> None:
    smooth = np.dstack([np.add.outer(np.arange(64), np.arange(48)).astype(np.uint8)] * 3)
    smooth[..., 1] //= 2
    tifffile.imwrite(tmp_path / "a.tif", smooth, photometric="rgb", compression="jpeg",
                     compressionargs={"level": 95})  # fmt: skip
    image = read_image(tmp_path / "a.tif")
    np.testing.assert_allclose(np.moveaxis(image.numpy(), 0, -1), smooth / 255, atol=0.05)


SCRIPT = """
import sys
sys.modules["imagecodecs"] = None
from napari_quac.data.image_file import read_image
from napari_quac.data.volume_file import open_volume
for read in (open_volume, read_image):
    try:
        read(sys.argv[1])
    except Exception as error:
        print(type(error).__name__, error)
"""


@pytest.mark.long
def test_package_is_named_when_a_file_is_opened(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", DATA[0], compression="zlib")
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+b") as file:
        for page in file.pages:
            page.tags["Compression"].overwrite(int(tifffile.COMPRESSION.LERC))
    run = [sys.executable, "-c", SCRIPT, str(tmp_path / "a.tif")]
    output = subprocess.run(run, capture_output=True, text=True, check=True).stdout
    lines = output.splitlines()
    assert len(lines) == 2
    for line in lines:
        assert line.startswith("DataError 'a.tif' has LERC compression, which needs the package")
        assert "pip install 'napari-quac[codecs]'" in line
