from __future__ import annotations

import dask.array as da
import numpy as np
import pytest

from napari_quac.data.dataset import Dataset
from napari_quac.data.image_datasets import ImageStack, usual_range
from napari_quac.data.place import Transform
from napari_quac.errors import DataError, ShapeError, ValueRangeError


def test_stack_gives_one_sample_for_each_image_with_its_place() -> None:
    stack = np.arange(2 * 4 * 5, dtype=np.uint8).reshape(2, 4, 5)
    samples = ImageStack(
        stack, (0, 255), name="em", transform=Transform((40, 4, 3), (0, 8, 6)), units=("nm",) * 3
    )
    assert isinstance(samples, Dataset)
    assert len(samples) == 2
    sample = samples[1]
    assert sample.id == "em 2" and sample.label is None
    assert (sample.scale, sample.translate, sample.unit) == ((4, 3), (8, 6), "nm")
    np.testing.assert_allclose(sample.image.numpy()[0], stack[1] / 255, atol=1e-7)
    assert sample.place is not None and sample.place.size == (1, 4, 5)
    assert sample.place.transform.translate == (40, 8, 6)
    assert samples.world_of(1) == (40, 8 + 4 * 1.5, 6 + 3 * 2)
    assert [samples.index_at((z, 0, 0)) for z in (-21, -19, 19, 59, 61)] == [None, 0, 0, 1, None]


def test_single_and_coloured_images() -> None:
    assert len(ImageStack(np.zeros((4, 5)), (0, 1))) == 1
    coloured = ImageStack(np.zeros((2, 4, 5, 3), np.uint8), (0, 255), rgb=True)
    assert tuple(coloured[0].image.shape) == (3, 4, 5)


def test_lazy_stack_is_read_one_image_at_a_time() -> None:
    read = []

    def block(data: np.ndarray, block_info: dict) -> np.ndarray:
        read.append(block_info[0]["chunk-location"][0])
        return data

    lazy = da.zeros((3, 4, 4), chunks=(1, 4, 4)).map_blocks(block, dtype=float, meta=np.zeros(()))
    ImageStack(lazy, (0, 1))[2]
    assert read == [2]


def test_values_outside_the_range_are_refused_with_both_ranges() -> None:
    samples = ImageStack(np.full((1, 4, 4), 300, np.uint16), (0, 255), name="em")
    with pytest.raises(ValueRangeError, match=r"300.*expected 0 to 255"):
        samples[0]


def test_what_is_no_stack_of_images_is_refused() -> None:
    with pytest.raises(ShapeError, match="4 axes"):
        ImageStack(np.zeros((2, 2, 4, 4)), (0, 1))
    with pytest.raises(ShapeError, match="no pixels"):
        ImageStack(np.zeros((0, 4, 4)), (0, 1))
    with pytest.raises(ShapeError, match="alpha"):
        ImageStack(np.zeros((4, 4, 4), np.uint8), (0, 255), rgb=True)[0]
    with pytest.raises(DataError, match="NaN"):
        ImageStack(np.full((4, 4), np.nan), (0, 1))[0]


@pytest.mark.parametrize(
    ("dtype", "contrast", "expected"),
    [
        (np.uint8, (3, 80), (0, 255)),
        (bool, None, (0, 1)),
        (np.uint16, None, (0, 65535)),
        (np.uint16, (0, 4095), (0, 4095)),
        (np.float32, (0.1, 0.9), (0, 1)),
        (np.float32, (-1, 1), (-1, 1)),
        (np.float32, (-0.98, 0.796078), (-1, 1)),
        (np.float32, (-3.14159, 2.71828), (-3.142, 2.719)),
        (np.float32, None, (0, 1)),
    ],
)
def test_usual_range(
    dtype: type, contrast: tuple[float, float] | None, expected: tuple[float, float]
) -> None:
    assert usual_range(np.dtype(dtype), contrast) == expected
