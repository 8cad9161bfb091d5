"""Suggestions for the values of black and white."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_quac.data.image_datasets import ImageFolder
from napari_quac.data.image_range import suggest_image_range
from napari_quac.errors import ValueRangeError


def files(folder: Path, *arrays: np.ndarray) -> list[Path]:
    for number, array in enumerate(arrays):
        tifffile.imwrite(folder / f"{number:03}.tif", array)
    return sorted(folder.iterdir())


def values(dtype: str, *numbers: float) -> np.ndarray:
    return np.array([numbers], dtype)


@pytest.mark.parametrize(
    ("arrays", "expected"),
    [
        ([values("u2", 5, 3983)], ["0 to 4095 (12 bits)", "0 to 65535 (all of uint16)",
                                   "5 to 3983 (extremes of all files)"]),
        ([values("u2", 5, 900), values("u2", 0, 9000)],
         ["0 to 16383 (14 bits)", "0 to 65535 (all of uint16)",
          "0 to 9000 (extremes of all files)"]),
        ([values("u2", 0, 65535)], ["0 to 65535 (16 bits)"]),
        ([values("i2", -5, 300)], ["−32768 to 32767 (all of int16)",
                                   "−5 to 300 (extremes of all files)"]),
        ([values("u4", 0, 2**20)], ["0 to 1048576 (extremes of all files)"]),
        ([values("f4", -0.5, 1)], ["−1 to 1 (−1 to 1)", "−0.5 to 1 (extremes of all files)"]),
        ([values("f4", 3, 250)], ["0 to 255 (8 bits)", "3 to 250 (extremes of all files)"]),
        ([values("u1", 3, 250)], []),
        ([values("u1", 3, 250), values("u2", 3, 2500)],
         ["0 to 4095 (12 bits)", "0 to 65535 (all of uint16)",
          "3 to 2500 (extremes of all files)"]),
        ([values("u2", 7, 7)], []),
        ([values("f4", np.nan, 7), values("f4", 2, 7)],
         ["0 to 255 (8 bits)", "2 to 7 (extremes of all files)"]),
    ],
)  # fmt: skip
def test_ranges_that_hold_the_values(
    tmp_path: Path, arrays: list[np.ndarray], expected: list[str]
) -> None:
    suggestions = suggest_image_range(files(tmp_path, *arrays))
    assert [f"{entry} ({entry.reason})" for entry in suggestions] == expected


def test_some_of_many_files_are_read_and_damaged_ones_left_out(tmp_path: Path) -> None:
    paths = files(tmp_path, *[values("u2", 10, 100 + number) for number in range(20)])
    paths[0].write_bytes(b"damaged")
    suggestions = suggest_image_range(paths, 5)
    assert str(suggestions[-1]) == "10 to 119"
    assert suggestions[-1].reason == "extremes of 5 of 20 files"


def test_error_of_a_sample_holds_the_options(tmp_path: Path) -> None:
    files(tmp_path, values("u2", 5, 3983))
    with pytest.raises(ValueRangeError) as caught:
        ImageFolder(tmp_path)[0]
    assert str(caught.value).endswith(
        "Ranges that hold these files: --image-range 0 4095 (12 bits), --image-range 0 65535 (all "
        "of uint16) or --image-range 5 3983 (extremes of all files)."
    )
    assert ImageFolder(tmp_path, (0, 4095))[0].image.max() == pytest.approx(3983 / 4095)
